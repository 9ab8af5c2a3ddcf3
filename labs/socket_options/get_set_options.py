#!/usr/bin/env python3
"""get_set_options.py [--udp]: get three options of a socket, switch each of them on, and get it again.

It shows that an option belongs to a level: SO_KEEPALIVE and SO_REUSEADDR to every socket (SOL_SOCKET), TCP_NODELAY to
TCP (IPPROTO_TCP). A UDP socket, with --udp, doesn't know it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
from collections.abc import Iterator

OPTIONS = (
    ("SO_KEEPALIVE", socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    ("SO_REUSEADDR", socket.SOL_SOCKET, socket.SO_REUSEADDR),
    ("TCP_NODELAY", socket.IPPROTO_TCP, socket.TCP_NODELAY),
)


def main() -> None:
    arguments = parse_arguments()

    with perror("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if arguments.udp else socket.SOCK_STREAM)
    for name, level, option in OPTIONS:
        with perror("getsockopt"):
            found = sock.getsockopt(level, option)
        say(f"{name} : {found} as found")
        with perror("setsockopt"):
            sock.setsockopt(level, option, 1)
        say(f"{name} : 1 set")
        with perror("getsockopt"):
            found = sock.getsockopt(level, option)
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
    parser.add_argument("--udp", action="store_true", help="of a UDP socket, which has no TCP_NODELAY")
    return parser.parse_args()


if __name__ == "__main__":
    main()
