"""The race's load against servers that do wrong; and its figures: the table and the picture."""

import contextlib
import csv
import json
import socket
import struct
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import asdict, fields
from itertools import pairwise
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
        with Program("load_client", "127.0.0.1", port, "--clients", "3", "--seconds", "0.5") as program:
            found = json.loads(program.end()[1])
        server.join()
    assert (found["clients"], found["connected"], found["answered"]) == (3, 2, 1)
    assert found["wait_median"] >= 500


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


@pytest.fixture(scope="module")
def results() -> list[race.Result]:
    """Three rounds, in which each design answers a little more, and waits a little longer, than the one before."""
    return [
        result(design, clients, number, requests=clients * number + place, answered=None if place else 1)
        for number in (1, 2, 3)
        for place, design in enumerate(race.DESIGNS)
        for clients in (1, 16)
    ]


@pytest.fixture(scope="module")
def folder(results: list[race.Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that these results have been written to."""
    folder = tmp_path_factory.mktemp("race")
    assert race.write(results, folder) == folder / "race.png"
    return folder


def test_the_table_has_every_measurement(results: list[race.Result], folder: Path) -> None:
    with (folder / "race.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [field.name for field in fields(race.Result)] == list(rows[0])
    assert rows == [{name: str(value) for name, value in asdict(r).items()} for r in results]


def texts(picture: Path) -> list[tuple[str, float, float]]:
    """Return what is written in an SVG file, each with its x and y in pt from the top left.

    What is drawn letter by letter isn't there: matplotlib would have the words in a comment alone.
    """
    elements = ET.parse(picture).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314 (written just now)
    places = [("".join(text.itertext()), text.get("transform", "").strip(")").split()[-2:]) for text in elements]
    return [(words, float(place[0].rpartition("(")[2]), float(place[1])) for words, place in places if place]


def test_each_design_has_its_name_at_its_place_in_both_panels(folder: Path) -> None:
    first, *others = race.DESIGNS
    names = [*reversed(others), f"{first}: answers", "1 of 16 clients"]  # from the top: the highest figures first
    found = sorted((x, y, words) for words, x, y in texts(folder / "race.svg") if words in names)
    assert [words for _, _, words in found] == 2 * names
    assert len({x for x, _, _ in found}) == 2, "one below the other, on the right of each panel"
    heights = [y for _, y, _ in found]
    for panel in (heights[: len(names)], heights[len(names) :]):
        assert min(lower - upper for upper, lower in pairwise(panel)) >= 15, "names are written over each other"


def test_the_picture_says_what_was_measured(folder: Path) -> None:
    words = "\n".join(words for words, _, _ in texts(folder / "race.svg"))
    for expected in (
        "requests answered, per second",
        "waiting time of a typical client (median), in ms",
        "on guest server; the clients on alfa. A client asks again 5 ms after an answer.",
        "2 s a point, the median of 3 rounds.",
    ):
        assert expected in words


def test_the_picture_for_slides_is_1600_by_800_pixels(folder: Path) -> None:
    picture = (folder / "race.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (1600, 800)  # IHDR comes first: PNG, 5.6 and 11.2.1
