"""The race: the same load against servers of several designs, each on its own, and a picture of what came of it.

The servers are programs of the labs, the load is `labs/server_race/load_client.py`. A load is bounded in time and in
clients, and each server is measured with no other running.
"""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from labroom.driver import Host, Program

# What is raced: design -> the program and its options. Each prints one line per message, so that all do the same work.
DESIGNS: dict[str, tuple[str, ...]] = {
    "iterative": ("../tcp_echo/iterative_server",),
    "fork": ("../fork_server/fork_server",),
    "thread": ("../thread_server/thread_server",),
    "select": ("../select_server/select_server", "--show"),
    "epoll": ("../select_server/epoll_server", "--show"),
    "asyncio": ("../select_server/asyncio_server", "--show"),
}
COUNTS = (1, 4, 16, 64, 128, 256)  # clients; a fork server has a process for each, and a guest has room for 400

# Colours that people tell apart who don't see all colours (Okabe and Ito, 2008), and a marker for each all the same.
_STYLES = {
    "iterative": ("#000000", "X"),
    "fork": ("#D55E00", "s"),
    "thread": ("#E69F00", "D"),
    "select": ("#0072B2", "o"),
    "epoll": ("#56B4E9", "^"),
    "asyncio": ("#009E73", "v"),
}


@dataclass(frozen=True)
class Result:
    """One measurement: one server, under the load of so many clients, for some seconds.

    Attributes:
        design: how the server is built, a key of DESIGNS.
        clients: how many there were.
        round: number of the round, from 1.
        seconds: how long was measured.
        think: seconds that a client let pass between an answer and its next request.
        server: the guest that the server ran on.
        load: the guest that the clients ran on.
        connected: clients whose connect() had succeeded in the end.
        answered: clients that were answered at least once.
        wrong: clients that got back something else than they had sent.
        requests: those answered in the seconds measured.
        wait_median: ms that half of the requests waited at most; in these four each client counts the same, and a
            request without an answer counts with the time it has waited.
        wait_95: ms that 95 of 100 waited at most.
        wait_99: ms that 99 of 100 waited at most.
        wait_max: ms that the longest waited.
        processor: seconds of processor time that the server has used, with all its processes, from the first connection
            to the last.
    """

    design: str
    clients: int
    round: int
    seconds: float
    think: float
    server: str
    load: str
    connected: int
    answered: int
    wrong: int
    requests: int
    wait_median: float
    wait_95: float
    wait_99: float
    wait_max: float
    processor: float


def run(
    server: Host,
    clients: Sequence[Host],
    *,
    designs: Sequence[str] = tuple(DESIGNS),
    counts: Sequence[int] = COUNTS,
    seconds: float = 2.0,
    think: float = 0.005,
    rounds: int = 1,
) -> list[Result]:
    """Race the servers; of a round, each server meets each number of clients.

    Args:
        server: where the servers run, one after another.
        clients: where the load comes from: in each round from the next of these hosts.
        designs: which servers, keys of DESIGNS.
        counts: numbers of clients.
        seconds: how long to measure for each.
        think: seconds that a client lets pass between an answer and its next request.
        rounds: how many.

    Raises:
        CheckFailed: a server or the load could not do its part.
        RoomFault: a host does not answer.
    """
    results = []
    for number in range(rounds):
        load = clients[number % len(clients)]
        for design in designs:
            port = server.unused_port()
            program = _start(server, design, port)
            for count in counts:
                arguments = ("--clients", count, "--seconds", seconds, "--think", think)
                used = _processor_seconds(program)
                client = load.start("../server_race/load_client", server.address, port, *arguments)
                client.expect_exit(0, seconds + server.driver.patience)
                for state in ("ESTABLISHED", "CLOSE_WAIT"):
                    server.wait_for_connections(port, state, 0, otherwise=f"{program} did not close what has ended")
                program.wait_for_processes(lambda processes: len(processes) == 1, "none but its first one")
                found = json.loads(client.stdout)
                results.append(
                    Result(
                        design,
                        round=number + 1,
                        think=think,
                        server=server.name,
                        load=load.name,
                        processor=round(_processor_seconds(program) - used, 2),
                        **found,
                    )
                )
            program.kill()
    return results


def _start(server: Host, design: str, port: int) -> Program:
    """Start a server; what it prints is thrown away on its host, for it would be more than the load itself."""
    program, *options = DESIGNS[design]
    command = shlex.join([*server.launch(program).anywhere, str(port), *options])
    started = server.start_command(["sh", "-c", f"exec {command} >/dev/null"], name=f"{design}_server")
    server.wait_for_listening(port)
    return started


def _processor_seconds(program: Program) -> float:
    """Of a program's first process, its threads, and its children that have ended: proc_pid_stat(5), 14 to 17."""
    stat = program.host.read_file(f"/proc/{program.pid}/stat").decode().rpartition(")")[2].split()
    return sum(map(int, stat[11:15])) / 100


def write(results: Sequence[Result], folder: Path) -> Path:
    """Write race.csv, with all measurements, and their picture as race.svg and race.png, into a folder.

    Returns:
        path of race.png.
    """
    with (folder / "race.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Result)])
        table.writeheader()
        table.writerows(asdict(result) for result in results)
    _draw(results, folder)
    return folder / "race.png"


def _draw(results: Sequence[Result], folder: Path) -> None:
    """Two panels over the number of clients: requests answered, and how long they wait; medians of the rounds."""
    import matplotlib as mpl  # here, for it takes its time
    from matplotlib.figure import Figure

    with mpl.rc_context(
        {"svg.fonttype": "none", "font.size": 15, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(16, 8))
        figure.subplots_adjust(left=0.06, right=0.86, bottom=0.18, top=0.84, wspace=0.54)
        figure.suptitle("One echo server, many clients: which design answers, and how soon?", size=22)
        figure.text(0.5, 0.02, _caption(results), ha="center", size=11, color="#555555", linespacing=1.5)
        answered, waiting = figure.subplots(1, 2)
        answered.set_title("requests answered, per second", pad=12)
        waiting.set_title("waiting time of a typical client (median), in ms", pad=12)
        waiting.set_yscale("log")
        _plot(answered, results, lambda result: result.requests / result.seconds)
        _plot(waiting, results, lambda result: result.wait_median)
        figure.savefig(folder / "race.svg")
        figure.savefig(folder / "race.png", dpi=100)


def _plot(axes: Axes, results: Sequence[Result], value: Callable[[Result], float]) -> None:
    """Draw one line per design, with its name at its end."""
    axes.set_xlabel("clients connected at the same time")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted({result.clients for result in results}), minor=False)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.grid(color="#dddddd")
    ends = {}
    for design in dict.fromkeys(result.design for result in results):
        values: dict[int, list[float]] = {}
        for result in results:
            if result.design == design:
                values.setdefault(result.clients, []).append(value(result))
        points = {count: median(values[count]) for count in sorted(values)}
        colour, marker = _STYLES[design]
        axes.plot([*points], [*points.values()], color=colour, marker=marker, markersize=10, linewidth=2.5)
        last = max(points)
        answered = min(r.answered for r in results if r.design == design and r.clients == last)
        name = design if answered == last else f"{design}: answers\n{answered} of {last} clients"
        ends[name] = (last, points[last], colour)
    axes.set_ylim(0 if axes.get_yscale() == "linear" else None)

    # Each name at the height of its line, or as near as the others leave room.
    heights = {
        name: axes.transAxes.inverted().transform(axes.transData.transform(end[:2]))[1] for name, end in ends.items()
    }
    order = sorted(heights, key=heights.__getitem__)
    for _ in range(100):
        for lower, upper in pairwise(order):
            overlap = 0.03 * (lower.count("\n") + upper.count("\n") + 2) - (heights[upper] - heights[lower])
            if overlap > 0:
                heights[lower] -= overlap / 2
                heights[upper] += overlap / 2
    for name, (x, y, colour) in ends.items():
        axes.annotate(
            name,
            (x, y),
            (1.06, heights[name]),
            textcoords="axes fraction",
            verticalalignment="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 1.5, "relpos": (0, 0.5)},
        )


def _caption(results: Sequence[Result]) -> str:
    """What was measured, where and when."""
    first = results[0]
    loads = ", ".join(dict.fromkeys(result.load for result in results))
    rounds = max(result.round for result in results)
    return (
        f"The labs' servers, one at a time, on guest {first.server}; the clients on {loads}. "
        f"A client asks again {first.think * 1000:g} ms after an answer.\n"
        f"{first.seconds:.2g} s a point{f', the median of {rounds} rounds' if rounds > 1 else ''}. "
        f"A request without an answer counts with the time it has waited. {datetime.now().astimezone():%Y-%m-%d}"
    )
