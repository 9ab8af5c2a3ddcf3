#!/usr/bin/env python3
"""epoll_server.py PORT [--show]: echo for many TCP clients at once, in one process.

It shows epoll, beside poll_server.py: the list of descriptors and events is kept by the kernel and changed by
epoll_ctl(), and epoll_wait() returns those that are ready, however many are watched. There is no FD_SETSIZE. Ctrl+C
ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Iterator


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))

    # As many descriptors as we may have. The last is the one on which a client too many is accepted, to be refused.
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    too_high = hard_limit - 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (too_high + 1, hard_limit))

    with perror("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with perror("bind"):
        listener.bind(("0.0.0.0", arguments.port))  # INADDR_ANY: all interfaces
    with perror("listen"):
        listener.listen(socket.SOMAXCONN)
    listener.setblocking(False)

    owed: dict[int, bytes] = {}  # each client's descriptor, and what is still to be sent to it
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    while True:
        with perror("epoll_wait"):  # for a second at most: a Ctrl+C that comes just before it sleeps would not wake it
            ready = epoll.poll(1)
        for descriptor, events in ready:
            if descriptor == listener.fileno():
                welcome(listener, epoll, owed, too_high)
            elif events & select.EPOLLOUT:
                write_to(descriptor, epoll, owed)
            else:  # EPOLLIN, EPOLLHUP or EPOLLERR: read() tells which
                read_from(descriptor, epoll, owed, arguments.show)


def welcome(listener: socket.socket, epoll: select.epoll, owed: dict[int, bytes], too_high: int) -> None:
    try:
        client = listener.accept()[0].detach()  # the descriptor, as in C
    except OSError as error:  # it has left before we came to it
        print(f"accept: {error.strerror}", file=sys.stderr)
        return
    if client >= too_high:
        print(f"refused client : {client} is too high for the limit of open files", file=sys.stderr)
        os.close(client)
        return
    os.set_blocking(client, False)
    owed[client] = b""
    epoll.register(client, select.EPOLLIN)
    say(b"connected client : %d" % client)


def read_from(client: int, epoll: select.epoll, owed: dict[int, bytes], show: bool) -> None:
    try:
        message = os.read(client, 1024)
    except OSError:  # it has broken the connection
        message = b""
    if not message:
        close(client, owed)
        return
    if show:
        say(b"Message from client %d: " % client + message.rstrip(b"\n"))
    owed[client] = message
    epoll.modify(client, select.EPOLLOUT)  # until it has taken it: it slows down itself, nobody else


def write_to(client: int, epoll: select.epoll, owed: dict[int, bytes]) -> None:
    try:
        written = os.write(client, owed[client])
    except OSError:
        close(client, owed)
        return
    owed[client] = owed[client][written:]
    if not owed[client]:
        epoll.modify(client, select.EPOLLIN)


def close(client: int, owed: dict[int, bytes]) -> None:
    del owed[client]
    os.close(client)  # which takes it out of epoll's list, too
    say(b"closed client : %d" % client)


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
    parser.add_argument("port", metavar="PORT", type=port, help="1 to 65535; 18080 is forwarded by the gateway")
    parser.add_argument("--show", action="store_true", help="print each message")
    return parser.parse_args()


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
