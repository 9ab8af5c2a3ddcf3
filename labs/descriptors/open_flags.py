#!/usr/bin/env python3
"""open_flags.py FILE FLAG...: open a file with these flags, read 4 bytes from it, write ABC to it, and print it.

It shows that flags are bits that combine, and what each of them does: whether read() and write() are allowed, and where
the bytes go. FLAG is O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_APPEND or O_TRUNC.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator

FLAGS = "O_RDONLY", "O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC"


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    flags = 0
    for name in arguments.flags:
        bits = getattr(os, name)
        say(b"%-8s %05o" % (name.encode(), bits))
        flags |= bits
    say(b"flags    %05o" % flags)

    with perror("open"):
        descriptor = os.open(arguments.file, flags, 0o644)
    say(b"open     %d" % descriptor)
    with refused("read"):
        say(b"read     " + os.read(descriptor, 4))
    with refused("write"):
        os.write(descriptor, b"ABC")
        say(b"write    ABC")
    os.close(descriptor)

    with perror("open"):
        descriptor = os.open(arguments.file, os.O_RDONLY)
    with perror("read"):
        say(b"content  " + os.read(descriptor, 1024))
    os.close(descriptor)


def say(line: bytes) -> None:
    with perror("write"):
        os.write(1, line + b"\n")


@contextlib.contextmanager
def refused(call: str) -> Iterator[None]:
    """Say why a call failed, and go on: that it is refused is what some flags are for."""
    try:
        yield
    except OSError as error:
        print(f"{call}: {error.strerror}", file=sys.stderr)


@contextlib.contextmanager
def perror(call: str) -> Iterator[None]:
    """Say which call failed and why, as in C, and end with status 1."""
    try:
        yield
    except OSError as error:
        sys.exit(f"{call}: {error.strerror}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)  # a mistake gets one line
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("flags", metavar="FLAG", nargs="+", choices=FLAGS, help="one of " + ", ".join(FLAGS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
