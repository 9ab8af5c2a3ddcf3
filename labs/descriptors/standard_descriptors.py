#!/usr/bin/env python3
"""standard_descriptors.py [FILE...] [--close DESCRIPTOR]: which descriptors a process has, and which it gets next.

It shows the three that every process is given, and that open() returns the lowest descriptor that is free: 3, or a
lower one that has been closed. A file that isn't there is created, with mode 0644.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    for name, number in ("stdin", 0), ("stdout", 1), ("stderr", 2):
        say(f"{name} {number}")

    if arguments.close is not None:
        with perror("close"):
            os.close(int(arguments.close))
    for file in arguments.files:
        with perror("open"):
            descriptor = os.open(file, os.O_CREAT | os.O_RDONLY, 0o644)
        say(f"{file} {descriptor}")


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
    parser.add_argument("files", metavar="FILE", nargs="*", help="a file to open, or to create")
    parser.add_argument("--close", metavar="DESCRIPTOR", choices=("0", "1", "2"), help="close this first")
    return parser.parse_args()


if __name__ == "__main__":
    main()
