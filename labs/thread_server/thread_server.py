#!/usr/bin/env python3
"""thread_server.py PORT [--no-lock]: echo for many TCP clients at once, a thread for each, which count their messages.

It shows that threads share everything: the descriptors, and one counter. A thread reads the counter, prints the message
with its number, and writes the counter back; a lock keeps the others out meanwhile. With --no-lock two threads may read
the same number: two messages are counted as one. Ctrl+C ends the server and says how many it has counted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator

messages = 0  # the counter: of all clients, written by all threads


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, end)

    with perror("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with perror("bind"):
        listener.bind(("0.0.0.0", arguments.port))  # INADDR_ANY: all interfaces
    with perror("listen"):
        listener.listen(socket.SOMAXCONN)

    lock: contextlib.AbstractContextManager[object] = (
        contextlib.nullcontext() if arguments.no_lock else threading.Lock()
    )
    last_descriptor = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1
    while True:
        client, (address, client_port) = accept(listener)
        if client.fileno() == last_descriptor:  # all are in use: without this one, the next accept() would fail
            refuse(client, "accept: Too many open files")
            continue
        say(f"client {address}:{client_port} is connected...".encode())
        try:  # pthread_create() and pthread_detach()
            threading.Thread(target=echo, args=(client, f"Client({client_port})".encode(), lock), daemon=True).start()
        except RuntimeError:
            refuse(client, "pthread_create: Resource temporarily unavailable")


def refuse(client: socket.socket, reason: str) -> None:
    client.close()
    print(reason, file=sys.stderr)


def accept(listener: socket.socket) -> tuple[socket.socket, tuple[str, int]]:
    listener.settimeout(1)  # then once more: a signal that comes just before accept() sleeps would not wake it
    while True:
        with perror("accept"), contextlib.suppress(socket.timeout):
            return listener.accept()


def echo(client: socket.socket, name: bytes, lock: contextlib.AbstractContextManager[object]) -> None:
    """A thread: send back all that the client sends, until it leaves or breaks its connection."""
    with contextlib.suppress(OSError):
        while True:
            message = client.recv(1024)
            if not message:
                break
            with lock:
                count(name + b": " + message.rstrip(b"\n"))
            client.sendall(message)
    client.close()
    say(name + b": is disconnected")


def count(line: bytes) -> None:
    """What `messages += 1` does, in its three steps, and printing between them."""
    global messages
    number = messages  # 1. read,
    number += 1  # 2. add,
    say(b"message %d from " % number + line)  # (a system call: meanwhile other threads run)
    messages = number  # 3. write back


def end(*_: object) -> None:
    """SIGINT: the process ends, and all its threads with it, whatever they are doing."""
    say(b"messages : %d" % messages)
    os._exit(0)


def say(line: bytes) -> None:
    with perror("write"):
        os.write(1, line + b"\n")


@contextlib.contextmanager
def perror(call: str) -> Iterator[None]:
    """Say which call failed and why, as in C, and end with status 1."""
    try:
        yield
    except OSError as error:
        print(f"{call}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(1)  # not sys.exit(), which ends just the thread that calls it


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)  # a mistake gets one line
    parser.add_argument("port", metavar="PORT", type=port, help="1 to 65535; 9090 in the lecture")
    parser.add_argument("--no-lock", action="store_true", help="let threads change the counter at the same time")
    return parser.parse_args()


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
