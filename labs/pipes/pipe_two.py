#!/usr/bin/env python3
"""pipe_two.py: a child asks through one pipe, and its parent answers through another.

It shows that with a pipe for each direction nobody need pause: each process can read only what the other wrote.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator

READ, WRITE = 0, 1  # the ends of a pipe, in the order in which pipe() returns them


def main() -> None:
    argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS).parse_args()  # a mistake gets one line
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends it, as it ends a C program

    with perror("pipe"):
        to_parent = os.pipe()
        to_child = os.pipe()
    with perror("fork"):
        child = os.fork()
    if child == 0:
        os.close(to_parent[READ])
        os.close(to_child[WRITE])
        with perror("write"):
            os.write(to_parent[WRITE], b"Who are you?")
        with perror("read"):
            message = os.read(to_child[READ], 1024)
        say(b"child prc result : " + message)
    else:
        os.close(to_parent[WRITE])
        os.close(to_child[READ])
        with perror("read"):
            message = os.read(to_parent[READ], 1024)
        say(b"parent prc result :" + message)
        with perror("write"):
            os.write(to_child[WRITE], b"Thank you")
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


if __name__ == "__main__":
    main()
