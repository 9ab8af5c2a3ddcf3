"""A play: a lab's story run for an audience at lecture pace, a column and a colour for each host.

The story is the check of the lab that is marked `play`, so that what a class sees is also what is checked.
"""

from __future__ import annotations

import textwrap
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import pytest

from labroom import commands, labs
from labroom.checks import plugin
from labroom.checks import run as checks
from labroom.checks.transcript import SIGNS
from labroom.checks.verdicts import Check, attached, claim
from labroom.console import Console, Part, harmless
from labroom.driver import Driver, Event, Resolve
from labroom.endpoint import Endpoint
from labroom.errors import MachineError
from labroom.reports.lines import indented
from labroom.resources import CHECKS

PACE = 1.0  # LAB_PACE, as in the lecture
BEAT = 1.0  # seconds before each thing done to a program, so that a class can follow
PATIENCE = 120.0  # seconds until a wait is given up: longer than any pause of a lab
NARROW = 16  # columns of text, the least for a host
WAITING = "."  # in the column of a host whose programs run and say nothing now
_TIME = 6  # columns of the time

_BOLD, _DIM, _RED = "1", "2", "31"  # styles, as Console has them
_HOSTS = ("36", "33", "32", "35", "34", "37")  # a colour for each


class Stage:
    """Shows events as they happen, each in the column of its host.

    Args:
        console: where; the encoding of its stream decides how the columns are parted.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar = " │ " if (console.out.encoding or "").lower().startswith("utf") else " | "
        self.hosts: list[str] = []
        self.speakers: dict[str, str] = {}  # host -> program that spoke last there
        self.running: set[tuple[str, str]] = set()  # (host, program)

    def begin(self, claim: str, hosts: Mapping[str, str]) -> None:
        """Begin a scene.

        Args:
            claim: what it shows.
            hosts: name -> address of those that take part.
        """
        self.hosts = list(hosts)
        self.speakers = {}
        self.running = set()
        self.column = max(NARROW, (self.console.width - _TIME) // max(len(hosts), 1) - len(self.bar))
        self.console.line()
        self.console.line((_BOLD, harmless(claim)))
        self.console.line()
        titles = [f"{name} {address}" for name, address in hosts.items()]
        self.row("", titles if max(map(len, titles), default=0) <= self.column else list(hosts), _BOLD)

    def show(self, event: Event) -> None:
        """Show one event."""
        if event.host not in self.hosts:  # a note
            self.console.line((_BOLD, harmless(f"{event.time:{_TIME}.1f}{self.bar}{event.text}")))
            return
        name = ""
        if event.stream != "note":
            if self.speakers.get(event.host) != event.program and event.stream != "start":
                name = f"[{event.program}] "
            self.speakers[event.host] = event.program
        if event.stream == "start":
            self.running.add((event.host, event.program))
        elif event.stream == "exit":
            self.running.discard((event.host, event.program))
        sign = SIGNS[event.stream]
        text = name + (f"{sign} " if sign.strip() else "") + event.text
        at = self.hosts.index(event.host)
        style = {"stdout": "", "stdin": _BOLD, "stderr": _RED}.get(event.stream, _DIM)
        for number, piece in enumerate(_wrapped(text, self.column)):
            busy = set() if number else {host for host, _ in self.running}
            cells = [WAITING if host in busy else "" for host in self.hosts]
            cells[at] = piece
            self.row("" if number else f"{event.time:.1f}", cells, style)

    def row(self, time: str, cells: Sequence[str], style: str) -> None:
        """Show one row: a cell for each host."""
        parts: list[Part] = [f"{time:>{_TIME}}"]
        for number, cell in enumerate(cells):
            colour = f"{_HOSTS[number % len(_HOSTS)]};{_DIM if cell == WAITING else style}".rstrip(";")
            padded = harmless(f"{cell:{self.column}}")
            parts += [self.bar, (colour, padded) if cell else padded]
        self.console.line(*parts)


class _Director:
    """A pytest plug-in that shows the checks marked `play` on a stage, and no others."""

    def __init__(self, endpoints: Mapping[str, Endpoint], stage: Stage, results: Path) -> None:
        self.endpoints = endpoints
        self.stage = stage
        self.results = results
        self.played: list[Check] = []
        self.interrupted = False

    def make_driver(self, resolve: Resolve) -> Driver:
        driver = Driver(self.endpoints, patience=PATIENCE, pace=PACE, beat=BEAT, resolve=resolve)
        driver.audience = self.stage.show
        return driver

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[plugin.SETTING] = plugin.Setting(self.make_driver, self.results)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.get_closest_marker("play")]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        named = getattr(item, "fixturenames", ())
        hosts = {name: endpoint.address for name, endpoint in self.endpoints.items() if name in named}
        self.stage.begin(claim(item), hosts)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        check = attached(report)
        if check:
            self.played.append(check)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        self.interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)


def run(endpoints: Mapping[str, Endpoint], lab: str, results: Path, console: Console) -> int:
    """Run a lab's story for an audience.

    Args:
        endpoints: how to reach each host of the room, by name.
        lab: name of the lab.
        results: folder in which what it leaves (captures, pictures) gets a folder of the lab's name.
        console: where it is shown.

    Returns:
        the exit status: 0; 1 if the lab did not do what it should; 3 if the room was at fault.

    Raises:
        UsageError: there is no such lab.
        MachineError: the story can't be run.
        KeyboardInterrupt: interrupted; nothing of it runs on the guests any more.
    """
    checks.chosen([lab])
    checks.clear(results, lab)
    console.line((_BOLD, f"{lab}: {labs.titles().get(lab, '')}"))
    stage = Stage(console)
    director = _Director(endpoints, stage, results)
    status = checks.run_pytest([CHECKS / f"test_{lab}.py"], director, f"--rootdir={CHECKS}")
    if director.interrupted:
        raise KeyboardInterrupt
    if not director.played:
        raise MachineError(
            f"lab {lab} can't be played: {status!r}",
            f"{commands.tool('python', '-m', 'pytest', commands.shown(CHECKS / f'test_{lab}.py'))} says more",
        )
    for check in director.played:
        if check.verdict != "passed":
            console.line()
            console.line((_RED, indented(check.words)))
    for file in sorted((results / lab).glob("*")):
        console.line((_DIM, harmless(f"kept: {file}")))
    verdicts = {check.verdict for check in director.played}
    return 1 if "failed" in verdicts else 0 if "passed" in verdicts else 3


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(harmless(text), width, subsequent_indent="  ") or [""]
