#!/usr/bin/env python3
"""file_server.py PORT [FILE] [--end HOW]: send a file to one TCP client, say that it is complete, receive its thanks.

It shows the half close: shutdown(SHUT_WR) ends this direction of the connection, and the other one still works. With
--end another way to end is taken, or none, and the thanks are lost.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import socket
import sys
from collections.abc import Iterator

PIECE = 30  # bytes


def main() -> None:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    arguments = parse_arguments()

    with perror("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with perror("bind"):
        listener.bind(("0.0.0.0", arguments.port))  # INADDR_ANY: all interfaces
    with perror("listen"):
        listener.listen(5)
    with perror("accept"):
        client, _ = listener.accept()

    while True:
        with perror("read"):
            piece = arguments.file.read(PIECE)  # the last one is shorter; at the end of the file there is none
        if not piece:
            break
        with perror("send"):
            client.sendall(piece)
    end(client, arguments.end)

    with perror("recv"):
        message = client.recv(PIECE, socket.MSG_WAITALL)  # until the client closes, or the buffer is full
    if not message:
        sys.exit("recv: end of file, no message")
    with perror("write"):
        os.write(1, b"message from client: " + message + b"\n")
    client.close()  # shutdown has ended the connection, and left the descriptor open
    listener.close()


def end(client: socket.socket, how: str) -> None:
    """Say that the file is complete, by a half close (SHUT_WR), or try what else comes to mind."""
    if how == "close":
        client.close()
    elif how != "nothing":
        with perror("shutdown"):
            client.shutdown(getattr(socket, how))


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
    parser.add_argument(
        "file", metavar="FILE", type=readable, nargs="?", default=__file__, help="its own source if not given"
    )
    parser.add_argument(
        "--end",
        metavar="HOW",
        choices=["SHUT_WR", "SHUT_RD", "SHUT_RDWR", "close", "nothing"],
        default="SHUT_WR",
        help="what the server does after the file: SHUT_WR (if not given), SHUT_RD, SHUT_RDWR, close, nothing",
    )
    return parser.parse_args()


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


def readable(name: str) -> io.BufferedReader:
    try:
        return open(name, "rb")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name}: {error.strerror}") from None


if __name__ == "__main__":
    main()
