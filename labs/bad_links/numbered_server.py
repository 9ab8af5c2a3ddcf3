#!/usr/bin/env python3
"""numbered_server.py PORT: count the numbered datagrams of clients, and say which of them did not come.

It shows what a network may do to datagrams: lose them, have one overtake another, bring one twice. UDP says nothing
of it to anybody: who wants to know must number them. Ctrl+C ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator

LONGEST = 65507  # bytes in a datagram: 65535 less the headers of IP (20) and UDP (8)
MOST = 100_000  # datagrams of a client
CLIENTS = 10  # whose numbers are remembered, the latest


class Seen:
    """What has come of one client."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self.highest = 0
        self.overtaken = 0
        self.twice = 0

    def take(self, number: int) -> None:
        """Note that a number has come."""
        if number in self.numbers:
            self.twice += 1
            return
        if number < self.highest:
            self.overtaken += 1
        self.highest = max(self.highest, number)
        self.numbers.add(number)

    def report(self, count: int) -> str:
        """Say what has come of the first `count`."""
        came = sum(number <= count for number in self.numbers)
        return f"{came} of {count} came, {count - came} lost, {self.overtaken} overtaken, {self.twice} twice"


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))

    with perror("socket"):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with perror("bind"):
        server.bind(("0.0.0.0", arguments.port))  # INADDR_ANY: all interfaces
    server.settimeout(1)  # a Ctrl+C that comes just before recvfrom waits would not wake it
    clients: dict[tuple[str, int], Seen] = {}
    while True:
        with perror("recvfrom"):
            try:
                message, (address, port) = server.recvfrom(LONGEST)
            except socket.timeout:
                continue
        end = message.startswith(b"end ")
        text = message[4:] if end else message
        if not (text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MOST):
            continue  # nothing of our clients
        seen = clients.setdefault((address, port), Seen())
        if len(clients) > CLIENTS:
            del clients[next(iter(clients))]
        if not end:
            seen.take(int(text))
            continue
        report = seen.report(int(text))
        say(f"{address}:{port} : {report}")
        with survive("sendto"):
            server.sendto(report.encode(), (address, port))


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
