#!/usr/bin/env python3
"""iterative_server.py PORT: echo for one TCP client after another, for ever.

It shows the limit of a server that serves one client at a time: the others are connected by the kernel and may send,
but get no answer until the one before them leaves. Ctrl+C ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))

    with perror("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with perror("bind"):
        listener.bind(("0.0.0.0", arguments.port))  # INADDR_ANY: all interfaces
    with perror("listen"):
        listener.listen(2)
    while True:
        with perror("accept"):
            client, (address, client_port) = listener.accept()
        say(f"connected client : {address}:{client_port}".encode())
        echo(client)
        client.close()
        say(f"closed client : {address}:{client_port}".encode())


def echo(client: socket.socket) -> None:
    """Send back all that the client sends, until it leaves; a connection that it breaks is over, too."""
    while True:
        try:
            message = client.recv(1024)
            if not message:
                return
            client.sendall(message)
        except OSError as error:
            print(f"client: {error.strerror}", file=sys.stderr)
            return
        say(b"message from client : " + message.rstrip(b"\n"))


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
    parser.add_argument("port", metavar="PORT", type=port, help="1 to 65535; 9090 in the lecture")
    return parser.parse_args()


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
