"""What a provider is: a module that makes the hosts of a room exist and answer SSH, and vanish without a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the parser of the command line knows the names of providers, and should start at once
    from pathlib import Path

    from labroom.bad_link import BadLink
    from labroom.console import Progress
    from labroom.endpoint import Endpoint
    from labroom.room import Room


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
    """What a provider's module has.

    `prepare` creates what guests are made of, which is where the roles run; `up` makes guests of it and provisions
    nothing.

    Attributes:
        NEEDS_ROOT: whether `prepare`, `up` and `down` are for root alone.
        NAME_SERVER: whom a room's gateway asks for names that are not the room's.
    """

    NEEDS_ROOT: bool
    NAME_SERVER: str

    def prepare(self, room: Room, file: Path, progress: Progress) -> None:
        """Create what the room's guests are made of, as far as it is missing, and see that the host machine can run it.

        Args:
            room: the room.
            file: its room file, by which `down` knows it again.
            progress: is told what is done.

        Raises:
            MachineError: the host machine lacks or refuses something, or the room that runs has other networks.
        """

    def up(self, room: Room, file: Path, progress: Progress) -> dict[str, str]:
        """Make the room what room.yml says: start what is missing, replace what died, leave the rest alone.

        What `prepare` creates has to be there.

        Args:
            room: the room.
            file: its room file, by which `down` knows it again.
            progress: is told what is done.

        Returns:
            For each guest that was touched, what was done: "started", "replaced" or "removed".

        Raises:
            MachineError: the host machine refuses.
            RoomFault: a guest doesn't boot.
        """

    def down(self, room_name: str, *, at_once: bool = False) -> bool:
        """Take a room down whatever state it is in, keeping its keys.

        Args:
            room_name: the room's name.
            at_once: kill the guests, which may have been half started, instead of shutting them down.

        Returns:
            Whether there was anything of it.
        """

    def purge(self) -> None:
        """Remove the images that no room uses."""

    def exists(self, room_name: str) -> bool:
        """Whether the room of this name is up."""

    def status(self, room: Room) -> list[Status]:
        """What is known of each guest, in the order of room.yml."""

    def bad_links_of(self, room: Room) -> dict[str, BadLink]:
        """How bad each guest's link was made, in the order of room.yml.

        Raises:
            RoomFault: a guest doesn't answer.
        """

    def make_link(self, room: Room, name: str, link: BadLink) -> None:
        """Make a guest's link as bad as that, and no worse, whatever it was; in no case it is left half made.

        Args:
            room: the room.
            name: the guest's.
            link: how bad.

        Raises:
            MachineError: the host machine can't; the link is as it was.
            RoomFault: the guest can't, or doesn't run.
        """

    def endpoints(self, room: Room) -> dict[str, Endpoint]:
        """Where each guest answers SSH."""
