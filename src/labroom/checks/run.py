"""Runs the checks of labs by pytest, several labs side by side, and tells a listener how it goes; shows nothing itself.

pytest-xdist has several labs run at once, each in a process of its own. The fixtures and the judging are those of
`labroom.checks.plugin`.
"""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from labroom import commands, state
from labroom.checks import plugin
from labroom.checks.claims import ALL, Chosen
from labroom.checks.verdicts import Check, CheckResult, LabResult, attached, lab_of
from labroom.driver import Driver, slowness
from labroom.endpoint import Endpoint
from labroom.errors import MachineError, UsageError
from labroom.processes import own_environment
from labroom.resources import CHECKS

#: Labs checked at once: they mostly wait. One process each, at a cost of about a second to start.
WORKERS = 4

#: Labs that take longest. They are begun first, so that in the end no worker waits for another one.
LONGEST = ("select_server", "fork_server", "processes", "tcp_echo", "pipes", "signals", "thread_server", "server_race")


def available(folder: Path = CHECKS) -> list[str]:
    """The labs that have checks, in alphabetical order."""
    return sorted(lab_of(path) for path in folder.glob("test_*.py"))


def chosen(labs: Sequence[str], folder: Path = CHECKS) -> Sequence[str]:
    """The labs that are named, or all of them if none is.

    Raises:
        UsageError: there is no such lab, or LABROOM_PATIENCE is no number.
    """
    slowness()
    known = available(folder)
    for lab in labs:
        if lab not in known:
            raise UsageError(f"no such lab: {lab}", f"labs with checks: {', '.join(known)}")
    return labs or known


@dataclass(frozen=True)
class Running:
    """A check that runs now.

    Attributes:
        lab: its lab.
        done: how many checks of the lab have ended.
        of: how many checks the lab has.
        check: the check's name, in words.
    """

    lab: str
    done: int
    of: int
    check: str


class Listener:
    """Is told how a run of the checks goes. This one does nothing with it; whoever shows it derives from it."""

    def begin(self, labs: Sequence[str]) -> None:
        """The checks of these labs are about to run."""

    def running(self, checks: Sequence[Running]) -> None:
        """These checks run now."""

    def done(self, lab: LabResult) -> None:
        """All checks of a lab have run."""

    def interrupted(self) -> None:
        """The run is given up."""


def run(
    endpoints: Mapping[str, Endpoint],
    labs: Sequence[str],
    results: Path,
    listener: Listener | None = None,
    *,
    chosen_checks: Chosen = ALL,
    folder: Path = CHECKS,
) -> CheckResult:
    """Check labs in a room.

    Args:
        endpoints: how to reach each host of the room, by name.
        labs: names of labs; none: all.
        results: folder for junit.xml and, in a folder of each lab's name, for what its checks leave; created if need
            be. What an earlier run of these labs left there is removed.
        listener: is told how it goes.
        chosen_checks: which of their checks, and on whose programs.
        folder: where the checks are.

    Returns:
        what was found; its `status` is the exit status.

    Raises:
        UsageError: there is no such lab.
        MachineError: pytest could not do its work, or nothing can be written into `results`.
        KeyboardInterrupt: interrupted; nothing of the checks runs on the guests any more.
    """
    wanted = chosen(labs, folder)
    clear(results, "junit.xml", *wanted)
    recorder = _Recorder(endpoints, results, listener or Listener(), chosen_checks)
    began = datetime.now().astimezone().isoformat(" ", "seconds")
    started = time.monotonic()
    workers = min(WORKERS, len(wanted))
    side_by_side = ["-pxdist.plugin", f"-n{workers}", "--dist=loadfile", "--no-loadscope-reorder"]
    status = run_pytest(
        [folder / f"test_{lab}.py" for lab in sorted(wanted, key=lambda lab: (*LONGEST, lab).index(lab))],
        recorder,
        f"--rootdir={folder}",
        f"--junit-xml={results / 'junit.xml'}",
        *(side_by_side if workers > 1 else []),
    )
    if recorder.was_interrupted:
        raise KeyboardInterrupt
    if recorder.unheard:
        raise recorder.unheard
    if status == pytest.ExitCode.NO_TESTS_COLLECTED and chosen_checks.words:
        raise UsageError(
            f"no check of {', '.join(wanted)} says '{chosen_checks.words}'",
            f"{commands.labroom('list')} shows the labs",
        )
    if recorder.broken or status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise MachineError(
            f"the checks can't be run: {recorder.broken or status!r}",
            f"{commands.tool('python', '-m', 'pytest', commands.shown(CHECKS))} says more",
        )
    found = [recorder.labs[lab] for lab in wanted if lab in recorder.labs]
    for of_lab in found:
        of_lab.files = sorted(f"{of_lab.name}/{file.name}" for file in (results / of_lab.name).glob("*"))
    hosts = {endpoint.name: endpoint.address for endpoint in endpoints.values()}
    return CheckResult(found, began, time.monotonic() - started, hosts)


def clear(results: Path, *names: str) -> None:
    """Remove what an earlier run has left in a folder for results, and see that this one can leave something there.

    Args:
        results: the folder; created if need be.
        names: of the files and folders in it that this run writes.

    Raises:
        MachineError: it can't.
    """
    try:
        results.mkdir(parents=True, exist_ok=True)
        for path in (results / name for name in names):
            state.remove_tree(path) if path.is_dir() else path.unlink(missing_ok=True)
        with tempfile.TemporaryFile(dir=results) as file:
            file.write(b"x")
    except OSError as error:
        remedy = "free some space there"
        if error.errno in (errno.EACCES, errno.EPERM):
            place = f"{os.getuid()} {shlex.quote(str(results))}"
            remedy = f"sudo install -d -o {place}" if error.filename == str(results) else f"sudo chown -R {place}"
        raise MachineError(
            f"no report can be written: {error.filename or results}: {error.strerror}", remedy
        ) from error


def run_pytest(files: Sequence[Path], listener: object, *arguments: str) -> int | pytest.ExitCode:
    """Run files of checks by pytest without its own output.

    Args:
        files: of checks.
        listener: a pytest plug-in that says in what `plugin.Setting` they run, and collects what came of them.
        arguments: more, for pytest.

    Returns:
        pytest's exit status.
    """
    silent = ("terminal", "cacheprovider", "faulthandler", "warnings", "unraisableexception")
    sys.unraisablehook = _interrupt_again
    # The workers of xdist, too, take nothing from the current folder.
    try:
        with own_environment(PYTHONSAFEPATH="1", PYTHONUTF8="1"):
            return pytest.main(
                [
                    *map(str, files),
                    *("--override-ini=addopts=", "--override-ini=markers=play", "--import-mode=importlib"),
                    *("--disable-plugin-autoload", "--capture=sys", f"-p{plugin.__name__}"),
                    *(f"-pno:{name}" for name in silent),
                    *arguments,
                ],
                plugins=[listener],
            )
    finally:
        sys.unraisablehook = sys.__unraisablehook__


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """An interrupt that came where nothing can be raised, as in a weak reference's callback, comes once more."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
        return
    signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.01)  # not at once: this is still such a place


class _Recorder:
    """A pytest plug-in that collects the verdicts of a run and tells the listener."""

    def __init__(
        self, endpoints: Mapping[str, Endpoint], results: Path, listener: Listener, chosen_checks: Chosen
    ) -> None:
        self.endpoints = endpoints
        self.results = results
        self.listener = listener
        self.chosen = chosen_checks
        self.was_interrupted = False
        self.broken = ""
        self.unheard: BrokenPipeError | None = None
        self.expected: Counter[str] = Counter()  # checks of each lab
        self.running: dict[str, str] = {}  # lab -> its check that runs, in words
        self.labs: dict[str, LabResult] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        """Hand the setting to the fixtures, in this process ..."""
        config.stash[plugin.SETTING] = plugin.Setting(
            lambda resolve: Driver(self.endpoints, resolve=resolve, as_root=bool(self.chosen.own)),
            self.results,
            self.chosen,
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """... and in a worker."""
        node.workerinput["labroom"] = plugin.for_worker(self.endpoints, self.results, self.chosen.words)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file of checks that can't be read."""
        if report.failed:
            self.broken = str(report.longrepr).strip().rpartition("\n")[2]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many checks each lab has, where this process runs them itself."""
        self.expect([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: Sequence[str]) -> None:
        """Note how many checks each lab has, where workers run them."""
        self.expect(ids)

    def expect(self, ids: Sequence[str]) -> None:
        """Note how many checks each lab has; each worker says the same."""
        if ids and not self.expected:
            self.expected = Counter(map(_lab, ids))
            self.tell("begin", list(self.expected))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell which checks run."""
        self.running[_lab(nodeid)] = nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        self.tell_running()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in a check's verdict; after a lab's last check, tell the lab's."""
        check = attached(report)
        if report.when not in ("setup", "call", "teardown"):  # a worker was killed
            check = Check(report.nodeid.rpartition("::")[2], report.nodeid, "fault", words=str(report.longrepr))
        if not check:
            return
        name = _lab(report.nodeid)
        lab = self.labs.setdefault(name, LabResult(name))
        lab.checks.append(check)
        if len(lab.checks) == self.expected[name]:
            self.running.pop(name, None)
            self.tell("done", lab)
            self.tell_running()

    def tell(self, what: str, *arguments: object) -> None:
        """Tell the listener, as long as it listens: whoever reads what it writes may have left."""
        try:
            getattr(self.listener, what)(*arguments)
        except BrokenPipeError as error:
            self.unheard = error
            self.listener = Listener()

    def tell_running(self) -> None:
        """Tell which checks run."""
        done = {lab: len(self.labs[lab].checks) if lab in self.labs else 0 for lab in self.running}
        self.tell(
            "running", [Running(lab, done[lab], self.expected[lab], check) for lab, check in self.running.items()]
        )

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note Ctrl+C (pytest also calls here when files of checks can't be read)."""
        self.was_interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)
        self.tell("interrupted")


def _lab(nodeid: str) -> str:
    return lab_of(Path(nodeid.partition("::")[0]))
