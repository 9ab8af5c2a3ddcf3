"""The checks of the labs, run by pytest: fixtures over the driver, verdicts in plain words, progress, the report.

A check is a test function in tests/labs/test_<lab>.py. It names the hosts it needs as arguments (`server`, `alfa`,
`bravo`, `charlie`, `outside`, `gateway`) and reads like the lecture:

    def test_message(server, alfa, port):
        \"\"\"The client prints the server's message.\"\"\"
        server.start("hello_server", port)
        server.wait_for_listening(port)
        alfa.start("hello_client", server.address, port).expect("Message from server : Hello World~")

Its docstring's first line is the claim that the report shows. All that it has started is killed at its end. Whatever
raises `RoomFault` leaves the lab unjudged; an `assert` with words, `pytest.fail` and `CheckFailed` fail it. A check is
skipped where the room has no host of a name that it needs.

Three ways lead here: `run`, for the command `labroom check`, which has pytest-xdist run several labs side by side;
`labroom.play`, which runs a lab's story for an audience; and `pytest tests/labs`, whose conftest.py takes its fixtures
and hook from this module.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Any, TextIO

import pytest

from labroom.driver.driver import PORTS, CheckFailed, Driver, Event, Host
from labroom.endpoint import Endpoint
from labroom.errors import LabroomError, MachineError, RoomFault, UsageError
from labroom.reports import page as report
from labroom.reports.page import Check, CheckResult, LabResult
from labroom.resources import CHECKS

SHOWN_LINES = 30  # of a transcript, on the terminal (the report has all), and of a host's sockets

# Labs checked at once: they mostly wait. One process each, at a cost of about a second to start.
WORKERS = 3


def available(folder: Path = CHECKS) -> list[str]:
    """The labs that have checks, in alphabetical order."""
    return sorted(_lab(path) for path in folder.glob("test_*.py"))


def chosen(labs: Sequence[str], folder: Path = CHECKS) -> Sequence[str]:
    """The labs that are named, or all of them if none is.

    Raises:
        UsageError: there is no such lab.
    """
    known = available(folder)
    for lab in labs:
        if lab not in known:
            raise UsageError(f"no such lab: {lab}", f"labs with checks: {', '.join(known)}")
    return labs or known


def run(
    endpoints: Mapping[str, Endpoint],
    labs: Sequence[str],
    report_dir: Path,
    *,
    out: TextIO | None = None,
    folder: Path = CHECKS,
    command: str = "./labroom check",
) -> CheckResult:
    """Check labs in a room; show a line a lab, then what failed; write the report (see `report`, and junit.xml).

    Args:
        endpoints: how to reach each host of the room, by name.
        labs: names of labs; none: all.
        report_dir: folder of the report; made if need be.
        out: where the progress goes; standard output by default.
        folder: where the checks are, and their conftest.py.
        command: the command that does this, for the report to name.

    Returns:
        what was found; its `status` is the exit status.

    Raises:
        UsageError: there is no such lab.
        MachineError: pytest could not do its work.
        KeyboardInterrupt: interrupted; nothing of the checks runs on the guests any more.
    """
    wanted = chosen(labs, folder)
    for lab in wanted:  # results of an earlier run
        shutil.rmtree(report_dir / lab, ignore_errors=True)
    recorder = _Recorder(endpoints, report_dir, out or sys.stdout, command)
    began = time.monotonic()
    workers = min(WORKERS, len(wanted))
    side_by_side = ["-pxdist.plugin", f"-n{workers}", "--dist=loadfile"] if workers > 1 else []
    status = run_pytest(
        [folder / f"test_{lab}.py" for lab in wanted],
        recorder,
        f"--rootdir={folder}",
        f"--junit-xml={report_dir / 'junit.xml'}",
        *side_by_side,
    )
    if recorder.interrupted:
        raise KeyboardInterrupt
    if recorder.broken or status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise MachineError(f"the checks can't be run: {recorder.broken or status!r}", "pytest tests/labs says more")
    result = recorder.result
    result.labs = [recorder.labs[lab] for lab in wanted if lab in recorder.labs]
    result.seconds = time.monotonic() - began
    for found in result.labs:
        found.files = sorted(f"{found.name}/{file.name}" for file in (report_dir / found.name).glob("*"))
    recorder.finish(report.write(result, report_dir))
    return result


def run_pytest(files: Sequence[Path], plugin: object, *arguments: str) -> int | pytest.ExitCode:
    """Run files of checks by pytest without its own output; answers its exit status."""
    silent = ("terminal", "cacheprovider", "faulthandler", "warnings", "unraisableexception")
    sys.unraisablehook = _interrupt_again
    try:
        return pytest.main(
            [
                *map(str, files),
                *("--override-ini=addopts=", "--override-ini=markers=play", "--import-mode=importlib"),
                *("--disable-plugin-autoload", "--capture=sys"),
                *(f"-pno:{name}" for name in silent),
                *arguments,
            ],
            plugins=[plugin],
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


def endpoints_of_room() -> dict[str, Endpoint]:
    """The endpoints of the room that is up, for `pytest tests/labs`.

    They are read from the file that the environment variable LABROOM_ENDPOINTS names (JSON: a list of objects with the
    fields of `Endpoint`), or else asked of the room of room.yml.

    Raises:
        LabroomError: there is no such file, or no such room.
    """
    file = os.environ.get("LABROOM_ENDPOINTS")
    if not file:
        from labroom import providers as provider
        from labroom import room

        wanted = room.load(room.default_file())
        return provider.of(wanted.name).endpoints(wanted)
    try:
        fields = json.loads(Path(file).read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"LABROOM_ENDPOINTS={file}: {error}") from error
    return _endpoints(fields)


def _endpoints(fields: Sequence[Mapping[str, Any]]) -> dict[str, Endpoint]:
    return {
        found["name"]: Endpoint(
            **{**found, **{several: tuple(map(Path, found[several])) for several in ("identity_files", "known_hosts")}}
        )
        for found in fields
    }


# -- fixtures ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """In what a session of pytest runs its checks, handed to it by whoever starts it.

    Attributes:
        make_driver: makes the driver.
        results: folder in which each lab has a folder of its own for what its checks leave.
    """

    make_driver: Callable[[], Driver]
    results: Path


SETTING = pytest.StashKey[Setting]()
_CHECK = pytest.StashKey[Check]()


@pytest.fixture(scope="session")
def setting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """The setting of this session: as handed over, in this process or to a worker of it; else that of the room."""
    worker = getattr(request.config, "workerinput", {})
    if given := worker.get("labroom"):
        ports = PORTS[int(worker["workerid"].removeprefix("gw")) % WORKERS :: WORKERS]
        return Setting(lambda: Driver(_endpoints(given["endpoints"]), ports=ports), Path(given["results"]))
    return request.config.stash.get(SETTING, None) or Setting(
        lambda: Driver(endpoints_of_room()), tmp_path_factory.mktemp("results")
    )


@pytest.fixture(scope="session")
def driver(request: pytest.FixtureRequest, setting: Setting) -> Iterator[Driver]:
    """The room's hosts. All that the session's checks name are connected to at once, in the background."""
    driver = setting.make_driver()
    named = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    for host in driver.hosts.values():
        if host.name in named:
            Thread(target=_connect, args=(host,), daemon=True).start()
    yield driver
    driver.close()


def _connect(host: Host) -> None:
    with suppress(RoomFault):  # whoever uses the host is told
        host.connect()


@pytest.fixture
def check(request: pytest.FixtureRequest, driver: Driver, setting: Setting) -> Iterator[Driver]:
    """One check: its transcript begins, and at its end its captures are kept and all that it has started is killed."""
    driver.begin(_lab(request.node.path))
    yield driver
    for number, capture in enumerate(driver.captures, start=1):
        shows = re.sub(r"\W+", "_", request.node.name.removeprefix("test_")).strip("_")
        file = _results_folder(setting, request) / f"{shows}-{number}-{capture.host.name}.pcap"
        file.write_bytes(capture.file)
    left = driver.clean()
    request.node.stash[_CHECK].left_behind = left


@pytest.fixture
def results_folder(request: pytest.FixtureRequest, setting: Setting) -> Path:
    """The folder for what the checks of this lab leave: captures, pictures, figures. The report links to it."""
    return _results_folder(setting, request)


def _results_folder(setting: Setting, request: pytest.FixtureRequest) -> Path:
    folder = setting.results / _lab(request.node.path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# Hosts that can do a client's part. The server's is its own: forwarded ports and the name `server` lead to it.
_CLIENTS = ("alfa", "bravo", "charlie")


def _host(name: str) -> Any:
    @pytest.fixture(name=name)
    def host(check: Driver, request: pytest.FixtureRequest) -> Host:
        """The host of this name; for a client that the room lacks, a host that the check does not name stands in."""
        named = request.fixturenames
        missing = [client for client in _CLIENTS if client in named and client not in check.hosts]
        idle = [other for other in (*_CLIENTS, "server") if other in check.hosts and other not in named]
        found = dict(zip(missing, idle, strict=False)).get(name, name)
        if found not in check.hosts:
            pytest.skip(f"this room has no {name}")
        check.hosts[found].connect()
        return check.hosts[found]

    return host


server, alfa, bravo, charlie, outside, gateway = map(
    _host, ("server", "alfa", "bravo", "charlie", "outside", "gateway")
)


@pytest.fixture
def port(server: Host) -> int:
    """A TCP port that is unused on the server, and another one in each check."""
    return server.unused_port()


# -- verdicts ---------------------------------------------------------------------------------------------------


def _lab(path: Path) -> str:
    return path.stem.removeprefix("test_")


def _lab_of(nodeid: str) -> str:
    return _lab(Path(nodeid.partition("::")[0]))


def claim(item: pytest.Item) -> str:
    """What a check shows: the first line of its docstring."""
    documentation = getattr(getattr(item, "obj", None), "__doc__", None)
    return (documentation or item.name.removeprefix("test_").replace("_", " ")).strip().partition("\n")[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge a check while its programs still run: what went wrong, the transcript, the sockets.

    The last report of a check, that of its teardown, carries its verdict, as `asdict` makes it of a `Check`.
    """
    shown = yield
    check = item.stash.setdefault(_CHECK, Check(item.name, claim(item)))
    check.seconds += call.duration
    if call.excinfo and check.verdict == "passed":
        error = call.excinfo.value
        if isinstance(error, pytest.skip.Exception):
            check.verdict = "skipped"
        else:
            check.verdict = "fault" if isinstance(error, LabroomError) else "failed"
        check.words = _in_words(error)
        check.help = getattr(error, "help", "")
        driver = getattr(item, "funcargs", {}).get("check")
        if driver and check.verdict != "skipped":
            check.transcript = list(driver.transcript)
            check.sockets = _sockets(driver)
        shown.sections += [
            (
                f"{check.verdict}: {check.claim}",
                "\n".join(
                    [check.words, "", *report.aligned(check.transcript), ""]
                    + [f"{host}: {socket}" for host, sockets in check.sockets.items() for socket in sockets]
                ),
            )
        ]
    if call.when == "teardown":
        shown.check = asdict(check)  # type: ignore[attr-defined]  # xdist hands a report's attributes on
    return shown


def verdict_of(shown: pytest.TestReport) -> Check | None:
    """The check that the report of a teardown carries; None for other reports."""
    fields = getattr(shown, "check", None)
    return fields and Check(**{**fields, "transcript": [Event(**event) for event in fields["transcript"]]})


def _in_words(error: BaseException) -> str:
    """What an exception says to a person."""
    if isinstance(error, AssertionError | LabroomError | pytest.fail.Exception | pytest.skip.Exception):
        return str(error).partition("\nassert ")[0] or "a check without words failed"
    return f"the check itself broke: {type(error).__name__}: {error}"


def _sockets(driver: Driver) -> dict[str, list[str]]:
    found = {}
    for host in driver.hosts_in_use:
        with suppress(CheckFailed, RoomFault):
            sockets = [str(socket) for socket in host.sockets_of_interest()]
            more = [f"and {len(sockets) - SHOWN_LINES} more"] if len(sockets) > SHOWN_LINES else []
            found[host.name] = sockets[:SHOWN_LINES] + more
    return found


# -- progress ---------------------------------------------------------------------------------------------------


class _Recorder:
    """A pytest plug-in that collects the verdicts of a run and shows a line a lab."""

    def __init__(self, endpoints: Mapping[str, Endpoint], results: Path, out: TextIO, command: str) -> None:
        self.endpoints = endpoints
        self.results = results
        self.out = out
        self.command = command
        self.lively = out.isatty()
        self.coloured = self.lively and "NO_COLOR" not in os.environ
        self.result = CheckResult(began=datetime.now().astimezone().isoformat(" ", "seconds"))
        self.result.hosts = {endpoint.name: endpoint.address for endpoint in endpoints.values()}
        self.interrupted = False
        self.broken = ""
        self.expected: Counter[str] = Counter()  # checks of each lab
        self.running: dict[str, str] = {}  # lab -> its check that runs, in words
        self.labs: dict[str, LabResult] = {}

    def pytest_configure(self, config: pytest.Config) -> None:
        """Hand the setting to the fixtures, in this process ..."""
        config.stash[SETTING] = Setting(lambda: Driver(self.endpoints), self.results)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """... and in a worker."""
        fields = [
            {name: [*map(str, value)] if isinstance(value, tuple) else value for name, value in vars(e).items()}
            for e in self.endpoints.values()
        ]
        node.workerinput["labroom"] = {"endpoints": fields, "results": str(self.results)}

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
        """Note how many checks each lab has."""
        if ids:
            self.expected = Counter(_lab_of(nodeid) for nodeid in ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show which checks run."""
        self.running[_lab_of(nodeid)] = nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        self.show_running()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in a check's verdict; after a lab's last check, show the lab's."""
        check = verdict_of(report)
        if report.when not in ("setup", "call", "teardown"):  # a worker was killed
            check = Check(report.nodeid.rpartition("::")[2], report.nodeid, "fault", words=str(report.longrepr))
        if not check:
            return
        name = _lab_of(report.nodeid)
        lab = self.labs.setdefault(name, LabResult(name, command=self.command))
        lab.checks.append(check)
        if len(lab.checks) == self.expected[name]:
            self.running.pop(name, None)
            self.show(lab)
            self.show_running()

    def show_running(self) -> None:
        """Show, on a terminal, which checks run: the last line, which the next replaces."""
        if self.lively:
            doing = [
                f"{lab} {len(self.labs[lab].checks) if lab in self.labs else 0} of {self.expected[lab]}: {what}"
                for lab, what in self.running.items()
            ]
            self.out.write(f"\r\033[K{'   '.join(doing)[: shutil.get_terminal_size().columns - 1]}")
            self.out.flush()

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note Ctrl+C (pytest also calls here when files of checks can't be read)."""
        self.interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)
        if self.lively:
            self.out.write("\r\033[K")

    def colour(self, verdict: report.Verdict, text: str) -> str:
        """Text in the colour of a verdict, on a terminal."""
        code = {"passed": 32, "failed": 31, "fault": 33, "skipped": 2}[verdict]
        return f"\033[{code}m{text}\033[m" if self.coloured else text

    def show(self, lab: LabResult) -> None:
        """Show the line of a lab."""
        says = "FAILED" if lab.verdict == "failed" else report.VERDICTS[lab.verdict]
        passed = sum(check.verdict == "passed" for check in lab.checks)
        count = f"{passed} of {len(lab.checks)} checks"
        start = "\r\033[K" if self.lively else ""
        verdict = self.colour(lab.verdict, f"{says:10}")
        width = max(map(len, self.expected))
        line = f"{start}{lab.name:{width}}  {verdict}  {count:>15}  {lab.seconds:5.1f} s"
        if lab.skipped:
            line += f"  {len(lab.skipped)} skipped: {', '.join(sorted({check.words for check in lab.skipped}))}"
        print(line, file=self.out, flush=True)

    def finish(self, page: Path) -> None:
        """Show what did not pass, and the sum."""
        if self.lively:
            self.out.write("\r\033[K")
        told: Counter[str] = Counter()
        for lab in self.result.labs:
            for check in lab.checks:
                if check.verdict == "failed" or (check.verdict == "fault" and not told[check.words]):
                    self.explain(lab, check)
                told[check.words] += bool(check.words) and check.verdict != "skipped"
                for host, commands in check.left_behind.items():
                    print(f"\n{lab.name}: left behind on {host}, and killed: {', '.join(commands)}", file=self.out)
        for words, times in told.items():
            if times > 1:
                print(f"\n{times} checks in all: {words}", file=self.out)
        print(f"\n{self.result.summary}\nreport: {page}", file=self.out, flush=True)

    def explain(self, lab: LabResult, check: Check) -> None:
        """Show one check that did not pass."""
        title = self.colour(check.verdict, f"{lab.name}: {check.claim}")
        print(f"\n{title}\n  {check.words}", file=self.out)
        lines = report.aligned(check.transcript)
        if len(lines) > SHOWN_LINES:
            print(f"    … {len(lines) - SHOWN_LINES} lines before, in the report", file=self.out)
        for line in lines[-SHOWN_LINES:]:
            print(f"    {line}", file=self.out)
        for host, sockets in check.sockets.items():
            for socket in sockets:
                print(f"    sockets of {host}: {socket}", file=self.out)
        if check.help:
            print(f"  remedy: {check.help}", file=self.out)
        print(f"  run it again: {lab.again}", file=self.out)
