#!/usr/bin/env python3
"""small_writes_client.py HOST PORT [--no-delay] [--one-write]: send a line, byte by byte, and time its answer.

It shows Nagle's algorithm: while a small segment is on its way unacknowledged, the next small one waits, and grows by
what is written meanwhile. TCP_NODELAY switches that off: each byte travels at once, alone. Better still is one write.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator

LINE = b"ABCDEFGHI\n"


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))

    with perror("getaddrinfo"):
        address = socket.getaddrinfo(os.fsencode(arguments.host), arguments.port, socket.AF_INET)[0][4]
    with perror("socket"):
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if arguments.no_delay:
        with perror("setsockopt"):
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with perror("connect"):
        server.connect(address)
    receive_line(server)  # ready

    pieces = [LINE] if arguments.one_write else [bytes([byte]) for byte in LINE]
    began = time.monotonic()
    for piece in pieces:
        with perror("send"):
            server.sendall(piece)
    answer = receive_line(server)
    milliseconds = (time.monotonic() - began) * 1000
    with perror("write"):
        os.write(1, b"Message from server : %s\nanswered after %.1f ms\n" % (answer, milliseconds))
    server.close()


def receive_line(server: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        with perror("recv"):
            piece = server.recv(1024)
        if not piece:
            sys.exit("recv: the server has closed the connection")
        line += piece
    return line.rstrip(b"\n")


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
    parser.add_argument("--no-delay", action="store_true", help="set TCP_NODELAY: no write waits")
    parser.add_argument("--one-write", action="store_true", help="send the line by one call")
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
