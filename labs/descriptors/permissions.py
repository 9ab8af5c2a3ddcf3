#!/usr/bin/env python3
"""permissions.py FILE [--chmod MODE]: read a file's permissions in groups of three, then try to open it.

It shows how the letters of ls -l come from the bits of st_mode, three for each octal digit, and that the kernel asks
only one group of them: the owner's if the file is yours. With --chmod, the mode is changed before.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator, Sequence


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    if arguments.chmod is not None:
        with perror("chmod"):
            os.chmod(arguments.file, arguments.chmod)
    with perror("stat"):
        mode = os.stat(arguments.file).st_mode
    letters = stat.filemode(mode)  # as ls -l prints them: the type, then three groups
    say(f"{letters} {stat.S_IMODE(mode):04o}")
    explain("special", "", mode >> 9 & 7, ("set-user-ID", "set-group-ID", "sticky"))
    explain("owner", letters[1:4], mode >> 6 & 7, ("read", "write", "execute"))
    explain("group", letters[4:7], mode >> 3 & 7, ("read", "write", "execute"))
    explain("others", letters[7:10], mode & 7, ("read", "write", "execute"))

    with perror("open"):
        descriptor = os.open(arguments.file, os.O_RDONLY)
    say(f"open {descriptor}")


def explain(who: str, letters: str, digit: int, meanings: Sequence[str]) -> None:
    """Print one octal digit of the mode: the meanings of its bits 4, 2 and 1 that are set."""
    words = ", ".join(meanings[place] for place in range(3) if digit & 4 >> place)
    say(f"{who:7} {letters:3} {digit} {words}".rstrip())


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
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--chmod", metavar="MODE", type=mode, help="the mode to set, in octal: 6150, 0644")
    return parser.parse_args()


def mode(text: str) -> int:
    if not re.fullmatch("0?[0-7]{1,4}", text):
        raise ValueError
    return int(text, 8)


if __name__ == "__main__":
    main()
