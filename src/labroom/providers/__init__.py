"""What a provider is: a module that makes the hosts of a room exist and answer SSH, and vanish without a trace."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from labroom import state
from labroom.console import Progress
from labroom.endpoint import Endpoint
from labroom.room import Room

#: The modules of this package that are providers of rooms, the default first.
NAMES = ("nspawn", "docker")


@dataclass(frozen=True)
class Status:
    """What is known of one guest.

    Attributes:
        name: its name.
        up: whether it runs.
        seconds: since when.
        memory_bytes: what it holds.
        cpu_seconds: the processor time it has used.
        processes: how many it has.
    """

    name: str
    up: bool
    seconds: float
    memory_bytes: int
    cpu_seconds: float
    processes: int


class Provider(Protocol):
    """What a provider's module has. It provisions nothing.

    Attributes:
        NEEDS_ROOT: whether `up` and `down` are for root alone.
        NAME_SERVER: whom a room's gateway asks for names that are not the room's.
    """

    NEEDS_ROOT: bool
    NAME_SERVER: str

    def up(self, room: Room, file: Path, progress: Progress) -> dict[str, str]:
        """Make the room what room.yml says: start what is missing, replace what died, leave the rest alone.

        Args:
            room: the room.
            file: its room file, by which `labroom down` knows it again.
            progress: shows what is done.

        Returns:
            For each guest that was touched, what was done: "started", "replaced" or "removed".

        Raises:
            MachineError: the machine refuses.
            RoomFault: a guest doesn't boot.
        """

    def down(self, name: str, *, at_once: bool = False) -> bool:
        """Take a room down whatever state it is in, keeping its keys.

        Args:
            name: the room's.
            at_once: kill the guests, which may have been half started, instead of shutting them down.

        Returns:
            Whether there was anything of it.
        """

    def purge(self) -> None:
        """Remove the images that no room uses."""

    def exists(self, name: str) -> bool:
        """Whether the room of this name is up."""

    def status(self, room: Room) -> list[Status]:
        """What is known of each guest, in the order of room.yml."""

    def endpoints(self, room: Room) -> dict[str, Endpoint]:
        """Where each guest answers SSH."""


def record(name: str) -> Path:
    """The file that says, while a room is up, what it was made from: at least `provider` and `file`."""
    return state.ROOMS / name / "room.json"


def read_record(name: str) -> dict[str, Any]:
    """What a room was made from; empty if it is not up."""
    return state.read_json(record(name))


def of(name: str) -> Provider:
    """The provider that made the room of this name; the default one if it is not up."""
    return named(read_record(name).get("provider", NAMES[0]))


def named(name: str) -> Provider:
    """The provider of this name, one of `NAMES`."""
    from labroom.providers import (
        docker,
        nspawn,  # here, since a provider imports this module
    )

    return {"nspawn": nspawn, "docker": docker}[name]
