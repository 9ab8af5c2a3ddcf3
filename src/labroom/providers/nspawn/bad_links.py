"""Guests' links made bad from outside: at their ports of the room's bridges, where no guest can undo it.

The script that does it stays in the guest's folder, and its supervisor runs it again when the guest reboots
(`launcher`); it goes with the guest.
"""

import subprocess
from pathlib import Path

from labroom import bad_link
from labroom.bad_link import GOOD, BadLink, Place
from labroom.errors import MachineError
from labroom.processes import environment
from labroom.providers.nspawn import links
from labroom.room import Room

#: The name of the script in a guest's folder.
FILE = "link"
_SECONDS = 30.0
# In a guest's folder, and in the room's network: the new script, or again the one from before, where that is refused.
_MAKE = """
if sh ./link.new; then mv link.new link; exit 0; fi
[ -e link ] && sh ./link >/dev/null 2>&1
rm -f link.new; exit 1
"""


def script(room: Room, guest: str, link: BadLink) -> str:
    """The script that makes a guest's link as bad as that."""
    port = f"vb-{room.name}-{guest}"  # as systemd-nspawn names it (--network-bridge=)
    place = Place.bridge_port(port, str(room.networks.machine(room.guests[guest].link)))
    return bad_link.as_file(link, place.script(link))


def make(room: Room, guest: str, folder: Path, link: BadLink) -> None:
    """Make the link of a guest that runs as bad as that; once begun it is done, whatever becomes of this process.

    Args:
        room: the room.
        guest: the guest.
        folder: its own.
        link: how bad.

    Raises:
        MachineError: this machine can't; the link is as it was.
    """
    (folder / f"{FILE}.new").write_text(script(room, guest, link), encoding="utf-8")
    _run([*links.inside(room.name), "sh", "-c", _MAKE], folder)


def made(folder: Path) -> BadLink:
    """How bad the link of the guest of this folder was made."""
    try:
        return bad_link.from_file((folder / FILE).read_text(encoding="utf-8"))
    except OSError:
        return GOOD


def require(room: Room) -> None:
    """See that this machine can make links as bad as the room file wants them, in a network of nobody's.

    Raises:
        MachineError: it can't.
    """
    for link in {guest.bad_link for guest in room.guests.values()} - {GOOD}:
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
