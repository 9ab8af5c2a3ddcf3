#!/usr/bin/env python3
"""fork_values.py: change the same two variables in a parent and in its child.

It shows that fork() returns twice, and that each process goes on with memory of its own: what one changes, the other
doesn't see.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator

global_value = 10


def main() -> None:
    global global_value
    argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS).parse_args()  # a mistake gets one line
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends it, as it ends a C program

    local_value = 20
    global_value += 1
    local_value += 5
    with perror("fork"):
        child = os.fork()
    if child == 0:
        global_value += 2
        local_value += 2
        say(f"child proc[{global_value}, {local_value}]")
    else:
        global_value -= 2
        local_value -= 2
        say(f"parent proc [{global_value}, {local_value}]")
        with perror("waitpid"):
            os.waitpid(child, 0)


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
