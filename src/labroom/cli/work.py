"""The verbs for what students make: reset, backup, restore, copy."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from labroom import commands, homes, machine, rooms
from labroom.cli import hosts
from labroom.cli.parser import room_file
from labroom.console import Console, ConsoleProgress, harmless
from labroom.endpoint import Endpoint
from labroom.errors import RoomFault, UsageError
from labroom.processes import environment

_ALL = "all"  # no guest can have this name
_NO_CONNECTION = 255  # scp's exit status, as ssh's
_SAID_BYTES = 4096  # of what it complains of


def agree_to_lose(guests: Sequence[str], options: argparse.Namespace, instead: str = "") -> None:
    """Ask whether what was written in homes may be lost, if there is such and `--yes` does not say so.

    Raises:
        UsageError: there is nobody to ask.
        KeyboardInterrupt: it may not.
    """
    if not guests or options.yes:
        return
    console = Console(sys.stdout)
    what = f"the work in the homes of {', '.join(guests)} would be lost"
    if not sys.stdin.isatty():
        save = commands.labroom("backup", "FILE", room=room_file(options))
        raise UsageError(f"{what}, and there is nobody to ask", f"save it: {save}; or say --yes")
    console.line(f"{what}{instead}. Go on? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise KeyboardInterrupt


def reset(options: argparse.Namespace) -> int:
    """Make guests new, and their homes if that is asked for."""
    console = Console(sys.stdout)
    file = room_file(options)
    if options.home:
        room = rooms.own(file, "reset", "--home", *options.guests)
        agree_to_lose(homes.worked_in(room.name, options.guests or room.guests), options)
    progress = ConsoleProgress(console, Console(sys.stderr))
    done = homes.reset(file, options.guests, homes=options.home, progress=progress)
    if done:
        console.line(f"new: {' '.join(done)}")
    if options.home:
        console.line("their homes, too" if done else "the homes will be new")
    return 0


def backup(options: argparse.Namespace) -> int:
    """Write the homes of the room to an archive."""
    console = Console(sys.stdout)
    target = Path(options.file)
    progress = ConsoleProgress(console, Console(sys.stderr))
    done = homes.backup(room_file(options), target, options.guests, progress=progress)
    for name in done.changing:
        console.line(f"note: files of {name} changed while they were read, and may be half old and half new")
    console.line(f"{options.file}: the homes of {' '.join(done.guests)}, {done.size / 2**20:.1f} MiB")
    return 0


def restore(options: argparse.Namespace) -> int:
    """Put the homes of an archive in the place of those that there are."""
    console = Console(sys.stdout)
    file, source = room_file(options), Path(options.file)
    room = rooms.own(file, "restore", options.file, *options.guests)
    found = homes.in_archive(source, room, file, options.guests)
    agree_to_lose(homes.worked_in(room.name, found), options, f": that in {options.file} comes in its place")
    progress = ConsoleProgress(console, Console(sys.stderr))
    done = homes.restore(file, source, options.guests, progress=progress)
    console.line(f"restored: the homes of {' '.join(done)}")
    return 0


def copy(options: argparse.Namespace) -> int:
    """Copy files and folders from a guest or to guests, by scp(1)."""
    *sources, target = options.paths
    known = hosts.endpoints(options)
    to, place = _split(target, known, everybody=True)
    from_ = {_split(source, known)[0] for source in sources}
    if len(from_) > 1 or bool(to) == bool(from_ - {""}):
        raise UsageError("one side has to be on a guest, as GUEST:PATH, and the other here")
    if not to:
        (guest,) = from_
        _copy(known[guest], [_remote(_split(source, known)[1]) for source in sources], _local(target), loud=True)
        return 0
    here = [_local(source) for source in sources]
    for source, file in zip(sources, here, strict=True):
        if not os.path.lexists(file):
            raise UsageError(f"there is no {source}")
    wanted = list(known) if to == _ALL else [to]
    with ThreadPoolExecutor(max(1, len(wanted))) as pool:
        copies = {name: pool.submit(_copy, known[name], here, _remote(place), loud=len(wanted) == 1) for name in wanted}
    failed = {name: error for name, done in copies.items() if (error := done.exception())}
    if to == _ALL:
        console = Console(sys.stdout)
        for name in wanted:
            console.line(f"{name}: {failed.get(name, 'copied')}")
    for error in failed.values():
        raise error
    return 0


def _split(path: str, known: dict[str, Endpoint], *, everybody: bool = False) -> tuple[str, str]:
    """The guest that a path is on, and the path there; no guest for a path here, such as ./a:b."""
    guest, colon, there = path.partition(":")
    if not colon or "/" in guest:
        return "", path
    if guest not in known and not (everybody and guest == _ALL):
        others = f"the guests: {', '.join(known)}; a file here of this name is ./{path}"
        raise UsageError(f"there is no guest {guest!r}", others)
    return guest, there


def _local(path: str) -> str:
    """A path here, as scp can take for nothing else."""
    return path if path.startswith("/") else f"./{path}"


def _remote(path: str) -> str:
    return f"guest:{path}"


def _copy(at: Endpoint, sources: list[str], target: str, *, loud: bool) -> None:
    """Copy by OpenSSH's client, over SFTP: names need no quotes there, whatever is in them.

    Raises:
        RoomFault: not all of it was copied.
    """
    options = [*at.ssh_options(), ("HostName", at.ssh_host), ("Port", str(at.ssh_port)), ("User", at.user)]
    argv = machine.as_caller("scp", "-F", "none", "-s", "-r", "-p", *([] if loud else ["-q"]))
    argv += [*(f"-o{name}={value}" for name, value in (*options, ("LogLevel", "ERROR"))), "--", *sources, target]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment()) as copying:
        assert copying.stderr  # noqa: S101 (it was asked for)
        complaints = copying.stderr.read(_SAID_BYTES)
        while copying.stderr.read(1 << 16):  # a guest may complain without end
            pass
    if copying.returncode != 0:
        said = complaints.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        raise RoomFault(
            f"not all was copied: {harmless(said[0])}", at.remedy if copying.returncode == _NO_CONNECTION else ""
        )
