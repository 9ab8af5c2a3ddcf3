#!/usr/bin/env python3
"""message_client.py HOST PORT [LENGTH]: send a message by one call, and tell what became of it.

It shows what TCP makes of a bad link: nothing is lost, but it takes longer, for segments that were not acknowledged
in time are sent again. TCP_INFO has the kernel's count of these.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator

LARGEST = 10_000_000  # bytes
TCP_INFO_BYTES = 104  # of struct tcp_info (linux/tcp.h), up to tcpi_total_retrans, its last number then


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))

    with perror("getaddrinfo"):
        address = socket.getaddrinfo(os.fsencode(arguments.host), arguments.port, socket.AF_INET)[0][4]
    with perror("socket"):
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with perror("connect"):
        server.connect(address)

    began = time.monotonic()
    with perror("send"):
        server.sendall(b"x" * arguments.length)
    with perror("shutdown"):
        server.shutdown(socket.SHUT_WR)  # this was the message
    answer = b""
    while not answer.endswith(b"\n"):
        with perror("recv"):
            piece = server.recv(1024)
        if not piece:
            sys.exit("recv: the server has closed the connection")
        answer += piece
    milliseconds = (time.monotonic() - began) * 1000
    with perror("getsockopt"):
        info = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    (again,) = struct.unpack_from("I", info, TCP_INFO_BYTES - 4)
    with perror("write"):
        os.write(1, b"Message from server : " + answer)
        os.write(1, b"answered after %.1f ms\nsent again : %d\n" % (milliseconds, again))
    server.close()


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
        "length", metavar="LENGTH", nargs="?", type=length, default=20_000, help="in bytes; 20000 if not given"
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


def length(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= LARGEST):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
