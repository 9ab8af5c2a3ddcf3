"""What a provider is: a module that makes the hosts of a room exist and answer SSH, and vanish without a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the parser of the command line knows the names of providers, and should start at once
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from labroom.bad_link import BadLink
    from labroom.console import Progress
    from labroom.endpoint import Endpoint
    from labroom.room import Link, Room


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
        writable: whether what is written in its home still reaches its disk.
    """

    name: str
    up: bool
    seconds: float
    memory_bytes: int
    cpu_seconds: float
    processes: int
    writable: bool = True


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

    def renew(self, room: Room, file: Path, names: Iterable[str], change: Callable[[], object]) -> None:
        """Make guests of a room that is up anew, at once, whatever is in them but their homes.

        Args:
            room: the room.
            file: its room file.
            names: the guests; the others are left alone.
            change: is called while these guests are gone.

        Raises:
            MachineError: the host machine refuses, or the room that runs has other networks.
            RoomFault: a guest doesn't boot.
        """

    def homes_kept(self, room_name: str) -> list[str]:
        """The guests whose homes are kept, whether the room still has them or not."""

    def homes_worked_in(self, room_name: str) -> list[str]:
        """Those among them in whose homes there is a file that the image has not."""

    def remove_homes(self, room_name: str, names: Iterable[str]) -> None:
        """Remove homes of guests that don't run."""

    def pack_home(self, room_name: str, name: str, take: Callable[[bytes], object]) -> bool:
        """Give away a home as a tar archive, whose members are below the guest's name, and which ends with 1024 zeros.

        Args:
            room_name: the room, which may be up or down.
            name: the guest.
            take: is called with one piece of the archive after another.

        Returns:
            Whether no file changed while it was read. Such a file has of both, what was there and what is.

        Raises:
            RoomFault: it can't be read.
        """

    def unpack_home(self, room: Room, name: str, archive: Iterable[bytes]) -> None:
        """Make a home of an archive such as `pack_home` gives away: whole, and not yet in its place (`put_homes`).

        Args:
            room: the room, which may be up or down.
            name: the guest, which may run.
            archive: the pieces of the archive.

        Raises:
            MachineError: the host machine refuses.
            RoomFault: not all of it could be written.
        """

    def put_homes(self, room_name: str, names: Iterable[str]) -> None:
        """Put homes that were unpacked in the place of those that there are; none of the guests runs."""

    def remove_half_homes(self, room_name: str) -> None:
        """Remove what was unpacked and not put in its place."""

    def exists(self, room_name: str) -> bool:
        """Whether the room of this name is up."""

    def require_way(self, room: Room) -> None:
        """See that this machine may call the guests of a room that is up.

        Raises:
            MachineError: a firewall of the machine's keeps it from them.
        """

    def status(self, room: Room) -> list[Status]:
        """What is known of each guest, in the order of room.yml."""

    def bad_links_of(self, room: Room) -> dict[str, dict[Link, BadLink]]:
        """How bad each guest's links were made, by its name, in the order of room.yml, and then by network.

        Raises:
            RoomFault: a guest doesn't answer.
        """

    def make_links(self, room: Room, name: str, wanted: Mapping[Link, BadLink]) -> None:
        """Make a guest's links as bad as that, and no worse, whatever they were; in no case one is left half made.

        Args:
            room: the room.
            name: the guest's.
            wanted: how bad, for each of its networks.

        Raises:
            MachineError: the host machine can't; the links are as they were.
            RoomFault: the guest can't, or doesn't run.
        """

    def endpoints(self, room: Room) -> dict[str, Endpoint]:
        """Where each guest answers SSH."""
