#!/usr/bin/env python3
"""buffer_sizes.py [SIZE]: get the buffer sizes of a TCP socket, set them, and get them again.

It shows getsockopt() and setsockopt() with SO_SNDBUF and SO_RCVBUF, and that what is set is a wish: Linux doubles it,
to have room for its own bookkeeping, and keeps it within limits.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
from collections.abc import Iterator

OPTIONS = (("SO_SNDBUF", socket.SO_SNDBUF), ("SO_RCVBUF", socket.SO_RCVBUF))


def main() -> None:
    arguments = parse_arguments()

    with perror("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    for name, option in OPTIONS:
        with perror("getsockopt"):
            found = sock.getsockopt(socket.SOL_SOCKET, option)
        say(f"{name} : {found} as found")
        with perror("setsockopt"):
            sock.setsockopt(socket.SOL_SOCKET, option, arguments.size)
        say(f"{name} : {arguments.size} set")
        with perror("getsockopt"):
            found = sock.getsockopt(socket.SOL_SOCKET, option)
        say(f"{name} : {found} read back")
    sock.close()


def say(line: str) -> None:
    with perror("write"):
        os.write(1, os.fsencode(line) + b"\n")


@contextlib.contextmanager
def perror(call: str) -> Iterator[None]:
    """Say which call failed and why, as in C, and end with status 1."""
    try:
        yield
    except OSError as error:
        sys.exit(f"{call}: {error.strerror}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)  # a mistake gets one line
    parser.add_argument("size", metavar="SIZE", nargs="?", type=size, default=8192, help="in bytes; 8192 if not given")
    return parser.parse_args()


def size(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < 2**31):  # an int in C
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
