"""A room file to begin with: the checkout's own, for a room of another name, on networks that are free here."""

import re
import zlib
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from labroom import commands, machine
from labroom import room as room_file
from labroom.errors import MachineError, UsageError
from labroom.fields import SHORT_NAME, SHORT_NAME_IN_WORDS
from labroom.providers import record
from labroom.providers.nspawn import links
from labroom.resources import ROOT
from labroom.room import Link, Room

# Where networks of rooms are looked for: far from what routers at home have, and what is for examples (RFC 5737).
_PLACES: dict[Link, tuple[str, ...]] = {
    "private": ("192.168.64.0/18", "192.168.128.0/17"),
    "outside": ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"),
}
_ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d./])")


def write(name: str, file: Path) -> Room:
    """Write the file of a new room.

    Args:
        name: the room's.
        file: where; it must not be there yet.

    Returns:
        The room.

    Raises:
        UsageError: no room can have that name; the file is there, or its folder isn't.
        MachineError: a room of that name is up; no network is free.
        OSError: the file can't be written.
    """
    if not SHORT_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a room: {SHORT_NAME_IN_WORDS}")
    if other := next((each for each in record.others("") if each.room_name == name), None):
        raise other.refusal(", or another name")
    template = ROOT / "room.yml"
    text = _with_networks(template.read_text(encoding="utf-8"), room_file.load(template), name)
    text = re.sub(r"^name: .*$", f"name: {name}", text, count=1, flags=re.MULTILINE)
    try:
        with file.open("x", encoding="utf-8") as opened:
            try:
                machine.hand_over(opened.fileno())
                opened.write(text)
                opened.flush()
            except BaseException:  # half a file is of no use
                file.unlink()
                raise
    except FileExistsError as error:
        raise UsageError(f"{file} is there already", commands.labroom("new", name, "--file", "FILE")) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{file.parent} is no folder") from error
    return room_file.load(file)


def _with_networks(text: str, default: Room, name: str) -> str:
    """The text of a room file with free networks in place of its own, and addresses that are written by their ends."""
    free = {link: _free(link, default, name) for link in default.networks.subnets}
    for link, network in default.networks.subnets.items():
        text = text.replace(str(network), str(free[link]))

    def moved(found: re.Match[str]) -> str:
        address = IPv4Address(found[0])
        for link, network in default.networks.subnets.items():
            if address in network:
                return "." + str(free[link][int(address) - int(network.network_address)]).rpartition(".")[2]
        return found[0]

    for words in (
        "VMware's NAT address plan. ",
        ", and the inventory of `ansible-playbook -i room.yml playbooks/room.yml`",
    ):
        text = text.replace(words, "")  # true of the default room alone
    text = _ADDRESS.sub(moved, text)
    return text.replace("\nguests:\n", "\n# .128 is the end of an address; it begins as its network does.\nguests:\n")


def _free(link: Link, default: Room, name: str) -> IPv4Network:
    """A network for a room, as large as the default one: a name's own, as far as it is free."""
    prefix = default.networks.subnets[link].prefixlen
    places = [each for place in _PLACES[link] for each in IPv4Network(place).subnets(new_prefix=prefix)]
    first = zlib.crc32(name.encode()) % len(places)  # another one for a room that isn't up yet
    taken = [*default.networks.subnets.values()]
    taken += [network for other in record.others(name) for network in other.networks]
    found = links.uses()
    for place in places[first:] + places[:first]:
        if not links.used(place, found) and not any(place.overlaps(network) for network in taken):
            return place
    raise MachineError(f"no network is free for {link}: {' and '.join(_PLACES[link])} are in use on this machine")
