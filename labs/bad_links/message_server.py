#!/usr/bin/env python3
"""message_server.py PORT: receive a message of each TCP client, one after another, and say in how many pieces it came.

It shows that TCP hands over bytes, not messages: what was sent by one call comes in as many pieces as the network
makes of it, and all of it comes, in order, whatever the network loses. Ctrl+C ends it.
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
        listener.listen(5)
    while True:
        with perror("accept"):
            client, (address, client_port) = listener.accept()
        say(f"connected client : {address}:{client_port}")
        try:
            serve(client)
        except OSError as error:  # a client that breaks its connection is no reason to end
            print(f"client: {error.strerror}", file=sys.stderr)
        client.close()
        say(f"closed client : {address}:{client_port}")


def serve(client: socket.socket) -> None:
    size = pieces = 0
    while True:
        data = client.recv(65536)  # what is there, as far as it fits
        if not data:  # the client has ended its direction: this was the message
            break
        say(f"recv = {len(data)}")
        size += len(data)
        pieces += 1
    client.sendall(b"%d bytes in %d %s\n" % (size, pieces, b"piece" if pieces == 1 else b"pieces"))


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
    parser.add_argument("port", metavar="PORT", type=port, help="1 to 65535; 9090 in the lecture")
    return parser.parse_args()


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
