#!/usr/bin/env python3
"""pipe_shared.py [--no-pause]: a child asks and its parent answers, both through the same pipe.

It shows that what is in a pipe goes to whoever reads first. This works only because the child pauses for 2 seconds
between asking and reading, which is longer than its parent takes. With --no-pause the child reads its own question, and
the parent waits for ever. The environment variable LAB_PACE multiplies the seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator


def main() -> None:
    arguments = parse_arguments()
    second = pace()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends it, as it ends a C program

    with perror("pipe"):
        read_end, write_end = os.pipe()
    with perror("fork"):
        child = os.fork()
    if child == 0:
        with perror("write"):
            os.write(write_end, b"Who are you?")
        if not arguments.no_pause:
            time.sleep(2 * second)
        with perror("read"):
            message = os.read(read_end, 1024)
        say(b"child prc result : " + message)
    else:
        time.sleep(1 * second)  # it has something else to do first
        with perror("read"):
            message = os.read(read_end, 1024)
        try:
            say(b"parent prc result :" + message)
        finally:  # or else the child would wait for ever
            with perror("write"):
                os.write(write_end, b"Thank you")
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
    parser.add_argument("--no-pause", action="store_true", help="read at once after asking")
    return parser.parse_args()


def pace() -> float:
    text = os.environ.get("LAB_PACE", "1")
    try:
        if 0 <= float(text) <= 1000:
            return float(text)
    except ValueError:
        pass
    print("LAB_PACE: not a number from 0 to 1000", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
