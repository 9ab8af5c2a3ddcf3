#!/usr/bin/env python3
"""orphan.py: end after 3 seconds, and leave a child that lives for 10 seconds more.

It shows an orphan: a process whose parent has ended gets another one, usually process 1, which waits for it in the
end. The environment variable LAB_PACE multiplies the pauses.
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
    argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS).parse_args()  # a mistake gets one line
    second = pace()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends it, as it ends a C program

    parent = os.getpid()
    with perror("fork"):
        child = os.fork()
    if child == 0:
        say(f"child {os.getpid()}: my parent is {parent}")
        while os.getppid() == parent:
            time.sleep(0.1 * second)
        say(f"child {os.getpid()}: my parent has ended; now it is {os.getppid()}")
        time.sleep(10 * second)
        say(f"child {os.getpid()}: I end")
    else:
        time.sleep(3 * second)
        say(f"parent {parent}: I end")


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
