"""server_race across hosts: the same load against servers of six designs, and its picture.

How fast a server is depends on the machine and on what else it does, so these checks judge only who is answered, and
with what.
"""

import csv
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from labroom.checks import race
from labroom.checks.claims import claim
from labroom.checks.clients import Client
from labroom.driver import CheckFailed, Driver, Host, Peer, shown

# Clients that every concurrent design answers in time. Of more, some may be too late: a fork server has to
# compete with its children for a processor before it can accept them.
EVERYBODY = 64


def as_designed(result: race.Result) -> bool:
    """Whether as many clients were answered as this design answers."""
    if result.design == "iterative":
        return result.answered == 1
    return result.answered >= min(result.clients, EVERYBODY)


@pytest.mark.play
def test_race(driver: Driver, server: Host, alfa: Host, results_folder: Path) -> None:
    """While one client stays, an iterative server answers nobody else; the other designs answer all of 64."""
    driver.note("Six servers in turn, the same load for each: clients that connect, ask, think, and ask again.")
    in_class = driver.pace >= 1
    counts = (1, 16, 256) if in_class else (1, 8, 64)
    seconds, think = (1, 0.005) if in_class else (0.1, 0.02)
    results = race.run(server, [alfa], counts=counts, seconds=seconds, think=think)
    for number, result in enumerate(results):
        if not as_designed(result):  # the machine may be busy with something else: a longer look before it is judged
            designs, counted = [result.design], [result.clients]
            longer = 2 * server.driver.slowness
            (results[number],) = race.run(server, [alfa], designs=designs, counts=counted, seconds=longer, think=think)
    race.write(results, results_folder)

    for result in results:
        met = f"The {result.design} server answered {result.answered} of {result.clients} clients"
        assert not result.wrong, f"{result.wrong} clients of the {result.design} server got back what they had not sent"
        assert as_designed(result), met
        if result.design == "iterative" and result.clients > 1:
            assert result.wait_median >= result.seconds * 1000, f"{met}, and yet half of them had their answer in time"
        if result.clients == max(counts):
            driver.note(f"{met}, {result.requests / result.seconds:,.0f} requests a second.")

    with (results_folder / "race.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [{name: str(value) for name, value in asdict(result).items()} for result in results], (
        "race.csv does not hold what was measured"
    )
    assert len(rows) == len(race.DESIGNS) * len(counts), f"{len(rows)} measurements in race.csv"
    picture = (results_folder / "race.svg").read_text()
    for design in race.DESIGNS:
        assert f">{design}" in picture, f"the picture race.svg does not name the {design} server"
    assert (results_folder / "race.png").read_bytes().startswith(b"\x89PNG"), "race.png is not a picture"


# -- claims -----------------------------------------------------------------------------------------------------

SECONDS = (0.3, 4)  # for each of these the load is run, until it has seen what the driver did: that may have been late


def start(client: Client, clients: int, seconds: float, *options: object) -> list[Peer]:
    """Start the load, and wait until so many clients have connected; returns the driver's end of each."""
    client.connect(*map(str, ("--clients", clients, "--seconds", seconds, *options)))
    client.wait_until(
        lambda: len(client.listening.peers) >= clients,
        lambda: f"of {clients} clients {len(client.listening.peers)} have connected, while nobody answers",
    )
    return client.listening.peers


def first_line(peer: Peer) -> bytes:
    """What a client of the load sends before it was answered."""
    return peer.receive(1, f"{peer.title}: each client sends a line") + peer.rest()


def answer(client: Client, peers: Sequence[Peer], echo: Callable[[int, bytes], bytes]) -> None:
    """Answer each line of these clients, until the load has ended."""
    lines = dict.fromkeys(peers, 0)

    def look() -> bool:
        for number, peer in enumerate(peers):
            for line in peer.received.split(b"\n")[lines[peer] : -1]:
                lines[peer] += 1
                if not client.program.over:
                    peer.send(echo(number, line + b"\n"))
        return client.program.over

    client.host.driver.wait_until(look, "the load to end", LONG, lambda within: f"the load did not end{within}")


LONG = 20.0  # seconds until a load of 4 s has ended


def counted(client: Client, name: str) -> float:
    """A number of the result."""
    found = re.search(rf"\b{name}\W+(\d+(?:\.\d+)?)", client.program.stdout)
    assert found, f"its result does not say {name}: {client.program.stdout.strip()}"
    return float(found[1])


@claim("lesson", "load_client")
def test_connects(client: Client) -> None:
    """The load connects to the host and the port that it is given."""
    client.connect()


@claim("lesson", "load_client", needs=["connects"])
def test_all_at_once(client: Client) -> None:
    """All clients are connected at the same time, though nobody is answered, and all of them are one process."""
    peers = start(client, 8, 30)
    count = len(client.processes())
    assert count == 1, f"with eight clients the load has {count} processes"
    assert not any(peer.ended for peer in peers), "some clients have closed before they were answered"


@claim("lesson", "load_client", needs=["all_at_once"])
def test_lines_of_their_own(client: Client) -> None:
    """Each client sends one line, and no two of them the same, so that a mixed-up echo is noticed."""
    lines = [first_line(peer) for peer in start(client, 3, 30)]
    for line in lines:
        assert line.find(b"\n") == len(line) - 1, f"a client should send one line and wait; it sent {shown(line)}"
    assert len(set(lines)) == len(lines), f"several clients have sent the same line: {shown(lines[0])}"


@claim("lesson", "load_client", needs=["lines_of_their_own"])
def test_waits_for_all_of_it(client: Client) -> None:
    """A client waits until all of its line is back, in however many pieces, before it sends the next one."""
    (peer,) = start(client, 1, 30)
    for _ in range(2):
        line = first_line(peer)
        middle = (len(line) - 1) // 2
        for piece in (line[:middle], line[middle:-1]):
            peer.send(piece)
            peer.wait_until_read(client.host, "a part of the echo came")
            peer.has_nothing("not all of a line was back, and the client has sent the next one")
        peer.send(line[-1:])


@claim("lesson", "load_client", needs=["waits_for_all_of_it"])
def test_thinks(client: Client) -> None:
    """A client thinks for T seconds, with `--think T`, before it sends the next line."""
    (peer,) = start(client, 1, 30, "--think", 0.1)
    line = first_line(peer)
    began = time.monotonic()
    peer.send(line)
    peer.receive(1, "its line is back")
    took = time.monotonic() - began
    assert took >= 0.1, f"with --think 0.1 the next line came after {took:.3f} s"


@claim("lesson", "load_client", needs=["all_at_once"])
def test_ends_by_itself(client: Client) -> None:
    """Where nobody is answered, the load ends by itself, with status 0, and has counted 0 who were answered."""
    start(client, 3, 0.1)
    client.program.expect_exit(0, otherwise="nobody is answered, and the load was to end after 0.1 s")
    for name, number in (("connected", 3), ("answered", 0), ("requests", 0)):
        assert counted(client, name) == number, (
            f"{name} should be {number}; its result: {client.program.stdout.strip()}"
        )


@claim("lesson", "load_client", needs=["ends_by_itself"])
def test_waiting_counts(client: Client) -> None:
    """A request without an answer counts with the time that it has waited."""
    start(client, 3, 0.1)
    client.program.wait()
    waited = counted(client, "wait_median")
    assert waited >= 100, f"nobody was answered in 0.1 s, and the median of the waiting times is {waited:g} ms"


@claim("lesson", "load_client", needs=["ends_by_itself"])
def test_counts_the_answered(client: Client) -> None:
    """Of three clients of which one is answered, it counts one as answered, and as many requests as it had answers."""
    for seconds in SECONDS:
        peers = start(client, 3, seconds, "--think", 0.01)
        answer(client, peers[:1], lambda number, line: line)
        found = [counted(client, name) for name in ("connected", "answered", "wrong")]
        requests, most = counted(client, "requests"), peers[0].received.count(b"\n")
        if found == [3, 1, 0] and 0 < requests <= most:
            return
    pytest.fail(f"of three clients one was answered, up to {most} times; its result: {client.program.stdout.strip()}")


@claim("lesson", "load_client", needs=["ends_by_itself"])
def test_counts_the_wrong(client: Client) -> None:
    """A client that gets back what it did not send counts as wrong."""
    for seconds in SECONDS:
        answer(client, start(client, 2, seconds), lambda number, line: line if number else b"X" + line[1:])
        if counted(client, "wrong") == 1:
            return
    pytest.fail(f"one of two clients got back another line than its own; its result: {client.program.stdout.strip()}")


@claim("robustness", "load_client", needs=["ends_by_itself"])
def test_broken(client: Client) -> None:
    """A connection that the server closes or breaks ends nothing: the load goes on with the others, to its end."""
    peers = start(client, 3, 0.3, "--think", 0.01)
    peers[0].close()
    peers[1].reset()
    answer(client, peers[2:], lambda number, line: line)
    client.program.expect_exit(0, otherwise="the server has closed one connection and broken another one")
    assert counted(client, "connected") == 3, (
        f"three clients were connected; its result: {client.program.stdout.strip()}"
    )


NAMES = ("clients", "connected", "answered", "wrong", "seconds", "requests")
WAITS = ("wait_median", "wait_95", "wait_99", "wait_max")


@claim("interface", "load_client", needs=["ends_by_itself"])
def test_one_line(client: Client) -> None:
    """It prints one line of JSON, with the names of the handout and nothing else."""
    start(client, 2, 0.1)
    client.program.wait()
    try:
        (line,) = client.program.lines
        found = json.loads(line)
    except ValueError as error:
        raise CheckFailed(f"it should print one line of JSON; it printed {client.program.lines}") from error
    assert list(found) == [*NAMES, *WAITS], f"the names in it are {', '.join(found)}"


@claim("interface", "load_client")
def test_refused(client: Client, server: Host) -> None:
    """Where nobody listens, it says `connect: Connection refused` on stderr and exits with 1."""
    client.names_the_call("connect: Connection refused", server.address, server.unused_port())


@claim("interface", "load_client")
def test_arguments(client: Client, server: Host) -> None:
    """Without a host and a port, with a port that is none, or with more than 2000 clients, it exits with 2."""
    for arguments in ([server.address], [server.address, "0"], [server.address, "9090", "--clients", "2001"]):
        client.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
