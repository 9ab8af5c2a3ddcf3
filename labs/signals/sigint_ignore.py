#!/usr/bin/env python3
"""sigint_ignore.py: count from 5 to 1, a second each, and ignore Ctrl+C all the while.

It shows SIG_IGN: the kernel throws the signal away, and not even the sleep is interrupted. It exits with 1. The
environment variable LAB_PACE multiplies the seconds.
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for count in range(5, 0, -1):
        say(f"{count}: sleep and awake")
        time.sleep(1 * second)
    sys.exit(1)


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
