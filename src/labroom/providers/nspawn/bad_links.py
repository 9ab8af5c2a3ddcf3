"""Guests' links made bad from outside: at their ports of the room's bridges, where no guest can undo it.

The script that does it to all links of a guest stays in the guest's folder, and its supervisor runs it again when the
guest reboots (`launcher`); it goes with the guest.
"""

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from labroom import bad_link
from labroom.bad_link import GOOD, BadLink, Place
from labroom.errors import MachineError
from labroom.processes import environment
from labroom.providers.nspawn import links
from labroom.room import Link, Room

#: The name of the script in a guest's folder.
FILE = "link"
_SECONDS = 30.0
# In a guest's folder, and in the room's network: the new script, or again the one from before, where that is refused.
_MAKE = """
if sh ./link.new; then mv link.new link; exit 0; fi
sh ./link >/dev/null 2>&1
rm -f link.new; exit 1
"""


def script(room: Room, guest: str, wanted: Mapping[Link, BadLink]) -> str:
    """The script that makes a guest's links as bad as that."""
    places = {}
    for link in wanted:
        first = link == room.guests[guest].link
        port = links.bridge_port(room.name, guest) if first else links.far_end(guest, f"{link}0")
        places[link] = Place.bridge_port(port, str(room.networks.machine(link)))
    return bad_link.as_file(places, wanted)


def make(room: Room, guest: str, folder: Path, wanted: Mapping[Link, BadLink]) -> None:
    """Make the links of a guest that runs as bad as that; once begun it is done, whatever becomes of this process.

    Args:
        room: the room.
        guest: the guest.
        folder: its own.
        wanted: how bad, each by its network.

    Raises:
        MachineError: this machine can't; they are as they were.
    """
    if not (folder / FILE).exists():
        (folder / FILE).write_text(script(room, guest, dict.fromkeys(wanted, GOOD)), encoding="utf-8")
    (folder / f"{FILE}.new").write_text(script(room, guest, wanted), encoding="utf-8")
    _run([*links.inside(room.name), "sh", "-c", _MAKE], folder)


def made(folder: Path, networks: Iterable[Link]) -> dict[Link, BadLink]:
    """How bad the links to these networks of the guest of this folder were made."""
    try:
        found = bad_link.from_file((folder / FILE).read_text(encoding="utf-8"))
    except OSError:
        found = {}
    return {link: found.get(link, GOOD) for link in networks}


def require(room: Room) -> None:
    """See that this machine can make links as bad as the room file wants them, in a network of nobody's.

    Raises:
        MachineError: it can't.
    """
    for link in {link for guest in room.guests.values() for link in guest.bad_links.values()} - {GOOD}:
        place = Place("required", "echo lo")
        _run(["unshare", "--net", "sh", "-c", place.script(link)], Path("/"))


def _run(command: list[str], folder: Path) -> None:
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=_SECONDS)
    except KeyboardInterrupt:
        process.communicate(timeout=_SECONDS)
        raise
    if process.returncode != 0:
        raise MachineError(*bad_link.refusal("this machine", said))
