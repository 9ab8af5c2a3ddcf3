#!/usr/bin/env python3
"""load_client.py HOST PORT [--clients N] [--seconds S] [--think T]: be N clients of an echo server, and measure it.

It shows what the design of a server means to its clients: how many requests it answers, and how long they wait. Each
client connects, sends a line, waits for its echo, thinks for T seconds, sends the next line on the same connection, and
so on. The clients come one by one; when all are there, S seconds are measured. The result is one line of JSON.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ipaddress
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator

NEXT_COMES = 0.002  # seconds after the client before, or as soon as that one has had its first answer


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))

    with perror("getaddrinfo"):
        address = socket.getaddrinfo(os.fsencode(arguments.host), arguments.port, socket.AF_INET)[0][4]
    load = Load(arguments.think)
    for number in range(1, arguments.clients + 1):
        load.run(NEXT_COMES, load.add(Client(number, address)))
    clients = list(load.clients.values())
    for client in clients:
        client.waits.clear()  # now they are all there: from here on it is measured
    begin = time.monotonic()
    load.run(arguments.seconds)
    print(json.dumps(summary(clients, begin, time.monotonic())))


def summary(clients: list["Client"], begin: float, end: float) -> dict[str, float]:
    """How the clients have fared. In the waiting times each counts the same, however often it was answered."""
    requests = sum(len(client.waits) for client in clients)
    for client in clients:
        if client.waiting and end - client.since > max(client.waits, default=0):
            client.waits.append(end - client.since)  # it still has no answer
    waits = sorted((wait, 1 / len(client.waits)) for client in clients for wait in client.waits)

    def waited(share: float) -> float:
        """The time, in milliseconds, that this share of the requests has waited at most."""
        left = share * sum(weight for _, weight in waits) - 1e-9
        for wait, weight in waits:
            left -= weight
            if left <= 0:
                return round(wait * 1000, 3)
        return 0.0  # there was no request

    return {
        "clients": len(clients),
        "connected": sum(client.connected for client in clients),
        "answered": sum(client.answers > 0 for client in clients),  # clients, at least once
        "wrong": sum(client.wrong for client in clients),  # clients that got back something else than they sent
        "seconds": round(end - begin, 3),
        "requests": requests,  # answered in these seconds
        "wait_median": waited(0.5),
        "wait_95": waited(0.95),
        "wait_99": waited(0.99),
        "wait_max": waited(1),
    }


class Client:
    """One of the clients: its connection, and how it fares."""

    def __init__(self, number: int, address: tuple[object, ...]) -> None:
        self.number = number
        self.connected = self.wrong = False
        self.waiting = True  # for an answer; or else it thinks
        self.since = time.monotonic()
        self.line = self.echo = b""  # what it has sent last, and what of that has come back
        self.answers = 0
        self.waits: list[float] = []  # in seconds, for each answer
        with perror("socket"):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.connect_ex(address)  # EINPROGRESS; epoll tells what becomes of it

    def connect(self) -> None:
        """See whether it is connected."""
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            sys.exit(f"connect: {os.strerror(error)}")
        self.connected = True

    def send(self, now: float) -> None:
        """Send the next line."""
        self.line, self.echo = b"client %d, line %d\n" % (self.number, self.answers + 1), b""
        self.waiting, self.since = True, now
        with contextlib.suppress(OSError):  # recv() will tell
            self.socket.send(self.line)  # never blocks: of the line before nothing is left

    def receive(self, now: float) -> bool:
        """Take what has come; answers whether there is more to be expected of the server."""
        try:
            piece = self.socket.recv(1024)
        except OSError:
            piece = b""
        self.echo += piece
        self.wrong = not self.line.startswith(self.echo)
        if not piece or self.wrong:
            return False
        if self.echo == self.line:
            self.answers += 1
            self.waits.append(now - self.since)
            self.waiting, self.since = False, now
        return True


class Load:
    """All the clients, in one process: it waits for whichever is ready, as the servers beside select_server.py do."""

    def __init__(self, think: float) -> None:
        self.think = think
        self.clients: dict[int, Client] = {}  # by descriptor
        self.thinking: collections.deque[Client] = collections.deque()  # who began first is ready first
        self.epoll = select.epoll()

    def run(self, seconds: float, newcomer: Client | None = None) -> None:
        """Go on for so long, or until the newcomer has had an answer."""
        now = time.monotonic()
        end = now + seconds
        while now < end and not (newcomer and newcomer.answers):
            while self.thinking and self.thinking[0].since + self.think <= now:
                self.thinking.popleft().send(now)
            wake = min(end, self.thinking[0].since + self.think) if self.thinking else end
            ready = self.epoll.poll(wake - now)
            now = time.monotonic()
            for descriptor, _ in ready:
                client = self.clients[descriptor]
                if not client.connected:
                    client.connect()
                    self.epoll.modify(descriptor, select.EPOLLIN)
                    client.send(now)
                elif not client.receive(now):
                    self.epoll.unregister(descriptor)
                elif not client.waiting:
                    self.thinking.append(client)

    def add(self, client: Client) -> Client:
        """Watch one more."""
        self.clients[client.socket.fileno()] = client
        self.epoll.register(client.socket, select.EPOLLOUT)  # until it is connected
        return client


@contextlib.contextmanager
def perror(call: str) -> Iterator[None]:
    """Say which call failed and why, as in C, and end with status 1."""
    try:
        yield
    except OSError as error:
        sys.exit(f"{call}: {error.strerror}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)  # a mistake gets one line
    parser.add_argument("host", metavar="HOST", type=host, help="the server's name or IPv4 address")
    parser.add_argument("port", metavar="PORT", type=port, help="1 to 65535")
    parser.add_argument("--clients", metavar="N", type=count, default=1, help="how many: 1 to 2000; 1 if not given")
    parser.add_argument("--seconds", metavar="S", type=seconds, default=1, help="to be measured: up to 60; 1")
    parser.add_argument("--think", metavar="T", type=seconds, default=0, help="seconds between answer and next line; 0")
    return parser.parse_args()


def host(text: str) -> str:
    if not text.strip("0123456789."):  # digits and dots: meant as an address, so it must be one
        ipaddress.IPv4Address(text)
    return text


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


def count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 2000):
        raise ValueError
    return int(text)


def seconds(text: str) -> float:
    digits = text.replace(".", "", 1)
    if not (digits.isascii() and digits.isdecimal() and float(text) <= 60):
        raise ValueError
    return float(text)


if __name__ == "__main__":
    main()
