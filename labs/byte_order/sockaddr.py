#!/usr/bin/env python3
"""sockaddr.py ADDRESS PORT [--no-htons]: fill the 16 bytes of a sockaddr_in, and see what the kernel reads.

It shows where family, port and address lie, and in which byte order. With --no-htons the port is put there in this
host's order, and the kernel reads another port. The bytes are given to connect() of a UDP socket, which sends nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterator

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    arguments = parse_arguments()
    for name in "PF_INET", "PF_INET6", "SOCK_STREAM", "SOCK_DGRAM":
        say(f"{name} = {getattr(socket, name.replace('PF_', 'AF_')):d}")  # each PF_ is the same number as its AF_

    sockaddr_in = bytearray(16)
    show("memset", sockaddr_in)
    struct.pack_into("=H", sockaddr_in, 0, socket.AF_INET)
    show("sin_family", sockaddr_in)
    struct.pack_into("=H", sockaddr_in, 2, arguments.port if arguments.no_htons else socket.htons(arguments.port))
    show("sin_port", sockaddr_in)
    sockaddr_in[4:8] = socket.inet_aton(arguments.address)
    show("sin_addr", sockaddr_in)

    with perror("socket"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with perror("connect"):
        connect(sock.fileno(), bytes(sockaddr_in))
    address, port = sock.getpeername()
    say(f"the kernel reads: address {address}, port {port}")


def show(after: str, sockaddr_in: bytearray) -> None:
    say(f"{after:10} : {sockaddr_in.hex(' ')}")


def connect(descriptor: int, sockaddr_in: bytes) -> None:
    """Make the C call itself, since Python's own takes no bytes but fills a sockaddr_in of its own."""
    if libc.connect(descriptor, sockaddr_in, len(sockaddr_in)) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


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
    parser.add_argument("address", metavar="ADDRESS", type=address, help="an IPv4 address: 192.168.74.128")
    parser.add_argument("port", metavar="PORT", type=port, help="1 to 65535")
    parser.add_argument("--no-htons", action="store_true", help="forget to turn the port into network order")
    return parser.parse_args()


def address(text: str) -> str:
    return str(ipaddress.IPv4Address(text))


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
