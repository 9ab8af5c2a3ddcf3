"""The verbs about labs: list, check, play."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from labroom import commands, labs
from labroom.cli.parser import inventory, room_file
from labroom.console import Console, ConsoleProgress, harmless
from labroom.errors import RoomFault, UsageError
from labroom.resources import REPORTS

if TYPE_CHECKING:
    from labroom.checks.claims import Chosen
    from labroom.checks.own import Source
    from labroom.room import Room

# What drives programs takes half a second to import, rooms some of it; `list` needs neither.


def show(options: argparse.Namespace) -> int:
    """Show the labs."""
    console = Console(sys.stdout)
    if options.json:
        console.data([{"name": name, "title": title} for name, title in labs.titles().items()])
        return 0
    for name, title in labs.titles().items():
        console.line(f"{name:<16} {title}")
    return 0


def check(options: argparse.Namespace) -> int:
    """Drive labs across the room, or across machines that exist already; a person's own programs, if they are named."""
    from labroom.checks import run

    run.chosen(options.labs)
    if not options.own and (options.program or options.watch):
        raise UsageError("--as and --watch are about your own programs: they need --own PATH")
    if options.own and len(options.labs) != 1:
        again = commands.labroom("check", "LAB", *_words(options), room=options.room, inventory=options.inventory)
        raise UsageError("--own judges the programs of one lab: name it", again)
    return _watch(options) if options.watch else _check(options)


def _check(options: argparse.Namespace) -> int:
    from labroom.checks import run
    from labroom.checks.claims import Chosen
    from labroom.reports import seats

    chosen = Chosen(_own(options), options.words)
    if not (machines := inventory(options)):
        return check_room(room_file(options), options.labs, chosen, _words(options))
    console = Console(sys.stdout)
    return seats.check(machines, options.limit, run.chosen(options.labs), REPORTS, console, chosen, _words(options))


def _watch(options: argparse.Namespace) -> int:
    """Check again whenever something is saved; Ctrl+C ends it."""
    path, console = Path(options.own), Console(sys.stdout)
    if not path.exists():
        raise UsageError(f"{path}: No such file or directory", "--watch watches files of this machine")
    while True:
        seen = _saved(path)
        try:
            _check(options)
        except UsageError as error:  # it may be repaired by the next save
            console.line(harmless(f"labroom: {error}"))
        console.line(harmless(f"watching {path} (Ctrl+C ends)"))
        while _saved(path) == seen:
            time.sleep(0.1)  # between two looks
        console.line()


def _saved(path: Path) -> dict[Path, tuple[int, int]]:
    """The files at a path, when each was saved last (ns), and its size."""
    found = {}
    for file in path.rglob("*") if path.is_dir() else [path]:
        with suppress(OSError):  # an editor is about to replace it
            status = file.stat()
            found[file] = status.st_mtime_ns, status.st_size
    return found


def _own(options: argparse.Namespace) -> Mapping[str, Source]:
    """The person's programs that were named; none: ours are meant."""
    if not options.own:
        return {}
    from labroom.checks import own

    guest, colon, path = options.own.partition(":")
    if not colon or Path(options.own).exists() or "/" in guest:
        return own.find(Path(options.own), options.labs[0], options.program)
    if inventory(options):
        raise UsageError(f"{options.own}: on machines of an inventory, files are taken from this machine alone")
    from labroom import rooms

    endpoints = rooms.endpoints(rooms.running(room_file(options)))
    if guest not in endpoints:
        raise UsageError(f"there is no guest {guest!r}", f"the guests: {', '.join(endpoints)}")
    with tempfile.TemporaryDirectory() as folder:
        return own.find(own.fetch(endpoints[guest], path, Path(folder)), options.labs[0], options.program)


def _words(options: argparse.Namespace) -> list[str]:
    """The options that choose whose programs are checked."""
    words = ["--own", options.own] if options.own else []
    return [*words, "--as", options.program] if options.program else words


def check_room(file: Path, names: Sequence[str], chosen: Chosen | None = None, words: Sequence[str] = ()) -> int:
    """Drive labs, all if none is named, across the room of a file, and return the exit status.

    Args:
        file: the room file.
        names: of labs.
        chosen: which of the checks, and on whose programs; all on ours, if not given.
        words: the options of the command that chose the programs, for the command that checks them again.
    """
    from labroom import rooms
    from labroom.bad_link import GOOD, named
    from labroom.checks import run
    from labroom.checks.claims import ALL
    from labroom.reports import lines

    console = Console(sys.stdout)
    wanted = run.chosen(names)
    room = _with_parts(file)
    with suppress(RoomFault):  # which the checks will tell of
        for name, links in rooms.bad_links(room).items():
            for where, bad in named(links):
                if bad != GOOD:
                    repair = commands.labroom("link", name, "--clear", room=file, root=rooms.needs_root(room))
                    console.line(f"note: {name}'s link{where} is bad ({bad}): {repair}")
    left_out = labs.left_out(room.labs)
    if not (chosen and chosen.own) and (missing := [lab for lab in wanted if lab in left_out]):
        console.line(harmless(f"not in this room: {', '.join(missing)}"))
        wanted = [lab for lab in wanted if lab not in left_out]
    if not wanted:
        return 0
    with rooms.locked_for_labs(room, ConsoleProgress(console, Console(sys.stderr))):
        again = commands.labroom("check", *words, room=file)
        result = lines.run(rooms.endpoints(room), wanted, REPORTS, console, command=again, chosen=chosen or ALL)
        return result.status


def _with_parts(file: Path) -> Room:
    """The room of a file, which has to be up and to have guests that labs can be driven on.

    Raises:
        RoomFault: it isn't up, or has none.
    """
    from labroom import rooms
    from labroom.checks.inventory_hosts import PARTS

    room = rooms.running(file)
    if not room.guests.keys() & {*PARTS}:
        words = f"no lab can be driven in room {room.name}: none of its guests is named {', '.join(PARTS)}"
        raise RoomFault(words, f"name some so in {file}, then {rooms.bring_up(room, file)}")
    return room


def play(options: argparse.Namespace) -> int:
    """Run a lab for an audience."""
    from labroom import rooms
    from labroom.checks import run
    from labroom.reports import play, seats

    run.chosen([options.lab])
    console = Console(sys.stdout)
    if machines := inventory(options):
        return play.run(seats.one_seat(machines, options.limit, console), options.lab, REPORTS, console)
    room = _with_parts(room_file(options))
    if options.lab in labs.left_out(room.labs):
        raise UsageError(f"this room is without the lab {options.lab}", "its room file, the field labs")
    with rooms.locked_for_labs(room, ConsoleProgress(console, Console(sys.stderr))):
        return play.run(rooms.endpoints(room), options.lab, REPORTS, console)
