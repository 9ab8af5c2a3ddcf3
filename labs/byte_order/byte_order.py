#!/usr/bin/env python3
"""byte_order.py [SHORT [LONG]]: the bytes of a number in this host's memory and on the wire, and htons() and htonl().

It shows that a little-endian host keeps the least significant byte first, while the network sends the most significant
one first, and that htons() and htonl() turn a number of 2 or 4 bytes from one order into the other.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import struct
import sys
from collections.abc import Iterator


def main() -> None:
    arguments = parse_arguments()
    short, long = arguments.short, arguments.long

    say(f"this host is {sys.byteorder}-endian")
    say(f"{long:#010x} in memory   : {in_memory(long)}")
    say(f"{long:#010x} on the wire : {in_memory(socket.htonl(long))}")
    say(f"htons({short:#06x}) = {socket.htons(short):#06x}")
    say(f"htonl({long:#010x}) = {socket.htonl(long):#010x}")
    say(f"ntohs({socket.htons(short):#06x}) = {socket.ntohs(socket.htons(short)):#06x}")
    say(f"ntohl({socket.htonl(long):#010x}) = {socket.ntohl(socket.htonl(long)):#010x}")


def in_memory(number: int) -> str:
    """The four bytes of a uint32_t as they lie in this host's memory."""
    return struct.pack("=I", number).hex(" ")


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
    parser.add_argument("short", metavar="SHORT", nargs="?", type=uint16, default=0x1234, help="0x1234 if not given")
    parser.add_argument("long", metavar="LONG", nargs="?", type=uint32, default=0x12345678, help="0x12345678")
    return parser.parse_args()


def uint16(text: str) -> int:
    if not re.fullmatch("[0-9]+|0x[0-9a-fA-F]+", text) or int(text, 0) > 0xFFFF:
        raise ValueError
    return int(text, 0)


def uint32(text: str) -> int:
    if not re.fullmatch("[0-9]+|0x[0-9a-fA-F]+", text) or int(text, 0) > 0xFFFFFFFF:
        raise ValueError
    return int(text, 0)


if __name__ == "__main__":
    main()
