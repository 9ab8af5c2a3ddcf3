#!/usr/bin/env python3
"""name_by_address.py ADDRESS: the name of the host that has this IPv4 address.

It shows gethostbyaddr(), the lookup in reverse: the name server is asked for the PTR record of the address, whose name
is the four numbers backwards, below in-addr.arpa.
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
    address = parse_arguments().address
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    with perror("gethostbyaddr"):
        official_name, aliases, _ = socket.gethostbyaddr(address)
    say(f"Official name: {official_name}")
    for number, alias in enumerate(aliases, 1):
        say(f"Alias {number}: {alias}")


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
    parser.add_argument("address", metavar="ADDRESS", type=address, help="192.168.74.128")
    return parser.parse_args()


def address(text: str) -> str:
    return str(ipaddress.IPv4Address(text))


if __name__ == "__main__":
    main()
