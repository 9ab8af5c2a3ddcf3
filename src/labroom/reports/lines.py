"""What the terminal shows of a run of the checks: one line per lab, then what did not pass, and the sum."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from labroom.checks import run as checks
from labroom.checks.claims import ALL, SANITIZED, Chosen
from labroom.checks.own import Source
from labroom.checks.transcript import aligned
from labroom.checks.verdicts import VERDICTS, Check, CheckResult, LabResult, Verdict
from labroom.console import Console, harmless
from labroom.endpoint import Endpoint
from labroom.reports import page
from labroom.resources import CHECKS

COMMAND = "./labroom check"
SHOWN_LINES = 30  # of a transcript: the page has all

_STYLES: dict[Verdict, str] = {"passed": "32", "failed": "31", "fault": "33", "skipped": "2"}


class Lines(checks.Listener):
    """Shows a run on a console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._width = 0  # of the longest lab's name

    def begin(self, labs: Sequence[str]) -> None:
        """Be ready for the lines of these labs."""
        self._width = max(map(len, labs), default=0)

    def running(self, running: Sequence[checks.Running]) -> None:
        """Show, on a terminal, which checks run: the last line, which the next replaces."""
        self.console.status("   ".join(f"{now.lab} {now.done} of {now.of}: {now.check}" for now in running))

    def done(self, lab: LabResult) -> None:
        """Show the line of a lab."""
        says = "FAILED" if lab.verdict == "failed" else VERDICTS[lab.verdict]
        passed = sum(check.verdict == "passed" for check in lab.checks)
        count = f"{passed} of {len(lab.checks)} checks"
        skipped = ""
        if lab.skipped:
            reasons = ", ".join(sorted({check.words for check in lab.skipped}))
            skipped = f"  {len(lab.skipped)} skipped: {reasons}"
        self.console.line(
            harmless(f"{lab.name:{self._width}}  "),
            (_STYLES[lab.verdict], f"{says:10}"),
            harmless(f"  {count:>15}  {lab.seconds:5.1f} s{skipped}"),
        )

    def interrupted(self) -> None:
        """Remove the line that says which checks run."""
        self.console.status("")

    def finish(self, result: CheckResult, page: Path, command: str) -> None:
        """Show what did not pass, and the sum.

        Args:
            result: what was found.
            page: where all of it is to be read.
            command: the command that checked it, without the names of labs.
        """
        told: Counter[str] = Counter()
        for lab in result.labs:
            for check in lab.checks:
                if check.verdict == "failed" or (check.verdict == "fault" and not told[check.words]):
                    self._explain(lab, check, command)
                told[check.words] += bool(check.words) and check.verdict != "skipped"
                for host, commands in check.left_behind.items():
                    left = f"{lab.name}: left behind on {host}, and killed: {', '.join(commands)}"
                    self._paragraph(harmless(left))
        for words, times in told.items():
            if times > 1:
                self._paragraph(f"{times} checks in all: {indented(words)}")
        self._paragraph(result.summary)
        self.console.line(f"report: {page}")

    def _paragraph(self, text: str) -> None:
        self.console.line()
        self.console.line(text)

    def _explain(self, lab: LabResult, check: Check, command: str) -> None:
        """Show one check that did not pass."""
        show = self.console.line
        show()
        show((_STYLES[check.verdict], harmless(f"{lab.name}: {check.title}")))
        show(f"  {indented(check.words)}")
        if not check.counts:
            return
        lines = aligned(check.transcript)
        if len(lines) > SHOWN_LINES:
            show(f"    … {len(lines) - SHOWN_LINES} lines before, in the report")
        for line in lines[-SHOWN_LINES:]:
            show(harmless(f"    {line}"))
        for host, sockets in check.sockets.items():
            for socket in sockets:
                show(harmless(f"    sockets of {host}: {socket}"))
        if check.remedy:
            show(harmless(f"  remedy: {check.remedy}"))
        again = shlex.join(["-k", check.claim.rstrip(".")])
        show(harmless(f"  run it again: {command} {lab.name} {again}"))


class OwnLines(Lines):
    """Shows a run on a person's own programs: one line per claim."""

    def __init__(self, console: Console, sources: Mapping[str, Source]) -> None:
        super().__init__(console)
        self._sources = sources

    def done(self, lab: LabResult) -> None:
        """Show each program's claims, and what is worth knowing of how it was started."""
        for name, source in self._sources.items():
            # Of the second build, with sanitizers, only what was found.
            second = [c for c in lab.checks if c.program == name + SANITIZED and c.verdict in ("failed", "fault")]
            of_program = [check for check in lab.checks if check.program == name] + second
            if not of_program:
                continue
            self.console.line(harmless(f"{name} ({source.main})"))
            for remark in dict.fromkeys(remark for check in of_program for remark in check.remarks):
                self.console.line(harmless(f"  note: {remark}"))
            for check in of_program:
                says = VERDICTS[check.verdict]
                if check.verdict == "failed":
                    says = "FAILED" if check.counts else "remark"
                style = (
                    _STYLES[check.verdict] if check.counts else _STYLES["fault" if says == "remark" else check.verdict]
                )
                sanitized = " (built with sanitizers)" if check.program.endswith(SANITIZED) else ""
                why = f"  ({check.words})" if check.verdict == "skipped" else ""
                self.console.line(
                    "  ", (style, f"{says:10}"), harmless(f"  {check.kind:10}  {check.claim}{why}{sanitized}")
                )


def indented(words: str) -> str:
    """Words of several lines, deep enough that none of them looks like a line of ours."""
    return words.replace("\n", "\n      ")


def run(
    endpoints: Mapping[str, Endpoint],
    labs: Sequence[str],
    report_dir: Path,
    console: Console,
    *,
    command: str = COMMAND,
    chosen: Chosen = ALL,
    folder: Path = CHECKS,
) -> CheckResult:
    """Check labs in a room, show how it goes and what was found, and write the report.

    Args:
        endpoints: how to reach each host of the room, by name.
        labs: names of labs; none: all.
        report_dir: folder of the report (`page.write`), of junit.xml and of what the checks leave; created if need be.
        console: where it is shown.
        command: the command that does this, to be named where something is to be checked again.
        chosen: which of the checks, and on whose programs.
        folder: where the checks are.

    Returns:
        what was found; its `status` is the exit status.

    Raises:
        LabroomError: of `checks.run`.
        KeyboardInterrupt: interrupted; nothing of the checks runs on the guests any more.
    """
    lines = OwnLines(console, chosen.own) if chosen.own else Lines(console)
    result = checks.run(endpoints, labs, report_dir, lines, chosen_checks=chosen, folder=folder)
    lines.finish(result, page.write(result, report_dir, command), command)
    return result
