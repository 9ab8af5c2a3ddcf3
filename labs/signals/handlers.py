#!/usr/bin/env python3
"""handlers.py: send SIGUSR1 to itself under a handler, under SIG_IGN and under SIG_DFL.

It shows that signal() returns what was in force before, so that it can be put back; that the default action of SIGUSR1
ends a process; and that nobody can ignore SIGKILL.
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
    try:
        signal.signal(signal.SIGKILL, signal.SIG_IGN)
    except OSError as error:
        say(f"signal(SIGKILL, SIG_IGN): {error.strerror}")

    for handler in (greet, signal.SIG_IGN, signal.SIG_DFL):
        previous = signal.signal(signal.SIGUSR1, handler)
        say(f"signal(SIGUSR1, {name(handler)}) returned {name(previous)}")
        os.kill(os.getpid(), signal.SIGUSR1)


def greet(*_: object) -> None:
    say("greet: I got SIGUSR1")


def name(handler: object) -> str:
    return handler.name if isinstance(handler, signal.Handlers) else "greet"


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
