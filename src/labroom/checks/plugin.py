"""A pytest plug-in, `-p labroom.checks.plugin`: what every check of a lab can use, and the hook that judges it.

A check is a test function in test_<lab>.py. It names the hosts it needs as arguments (`server`, `alfa`, `bravo`,
`charlie`, `outside`, `gateway`) and reads like the lecture:

    def test_message(server, alfa, port):
        \"\"\"The client prints the server's message.\"\"\"
        server.start("hello_server", port)
        server.wait_for_listening(port)
        alfa.start("hello_client", server.address, port).expect("Message from server : Hello World~")

Its docstring's first line is the claim that the report shows. All that it has started is killed at its end. A check is
skipped where the room has no host of a name that it needs. How it is judged: `labroom.checks.verdicts`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from labroom.checks.claims import ALL, Chosen, Ledger, claim_of, select, subjects
from labroom.checks.clients import Client
from labroom.checks.programs import resolve
from labroom.checks.servers import Server
from labroom.checks.subjects import Subject
from labroom.checks.submission import OWN, SANITIZED, Submission
from labroom.checks.transcript import aligned
from labroom.checks.verdicts import Check, attach, claim, lab_of
from labroom.console import harmless
from labroom.driver import PORTS, CheckFailed, Driver, Host, Resolve
from labroom.driver.values import WHEN_SLOW
from labroom.endpoint import Endpoint
from labroom.errors import LabroomError, Lacking, RoomFault, UsageError


@dataclass(frozen=True)
class Setting:
    """In what a session of pytest runs its checks, handed to it by whoever starts it.

    Attributes:
        make_driver: creates the driver, which starts programs as it is told.
        results: folder in which each lab has a folder of its own for what its checks leave.
        chosen: which checks, and on whose programs.
    """

    make_driver: Callable[[Resolve], Driver]
    results: Path
    chosen: Chosen = ALL


SETTING = pytest.StashKey[Setting]()
_CHECK = pytest.StashKey[Check]()
_LEDGER = pytest.StashKey[Ledger]()
_SUBMISSION = pytest.StashKey[Submission]()


# -- where the checks run ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def setting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """The setting of this session: as handed over, in this process or to a worker of it; else that of the room."""
    worker = getattr(request.config, "workerinput", {})
    if given := worker.get("labroom"):
        ports = PORTS[int(worker["workerid"].removeprefix("gw")) % worker["workercount"] :: worker["workercount"]]
        endpoints = _endpoints(given["endpoints"])
        return Setting(lambda resolve: Driver(endpoints, ports=ports, resolve=resolve), Path(given["results"]))
    return request.config.stash.get(SETTING, None) or Setting(
        lambda resolve: Driver(endpoints_of_room(), resolve=resolve), tmp_path_factory.mktemp("results")
    )


def for_worker(endpoints: Mapping[str, Endpoint], results: Path, words: str) -> dict[str, object]:
    """A setting as `workerinput["labroom"]`, by which xdist hands it to a worker; workers run our programs alone."""
    fields = [
        {name: [*map(str, value)] if isinstance(value, tuple) else value for name, value in vars(endpoint).items()}
        for endpoint in endpoints.values()
    ]
    return {"endpoints": fields, "results": str(results), "words": words}


def endpoints_of_room() -> dict[str, Endpoint]:
    """The endpoints of the room that is up, for `pytest tests/labs`.

    They are read from the file that the environment variable LABROOM_ENDPOINTS names (JSON: a list of objects with the
    fields of `Endpoint`), or else asked of the room of room.yml.

    Raises:
        LabroomError: there is no such file, or no such room.
    """
    file = os.environ.get("LABROOM_ENDPOINTS")
    if not file:
        from labroom import room, rooms

        return rooms.endpoints(room.load(room.default_file()))
    try:
        fields = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"LABROOM_ENDPOINTS={file}: {error}") from error
    return _endpoints(fields)


def _endpoints(fields: Sequence[Mapping[str, Any]]) -> dict[str, Endpoint]:
    return {
        found["name"]: Endpoint(
            **{
                **found,
                **{several: tuple(map(Path, found[several])) for several in ("identity_files", "known_hosts")},
                "left_out": tuple(found.get("left_out", ())),
            }
        )
        for found in fields
    }


# -- which checks -----------------------------------------------------------------------------------------------


def _chosen(config: pytest.Config) -> Chosen:
    if given := getattr(config, "workerinput", {}).get("labroom"):
        return Chosen(words=given["words"])
    setting = config.stash.get(SETTING, None)
    return setting.chosen if setting else ALL


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker of claims known."""
    config.addinivalue_line("markers", "claim: what is asked of programs of any hand (labroom.checks.claims)")
    config.stash[_LEDGER] = Ledger()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a claim on each of its programs."""
    for marker in metafunc.definition.iter_markers("claim"):
        names = subjects(marker.args[0], _chosen(metafunc.config))
        metafunc.fixturenames += [] if "subject" in metafunc.fixturenames else ["subject"]
        metafunc.parametrize("subject", names, ids=names, indirect=False)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for."""
    items[:] = select([item for item in items if not _is_empty(item)], _chosen(config), claim)


def _is_empty(item: pytest.Item) -> bool:
    """Whether it is a claim about programs that are not there."""
    return getattr(getattr(item, "callspec", None), "id", "").startswith("NOTSET")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a claim for which another one is missing."""
    if sentence := item.config.stash[_LEDGER].missing(item):
        pytest.skip(f"needs: {sentence}")


# -- what a check can use ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def driver_of_session(
    request: pytest.FixtureRequest, setting: Setting, submission_of_session: Submission
) -> Iterator[Driver]:
    """The room's hosts. All that the session's checks name are connected to at once, in the background.

    Not by a worker, which runs some of the checks, and may never come to a host.
    """
    driver = setting.make_driver(partial(resolve, submission=submission_of_session))
    items = [] if hasattr(request.config, "workerinput") else request.session.items
    named = {name for item in items for name in getattr(item, "fixturenames", ())}
    for host in driver.hosts.values():
        if host.name in named:
            Thread(target=_connect, args=(host,), daemon=True).start()
    yield driver
    driver.close()


def _connect(host: Host) -> None:
    with suppress(RoomFault):  # whoever uses the host is told
        host.connect()


@pytest.fixture
def driver(request: pytest.FixtureRequest, driver_of_session: Driver, setting: Setting) -> Iterator[Driver]:
    """The driver, for one check: its transcript begins, and at its end all that it has started is killed."""
    driver = driver_of_session
    driver.begin(lab_of(request.node.path))
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
    folder = setting.results / lab_of(request.node.path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# Hosts that can do a client's part. The server's is its own: forwarded ports and the name `server` lead to it.
_CLIENTS = ("alfa", "bravo", "charlie")


def _host(name: str) -> Any:
    @pytest.fixture(name=name)
    def host(driver: Driver, request: pytest.FixtureRequest) -> Host:
        """The host of this name; for a client that the room lacks, a host that the check does not name stands in."""
        named = request.fixturenames
        missing = [client for client in _CLIENTS if client in named and client not in driver.hosts]
        idle = [other for other in (*_CLIENTS, "server") if other in driver.hosts and other not in named]
        found = dict(zip(missing, idle, strict=False)).get(name, name)
        if found not in driver.hosts:
            pytest.skip(f"this room has no {name}")
        driver.hosts[found].connect()
        return driver.hosts[found]

    return host


server, alfa, bravo, charlie, outside, gateway = map(
    _host, ("server", "alfa", "bravo", "charlie", "outside", "gateway")
)


@pytest.fixture
def port(server: Host) -> int:
    """A TCP port that is unused on the server, and another one in each check."""
    return server.unused_port()


@pytest.fixture(scope="session")
def submission_of_session(request: pytest.FixtureRequest, setting: Setting) -> Submission:
    """A person's own programs."""
    submission = request.config.stash[_SUBMISSION] = Submission(setting.chosen.own)
    return submission


@pytest.fixture
def submission(subject: str, submission_of_session: Submission) -> Submission | None:
    """A person's own programs; None where one of ours is judged."""
    return submission_of_session if "@" in subject else None


@pytest.fixture
def program(server: Host, subject: str, submission: Submission | None) -> Subject:
    """The program that a claim is about, which is neither a server nor a client; not started yet."""
    return Subject(server, subject, submission)


@pytest.fixture
def idle(request: pytest.FixtureRequest, server: Host, subject: str, submission: Submission | None) -> Iterator[Server]:
    """The server that a claim is about, not started yet."""
    found = Server(server, subject, submission)
    found.forget_earlier_checks()
    yield found
    request.node.stash[_CHECK].remarks += found.remarks


@pytest.fixture
def running(idle: Server, port: int) -> Server:
    """The server that a claim is about; it listens."""
    return idle.serve(port)


@pytest.fixture
def client(
    request: pytest.FixtureRequest, alfa: Host, server: Host, subject: str, submission: Submission | None
) -> Iterator[Client]:
    """The client that a claim is about, on alfa; its peer is on the server."""
    found = Client(alfa, subject, submission, server)
    yield found
    request.node.stash[_CHECK].remarks += found.remarks


# -- how it is judged -------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a check. What fails since something did not come is looked at twice, and compared with our own program."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    check, reports = _look(item, nextitem)
    if check.late:
        check, reports = _look(item, nextitem)
        if check.verdict == "passed":
            check.remarks.append("it was late once, and in time when looked at again")
        elif check.late and (reference := _reference(item)):
            control, _ = _look(item, nextitem, reference)
            if control.verdict != "passed":
                check.verdict, check.hint = "fault", ""
                check.words = f"our own {reference} is late here, too: {control.words}"
                check.remedy = control.remedy or WHEN_SLOW
        attach(check, reports[-1])
    if check.verdict != "passed":
        item.config.stash[_LEDGER].note(item, check.claim)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _look(
    item: pytest.Item, nextitem: pytest.Item | None, reference: str = ""
) -> tuple[Check, list[pytest.TestReport]]:
    """Run a check once, on the program that it is about, or on our own one of a name."""
    asked, own = claim_of(item), _chosen(item.config).own
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    program = parameters.get("subject", "")
    source = own.get(program.partition("@")[0])
    check = item.stash[_CHECK] = Check(
        item.name,
        claim(item),
        kind=asked.kind if asked else "",
        program=program.removesuffix(OWN),
        counts=not asked or asked.kind == "lesson" or not own,
        file=source.main if source else "",
        build=source.build_command if source else "",
    )
    if reference:
        parameters["subject"] = reference
    try:
        return check, runtestprotocol(item, log=False, nextitem=nextitem)
    finally:
        if reference:
            parameters["subject"] = program


def _reference(item: pytest.Item) -> str:
    """Our own program, if a check is about another one that does the same."""
    program = getattr(getattr(item, "callspec", None), "params", {}).get("subject", "")
    reference = re.split("[.@]", program)[0]
    return reference if reference != program else ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Have what a sanitizer has found end the check, whatever else would have; skip what the room can't do."""
    try:
        yield
    except Lacking as error:
        pytest.skip(str(error))
    finally:
        for subject in getattr(item, "funcargs", {}).values():
            if isinstance(subject, Subject) and subject.name.endswith(SANITIZED) and (found := subject.finding):
                raise Finding(found)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge a check while its programs still run; its last report, that of its teardown, carries the verdict."""
    shown = yield
    check = item.stash[_CHECK]
    check.seconds += call.duration
    if call.excinfo and check.verdict == "passed":
        driver = getattr(item, "funcargs", {}).get("driver")
        asked = claim_of(item)
        check.judge(call.excinfo.value, driver if isinstance(driver, Driver) else None, asked.hint if asked else "")
        if check.program.endswith(SANITIZED) and not isinstance(call.excinfo.value, Finding | LabroomError):
            check.verdict, check.late, check.words = "skipped", False, "judged without sanitizers"
        if check.file and (submission := item.config.stash.get(_SUBMISSION, None)):
            check.words = submission.without_folders(check.words)
            check.transcript = [replace(e, text=submission.without_folders(e.text)) for e in check.transcript]
            check.processes = {
                host: list(map(submission.without_folders, found)) for host, found in check.processes.items()
            }
        if check.transcript or check.sockets:
            shown.sections += [(f"{check.verdict}: {check.claim}", "\n".join(_evidence(check)))]
    if call.when == "teardown":
        attach(check, shown)
    return shown


class Finding(CheckFailed):
    """What a sanitizer has found."""


def _evidence(check: Check) -> Iterator[str]:
    """What pytest by itself shows of a check that did not pass."""
    yield from map(harmless, check.words.split("\n"))
    yield ""
    yield from map(harmless, aligned(check.transcript))
    yield ""
    for host, sockets in check.sockets.items():
        yield from (harmless(f"{host}: {socket}") for socket in sockets)
