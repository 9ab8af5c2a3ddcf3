#!/usr/bin/env python3
"""udp_echo_server.py PORT [--buffer BYTES]: send every datagram back to where it came from, for ever.

It shows recvfrom and sendto: one socket for all clients, no connection, each datagram brings its sender's address. A
datagram longer than the buffer is cut, and the rest of it is lost. Ctrl+C ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator

LONGEST = 65507  # bytes in a datagram: 65535 less the headers of IP (20) and UDP (8)


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))

    with perror("socket"):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with perror("bind"):
        server.bind(("0.0.0.0", arguments.port))  # INADDR_ANY: all interfaces
    server.settimeout(1)  # a Ctrl+C that comes just before recvfrom waits would not wake it
    while True:
        with perror("recvfrom"):
            try:
                message, (address, port) = server.recvfrom(arguments.buffer)
            except socket.timeout:
                continue
        say(f"message from {address}:{port} : ".encode() + message)
        with survive("sendto"):
            server.sendto(message, (address, port))


def say(line: bytes) -> None:
    with perror("write"):
        os.write(1, line + b"\n")


@contextlib.contextmanager
def survive(call: str) -> Iterator[None]:
    """Say why a call failed, and go on: a client that can't be reached is no reason to end."""
    try:
        yield
    except OSError as error:
        print(f"{call}: {error.strerror}", file=sys.stderr)


@contextlib.contextmanager
def perror(call: str) -> Iterator[None]:
    """Say which call failed and why, as in C, and end with status 1."""
    try:
        yield
    except OSError as error:
        sys.exit(f"{call}: {error.strerror}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)  # a mistake gets one line
    parser.add_argument("port", metavar="PORT", type=port, help="1 to 65535; 9090 in the lecture")
    parser.add_argument(
        "--buffer",
        metavar="BYTES",
        type=size,
        default=LONGEST,
        help=f"bytes given to recvfrom, 1 to {LONGEST}; {LONGEST}, the longest datagram, if not given",
    )
    return parser.parse_args()


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


def size(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= LONGEST):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
