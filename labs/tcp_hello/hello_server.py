#!/usr/bin/env python3
"""hello_server.py PORT [--no-reuse-address]: greet one TCP client and end.

It shows the smallest server: socket, bind, listen, accept, send, close. As the server closes first, its port is left
in TIME_WAIT: start it again at once with --no-reuse-address and see bind() fail.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import sys
from collections.abc import Iterator


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))

    with perror("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if not arguments.no_reuse_address:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with perror("bind"):
        listener.bind(("0.0.0.0", arguments.port))  # INADDR_ANY: all interfaces
    with perror("listen"):
        listener.listen(5)
    with perror("accept"):
        client, _ = listener.accept()
    with perror("send"):
        client.sendall(b"Hello World~\n")
    client.close()
    listener.close()


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
    parser.add_argument("--no-reuse-address", action="store_true", help="leave SO_REUSEADDR unset")
    return parser.parse_args()


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
