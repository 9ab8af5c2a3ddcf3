#!/usr/bin/env python3
"""select_stdin.py: wait for something to be typed, for five seconds at most, and again.

It shows select() on one descriptor, 0, and its time-out. The end of the input (Ctrl+D) ends it. The environment
variable LAB_PACE multiplies the time-out.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterator


def main() -> None:
    argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS).parse_args()  # a mistake gets one line
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))

    seconds = 5 * pace()
    while True:
        with perror("select"):
            readable, _, _ = select.select([0], [], [], seconds)  # the time-out anew at each call
        if not readable:
            say(b"Time-out!")
            continue
        with perror("read"):
            message = os.read(0, 1024)
        if not message:
            break
        say(b"message from console: " + message.rstrip(b"\n"))


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
