#!/usr/bin/env python3
"""kill.py PID SIGNAL: send a signal to a process.

It shows kill(), which kills only if the process has nothing else in mind for the signal; and its two errors: there is
no such process, and it is somebody else's. SIGNAL is a number or a name: 9, KILL or SIGKILL.
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
    with perror("kill"):
        os.kill(arguments.pid, arguments.signal)


@contextlib.contextmanager
def perror(call: str) -> Iterator[None]:
    """Say which call failed and why, as in C, and end with status 1."""
    try:
        yield
    except OSError as error:
        sys.exit(f"{call}: {error.strerror}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)  # a mistake gets one line
    parser.add_argument("pid", metavar="PID", type=process_id, help="the process, 1 or above")
    parser.add_argument("signal", metavar="SIGNAL", type=signal_number, help="0 sends none: is the process there?")
    return parser.parse_args()


def process_id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) < 2**31):  # a pid_t; below 1: groups of processes
        raise ValueError
    return int(text)


def signal_number(text: str) -> int:
    for number in signal.Signals:
        if text.upper() in (number.name, number.name[len("SIG") :]):
            return number
    if not (text.isascii() and text.isdecimal() and int(text) < signal.NSIG):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
