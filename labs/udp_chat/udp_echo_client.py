#!/usr/bin/env python3
"""udp_echo_client.py HOST PORT [--connect]: send each line typed as a datagram, print the answer; Q or q leaves.

It shows sendto and recvfrom without a connection: nothing reports that no server is there, and anybody may answer.
With --connect the socket knows its only peer: an error comes back, and datagrams of others are not taken.
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

LONGEST = 65507  # bytes in a datagram: 65535 less the headers of IP (20) and UDP (8)


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    with perror("read"):
        os.fstat(0)  # stdin: were it closed, a socket would get its number

    with perror("getaddrinfo"):
        address = socket.getaddrinfo(os.fsencode(arguments.host), arguments.port, socket.AF_INET)[0][4]
    with perror("socket"):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if arguments.connect:
        with perror("connect"):
            server.connect(address)  # sends nothing: the kernel only notes the peer

    while True:
        if os.isatty(0):
            write(b"Input message(Q to quit): ")
        with perror("read"):
            line = sys.stdin.buffer.readline()
        message = line.rstrip(b"\n")
        if not line or message in (b"Q", b"q"):
            break
        if arguments.connect:
            with perror("send"):
                server.send(message)
        else:
            with perror("sendto"):
                server.sendto(message, address)
        with perror("recvfrom"):
            answer, _ = server.recvfrom(LONGEST)  # a whole datagram, never a part of it or two
        write(b"Message from server : " + answer + b"\n")
    server.close()


def write(text: bytes) -> None:
    with perror("write"):
        os.write(1, text)


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
    parser.add_argument("--connect", action="store_true", help="connect the socket to the server")
    return parser.parse_args()


def host(text: str) -> str:
    if not text.strip("0123456789."):  # digits and dots: meant as an address, so it must be one
        ipaddress.IPv4Address(text)
    return text


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
