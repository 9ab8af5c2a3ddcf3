"""The record of a room: the file that says, while a room is up, what it was made from.

It has `provider`, `file` (the room file) and `networks` (the room's subnets) at least; a provider adds what it has to
know again. It is written before anything else is made, so that `labroom down` knows a room whose `up` was killed, or
whose room file is gone.

Interfaces and control groups have the names of rooms, and a machine has them once, however many folders of state
(LABROOM_STATE_DIR) it has. So root claims a room's name on the machine before it brings the room up: a file says whose
it is. A claim holds as long as the room has a record, or is just being brought up; none outlives a boot.
"""

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from labroom import commands, state
from labroom.errors import MachineError

_NAME = "room.json"
_CLAIMS = Path("/run/labroom")  # empty after a boot (file-hierarchy(7))


def path(room_name: str) -> Path:
    """Where the record of the room of this name is."""
    return state.rooms() / room_name / _NAME


def read(room_name: str) -> dict[str, Any]:
    """What the room of this name was made from; empty if it is not up."""
    return state.read_json(path(room_name))


def write(room_name: str, data: dict[str, Any]) -> None:
    """Write the record of a room, whose folder is there."""
    state.write_json(path(room_name), data)


def every() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and record of every room that is up."""
    for file in sorted(state.rooms().glob(f"*/{_NAME}")):
        yield file.parent.name, state.read_json(file)


def _claim_file(room_name: str) -> Path:
    return _CLAIMS / f"{room_name}.json"


@dataclass(frozen=True)
class Claim:
    """Whose room a name of this machine is.

    Attributes:
        room_name: the name.
        state: the folder of state in which the room is kept.
        file: its room file.
        networks: its subnets.
    """

    room_name: str
    state: Path
    file: str
    networks: tuple[IPv4Network, ...]

    def foreign(self) -> bool:
        """Whether the room is kept in another folder of state."""
        return self.state != state.root().resolve()

    def down(self) -> str:
        """The command that takes it down."""
        where = f"LABROOM_STATE_DIR={shlex.quote(str(self.state))} " if self.foreign() else ""
        return where + commands.labroom("down", room=self.file)

    def refusal(self, remedy: str = "") -> MachineError:
        """The error of who wants the name for something else."""
        kept = f", kept in {self.state}" if self.foreign() else ""
        words = f"a room named {self.room_name} is up already, of {self.file}{kept}"
        return MachineError(words, self.down() + remedy)


def claim(room_name: str, file: Path, networks: tuple[IPv4Network, ...]) -> None:
    """Claim a room's name on this machine, where root does.

    Raises:
        MachineError: it is that of another room, of another file or another folder of state.
    """
    if os.geteuid() != 0 or not _CLAIMS.parent.is_dir():  # Docker's, whose engine may even be another machine's
        return
    with state.locked(_CLAIMS / "lock", "claims a room's name"):
        found = claimed(room_name)
        if found and (found.foreign() or found.file != str(file)):
            raise found.refusal(f", or another name in {file}")
        data = {
            "state": str(state.root().resolve()),
            "file": str(file),
            "networks": [str(subnet) for subnet in networks],
        }
        state.write_json(_claim_file(room_name), data)


def release(room_name: str) -> None:
    """Give up a claim, if it is of this folder of state: the room is gone."""
    if state.read_json(_claim_file(room_name)).get("state") == str(state.root().resolve()):
        _claim_file(room_name).unlink(missing_ok=True)


def claimed(room_name: str) -> Claim | None:
    """Whose room the name is on this machine; None if it is nobody's."""
    known = state.read_json(_claim_file(room_name))
    try:
        networks = tuple(IPv4Network(subnet) for subnet in known["networks"])
        found = Claim(room_name, Path(known["state"]), known["file"], networks)
    except (KeyError, ValueError):  # there is none
        return None
    there = (found.state / "rooms" / room_name / _NAME).exists()
    return found if there or (found.foreign() and state.is_locked(found.state / "locks" / room_name)) else None


def claims() -> list[Claim]:
    """The claims on this machine, of every folder of state."""
    found = (claimed(file.stem) for file in sorted(_CLAIMS.glob("*.json")))
    return [each for each in found if each]


def others(room_name: str) -> list[Claim]:
    """The other rooms of this machine that are up, those without a claim, too, as containers may be."""
    here = state.root().resolve()
    found = {
        name: Claim(name, here, str(known["file"]), tuple(IPv4Network(subnet) for subnet in known["networks"]))
        for name, known in every()
        if {"file", "networks"} <= known.keys()
    }
    found |= {each.room_name: each for each in claims()}
    return [each for name, each in found.items() if name != room_name]
