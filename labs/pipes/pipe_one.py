#!/usr/bin/env python3
"""pipe_one.py [--keep-write-end]: a child asks, through a pipe, and its parent prints what it asks.

It shows pipe(), whose two ends a child inherits, and that each process closes the end that it doesn't use: reading ends
when nobody holds the write end any more. With --keep-write-end the parent holds it itself, and reads for ever.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends it, as it ends a C program

    with perror("pipe"):
        read_end, write_end = os.pipe()
    with perror("fork"):
        child = os.fork()
    if child == 0:
        os.close(read_end)
        with perror("write"):
            os.write(write_end, b"Who are you?")
        os.close(write_end)
        sys.exit(0)

    if not arguments.keep_write_end:
        os.close(write_end)
    while True:
        with perror("read"):
            message = os.read(read_end, 1024)
        if not message:  # the end: no process has the write end open
            break
        say(message)
    with perror("waitpid"):
        os.waitpid(child, 0)


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
    parser.add_argument("--keep-write-end", action="store_true", help="don't close the write end in the parent")
    return parser.parse_args()


if __name__ == "__main__":
    main()
