#!/usr/bin/env python3
"""staged_server.py [--port PORT]: announce every call of a TCP server that serves one client after another.

It shows what each call does and when, with a pause of one second after each line. Clients that connect meanwhile
wait in the kernel's backlog. Ctrl+C ends it. The environment variable LAB_PACE multiplies every pause.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))

    stage("S : 1_Socket Start")
    with perror("socket"):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    stage("S : 1_Socket End")

    stage("S : 2_Bind Start")
    with perror("bind"):
        listener.bind(("0.0.0.0", arguments.port))  # INADDR_ANY: all interfaces
    stage("S : 2_Bind End")

    stage("S : 3_Listen Start")
    with perror("listen"):
        listener.listen(5)
    stage("S : 3_Listen End")

    for number in itertools.count():
        stage("S : 4_Accept Start(Waiting for a client...)(Exit for Ctrl+C(SIGINT))")
        with perror("accept"):
            client, (address, port) = listener.accept()
        stage("S : 4_Accept End(Connected!)")
        say("*****[Connecting Information]*****")
        say(f"S : Listening Descriptor = {listener.fileno()}")
        say(f"S : Client Descriptor = {client.fileno()}")
        say(f"S : Client Number = {number}")
        say(f"S : Client Address = {address}")
        say(f"S : Client Port = {port}")
        say("**********************************")

        stage("S : 5_Send Start")
        with survive("send"):
            client.sendall(b"Hello, I am server.")
        stage("S : 5_Send End")

        stage("S : 6_Recv Start")
        message = b""
        with survive("recv"):
            message = client.recv(1024, socket.MSG_WAITALL)  # until the client closes, or the buffer is full
        stage("S : 6_Recv End")
        say(f"*** S : Client Says = {os.fsdecode(message)} ***")
        client.close()


def stage(line: str) -> None:
    say(line)
    pause(1)


def pause(seconds: float) -> None:
    time.sleep(seconds * pace())


def say(line: str) -> None:
    with perror("write"):
        os.write(1, os.fsencode(line) + b"\n")


@contextlib.contextmanager
def survive(call: str) -> Iterator[None]:
    """Say why a call failed, and go on: a client that breaks its connection is no reason to end."""
    try:
        yield
    except OSError as error:
        print(f"S : {call}: {error.strerror}", file=sys.stderr)


@contextlib.contextmanager
def perror(call: str) -> Iterator[None]:
    """Say which call failed and why, as in C, and end with status 1."""
    try:
        yield
    except OSError as error:
        sys.exit(f"{call}: {error.strerror}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, usage=argparse.SUPPRESS)  # a mistake gets one line
    parser.add_argument("--port", type=port, default=3240, help="1 to 65535; 3240 if not given")
    return parser.parse_args()


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise ValueError
    return int(text)


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
