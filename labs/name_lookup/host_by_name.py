#!/usr/bin/env python3
"""host_by_name.py NAME: what the name service knows of a host: its official name, its aliases, its addresses.

It shows gethostbyname() and the struct hostent that it returns. /etc/hosts is asked first, then the name server that
/etc/resolv.conf names, as the line "hosts" of /etc/nsswitch.conf says.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator

HERROR = {  # as herror() says it; Python reports the errors of getaddrinfo(), which it calls first
    socket.EAI_NONAME: "Unknown host",
    socket.EAI_AGAIN: "Host name lookup failure",
    socket.EAI_FAIL: "Unknown server error",
    socket.EAI_NODATA: "No address associated with name",
}


def main() -> None:
    name = parse_arguments().name
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    try:
        official_name, aliases, addresses = socket.gethostbyname_ex(name)
    except OSError as error:
        sys.exit(f"gethostbyname: {HERROR.get(error.args[0], error.strerror)}")
    say(f"Official name: {official_name}")
    for number, alias in enumerate(aliases, 1):
        say(f"Alias {number}: {alias}")
    say(f"Address type: {socket.AF_INET:d}")
    for number, address in enumerate(addresses, 1):
        say(f"Address {number}: {address}")


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
    parser.add_argument("name", metavar="NAME", type=os.fsencode, help="www, www.lab.test")
    return parser.parse_args()


if __name__ == "__main__":
    main()
