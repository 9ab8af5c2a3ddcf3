"""Rooms from Python: up, down, what runs; who owns a name, who waits for whom, and that half a room is of no use.

Nothing here prints. What takes long tells a `Progress`, which is silent unless it is given one that shows something.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from labroom import commands, keys, machine, providers, state
from labroom import room as room_file
from labroom.bad_link import BadLink
from labroom.console import Progress
from labroom.endpoint import Endpoint
from labroom.errors import LabroomError, MachineError, RoomFault
from labroom.providers import Status, record
from labroom.room import Link, Room

__all__ = [
    "Down",
    "Up",
    "down",
    "endpoints",
    "exists",
    "locked",
    "locked_for_labs",
    "own",
    "owned",
    "purge",
    "running",
    "status",
    "up",
]


@dataclass(frozen=True)
class Up:
    """What `up` has done.

    Attributes:
        room: the room, which is up.
        was_up: whether it was before.
        done: for each guest that was touched, what was done: "started", "replaced" or "removed".
        seconds: how long it took, waiting for others included.
    """

    room: Room
    was_up: bool
    done: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class Down:
    """What `down` has done with one room.

    Attributes:
        room_name: the room's name.
        was_there: whether there was anything of it.
        seconds: how long it took, waiting for others included.
        homes: the guests whose homes are kept and have something of somebody's.
    """

    room_name: str
    was_there: bool
    seconds: float
    homes: list[str]


def up(file: Path, *, provider: str | None = None, progress: Progress | None = None) -> Up:
    """Make the room what its file says: start what is missing, replace what died, leave the rest alone.

    A room that wasn't up before and can't be brought up, or whose `up` is interrupted, is taken down again.

    Args:
        file: the room file.
        provider: what makes the guests, one of `providers.NAMES`; by default what made them, or the first of these.
        progress: is told what is done.

    Raises:
        RoomFileError: the file is missing, unreadable or invalid.
        MachineError: this isn't root, where the provider needs it; the host machine lacks or refuses something; a room
            of that name is up from another file, in another folder of state, by another provider, or with other
            networks.
        RoomFault: a guest doesn't boot.
    """
    progress = progress or Progress()
    file = file.absolute()
    room = room_file.load(file)
    made_by = record.read(room.name).get("provider", providers.NAMES[0])
    makes = providers.named(provider or made_by)
    if makes.NEEDS_ROOT:
        machine.require_root("up", commands.labroom("up", *_provider(provider), room=file, root=True))
    started = time.monotonic()
    with state.locked(state.lock(room.name), f"brings room {room.name} up", tell=progress.waiting):
        record.claim(room.name, file, tuple(room.networks.subnets.values()))
        known = record.read(room.name)
        was_up = bool(known) and providers.named(made_by).exists(room.name)
        if was_up and known["file"] != str(file):
            raise MachineError(
                f"a room named {room.name} is up already, of {known['file']}",
                f"{_take_down_by_hand(known['file'], made_by)}, or another name in {file}",
            )
        if was_up and provider not in (None, made_by):
            again = commands.labroom("up", *_provider(provider), room=file, root=makes.NEEDS_ROOT)
            remedy = f"{_take_down_by_hand(file, made_by)} && {again}"
            raise MachineError(f"room {room.name} is up by {made_by}", remedy)
        progress.title(f"room {room.name}: {len(room.guests)} guests, by {file}")
        try:
            makes.prepare(room, file, progress)
            done = makes.up(room, file, progress)
        except BaseException:
            if not was_up:  # half a room is of no use to anybody
                try:
                    makes.down(room.name, at_once=True)
                finally:
                    if not record.read(room.name):
                        record.release(room.name)
            raise
    return Up(room, was_up, done, time.monotonic() - started)


def down(file: Path, *, progress: Progress | None = None) -> list[Down]:
    """Take down the room of this file, and every other that was made from it, whatever state they are in.

    The file need not be there any more, nor be valid, nor have the name that it had: rooms are known by their records.
    Their keys and logs stay, for the next `up`.

    Args:
        file: the room file.
        progress: is told what is done.

    Returns:
        What was done, for each room; also for the one that the file names and that wasn't up.

    Raises:
        RoomFileError: no room was made from this file, and it can't be read.
        MachineError: this isn't root, where a provider needs it; the room that the file names is another file's, or
            another folder of state's; the host machine refuses something.
    """
    names = owned(file.absolute())
    if any(providers.of(name).NEEDS_ROOT for name in names):
        machine.require_root("down", commands.labroom("down", room=file.absolute(), root=True))
    return [_take_down(name, progress or Progress()) for name in sorted(names)]


def purge(file: Path, *, progress: Progress | None = None) -> list[Down]:
    """Take down as `down` does, and remove the rooms' keys and logs, and all images that no room uses.

    Raises:
        RoomFileError: as `down`.
        MachineError: as `down`; or this isn't root.
    """
    names = owned(file.absolute())
    machine.require_root("down", commands.labroom("down", "--purge", room=file.absolute(), root=True))
    done = [_take_down(name, progress or Progress(), purged=True) for name in sorted(names)]
    for provider in providers.NAMES:
        providers.named(provider).purge()
    return done


def _take_down(name: str, progress: Progress, *, purged: bool = False) -> Down:
    started = time.monotonic()
    with locked(name, f"takes room {name} down", progress):
        made_by = providers.of(name)
        homes = [] if purged else made_by.homes_worked_in(name)
        there = made_by.down(name)
        record.release(name)
        if purged:
            for provider in map(providers.named, providers.NAMES):
                provider.remove_homes(name, provider.homes_kept(name))
            state.remove_tree(state.rooms() / name)
            for log in state.root().glob(f"{name}-*.log"):
                log.unlink()
    return Down(name, there, time.monotonic() - started, homes)


@contextmanager
def locked(name: str, what: str, progress: Progress | None = None) -> Iterator[None]:
    """Have a room for oneself.

    Args:
        name: the room's name.
        what: what is done with it, for others to read.
        progress: is told who has to be waited for.

    Raises:
        MachineError: a room of this name is kept in another folder of state.
    """
    with state.locked(state.lock(name), what, tell=(progress or Progress()).waiting):
        if (claim := record.claimed(name)) and claim.foreign():
            raise claim.refusal()
        yield


def own(file: Path, verb: str, *words: str) -> Room:
    """The room of this file, up or down, for a verb that changes it or reads all of it.

    Args:
        file: the room file.
        verb: the verb, which root alone may call if the room's provider needs that.
        words: what follows it.

    Raises:
        RoomFileError: the file is missing, unreadable or invalid.
        MachineError: this isn't root, or the room is that of another file.
    """
    file = file.absolute()
    room = room_file.load(file)
    made_by = providers.of(room.name)
    if made_by.NEEDS_ROOT:
        machine.require_root(verb, commands.labroom(verb, *words, room=file, root=True))
    owner = record.read(room.name).get("file", str(file))
    if owner != str(file):
        raise MachineError(f"room {room.name} is that of {owner}", commands.labroom(verb, *words, room=owner))
    return room


def owned(file: Path) -> set[str]:
    """The names of the rooms that were made from this file, and the one that it has now, if that is nobody else's."""
    # By the rooms' records first: room.yml may be gone, broken, or say another name by now.
    names = {name for name, known in record.every() if known.get("file") == str(file)}
    try:
        name = room_file.load(file).name
    except LabroomError:
        if not names:
            raise
        return names
    owner = record.read(name).get("file", str(file))
    if owner == str(file):
        return names | {name}
    if not names:
        made_by = record.read(name).get("provider", providers.NAMES[0])
        raise MachineError(f"room {name} is that of {owner}", _take_down_by_hand(owner, made_by))
    return names


def _provider(name: str | None) -> list[str]:
    return ["--provider", name] if name else []


def _take_down_by_hand(file: Path | str, made_by: str) -> str:
    """The command that takes a file's room down."""
    return commands.labroom("down", room=file, root=providers.named(made_by).NEEDS_ROOT)


def exists(room: Room) -> bool:
    """Whether the room is up."""
    return providers.of(room.name).exists(room.name)


def running(file: Path) -> Room:
    """The room of this file, which has to be up, and be reached.

    Raises:
        RoomFileError: the file is missing, unreadable or invalid.
        RoomFault: the room isn't up.
        MachineError: a firewall of this machine keeps it from the room.
    """
    room = room_file.load(file)
    if not exists(room):
        raise RoomFault(f"room {room.name} is not up", bring_up(room, file))
    require_way(room)
    return room


def require_way(room: Room) -> None:
    """See that this machine may call the guests of a room that is up.

    Raises:
        MachineError: a firewall of the machine's keeps it from them.
    """
    providers.of(room.name).require_way(room)


def needs_root(room: Room) -> bool:
    """Whether root alone may change the room."""
    return providers.of(room.name).NEEDS_ROOT


def made_by(room: Room) -> str:
    """The name of the provider that made the room, or would by default."""
    return str(record.read(room.name).get("provider", providers.NAMES[0]))


def status(room: Room) -> list[Status]:
    """What is known of each guest of a room that is up, in the order of room.yml."""
    return providers.of(room.name).status(room)


def bad_links(room: Room) -> dict[str, dict[Link, BadLink]]:
    """How bad each guest's links were made, by its name, in the order of room.yml, and then by network."""
    return providers.of(room.name).bad_links_of(room)


def make_links(room: Room, changed: Mapping[str, Mapping[Link, BadLink]], *, progress: Progress | None = None) -> None:
    """Make guests' links as bad as that, all of each; raises as `Provider.make_links`.

    Raises:
        MachineError: this isn't root, where the provider needs it.
    """
    provider = providers.of(room.name)
    with state.locked(
        state.lock(room.name), f"changes links of room {room.name}", tell=(progress or Progress()).waiting
    ):
        for name, links in changed.items():
            provider.make_links(room, name, links)


def endpoints(room: Room) -> dict[str, Endpoint]:
    """Where each guest of a room answers SSH, by its name."""
    known = record.read(room.name)
    found = providers.of(room.name).endpoints(room)
    if "file" not in known:
        return found
    file = Path(known["file"])
    remedy, provision = bring_up(room, file), commands.playbook("room.yml", file)
    return {name: replace(at, remedy=remedy, provision=provision) for name, at in found.items()}


def bring_up(room: Room, file: Path) -> str:
    """The command that brings a room up, by what made it before, or repairs it."""
    return commands.labroom("up", room=file.absolute(), root=providers.of(room.name).NEEDS_ROOT)


@contextmanager
def locked_for_labs(room: Room, progress: Progress | None = None) -> Iterator[None]:
    """Run labs in the room alone: two at once would fight for their ports.

    Args:
        room: the room.
        progress: is told who has to be waited for.
    """
    with state.locked(
        keys.check_lock(room.name), f"runs labs in room {room.name}", tell=(progress or Progress()).waiting
    ):
        yield
