#!/usr/bin/env python3
"""zombie.py [--wait]: leave a child that has ended unwaited for, for 30 seconds.

It shows a zombie: ps says Z and <defunct>. The process is gone, but its exit status is kept until its parent asks for
it, or ends, too. With --wait the parent asks at once, and there is no zombie. The environment variable LAB_PACE
multiplies the 30 seconds.
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

    with perror("fork"):
        child = os.fork()
    if child == 0:
        say(f"child {os.getpid()}: I end")
        sys.exit(0)
    if arguments.wait:
        with perror("waitpid"):
            os.waitpid(child, 0)
    say(f"parent {os.getpid()}: I sleep; look at my child {child} with ps")
    time.sleep(30 * second)
    say(f"parent {os.getpid()}: I end")


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


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)  # a mistake gets one line
    parser.add_argument("--wait", action="store_true", help="wait for the child before sleeping")
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
