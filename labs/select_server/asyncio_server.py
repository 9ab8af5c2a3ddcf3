#!/usr/bin/env python3
"""asyncio_server.py PORT [--show]: echo for many TCP clients at once, in one process.

It shows asyncio, beside select_server.py: each client has a coroutine of its own, which reads as if it were the only
one. Wherever it says `await`, it is left until its client is ready, and others go on. Ctrl+C ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
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

    asyncio.run(serve(listener, too_high, arguments.show))


async def serve(listener: socket.socket, too_high: int, show: bool) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, sys.exit, 0)
    served: set["asyncio.Task[None]"] = set()  # asyncio itself keeps no hold of a task
    while True:
        try:
            client, _ = await loop.sock_accept(listener)
        except OSError as error:  # it has left before we came to it
            print(f"accept: {error.strerror}", file=sys.stderr)
            continue
        if client.fileno() >= too_high:
            print(f"refused client : {client.fileno()} is too high for the limit of open files", file=sys.stderr)
            client.close()
            continue
        say(b"connected client : %d" % client.fileno())
        task = loop.create_task(echo(client, show))
        served.add(task)
        task.add_done_callback(served.discard)


async def echo(client: socket.socket, show: bool) -> None:
    loop = asyncio.get_running_loop()
    descriptor = client.fileno()
    with contextlib.suppress(OSError):  # it has broken the connection
        while True:
            message = await loop.sock_recv(client, 1024)
            if not message:
                break
            if show:
                say(b"Message from client %d: " % descriptor + message.rstrip(b"\n"))
            await loop.sock_sendall(client, message)  # until it has taken it: it slows down itself, nobody else
            await asyncio.sleep(0)  # the others' turn: the two above let nobody else run if they need not wait
    client.close()
    say(b"closed client : %d" % descriptor)


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
