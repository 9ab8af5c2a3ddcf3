#!/usr/bin/env python3
"""sigint_lives.py: survive ten times Ctrl+C, and not the eleventh.

It shows a handler for SIGINT, which runs in the middle of whatever the program does; and the default action, which
ends it and is back in force once the handler has given it back.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator

lives = 10


def main() -> None:
    argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS).parse_args()  # a mistake gets one line
    signal.signal(signal.SIGINT, lose_a_life)
    say(f"process {os.getpid()} waits for Ctrl+C")
    while True:
        time.sleep(1)  # not signal.pause(): a Ctrl+C that comes just before it sleeps would not be seen until the next


def lose_a_life(*_: object) -> None:
    global lives
    left = lives
    lives -= 1
    if lives == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    say(f"Received SIGINT... {left} Lives Left")  # last, as the next SIGINT may interrupt a handler; not so in C


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


if __name__ == "__main__":
    main()
