#!/usr/bin/env python3
"""closing_client.py HOST PORT [--abort]: connect to a TCP server, then make the calls that are typed.

It shows which call puts which segments on the wire: type `send TEXT`, `recv` and `close`, a call a line, while tcpdump
and ss look on. The end of the input closes, too. With --abort, close() breaks the connection: RST instead of FIN.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    with perror("read"):
        os.fstat(0)  # stdin: were it closed, a socket would get its number

    with perror("getaddrinfo"):
        address = socket.getaddrinfo(os.fsencode(arguments.host), arguments.port, socket.AF_INET)[0][4]
    with perror("socket"):
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with perror("connect"):
        server.connect(address)
    say(os.fsencode(f"connected to {arguments.host}:{arguments.port}"))
    if arguments.abort:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # linger on, for 0 s
    make_calls(server)


def make_calls(peer: socket.socket) -> None:
    """Make each call that is typed and print what it returns, up to `close` or the end of the input."""
    while True:
        if os.isatty(0):
            with perror("write"):
                os.write(1, b"> ")
        with perror("read"):
            line = sys.stdin.buffer.readline()
        call, _, text = line.rstrip(b"\n").partition(b" ")
        if call == b"send":
            with perror("send"):
                peer.sendall(text)
            say(b"send = %d" % len(text))
        elif call == b"recv":
            with perror("recv"):
                data = peer.recv(1024)
            say(b"recv = %d (%s)" % (len(data), data.rstrip(b"\n") if data else b"the other side has closed"))
        elif call == b"close" or not line:
            peer.close()
            say(b"close = 0")
            return
        else:
            print("type send TEXT, recv or close", file=sys.stderr)


def say(line: bytes) -> None:
    with perror("write"):
        os.write(1, line + b"\n")


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
    parser.add_argument("--abort", action="store_true", help="set SO_LINGER to 0 s: close() sends RST")
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
