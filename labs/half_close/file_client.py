#!/usr/bin/env python3
"""file_client.py HOST PORT [OUTPUT]: receive a file to its end, then thank the server on the same connection.

It shows the other side of a half close: recv() returns nothing, the server will send no more; but it still receives.
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


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))

    with perror("getaddrinfo"):
        address = socket.getaddrinfo(os.fsencode(arguments.host), arguments.port, socket.AF_INET)[0][4]
    with perror("socket"):
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with perror("connect"):
        server.connect(address)
    with perror("open"):
        output = os.open(arguments.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    while True:
        with perror("recv"):
            piece = server.recv(1024)
        if not piece:
            break
        write(output, piece)
    os.close(output)
    write(1, b"Receive file data\n")
    with perror("send"):
        server.sendall(b"Thank you")
    server.close()


def write(descriptor: int, data: bytes) -> None:
    """Write all of it: one call may take less."""
    while data:
        with perror("write"):
            data = data[os.write(descriptor, data) :]


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
    parser.add_argument("output", metavar="OUTPUT", nargs="?", default="receive.dat", help="receive.dat if not given")
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
