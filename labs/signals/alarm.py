#!/usr/bin/env python3
"""alarm.py: sleep for 100 seconds, five times, and be woken by an alarm after two.

It shows SIGALRM and a handler for it, and that a signal interrupts a sleep. The environment variable LAB_PACE
multiplies the seconds.
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
    second = max(pace(), 0.001)  # for an alarm after no time at all would be none
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends it, as it ends a C program

    signal.signal(signal.SIGALRM, timeout)
    for _ in range(5):
        say("wait...")
        with contextlib.suppress(InterruptedError):
            signal.setitimer(signal.ITIMER_REAL, 2 * second)  # the lecture's alarm(2), which takes whole seconds only
            time.sleep(100 * second)


def timeout(*_: object) -> None:
    say("timeout~")
    raise InterruptedError  # C's sleep() returns once a handler has run; Python's sleeps on, unless the handler raises


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
