#!/usr/bin/env python3
"""chat_client.py HOST PORT: send each line typed to a chat server, and print what comes from it; END leaves.

It shows two processes on one socket, since one can't wait for the keyboard and for the network at once: the child
prints what arrives, the parent sends what is typed. Whoever ends the parent ends the child, too, unless by SIGKILL.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Iterator

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)  # a closed terminal, Ctrl+C, Ctrl+\, kill
LONGEST = 65507  # bytes in a datagram: 65535 less the headers of IP (20) and UDP (8)


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with perror("read"):
        os.fstat(0)  # stdin: were it closed, a socket would get its number

    with perror("getaddrinfo"):
        address = socket.getaddrinfo(os.fsencode(arguments.host), arguments.port, socket.AF_INET)[0][4]
    with perror("socket"):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # until it is known what they do
    with perror("fork"):
        child = os.fork()
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL if child == 0 else lambda number, _: sys.exit(128 + number))
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        print_what_arrives(server)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        send_what_is_typed(server, address)
    finally:  # END, end of input, a signal or an error
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)  # so that it is no zombie
    server.close()


def print_what_arrives(server: socket.socket) -> None:
    while True:
        with perror("recvfrom"):
            message = server.recv(LONGEST)
        with perror("write"):
            os.write(1, message + b"\n")


def send_what_is_typed(server: socket.socket, address: tuple[object, ...]) -> None:
    message = b""
    while message != b"END":
        with perror("read"):
            line = sys.stdin.buffer.readline()
        if not line:
            break
        message = line.rstrip(b"\n")
        with perror("sendto"):
            server.sendto(message, address)


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
    parser.add_argument("port", metavar="PORT", type=port, help="1 to 65535; 9090 in the lecture")
    return parser.parse_args()


def host(text: str) -> str:
    if not text.strip("0123456789."):  # digits and dots: meant as an address, so it must be one
        ipaddress.IPv4Address(text)
    return text


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


if __name__ == "__main__":
    main()
