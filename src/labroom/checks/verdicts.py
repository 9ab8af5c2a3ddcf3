"""What a run of the checks found, and how a check is judged.

CheckResult ── LabResult, one a lab ── Check, one a claim of the lab

What came of a check is decided here, by the error that ended it: an `assert` with words, `pytest.fail` and
`CheckFailed` fail the lab; `pytest.skip` skips it; all else, `RoomFault` above all, but also what breaks the check
itself, leaves it unjudged.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from labroom.checks import hints
from labroom.checks.transcript import by_hand
from labroom.driver import CheckFailed, Driver, Event
from labroom.driver.words import grouped
from labroom.errors import LabroomError, Lacking, RoomFault, is_late

#: `failed`: the lab did not do what it should. `fault`: the room was at fault, or the check broke; not judged.
#: `skipped`: the room doesn't have what it takes, such as a host on the far side.
Verdict = Literal["passed", "failed", "fault", "skipped"]

#: How each is called in front of a person.
VERDICTS: dict[Verdict, str] = {"passed": "passed", "failed": "failed", "fault": "room fault", "skipped": "skipped"}

#: The kinds of claims, in the order in which they matter.
KINDS = ("lesson", "robustness", "interface")

SHOWN = 30  # sockets of a host, or processes


@dataclass
class Check:
    """One check of a lab.

    Attributes:
        name: name of the test function.
        claim: what the check shows, one sentence.
        verdict: what came of it.
        seconds: how long it took.
        words: for a failure or fault, what happened, in plain words; for a check that was skipped, what is missing.
        remedy: what helps against a fault, if that is known.
        hint: for a failure, what a student can do about it, if what was seen tells that.
        transcript: for a failure or fault, all that happened on the hosts, in order.
        sockets: and the sockets of this check on each host involved, at that moment.
        processes: and its processes on each host, those of a kind together.
        kind: of claim: `lesson`, `robustness` or `interface`; empty for a demonstration.
        program: the program that a claim was about, by its name in the lab.
        counts: whether the lab fails with it; where a person's programs are judged, lessons alone count.
        remarks: what a person should know of how the program was started.
        file: a person's own program: its file; empty for ours.
        build: the command by which a person builds that; empty if it is run as it is.
        left_behind: per host, command lines of processes that outlived the program they came from; they were killed.
        late: it failed since something did not come, and not by what was seen, and has to be looked at twice; not where
            that will never come, and the check counts for nothing.
    """

    name: str
    claim: str
    verdict: Verdict = "passed"
    seconds: float = 0.0
    words: str = ""
    remedy: str = ""
    hint: str = ""
    transcript: list[Event] = field(default_factory=list)
    sockets: dict[str, list[str]] = field(default_factory=dict)
    processes: dict[str, list[str]] = field(default_factory=dict)
    left_behind: dict[str, list[str]] = field(default_factory=dict)
    kind: str = ""
    program: str = ""
    counts: bool = True
    remarks: list[str] = field(default_factory=list)
    file: str = ""
    build: str = ""
    late: bool = False

    @property
    def title(self) -> str:
        """The claim, and the program that it is about."""
        return f"{self.program}: {self.claim}" if self.program else self.claim

    @property
    def again(self) -> str:
        """The option that runs this check again, and those that it needs."""
        return shlex.join(["-k", self.claim.rstrip(".")])

    @property
    def by_hand(self) -> dict[str, list[str]]:
        """What a person types on each host to see the same."""
        return by_hand(self.transcript, posixpath.basename(self.file), self.build)

    def judge(self, error: BaseException, driver: Driver | None, hint: str = "") -> None:
        """Judge the check by the error that ended it, while its programs still run.

        Args:
            error: what was raised.
            driver: the driver that the check used, if any: for the transcript, the sockets and the processes.
            hint: of the claim.
        """
        self.words, own = hints.split(_in_words(error))
        if isinstance(error, pytest.skip.Exception | Lacking):
            self.verdict = "skipped"
            return
        self.verdict = "failed" if isinstance(error, AssertionError | pytest.fail.Exception) else "fault"
        self.late = self.verdict == "failed" and is_late(error, settled=self.counts)
        self.remedy = getattr(error, "remedy", "")
        if self.verdict == "failed":
            self.hint = own or hints.hint(self.words, hint)
        if driver:
            driver.record("", "", "note", f"here it {'failed' if self.verdict == 'failed' else 'ended'}")
            self.transcript = list(driver.transcript)
            for host in driver.hosts_in_use:
                with suppress(CheckFailed, RoomFault):
                    self.sockets[host.name] = _at_most(list(map(str, host.sockets_of_check())))
                    self.processes[host.name] = _at_most(grouped(host.processes()))


#: The order in which a person is shown them.
_FIRST: Sequence[Verdict] = ("failed", "fault", "passed", "skipped")


@dataclass
class OwnProgram:
    """A program of a person's own, and what became of its claims.

    Attributes:
        name: what it is in the lab.
        file: its file.
        checks: in the order in which they ran; of its second build, with sanitizers, those that found something.
    """

    name: str
    file: str
    checks: list[Check]

    def of_kind(self, kind: str) -> list[Check]:
        """Its claims of a kind, those that failed first."""
        return sorted((c for c in self.checks if c.kind == kind), key=lambda c: _FIRST.index(c.verdict))

    @property
    def remarks(self) -> list[str]:
        """What is worth knowing of how it was built and started."""
        return list(dict.fromkeys(remark for check in self.checks for remark in check.remarks))

    @property
    def summary(self) -> str:
        """One line: how many of the claims of each kind passed, lessons first."""
        passed = {
            kind: f"{sum(c.verdict == 'passed' for c in claims)} of {len(claims)}"
            for kind in KINDS
            if (claims := self.of_kind(kind))
        }
        lessons = [f"{passed.pop('lesson')} lessons passed"] if "lesson" in passed else []
        if left_out := sum(c.verdict == "skipped" for c in self.of_kind("lesson")):
            lessons[0] += f", {left_out} skipped"
        return "; ".join([*lessons, *(f"{kind} {number}" for kind, number in passed.items())])


@dataclass
class LabResult:
    """The checks of one lab.

    Attributes:
        name: name of the lab.
        checks: in the order in which they ran.
        files: what they left, such as captures: paths below the folder of the run's results.
    """

    name: str
    checks: list[Check] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """`failed` if one check failed, else `fault` if one met a fault of the room, else `passed` if one passed."""
        found = {"passed" if check.verdict == "failed" and not check.counts else check.verdict for check in self.checks}
        order: tuple[Verdict, ...] = ("failed", "fault", "passed", "skipped")
        return next((verdict for verdict in order if verdict in found), "passed")

    @property
    def own(self) -> list[OwnProgram]:
        """A person's programs that were judged; none where ours were."""
        checks: dict[str, list[Check]] = {}
        for check in self.checks:
            name, _, second = check.program.partition("@")
            if check.file and not (second and check.verdict not in ("failed", "fault")):
                checks.setdefault(name, []).append(check)
        return [OwnProgram(name, of_program[0].file, of_program) for name, of_program in checks.items()]

    @property
    def skipped(self) -> list[Check]:
        """The checks for which the room doesn't have what it takes."""
        return [check for check in self.checks if check.verdict == "skipped"]

    @property
    def seconds(self) -> float:
        """How long its checks took."""
        return sum(check.seconds for check in self.checks)


@dataclass
class CheckResult:
    """A run of the checks.

    Attributes:
        labs: in the order in which they were asked for.
        began: local time, ISO 8601.
        seconds: from the first connection to the last check's end.
        hosts: name -> address of the room's hosts.
    """

    labs: list[LabResult] = field(default_factory=list)
    began: str = ""
    seconds: float = 0.0
    hosts: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether at least one lab passed, and none did worse than to be skipped."""
        found = {lab.verdict for lab in self.labs}
        return "passed" in found and found <= {"passed", "skipped"}

    @property
    def failed(self) -> list[LabResult]:
        """The labs that failed."""
        return [lab for lab in self.labs if lab.verdict == "failed"]

    @property
    def faults(self) -> list[LabResult]:
        """The labs that were not judged, because the room was at fault."""
        return [lab for lab in self.labs if lab.verdict == "fault"]

    @property
    def status(self) -> int:
        """The exit status: 0 all is well, 1 a lab failed, 3 the room was at fault, or had too little for any lab."""
        return 0 if self.passed else 1 if self.failed else 3

    @property
    def summary(self) -> str:
        """One line: how many labs, how many of each verdict, seconds."""
        parts = [f"{sum(lab.verdict == 'passed' for lab in self.labs)} passed"]
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        parts += [f"{len(self.faults)} not judged (room fault)"] if self.faults else []
        skipped = sum(lab.verdict == "skipped" for lab in self.labs)
        parts += [f"{skipped} skipped"] if skipped else []
        checks = f"{sum(len(lab.checks) for lab in self.labs)} checks"
        if left_out := sum(len(lab.skipped) for lab in self.labs):
            checks += f", {left_out} of them skipped,"
        labs = "1 lab" if len(self.labs) == 1 else f"{len(self.labs)} labs"
        return f"{labs}: {', '.join(parts)}; {checks} in {self.seconds:.1f} s"


def lab_of(path: Path) -> str:
    """The lab whose checks are in this file: test_<lab>.py."""
    return path.stem.removeprefix("test_")


def claim(item: pytest.Item) -> str:
    """What a check shows: the first line of its docstring."""
    documentation = getattr(getattr(item, "obj", None), "__doc__", None)
    return (documentation or item.name.removeprefix("test_").replace("_", " ")).strip().partition("\n")[0]


def attach(check: Check, report: pytest.TestReport) -> None:
    """Have the report of a check's teardown, the last one of a check, carry its verdict: xdist hands that on."""
    report.check = asdict(check)  # type: ignore[attr-defined]


def attached(report: pytest.TestReport) -> Check | None:
    """The check that the report of a teardown carries; None for other reports."""
    fields = getattr(report, "check", None)
    return fields and Check(**{**fields, "transcript": [Event(**event) for event in fields["transcript"]]})


def _in_words(error: BaseException) -> str:
    """What an exception says to a person."""
    if isinstance(error, AssertionError | LabroomError | pytest.fail.Exception | pytest.skip.Exception):
        words = str(error).partition("\nassert ")[0] or "a check without words failed"
        return words if isinstance(error, CheckFailed) else words.replace("\n  ", "\n")  # pytest indents them
    if isinstance(error, OSError) and error.strerror:  # of this machine: a guest's are its agent's to tell
        return f"{error.filename or 'what the check leaves'}: {error.strerror}: this machine's fault, not the lab's"
    return f"the check itself broke: {type(error).__name__}: {error}"


def _at_most(lines: list[str]) -> list[str]:
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return lines[:SHOWN] + more
