#!/usr/bin/env python3
"""address_conversion.py ADDRESS: what inet_addr(), inet_aton() and inet_ntoa() make of an IPv4 address.

It shows that the four numbers become four bytes in network order, that they are another number when the host reads them
as an integer of its own, and that a malformed address is an error and no value.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterator


def main() -> None:
    address = parse_arguments().address
    try:
        in_addr = socket.inet_aton(address)  # the 4 bytes of a struct in_addr
    except (OSError, UnicodeEncodeError):
        print(f"malformed: inet_addr = {socket.INADDR_NONE:#x} (INADDR_NONE), inet_aton = 0", file=sys.stderr)
        sys.exit(2)

    (as_host_integer,) = struct.unpack("=I", in_addr)
    say(f"inet_addr = {as_host_integer:#x}")
    say(f"ntohl(inet_addr) = {socket.ntohl(as_host_integer):#x}")
    say(f"inet_aton = 1, in memory: {in_addr.hex(' ')}")
    say(f"inet_ntoa = {socket.inet_ntoa(in_addr)}")


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
    parser.add_argument("address", metavar="ADDRESS", help="an IPv4 address in dotted notation: 192.168.0.1")
    return parser.parse_args()


if __name__ == "__main__":
    main()
