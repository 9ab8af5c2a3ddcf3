"""What the terminal shows of a run of the checks: one line per lab, then what did not pass, and the sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from labroom import commands
from labroom.checks import run as checks
from labroom.checks.claims import ALL, Chosen
from labroom.checks.submission import SANITIZED
from labroom.checks.transcript import LOOK, aligned
from labroom.checks.verdicts import KINDS, VERDICTS, Check, CheckResult, LabResult, Verdict
from labroom.console import Console, harmless
from labroom.endpoint import Endpoint
from labroom.reports import page
from labroom.resources import CHECKS

SHOWN_LINES = 30  # of a transcript: the page has all
SHOWN_REMARKS = 6  # of a program

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
            reasons = sorted({check.words for check in lab.skipped})
            of_room = [words for words in reasons if not words.startswith("needs: ")]  # of which the others come
            skipped = f"  {len(lab.skipped)} skipped: {', '.join(of_room or reasons)}"
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
            for check in sorted(lab.checks, key=lambda check: not check.counts):
                if check.verdict == "failed" or (check.verdict == "fault" and not told[check.words]):
                    self._explain(lab, check, command)
                told[check.words] += bool(check.words) and check.verdict != "skipped"
                for host, left_there in check.left_behind.items():
                    left = f"{lab.name}: left behind on {host}, and killed: {', '.join(left_there)}"
                    self._paragraph(harmless(left))
        for words, times in told.items():
            if times > 1:
                self._paragraph(f"{times} checks in all: {indented(words)}")
        self.console.line()
        self._sum(result)
        self.console.line(f"report: {page}")

    def _sum(self, result: CheckResult) -> None:
        self.console.line(result.summary)

    def _paragraph(self, text: str) -> None:
        self.console.line()
        self.console.line(text)

    def _explain(self, lab: LabResult, check: Check, command: str) -> None:
        """Show one check that did not pass."""
        show = self.console.line
        show()
        show((told(check)[1], harmless(self._title(lab, check))))
        for line in check.words.split("\n"):
            show(harmless(f"      {line}"))
        if check.hint:
            show(harmless(f"  hint: {check.hint}"))
        if not check.counts:
            return
        lines = aligned(check.transcript)
        if lines:
            show("  what happened:" if len(lines) <= SHOWN_LINES else f"  what happened, the last {SHOWN_LINES} lines:")
        for line in lines[-SHOWN_LINES:]:
            show(harmless(f"    {line}"))
        for what, of_hosts in (("sockets", check.sockets), ("processes", check.processes)):
            for host, found in of_hosts.items():
                for each in found:
                    show(harmless(f"  {what} of {host}: {each}"))
        if check.verdict == "failed":
            self._by_hand(check, command)
        if check.remedy:
            show(harmless(f"  remedy: {check.remedy}"))
        show(harmless(f"  run it again: {command} {lab.name} {check.again}"))

    def _title(self, lab: LabResult, check: Check) -> str:
        return f"{lab.name}: {check.title}"

    def _by_hand(self, check: Check, command: str) -> None:
        """Show the commands by which a person sees the same."""
        if not (commands := check.by_hand):
            return
        self.console.line(harmless(f"  by hand, each in a terminal of its own ({page.login(command)}):"))
        width = max(map(len, commands))
        for host, typed in commands.items():
            for each in typed:
                self.console.line(harmless(f"    {host:{width}}  {each}"))
        self.console.line(f"    {'':{width}}  {LOOK}")


class OwnLines(Lines):
    """Shows a run on a person's own programs: one line per claim."""

    def done(self, lab: LabResult) -> None:
        """Show each program's claims, those that failed first, and what is worth knowing of how it was started."""
        for program in lab.own:
            self.console.line(harmless(f"{program.name} ({program.file})"))
            for remark in program.remarks[:SHOWN_REMARKS]:
                self.console.line(harmless(f"  note: {remark}"))
            if (more := len(program.remarks) - SHOWN_REMARKS) > 0:
                self.console.line(f"  note: {more} more in the report")
            for check in (check for kind in KINDS for check in program.of_kind(kind)):
                says, style = told(check)
                sanitized = " (built with sanitizers)" if check.program.endswith(SANITIZED) else ""
                why = f"  ({check.words})" if check.verdict == "skipped" else ""
                self.console.line(
                    "  ", (style, f"{says:10}"), harmless(f"  {check.kind:10}  {check.claim}{why}{sanitized}")
                )

    def _explain(self, lab: LabResult, check: Check, command: str) -> None:
        """Show one claim that did not pass; remarks only where no lesson failed, which is to be repaired first."""
        if check.counts or lab.verdict != "failed":
            super()._explain(lab, check, command)

    def _title(self, lab: LabResult, check: Check) -> str:
        return f"{told(check)[0]}, {check.kind}: {check.title}"

    def _sum(self, result: CheckResult) -> None:
        for lab in result.labs:
            for program in lab.own:
                self.console.line(harmless(f"{program.name} ({program.file}): {program.summary}"))
            if lab.verdict == "failed" and any(check.verdict == "failed" and not check.counts for check in lab.checks):
                self.console.line("Repair the lessons first; the report explains the remarks, too.")


def told(check: Check) -> tuple[str, str]:
    """A check's verdict as a person reads it, and its style: where a claim doesn't count, a failure is a remark."""
    if check.verdict == "failed":
        return ("FAILED", _STYLES["failed"]) if check.counts else ("remark", _STYLES["fault"])
    return VERDICTS[check.verdict], _STYLES[check.verdict]


def indented(words: str) -> str:
    """Words of several lines, deep enough that none of them looks like a line of ours."""
    return words.replace("\n", "\n      ")


def run(
    endpoints: Mapping[str, Endpoint],
    labs: Sequence[str],
    report_dir: Path,
    console: Console,
    *,
    command: str = "",
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
    command = command or commands.labroom("check")
    lines = OwnLines(console) if chosen.own else Lines(console)
    result = checks.run(endpoints, labs, report_dir, lines, chosen_checks=chosen, folder=folder)
    lines.finish(result, page.write(result, report_dir, command), command)
    return result
