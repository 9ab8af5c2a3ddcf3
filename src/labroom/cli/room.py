"""The verbs that create a room, take it down and look at it: new, up, down, status, doctor."""

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from labroom import commands, homes, machine, new_room, room, rooms
from labroom.bad_link import GOOD, BadLink, named
from labroom.cli import labs
from labroom.cli.parser import room_file
from labroom.cli.work import agree_to_lose
from labroom.console import Console, ConsoleProgress, harmless
from labroom.errors import MachineError, RoomFault
from labroom.providers import nspawn
from labroom.reports import data
from labroom.reports import graph as pictures
from labroom.room import Link


def up(options: argparse.Namespace) -> int:
    """Create the room, or repair it; then drive the labs, if that is asked for."""
    console = Console(sys.stdout)
    progress = ConsoleProgress(console, Console(sys.stderr))
    file = room_file(options)
    result = rooms.up(file, provider=options.provider, progress=progress)
    if result.was_up:
        for guest, what in result.done.items():
            console.line(f"  {guest} {what}")
    console.line(f"up: {progress.longest()}" if result.done else f"all in order after {result.seconds:.1f} s")
    status = 0
    if options.check:
        status = labs.check_room(file, [])
    elif result.room.image.provisioned:
        console.line(harmless(f"drive the labs:  {commands.labroom('check', room=file)}"))
    else:
        console.line(harmless(f"provision it:    {commands.playbook('room.yml', file)}"))
    guest = "server" if "server" in result.room.guests else next(iter(result.room.guests))
    console.line(harmless(f"log in:          {commands.labroom('ssh', guest, room=file)}"))
    console.line(harmless(f"look:            {commands.labroom('status', room=file)}"))
    console.line(harmless(f"take it down:    {commands.labroom('down', room=file)}"))
    return status


def down(options: argparse.Namespace) -> int:
    """Take the room down, and remove images and keys too if that is asked for."""
    console = Console(sys.stdout)
    file = room_file(options)
    if options.purge:
        work = sorted({guest for name in rooms.owned(file) for guest in homes.worked_in(name)})
        agree_to_lose(work, options)
    remove = rooms.purge if options.purge else rooms.down
    for result in remove(file, progress=ConsoleProgress(console, Console(sys.stderr))):
        took = f"down after {result.seconds:.1f} s" if result.was_there else "was not up"
        console.line(f"room {result.room_name}: {took}")
        if result.homes:
            console.line(f"homes are kept: {' '.join(result.homes)}")
    if options.purge:
        console.line("images, keys and homes removed")
    return 0


def status(options: argparse.Namespace) -> int:
    """Show the guests, their addresses and the forwarded ports."""
    console = Console(sys.stdout)
    file = room_file(options)
    shown = room.load(file)
    up = rooms.exists(shown)
    bad: dict[str, dict[Link, BadLink]] = {}
    with suppress(RoomFault):  # a guest that doesn't answer
        bad = rooms.bad_links(shown) if up else {}
    if options.json:
        links = {name: {to: link.said() for to, link in own.items()} for name, own in bad.items()}
        console.data(data.status(shown, str(file), rooms.status(shown) if up else None, rooms.made_by(shown), links))
        if up:
            rooms.require_way(shown)
        return 0
    if not up:
        console.line(f"room {shown.name} is not up: {rooms.bring_up(shown, file)}")
        return 0
    console.line(f"room {shown.name}, domain {shown.domain}, internet {'on' if shown.internet else 'off'}")
    console.line()
    console.line(f"{'GUEST':<12} {'ADDRESS':<16} {'STATE':<6} {'UP':>8} {'MEMORY':>9} {'CPU':>8} {'PROCESSES':>10}")
    for guest in rooms.status(shown):
        first, *more = map(str, shown.guests[guest.name].addresses.values())
        line = f"{guest.name:<12} {first:<16} {'up' if guest.up else 'DOWN':<6}"
        if guest.up:
            minutes, seconds = divmod(int(guest.seconds), 60)
            age = f"{minutes // 60}h{minutes % 60:02}m" if minutes >= 60 else f"{minutes}m{seconds:02}s"
            line += f" {age:>8} {guest.memory_bytes / 2**20:5.1f} MiB {guest.cpu_seconds:6.2f} s {guest.processes:>10}"
        console.line(line)
        for address in more:
            console.line(f"{'':<12} {address}")
        if not guest.writable:
            console.line(f"{'':<12} its home can only be read: {rooms.bring_up(shown, file)}")
        for where, link in named(bad.get(guest.name, {})):
            if link != GOOD:
                console.line(f"{'':<12} its link{where}: {link}")
    for name in shown.gateways:
        if ports := shown.forwards(name):
            by = "the gateway" if len(shown.gateways) == 1 else name
            console.line()
            console.line(f"forwarded by {by}, {shown.far_address(name)}:")
            for forward in ports:
                console.line(f"  {forward.port:>5} -> {forward.guest}:{forward.target}")
    rooms.require_way(shown)
    return 0


def new(options: argparse.Namespace) -> int:
    """Write a room file to begin with."""
    console = Console(sys.stdout)
    file: Path = (options.file or Path(f"{options.name}.yml")).absolute()
    written = new_room.write(options.name, file)
    networks = ", ".join(f"{link} {subnet}" for link, subnet in written.networks.subnets.items())
    console.line(harmless(f"{commands.shown(file)}: room {written.name}, {networks}"))
    console.line(harmless(f"describe it:     edit {commands.shown(file)}, by docs/room.md"))
    console.line(harmless(f"bring it up:     {commands.labroom('up', room=file, root=True)}"))
    return 0


def graph(options: argparse.Namespace) -> int:
    """Draw the room, be it up or not."""
    shown = room.load(room_file(options))
    Console(sys.stdout).document(pictures.svg(shown) if options.format == "svg" else pictures.mermaid(shown))
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Show what this machine lacks for a room."""
    console = Console(sys.stdout)
    findings = nspawn.examine(room.load(room_file(options)))
    for finding in findings:
        remedy = "" if finding.ok else f": {finding.remedy}"
        console.line(f"{'ok ' if finding.ok else 'NO '} {finding.what}{remedy}")
    lacking = sum(not finding.ok for finding in findings)
    if lacking:
        raise MachineError(
            f"this machine lacks {lacking} of {len(findings)} things",
            f"what apt-get has is installed by itself: {commands.labroom('up', room=room_file(options), root=True)}",
        )
    console.line("this machine can run a room")
    if not Path(machine.tool("molecule")).exists():
        console.line(
            f"molecule, for tests of the roles, comes with: {commands.labroom('test', 'tests/unit/test_roles.py')}"
        )
    return 0
