"""room.yml: what is accepted, and that each mistake is named with its file, line and field."""

import re
from pathlib import Path

import pytest

from labroom import room
from labroom.errors import RoomFileError
from labroom.resources import ROOT

DEFAULT = (ROOT / "room.yml").read_text()


def test_the_default_room_is_vmwares_nat_plan() -> None:
    default = room.load(ROOT / "room.yml")
    private = {name: str(guest.private) for name, guest in default.guests.items() if guest.private}
    assert private == {
        "gateway": "192.168.74.2",
        "server": "192.168.74.128",
        "alfa": "192.168.74.129",
        "bravo": "192.168.74.130",
        "charlie": "192.168.74.131",
    }
    assert str(default.networks.machine("private")) == "192.168.74.1"
    assert default.guests["outside"].private is None
    assert {forward.port: (forward.guest, forward.target) for forward in default.forwarded_ports} == {
        18080: ("server", 18080),
        3240: ("server", 3240),
        9090: ("server", 9090),
        2201: ("server", 22),
        2202: ("alfa", 22),
        2203: ("bravo", 22),
        2204: ("charlie", 22),
    }


@pytest.mark.parametrize(
    ("found", "replacement", "field", "expected"),
    [
        ("192.168.74.129", "192.168.75.129", "guests.alfa.private", "is not a host of 192.168.74.0/24"),
        ("192.168.74.129", "192.168.74.128", "guests.alfa.private", "is taken by server"),
        ("192.168.74.129", "192.168.74.1", "guests.alfa.private", "is taken by this machine"),
        ("203.0.113.10", "203.0.113.14", "guests.outside.outside", "router"),
        ("{ private: 192.168.74.130 }", "{}", "guests.bravo", "needs an address on one network"),
        ("gateway, private: 192.168.74.2, ", "gateway, ", "guests.gateway", "needs an address on both networks"),
        ("guest: alfa, ", "guest: zulu, ", "forwarded_ports.4.guest", "'zulu' is no guest"),
        ("port: 3240", "port: 9090", "forwarded_ports.2.port", "9090 is forwarded already"),
        ("port: 9090", "port: 99999", "forwarded_ports.2.port", "65535, not 99999"),
        ("internet: true", "internet: maybe", "internet", "boolean"),
        ("domain: ", "domian: ", "domian", "no such field"),
        ("name: lab", "name: my lab", "name", "not 'my lab'"),
        ("release: auto", "release: gutsy", "image.release", "not 'gutsy'"),
        ("outside: 203.0.113.0/28", "outside: 192.168.74.0/28", "networks", "overlap"),
        ("echo: server", "alfa: server", "aliases.alfa", "a guest's own name"),
        ("www: [server, alfa, bravo]", "www: [server, zulu]", "names.www", "no guest 'zulu'"),
        ("processes: 400", "processes: 4", "limits.processes", "greater than or equal to 50"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_field(
    tmp_path: Path, found: str, replacement: str, field: str, expected: str
) -> None:
    assert found in DEFAULT
    broken = DEFAULT.replace(found, replacement, 1)
    file = tmp_path / "room.yml"
    file.write_text(broken)
    with pytest.raises(RoomFileError) as caught:
        room.load(file)
    message = str(caught.value)
    place = re.fullmatch(rf"{re.escape(str(file))}:(\d+): {re.escape(field)}: .*", message)
    assert place, message
    assert expected in message
    changed = [new for new, old in zip(broken.splitlines(), DEFAULT.splitlines(), strict=True) if new != old]
    named = broken.splitlines()[int(place[1]) - 1]
    assert named in changed or named.strip() == f"{field}:", f"{message} points at {named!r}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"guests: [", r":\d: not valid YAML: "),
        (b"name: \xff", r": not UTF-8 text"),
        (b"", r":1: Input should be a valid dictionary"),
        (b"name: lab", r":1: networks: is required \(and 1 more\)"),
    ],
)
def test_a_file_that_is_no_room_at_all(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "room.yml"
    file.write_bytes(content)
    with pytest.raises(RoomFileError, match=expected):
        room.load(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RoomFileError, match=r"room\.yml: No such file or directory"):
        room.load(tmp_path / "room.yml")
