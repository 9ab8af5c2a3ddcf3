"""The labs' handouts as a room's students read them: with the addresses and the domain of their room.

They are written for the room of the project's own room.yml, and for a person who has the command `labroom`.
"""

import functools
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from labroom import commands, labs
from labroom.resources import LABS
from labroom.room import Room

#: The file of a handout in each language.
FILES = {"en": "README.md", "ko": "README.ko.md"}

# The room that they are written for.
_DOMAIN = "lab.test"
_NETWORKS = {"private": IPv4Network("192.168.74.0/24"), "outside": IPv4Network("203.0.113.0/28")}
_GUESTS = {
    "private": {"gateway": 2, "server": 128, "alfa": 129, "bravo": 130, "charlie": 131},
    "outside": {"gateway": 2, "outside": 10},
}
# What is before a word is looked at after its first characters: so the search skips all that begins with others.
_ADDRESS = r"(?:192(?<![\d.]192)\.168\.74|203(?<![\d.]203)\.0\.113)\.\d{1,3}(?:/\d\d)?(?!\d)"
_HEX = r"c0(?<!\wc0) ?a8 4a ?[0-9a-f]{2}\b"
_REVERSE = r"\d(?<![\d.]\d)\d{0,2}\.74\.168\.192(?=\.in-addr\.arpa)"
_WRITTEN = re.compile(rf"{_ADDRESS}|{_REVERSE}|{_HEX}|lab(?<!\wlab)\.test\b", re.ASCII)
_COMMAND = re.compile(r"(?<=`)labroom (?=[a-z])|(?<=^    \$ )labroom (?=[a-z])", re.MULTILINE)


def words(room: Room) -> dict[str, str]:
    """The addresses and names in handouts for which this room has others: each, and the room's."""
    files = [file for name in FILES.values() for file in LABS.glob(f"*/{name}")]
    found = {word for file in files for word in _WRITTEN.findall(file.read_text(encoding="utf-8"))}
    return {word: here for word in found if (here := _here(word, room)) != word}


def _here(word: str, room: Room) -> str:
    """What a word of `_WRITTEN` is in a room: the same guest's, else the same host number in the same network."""
    if word == _DOMAIN:
        return room.domain
    if "/" in word:
        return next((str(getattr(room.networks, link)) for link, net in _NETWORKS.items() if str(net) == word), word)
    if word.startswith("c0"):  # as xxd or tcpdump -X shows it
        digits = iter(_own(IPv4Address(bytes.fromhex(word)), room).packed.hex())
        return re.sub(r"\w", lambda _: next(digits), word)
    if word.endswith(".74.168.192"):
        return _backwards(str(_own(IPv4Address(_backwards(word)), room)))
    return str(_own(IPv4Address(word), room))


def _backwards(address: str) -> str:
    return ".".join(reversed(address.split(".")))


def _own(address: IPv4Address, room: Room) -> IPv4Address:
    for link, written in _NETWORKS.items():
        if address in written:
            number = int(address) - int(written.network_address)
            name = next((name for name, host in _GUESTS[link].items() if host == number), "")
            own: IPv4Address | None = getattr(room.guests[name], link) if name in room.guests else None
            network: IPv4Network = getattr(room.networks, link)
            return own or network.network_address + number
    return address


def rendered(room: Room) -> dict[Path, str]:
    """The handouts that are others in this room than as they are written: file, from the folder of labs, and text."""
    reworded = _rewording(room)
    names = labs.titles() if room.labs is None else room.labs
    found = {}
    for file in (LABS / name / language for name in names for language in FILES.values()):
        written = file.read_text(encoding="utf-8")
        if (here := reworded(written)) != written:
            found[file.relative_to(LABS)] = here
    return found


def text(lab: str, language: str, room: Room, file: Path) -> str:
    """A handout for the person who typed this command.

    Args:
        lab: its lab.
        language: one of `FILES`.
        room: the room.
        file: its file, which the commands name where that is needed.
    """
    handout = _rewording(room)((LABS / lab / FILES[language]).read_text(encoding="utf-8"))
    command = commands.labroom("VERB", room=file).removesuffix("VERB")
    return _COMMAND.sub(lambda _: command, handout)


def _rewording(room: Room) -> Callable[[str], str]:
    """What makes a handout one of this room."""
    here = functools.cache(lambda word: _here(word, room))
    return lambda handout: _WRITTEN.sub(lambda word: here(word[0]), handout)
