#!/usr/bin/env python3
"""fork_server.py PORT [--leave-zombies] [--leave-client-open] [--leave-listener-open]: echo, a process for each client.

It shows fork(): the parent accepts clients, and a child serves each. Both have both sockets, so each closes the one
that it doesn't use; and a child that has ended is a zombie until the parent has waited for it. Each option leaves out
one of these three. Ctrl+C ends the server and its children.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator

children: set[int] = set()


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, end)
    if not arguments.leave_zombies:
        signal.signal(signal.SIGCHLD, reap)

    with perror("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with perror("bind"):
        listener.bind(("0.0.0.0", arguments.port))  # INADDR_ANY: all interfaces
    with perror("listen"):
        listener.listen(socket.SOMAXCONN)

    while True:
        client, (address, client_port) = accept(listener)
        say(f"client {address}:{client_port} is connected...".encode())
        if fork() == 0:
            if not arguments.leave_listener_open:
                listener.close()
            echo(client, f"Client({client_port})".encode())
            client.close()
            os._exit(0)
        if arguments.leave_client_open:
            client.detach()  # forgets the descriptor, but doesn't close it
        else:
            client.close()


def accept(listener: socket.socket) -> tuple[socket.socket, tuple[str, int]]:
    listener.settimeout(1)  # then once more: a signal that comes just before accept() sleeps would not wake it
    while True:
        with perror("accept"), contextlib.suppress(socket.timeout):
            return listener.accept()


def fork() -> int:
    """Fork, and note the child before any signal is handled; -1 if there are too many processes already."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGCHLD])
    try:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        else:
            children.add(child)
        return child
    except OSError as error:
        print(f"fork: {error.strerror}", file=sys.stderr)
        return -1
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGCHLD])


def reap(*_: object) -> None:
    """SIGCHLD: wait for every child that has ended. Signals don't queue, so one may stand for many."""
    with contextlib.suppress(ChildProcessError):  # there are no more children
        while True:
            child, _status = os.waitpid(-1, os.WNOHANG)
            if child == 0:  # those that there are still run
                break
            children.discard(child)


def end(*_: object) -> None:
    """SIGINT: no child outlives the server."""
    for child in list(children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    sys.exit(0)


def echo(client: socket.socket, name: bytes) -> None:
    """Send back all that the client sends, until it leaves or breaks its connection."""
    with contextlib.suppress(OSError):
        while True:
            message = client.recv(1024)
            if not message:
                break
            say(name + b": " + message.rstrip(b"\n"))
            client.sendall(message)
    say(name + b": is disconnected")


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
    parser.add_argument("--leave-zombies", action="store_true", help="the parent doesn't wait for ended children")
    parser.add_argument("--leave-client-open", action="store_true", help="the parent doesn't close a client's socket")
    parser.add_argument("--leave-listener-open", action="store_true", help="children don't close the listening socket")
    return parser.parse_args()


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
