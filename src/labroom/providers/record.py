"""The record of a room: the file that says, while a room is up, what it was made from.

It has `provider`, `file` (the room file) and `networks` (the room's subnets) at least; a provider adds what it has to
know again. It is written before anything else is made, so that `labroom down` knows a room whose `up` was killed, or
whose room file is gone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labroom import state

_NAME = "room.json"


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
