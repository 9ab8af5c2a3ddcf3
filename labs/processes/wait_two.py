#!/usr/bin/env python3
"""wait_two.py: start two children, and print what each hands back with exit().

It shows wait(): it sleeps until any child has ended, whichever is first, and returns its status, which says how the
child ended (WIFEXITED) and with which number (WEXITSTATUS).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator


def main() -> None:
    argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS).parse_args()  # a mistake gets one line
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends it, as it ends a C program

    for number in (3, 7):
        with perror("fork"):
            child = os.fork()
        if child == 0:
            sys.exit(number)

    for which in ("one", "two"):
        with perror("wait"):
            _, status = os.wait()
        if os.WIFEXITED(status):
            say(f"child send {which}: {os.WEXITSTATUS(status)}")


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
