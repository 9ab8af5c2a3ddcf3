"""The verbs about labs: list, check, play."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labroom import labs
from labroom.cli.parser import inventory, room_file
from labroom.console import Console, ConsoleProgress
from labroom.errors import UsageError
from labroom.resources import REPORTS

if TYPE_CHECKING:
    from labroom.checks.claims import Chosen
    from labroom.checks.own import Source

# What drives programs takes half a second to import, rooms some of it; `list` needs neither.


def show(options: argparse.Namespace) -> int:
    """Show the labs."""
    console = Console(sys.stdout)
    for name, title in labs.titles().items():
        console.line(f"{name:<16} {title}")
    return 0


def check(options: argparse.Namespace) -> int:
    """Drive labs across the room, or across machines that exist already."""
    from labroom.checks import run
    from labroom.checks.claims import Chosen
    from labroom.reports import seats

    run.chosen(options.labs)
    chosen = Chosen(_own(options), options.words)
    if not (machines := inventory(options)):
        return check_room(room_file(options), options.labs, chosen, _command(options))
    return seats.check(machines, options.limit, run.chosen(options.labs), REPORTS, Console(sys.stdout), chosen)


def _own(options: argparse.Namespace) -> Mapping[str, Source]:
    """The person's programs that were named; none: ours are meant."""
    if not options.own:
        if options.program:
            raise UsageError("--as says which program a file is: it needs --own FILE")
        return {}
    if len(options.labs) != 1:
        raise UsageError("--own judges the programs of one lab: name it", "labroom check LAB --own FOLDER")
    from labroom.checks import own

    return own.find(Path(options.own), options.labs[0], options.program)


def _command(options: argparse.Namespace) -> str:
    """The command that checks the same again, without the names of labs and what else narrows it."""
    words = ["./labroom", *(["--room", str(options.room)] if options.room else []), "check"]
    words += ["--own", options.own] if options.own else []
    words += ["--as", options.program] if options.program else []
    return shlex.join(words)


def check_room(file: Path, names: Sequence[str], chosen: Chosen | None = None, command: str = "") -> int:
    """Drive labs, all if none is named, across the room of a file, and return the exit status.

    Args:
        file: the room file.
        names: of labs.
        chosen: which of the checks, and on whose programs; all on ours, if not given.
        command: that does this, to be named where something is to be checked again.
    """
    from labroom import rooms
    from labroom.checks import run
    from labroom.checks.claims import ALL
    from labroom.reports import lines

    console = Console(sys.stdout)
    labs = run.chosen(names)
    room = rooms.running(file)
    with rooms.locked_for_labs(room, ConsoleProgress(console, Console(sys.stderr))):
        result = lines.run(
            rooms.endpoints(room), labs, REPORTS, console, command=command or lines.COMMAND, chosen=chosen or ALL
        )
        return result.status


def play(options: argparse.Namespace) -> int:
    """Run a lab for an audience."""
    from labroom import rooms
    from labroom.checks import run
    from labroom.reports import play, seats

    run.chosen([options.lab])
    console = Console(sys.stdout)
    if machines := inventory(options):
        return play.run(seats.one_seat(machines, options.limit, console), options.lab, REPORTS, console)
    room = rooms.running(room_file(options))
    with rooms.locked_for_labs(room, ConsoleProgress(console, Console(sys.stderr))):
        return play.run(rooms.endpoints(room), options.lab, REPORTS, console)
