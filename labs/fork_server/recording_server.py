#!/usr/bin/env python3
"""recording_server.py PORT [--stop-after N] [--no-flush]: the fork server, with a process that records all messages.

It shows a pipe with many writers and one reader: the children, one for each client, write each message into it, and the
recorder reads them and writes them to echomsg.txt in the current folder, until every writer has closed the pipe. With
--stop-after N it ends after N messages: the pipe has no reader any more, and whoever writes into it ends, too.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import signal
import socket
import sys
from collections.abc import Iterator

MESSAGE = 1024  # bytes at most; with its newline less than PIPE_BUF (4096), so that write() puts it into a pipe whole

children: set[int] = set()


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))

    with perror("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with perror("bind"):
        listener.bind(("0.0.0.0", arguments.port))  # INADDR_ANY: all interfaces
    with perror("open"):
        file = open("echomsg.txt", "wb")
    with perror("pipe"):
        read_end, write_end = os.pipe()

    with perror("fork"):
        recorder = os.fork()
    if recorder == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends when nobody is left who could write
        listener.close()
        os.close(write_end)  # or it would be a writer itself, and wait for its own EOF
        record(os.fdopen(read_end, "rb"), file, arguments)
        os._exit(0)
    os.close(read_end)  # or the pipe would have a reader when the recorder has ended
    file.close()

    signal.signal(signal.SIGCHLD, reap)
    signal.signal(signal.SIGINT, lambda *_: end(recorder, write_end))
    with perror("listen"):
        listener.listen(socket.SOMAXCONN)
    while True:
        client, (address, client_port) = accept(listener)
        say(f"client {address}:{client_port} is connected...".encode())
        if fork() == 0:
            listener.close()
            echo(client, f"Client({client_port})".encode(), write_end)
            client.close()
            os._exit(0)
        client.close()


def record(messages: io.BufferedReader, file: io.BufferedWriter, arguments: argparse.Namespace) -> None:
    """The recorder: read line by line from the pipe, to EOF if not told to stop before, and write to the file."""
    for message in itertools.islice(messages, arguments.stop_after):
        with perror("write"):
            file.write(message)
            if not arguments.no_flush:
                file.flush()
    with perror("write"):
        file.close()


def echo(client: socket.socket, name: bytes, recorder: int) -> None:
    """Record and send back all that the client sends, until it leaves or breaks its connection."""
    with contextlib.suppress(OSError):
        while True:
            message = client.recv(MESSAGE)
            if not message:
                break
            line = message.rstrip(b"\n")
            say(name + b": " + line)
            with perror("write"):  # Python ignores SIGPIPE; a C program without a reader is killed here
                os.write(recorder, line + b"\n")
            client.sendall(message)
    say(name + b": is disconnected")


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


def end(recorder: int, write_end: int) -> None:
    """SIGINT: no child outlives the server, and the recorder has written all that it was sent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for child in list(children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    os.close(write_end)
    with contextlib.suppress(ChildProcessError):  # it had ended before
        os.waitpid(recorder, 0)
    sys.exit(0)


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
    parser.add_argument("--stop-after", metavar="N", type=positive, help="the recorder ends after N messages")
    parser.add_argument("--no-flush", action="store_true", help="the recorder leaves messages in its buffer")
    return parser.parse_args()


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


def positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= sys.maxsize):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
