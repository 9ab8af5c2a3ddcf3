"""What the terminal shows of a lab room: who is there and plays what, and the run of the checks in each seat."""

from __future__ import annotations

import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labroom import commands, state
from labroom.checks import inventory_hosts
from labroom.checks.claims import ALL, Chosen
from labroom.checks.seats import side_by_side
from labroom.checks.verdicts import CheckResult
from labroom.console import Console, harmless
from labroom.endpoint import Endpoint
from labroom.errors import RoomFault, UsageError
from labroom.reports import lines


def check(
    inventory: str,
    limit: str | None,
    labs: Sequence[str],
    report_dir: Path,
    console: Console,
    chosen: Chosen = ALL,
    words: Sequence[str] = (),
) -> int:
    """Check labs in every seat, several seats side by side; show what was found, and who could not be asked.

    Args:
        inventory: as `inventory_hosts.read` takes it.
        limit: as `inventory_hosts.read` takes it.
        labs: names of labs.
        report_dir: the report of each seat is in the folder of its name.
        console: where it is shown.
        chosen: which of the checks, and on whose programs.
        words: the options of the command that chose the programs, for the command that checks them again.

    Returns:
        the exit status: 1 a lab failed, 3 none failed but a lab PC could not be reached or was at fault, else 0.

    Raises:
        LabroomError: of `inventory_hosts.read` and `lines.run`.
        KeyboardInterrupt: interrupted; nothing of the checks runs on the lab PCs any more.
    """
    room = inventory_hosts.read(inventory, limit)
    seated = {name: seat for seat, names in room.seats.items() for name in names}
    in_seats = "" if "" in room.seats else f" in {_count(len(room.seats), 'seat')}"
    console.line(f"{inventory}: {_count(len(seated), 'machine')}{in_seats}")
    missing = inventory_hosts.absent({name: room.lab_pcs[name] for name in seated})
    _tell_missing(console, "not there", missing, seated)
    casts = {seat: room.cast(seat, seated.keys() - missing.keys()) for seat in room.seats}
    for seat, cast in casts.items():
        parts = ", ".join(f"{part} {name}" for part, name in cast.items())
        console.line(harmless(f"{seat or 'parts'}: {parts or 'nobody is there'}"))
        if spare := [name for name in room.seats[seat] if name not in missing and name not in cast.values()]:
            console.line(harmless(f"  more than the labs need: {' '.join(spare)}"))
    console.line()

    def again(seat: str) -> str:
        return commands.labroom(
            "check", *words, inventory=inventory, limit=limit if len(casts) == 1 and limit else seat
        )

    results = _run(
        {
            seat: _Job(room.endpoints(cast), labs, report_dir / seat, again(seat), chosen)
            for seat, cast in casts.items()
            if cast
        },
        console,
    )
    if len(results) > 1 or missing:
        console.line()
    if len(results) > 1:
        for seat in casts:
            if seat in results:
                console.line(f"{seat}: {results[seat].summary}")
    _tell_missing(console, "not checked", missing, seated)
    statuses = {result.status for result in results.values()}
    return 1 if 1 in statuses else 3 if missing or 3 in statuses or not results else 0


def one_seat(inventory: str, limit: str | None, console: Console) -> dict[str, Endpoint]:
    """How the lab PCs of the one seat of an inventory are reached, by the part that each plays; shows who is missing.

    Raises:
        UsageError: of `inventory_hosts.read`, or there are several seats.
    """
    room = inventory_hosts.read(inventory, limit)
    if len(room.seats) > 1:
        first = shlex.quote(next(iter(room.seats)))
        raise UsageError(f"a play is for one seat, not {len(room.seats)}", f"--limit {first}")
    (seat,) = room.seats
    missing = inventory_hosts.absent({name: room.lab_pcs[name] for name in room.seats[seat]})
    _tell_missing(console, "not there", missing, dict.fromkeys(missing, seat))
    return room.endpoints(room.cast(seat, room.lab_pcs.keys() - missing.keys()))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _tell_missing(console: Console, what: str, missing: Mapping[str, RoomFault], seated: Mapping[str, str]) -> None:
    for name, reason in missing.items():
        console.line(harmless(f"{what}{seated[name] and ', ' + seated[name]}: {reason}"))
        if reason.remedy:
            console.line(harmless(f"  help: {reason.remedy}"))


@dataclass(frozen=True)
class _Job:
    """The checks of one seat: the arguments of `lines.run`."""

    endpoints: dict[str, Endpoint]
    labs: Sequence[str]
    report_dir: Path
    command: str
    chosen: Chosen

    def run(self, console: Console) -> CheckResult:
        lock, what = self.report_dir / "check.lock", f"runs labs on these machines: {self.command}"
        with state.locked(lock, what, tell=console.line):
            return lines.run(
                self.endpoints, self.labs, self.report_dir, console, command=self.command, chosen=self.chosen
            )

    def __call__(self) -> tuple[CheckResult, str]:
        """What was found, and what was shown of it."""
        out = io.StringIO()
        return self.run(Console(out)), out.getvalue()


def _run(jobs: Mapping[str, _Job], console: Console) -> dict[str, CheckResult]:
    """Run the jobs: several side by side, each in a process of its own; one alone in this one, with its progress."""
    if len(jobs) == 1:
        return {seat: job.run(console) for seat, job in jobs.items()}

    def done(seat: str, found: tuple[CheckResult, str]) -> None:
        for line in [seat, *found[1].split("\n")]:
            console.line(line)

    def running(seats: Sequence[str], seconds: float) -> None:
        console.line(f"  {', '.join(seats)}: {seconds:.0f} s so far")

    return {seat: result for seat, (result, _) in side_by_side(jobs, done, running).items()}
