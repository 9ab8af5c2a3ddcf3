#!/usr/bin/env python3
"""send_number.py HOST PORT [NUMBER] [--no-htonl]: send the four bytes of a number in a UDP datagram.

It shows, to whoever captures on the way, that htonl() puts the most significant byte first. With --no-htonl the bytes
are sent as they lie in this host's memory. Nobody needs to receive them.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import re
import signal
import socket
import struct
import sys
from collections.abc import Iterator


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    number = arguments.number if arguments.no_htonl else socket.htonl(arguments.number)
    message = struct.pack("=I", number)  # as a uint32_t lies in this host's memory
    with perror("getaddrinfo"):
        address = socket.getaddrinfo(os.fsencode(arguments.host), arguments.port, socket.AF_INET)[0][4]
    with perror("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with perror("sendto"):
        sock.sendto(message, address)
    say(f"{arguments.number:#010x} sent as {message.hex(' ')}")


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
    parser.add_argument("host", metavar="HOST", type=host, help="a name or IPv4 address")
    parser.add_argument("port", metavar="PORT", type=port, help="1 to 65535")
    parser.add_argument("number", metavar="NUMBER", nargs="?", type=uint32, default=0x12345678, help="0x12345678")
    parser.add_argument("--no-htonl", action="store_true", help="forget to turn the number into network order")
    return parser.parse_args()


def host(text: str) -> str:
    if not text.strip("0123456789."):  # digits and dots: meant as an address, so it must be one
        ipaddress.IPv4Address(text)
    return text


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


def uint32(text: str) -> int:
    if not re.fullmatch("[0-9]+|0x[0-9a-fA-F]+", text) or int(text, 0) > 0xFFFFFFFF:
        raise ValueError
    return int(text, 0)


if __name__ == "__main__":
    main()
