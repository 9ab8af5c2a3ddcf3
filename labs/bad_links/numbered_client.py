#!/usr/bin/env python3
"""numbered_client.py HOST PORT [COUNT]: send numbered datagrams, then ask the server how many of them came.

It shows that nobody tells a sender what became of a datagram, and how one gets an answer all the same: the question
and its answer may be lost as well, so the question is repeated until an answer comes.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Iterator

MOST = 100_000  # datagrams of a client
TRIES = 20
WAIT = 0.2  # seconds for an answer: a round trip may take so long


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))

    with perror("getaddrinfo"):
        address = socket.getaddrinfo(os.fsencode(arguments.host), arguments.port, socket.AF_INET)[0][4]
    with perror("socket"):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with perror("connect"):
        server.connect(address)  # sends nothing: the kernel only notes the peer
    for number in range(1, arguments.count + 1):
        with perror("send"):
            server.send(b"%d" % number)

    server.settimeout(WAIT)
    for asked in range(1, TRIES + 1):
        with perror("send"):
            server.send(b"end %d" % arguments.count)
        with perror("recv"):
            try:
                answer = server.recv(1024)
            except socket.timeout:
                continue
        say(b"Message from server : " + answer)
        say(b"asked %d %s" % (asked, b"time" if asked == 1 else b"times"))
        return
    sys.exit(f"recv: no answer to {TRIES} questions")


def say(line: bytes) -> None:
    with perror("write"):
        os.write(1, line + b"\n")


@contextlib.contextmanager
def perror(call: str) -> Iterator[None]:
    """Say which call failed and why, as in C, and end with status 1."""
    try:
        yield
    except OSError as error:
        sys.exit(f"{call}: {error.strerror}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)  # a mistake gets one line
    parser.add_argument("host", metavar="HOST", type=host, help="the server's name or IPv4 address")
    parser.add_argument("port", metavar="PORT", type=port, help="1 to 65535; 9090 in the lecture")
    parser.add_argument(
        "count", metavar="COUNT", nargs="?", type=count, default=100, help="1 to 100000; 100 if not given"
    )
    return parser.parse_args()


def host(text: str) -> str:
    if not text.strip("0123456789."):  # digits and dots: meant as an address, so it must be one
        ipaddress.IPv4Address(text)
    return text


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


def count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
