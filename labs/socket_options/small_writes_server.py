#!/usr/bin/env python3
"""small_writes_server.py PORT: receive lines from TCP clients, one client after another, and answer each with its size.

It shows in which pieces a line arrives, and it acknowledges late, as TCP does in a dialogue: an ACK may wait for 40 ms
for an answer that it could travel with. That is what small_writes_client.py runs into. Ctrl+C ends it.
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
    # A connection begins with quick ACKs, to get it going: delay them from the first one on.
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
    client.sendall(b"ready\n")
    size = 0  # of the line that is arriving
    while True:
        data = client.recv(1024)
        if not data:
            return
        say(f"recv = {len(data)}")
        *ends, rest = data.split(b"\n")
        for end in ends:
            client.sendall(b"%d bytes\n" % (size + len(end) + 1))
            size = 0
        size += len(rest)


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
