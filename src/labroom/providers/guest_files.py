"""What tells a room's guests from others of the same image, whatever makes them: the way to each other, and a greeting.

All of it is root's, outside of homes: what a student keeps there stays as it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from labroom import handouts, keys
from labroom.providers.guest_network import next_hop
from labroom.room import Link, Room


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


def shared(room: Room) -> list[GuestFile]:
    """The files that all guests have whose image has the roles; the host keys of all guests are known by now."""
    private = keys.inside(room.name)
    own = (keys.identity(room.name), private)  # which open it whatever is in the home that is kept
    return [
        GuestFile("etc/ssh/ssh_known_hosts", keys.known_hosts(room.name).read_text(encoding="utf-8")),
        GuestFile(f"etc/ssh/authorized_keys/{keys.STUDENT}", "".join(f"{keys.public(key)}\n" for key in own)),
        GuestFile("etc/ssh/inside_ed25519", private.read_text(encoding="utf-8"), students=True),
        *(GuestFile(f"opt/labs/{path}", text) for path, text in handouts.rendered(room).items()),
    ]


def of(room: Room, name: str) -> list[GuestFile]:
    """The files that one of these guests has besides."""
    return [
        GuestFile("etc/motd", _greeting(room, name)),
        GuestFile("etc/ssh/ssh_config.d/labroom.conf", "".join(_ways(room, name))),
    ]


def _greeting(room: Room, name: str) -> str:
    guest = room.guests[name]
    addresses = " and ".join(map(str, guest.addresses.values()))
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


def _ways(room: Room, own: str) -> Iterator[str]:
    """How ssh reaches each guest of the room from this one (ssh_config(5)), as far as the network lets it."""
    yield "# The guests of this room, by the room's own key where the account has none that opens them.\n"
    for name, other in room.guests.items():
        if found := _reached(room, own, other.addresses) or _forwarded(room, own, name):
            yield "Host {0} {0}.{1}\n    HostName {2}\n    Port {3}\n".format(name, room.domain, *found)
    names = [each for name in (*room.guests, *room.names, *room.aliases) for each in (name, f"{name}.{room.domain}")]
    numbers = [str(each) for other in room.guests.values() for each in other.addresses.values()]
    yield f"Host {' '.join([*names, *numbers])}\n"
    for file in ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa", "/etc/ssh/inside_ed25519"):
        yield f"    IdentityFile {file}\n"


def _reached(room: Room, own: str, addresses: Mapping[Link, IPv4Address]) -> tuple[IPv4Address, int] | None:
    """Which of a guest's addresses is reached from the guest `own`, its own networks' first; and the port of sshd."""
    near = [link for link in addresses if link in room.guests[own].addresses]
    far = [link for link in addresses if next_hop(room, own, link)]
    return next(((addresses[link], 22) for link in (*near, *far)), None)


def _forwarded(room: Room, own: str, name: str) -> tuple[IPv4Address, int] | None:
    """Where a gateway forwards to the sshd of the guest `name`, if it is reached from the guest `own`."""
    for gateway in room.gateways:
        far_side = {room.routes.far_sides[gateway]: room.far_address(gateway)}
        for forward in room.forwards(gateway):
            if forward.guest == name and forward.target == 22 and (found := _reached(room, own, far_side)):
                return found[0], forward.port
    return None
