"""What tells a room's guests from others of the same image, whatever makes them: the way to each other, and a greeting.

All of it is root's, outside of homes: what a student keeps there stays as it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labroom import handouts, keys
from labroom.room import Guest, Room


@dataclass(frozen=True)
class GuestFile:
    """A file of a guest.

    Attributes:
        path: where it lies, from the guest's root: without a slash at its beginning.
        text: what is in it.
        students: whether it is the student's, who alone may read it; else root's, for everybody to read.
    """

    path: str
    text: str
    students: bool = False


def of(room: Room, names: Iterable[str]) -> dict[str, list[GuestFile]]:
    """The files of each of these guests, whose image has the roles; the host keys of all guests are known by now."""
    private = keys.inside(room.name)
    alike = [
        GuestFile("etc/ssh/ssh_known_hosts", keys.known_hosts(room.name).read_text(encoding="utf-8")),
        GuestFile(f"etc/ssh/authorized_keys/{keys.STUDENT}", f"{keys.public(private)}\n"),
        GuestFile("etc/ssh/inside_ed25519", private.read_text(encoding="utf-8"), students=True),
        *(GuestFile(f"opt/labs/{path}", text) for path, text in handouts.rendered(room).items()),
    ]
    return {
        name: [
            GuestFile("etc/motd", _greeting(room, name)),
            GuestFile("etc/ssh/ssh_config.d/labroom.conf", "".join(_ways(room, room.guests[name]))),
            *alike,
        ]
        for name in names
    }


def _greeting(room: Room, name: str) -> str:
    guest = room.guests[name]
    addresses = " and ".join(str(address) for address in (guest.private, guest.outside) if address)
    others = [other for other in room.guests if other != name]
    lines = [f"This is {name} of the room {room.name}: {addresses} ({name}.{room.domain})", ""]
    if room.labs != ():
        lines.append("labs      /opt/labs, each with its handout: README.md, README.ko.md")
    if others:
        more = " …" if len(others) > len(others[:8]) else ""
        lines.append(f"guests    {' '.join(others[:8])}{more}; ssh GUEST, scp FILE GUEST:")
    lines.append("root      sudo COMMAND, sudo -i" if room.sudo else "root      nobody here: there is no sudo")
    lines.append("internet  sudo apt-get update; sudo apt-get install PACKAGE" if room.internet else "internet  none")
    return "".join(f"{line}\n" for line in lines)


def _ways(room: Room, guest: Guest) -> Iterator[str]:
    """How ssh reaches each guest of the room from this one (ssh_config(5)), as far as the network lets it."""
    yield "# The guests of this room, by the room's own key where the account has none that opens them.\n"
    forwarded = {forward.guest: forward.port for forward in room.forwarded_ports if forward.target == 22}
    for name, other in room.guests.items():
        address, port = (other.private if guest.private else None) or other.outside, 22
        if address is None and room.gateway and name in forwarded:
            address, port = room.gateway.outside, forwarded[name]
        if address:
            yield f"Host {name} {name}.{room.domain}\n    HostName {address}\n    Port {port}\n"
    names = [each for name in (*room.guests, *room.names, *room.aliases) for each in (name, f"{name}.{room.domain}")]
    numbers = [str(each) for other in room.guests.values() for each in (other.private, other.outside) if each]
    yield f"Host {' '.join([*names, *numbers])}\n"
    for file in ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa", "/etc/ssh/inside_ed25519"):
        yield f"    IdentityFile {file}\n"
