#!/usr/bin/env python3
"""staged_client.py NAME [--host HOST] [--port PORT]: announce every call of a TCP client of staged_server.py.

It shows that connect() returns as soon as the server's kernel has taken the connection: while the server is busy with
another client, this one is connected and waits in recv(). The environment variable LAB_PACE multiplies every pause.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator


def main() -> None:
    arguments = parse_arguments()
    me = f"C_{arguments.name}"
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))

    with perror("getaddrinfo"):
        address = socket.getaddrinfo(os.fsencode(arguments.host), arguments.port, socket.AF_INET)[0][4]
    stage(f"{me} : 1_Socket Start")
    with perror("socket"):
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    stage(f"{me} : 1_Socket End")

    stage(f"{me} : 2_Connect Start(Connecting...)")
    with perror("connect"):
        server.connect(address)
    stage(f"{me} : 2_Connect End(Connected!!!)")
    my_address, my_port = server.getsockname()
    server_address, server_port = server.getpeername()
    say("*****[Connecting Information]*****")
    say(f"{me} : Descriptor = {server.fileno()}")
    say(f"{me} : My Address = {my_address}")
    say(f"{me} : My Port = {my_port}")
    say(f"{me} : Server Address = {server_address}")
    say(f"{me} : Server Port = {server_port}")
    say("**********************************")

    stage(f"{me} : 3_Recv Start")
    with perror("recv"):
        message = server.recv(len("Hello, I am server."), socket.MSG_WAITALL)  # all of it, in however many pieces
    stage(f"{me} : 3_Recv End")
    say(f"*** {me} : Server Says = {os.fsdecode(message)} ***")
    pause(3)

    stage(f"{me} : 4_Send Start")
    with perror("send"):
        server.sendall(os.fsencode(f"Hello, I am client {arguments.name}"))
    stage(f"{me} : 4_Send End")
    server.close()  # tells the server that this was all


def stage(line: str) -> None:
    say(line)
    pause(1)


def pause(seconds: float) -> None:
    time.sleep(seconds * pace())


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
    parser.add_argument("name", metavar="NAME", help="what this client calls itself: Alfa, Bravo, Charlie, ...")
    parser.add_argument("--host", type=host, default="server", help="the server's name or IPv4 address; server")
    parser.add_argument("--port", type=port, default=3240, help="1 to 65535; 3240 if not given")
    return parser.parse_args()


def host(text: str) -> str:
    if not text.strip("0123456789."):  # digits and dots: meant as an address, so it must be one
        ipaddress.IPv4Address(text)
    return text


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
