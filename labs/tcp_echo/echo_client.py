#!/usr/bin/env python3
"""echo_client.py HOST PORT: send each line typed to an echo server and print its answer; Q or q leaves.

It shows that TCP keeps no message boundaries: recv() returns what has arrived, so the client goes on until it has as
many bytes as it sent.
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

    while True:
        if os.isatty(0):
            write(b"Input message(Q to quit): ")
        with perror("read"):
            line = sys.stdin.buffer.readline(1024)  # as fgets(): a longer line comes in several pieces
        if not line or line.rstrip(b"\n") in (b"Q", b"q"):
            break
        with perror("send"):
            server.sendall(line)
        answer = receive(server, len(line))
        write(b"Message from server : " + answer.rstrip(b"\n") + b"\n")
    server.close()


def write(text: bytes) -> None:
    with perror("write"):
        os.write(1, text)


def receive(server: socket.socket, length: int) -> bytes:
    answer = b""
    while len(answer) < length:
        with perror("recv"):
            piece = server.recv(length - len(answer))
        if not piece:
            sys.exit("recv: the server has closed the connection")
        answer += piece
    return answer


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
