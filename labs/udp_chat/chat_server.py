#!/usr/bin/env python3
"""chat_server.py PORT: pass on what each member of a chat says to all the others, by UDP.

It shows one socket for everybody: who has sent a datagram is a member, ten at the most. Nothing tells the server that
a member has left. Ctrl+C ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator

MEMBERS = 10
LONGEST = 65507  # bytes in a datagram: 65535 less the headers of IP (20) and UDP (8)
BUFFER = LONGEST - len("255.255.255.255: 65535>> ")  # so that every message can be passed on with its prefix


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))

    with perror("socket"):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with perror("bind"):
        server.bind(("0.0.0.0", arguments.port))  # INADDR_ANY: all interfaces
    server.settimeout(1)  # a Ctrl+C that comes just before recvfrom waits would not wake it

    members: list[tuple[str, int]] = []  # their addresses and ports
    while True:
        with perror("recvfrom"):
            try:
                message, sender = server.recvfrom(BUFFER)
            except socket.timeout:
                continue
        prefix = "%s: %d>> " % sender
        if sender not in members:
            if len(members) == MEMBERS:
                print(f"{prefix}not added: there are {MEMBERS} members", file=sys.stderr)
                continue
            members.append(sender)
            say(f"nClient: {len(members)}")
        for member in members:
            if member != sender:
                with survive("sendto"):
                    server.sendto(prefix.encode() + message, member)


def say(line: str) -> None:
    with perror("write"):
        os.write(1, os.fsencode(line) + b"\n")


@contextlib.contextmanager
def survive(call: str) -> Iterator[None]:
    """Say why a call failed, and go on: a client that can't be reached is no reason to end."""
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
    parser.add_argument("port", metavar="PORT", type=port, help="1 to 65535; 9090 in the lecture")
    return parser.parse_args()


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
