"""The verbs about labs: list, check, play."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from labroom import labs
from labroom.cli.parser import inventory, room_file
from labroom.console import Console, ConsoleProgress
from labroom.resources import REPORTS

# What drives programs takes half a second to import, rooms some of it; `list` needs neither.


def show(options: argparse.Namespace) -> int:
    """Show the labs."""
    console = Console(sys.stdout)
    for name, title in labs.titles().items():
        console.line(f"{name:<16} {title}")
    return 0


def check(options: argparse.Namespace) -> int:
    """Drive labs across the room, or across machines that exist already."""
    if not (machines := inventory(options)):
        return check_room(room_file(options), options.labs)
    from labroom.checks import run
    from labroom.reports import seats

    return seats.check(machines, options.limit, run.chosen(options.labs), REPORTS, Console(sys.stdout))


def check_room(file: Path, names: Sequence[str]) -> int:
    """Drive labs, all if none is named, across the room of a file, and return the exit status."""
    from labroom import rooms
    from labroom.checks import run
    from labroom.reports import lines

    console = Console(sys.stdout)
    chosen = run.chosen(names)
    room = rooms.running(file)
    with rooms.locked_for_labs(room, ConsoleProgress(console, Console(sys.stderr))):
        return lines.run(rooms.endpoints(room), chosen, REPORTS, console).status


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
