#!/usr/bin/env python3
"""reap.py [--one-per-signal]: let five children end while SIGCHLD is blocked, and wait for them in its handler.

It shows that signals don't queue: five ends are one SIGCHLD, so the handler must call waitpid() until no dead child is
left. With --one-per-signal it calls it once, and four zombies stay, for ps to show, until their parent ends, after 10
seconds. The environment variable LAB_PACE multiplies those.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator

zombies: set[int] = set()


def main() -> None:
    arguments = parse_arguments()
    second = pace()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends it, as it ends a C program

    signal.signal(signal.SIGCHLD, reap_one if arguments.one_per_signal else reap_all)  # in C: sigaction()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # in C: sigprocmask()
    for _ in range(5):
        with perror("fork"):
            child = os.fork()
        if child == 0:
            sys.exit(0)
        with perror("waitid"):
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # until it has ended; it stays a zombie
        zombies.add(child)
        say(f"child {child} has ended; pending: {', '.join(number.name for number in signal.sigpending())}")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})  # now the handler runs
    say(f"parent {os.getpid()} has {len(zombies)} zombies")
    time.sleep(10 * second)


def reap_all(*_: object) -> None:
    say("handler: SIGCHLD")
    while reap():
        pass


def reap_one(*_: object) -> None:
    say("handler: SIGCHLD")
    reap()


def reap() -> bool:
    """Wait for one child that has ended; False if there is none."""
    try:
        child, _ = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:  # ECHILD: no child at all
        return False
    if child == 0:  # there are children, and all of them run
        return False
    say(f"handler: waited for child {child}")
    zombies.remove(child)
    return True


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
    parser.add_argument("--one-per-signal", action="store_true", help="call waitpid() once, not in a loop")
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
