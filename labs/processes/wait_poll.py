#!/usr/bin/env python3
"""wait_poll.py: look every 3 seconds whether the child, which takes 15 seconds, has ended; and how it ended.

It shows waitpid() with WNOHANG: it returns 0 at once as long as the child runs. Kill the child meanwhile, and the
status tells that from an exit. The environment variable LAB_PACE multiplies the seconds.
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

    with perror("fork"):
        child = os.fork()
    if child == 0:
        time.sleep(15 * second)
        sys.exit(24)

    say(f"child is process {child}")
    while True:
        with perror("waitpid"):
            ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(3 * second)
        say("sleep 3sec")

    if os.WIFEXITED(status):
        say(f"child send {os.WEXITSTATUS(status)}")
    else:
        say(f"child killed by signal {os.WTERMSIG(status)}")


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
