"""The race's load against servers that do wrong; and its figures: the table and the picture."""

import contextlib
import csv
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from labroom.checks import race
from tests.unit.lab_program import Program, reset

# The load


def echo(client: socket.socket) -> None:
    while message := client.recv(1024):
        client.sendall(message)


def echo_in_pieces(client: socket.socket) -> None:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while message := client.recv(1024):
        for byte in message:
            client.send(bytes([byte]))


def echo_in_capitals(client: socket.socket) -> None:
    while message := client.recv(1024):
        client.sendall(message.upper())


def echo_twice(client: socket.socket) -> None:
    while message := client.recv(1024):
        client.sendall(2 * message)


def leave(client: socket.socket) -> None:
    client.recv(1024)


def leave_with_a_reset(client: socket.socket) -> None:
    client.recv(1024)
    reset(client)


def serve_one(listener: socket.socket, behave: Callable[[socket.socket], None]) -> None:
    client, _ = listener.accept()
    with client, contextlib.suppress(ConnectionError):  # the load ends in the middle of an echo
        behave(client)


@pytest.mark.parametrize(
    ("behave", "answered", "wrong"),
    [
        (echo, 1, 0),
        (echo_in_pieces, 1, 0),
        (echo_in_capitals, 0, 1),
        (echo_twice, 0, 1),
        (leave, 0, 0),
        (leave_with_a_reset, 0, 0),
    ],
)
def test_who_was_answered(behave: Callable[[socket.socket], None], answered: int, wrong: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve_one, args=[listener, behave])
        server.start()
        with Program("load_client", "127.0.0.1", listener.getsockname()[1], "--seconds", "0.05") as program:
            status, output, errors = program.end()
        server.join()
    assert (status, errors) == (0, b"")
    found = json.loads(output)
    assert {name: found[name] for name in ("clients", "connected", "answered", "wrong")} == {
        "clients": 1,
        "connected": 1,
        "answered": answered,
        "wrong": wrong,
    }
    assert bool(found["requests"]) == bool(answered)
    assert 0 < found["wait_median"] <= found["wait_95"] <= found["wait_99"] <= found["wait_max"]
    assert answered or found["wait_median"] >= 50  # ms: to the end


def test_one_of_three_is_answered() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        server = threading.Thread(target=serve_one, args=[listener, echo])
        server.start()
        port = listener.getsockname()[1]
        with Program("load_client", "127.0.0.1", port, "--clients", "3", "--seconds", "0.05") as program:
            found = json.loads(program.end()[1])
        server.join()
    assert (found["clients"], found["connected"], found["answered"]) == (3, 2, 1)
    assert found["wait_median"] >= 50


# Its figures


def result(design: str, clients: int, number: int, *, requests: int, answered: int | None = None) -> race.Result:
    times = dict.fromkeys(("wait_median", "wait_95", "wait_99", "wait_max"), 10.0 * requests)
    return race.Result(
        design=design,
        clients=clients,
        round=number,
        seconds=2.0,
        think=0.005,
        server="server",
        load="alfa",
        connected=clients,
        answered=clients if answered is None else answered,
        wrong=0,
        requests=requests,
        processor=0.5,
        **times,
    )


def test_the_table_and_the_picture(tmp_path: Path) -> None:
    results = [
        result(design, clients, number, requests=clients * number, answered=1 if design == "iterative" else None)
        for number in (1, 2, 3)
        for design in race.DESIGNS
        for clients in (1, 16)
    ]
    assert race.write(results, tmp_path) == tmp_path / "race.png"
    with (tmp_path / "race.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [field.name for field in fields(race.Result)] == list(rows[0])
    assert rows == [{name: str(value) for name, value in asdict(r).items()} for r in results]
    picture = (tmp_path / "race.svg").read_text()
    for words in (
        *race.DESIGNS,
        "answers",
        "1 of 16 clients",
        "5 ms after an answer",
        "median of 3 rounds",
        "per second",
    ):
        assert words in picture, f"text is drawn as text: {words}"
    assert (tmp_path / "race.png").read_bytes().startswith(b"\x89PNG")
