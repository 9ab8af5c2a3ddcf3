"""Handouts as a room's students read them: its own addresses, and the command that works where it is typed."""

import re
from functools import partial
from pathlib import Path

import pytest
from plugins.filter.handout_words import words as words_for
from plugins.module_utils import folder

from labroom import handouts, labs
from labroom import room as room_file
from labroom.resources import LABS, ROOT
from labroom.room import Room
from tests.helpers import labroom

OTHER = """\
name: other
domain: room7.test
networks: {private: 10.7.0.0/16, outside: 198.51.100.0/28}
labs: [byte_order, name_lookup, outside_access, tcp_hello]
guests:
  gateway: {part: gateway, private: 10.7.0.2, outside: 198.51.100.3}
  server: {private: 10.7.1.1}
  alfa: {private: 10.7.1.2}
  outside: {outside: 198.51.100.9}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a room with other networks, another domain and other addresses."""
    file = tmp_path / "other.yml"
    file.write_text(OTHER)
    return file


@pytest.fixture
def other(file: Path) -> Room:
    return room_file.load(file)


def test_the_projects_own_room_has_the_handouts_as_they_are_written() -> None:
    assert handouts.words(room_file.load(ROOT / "room.yml")) == {}
    assert handouts.rendered(room_file.load(ROOT / "room.yml")) == {}


def test_a_room_with_other_addresses_has_them_in_its_handouts(other: Room) -> None:
    rendered = handouts.rendered(other)
    assert {path.parts[0] for path in rendered} == set(other.labs or ())
    written = re.compile(r"(?<![\d.])(192\.168\.74|203\.0\.113)\.|\blab\.test|74\.168\.192\.in-addr|c0 ?a8 4a")
    assert {str(path): found[0] for path, text in rendered.items() if (found := written.search(text))} == {}
    for language in handouts.FILES.values():
        hello = rendered[Path("tcp_hello", language)]
        assert "    TIME-WAIT 0      0      10.7.1.1:9090 10.7.1.2:42248\n" in hello
        lookup = rendered[Path("name_lookup", language)]
        assert "PTR? 1.1.7.10.in-addr.arpa." in lookup
        assert "10.7.0.99" in lookup  # nobody's, here as there
        assert "gethostbyname: Unknown host" in lookup
        assert "nobody.room7.test.room7.test." in lookup
        order = rendered[Path("byte_order", language)]
        assert "`0a07 0101`" in order
        assert "02 00 23 82 0a 07 01 01 00" in order
        assert "inet_aton = 1, in memory: c0 a8 00 01" in order  # an example of no room's
        access = rendered[Path("outside_access", language)]
        assert "connected client : 198.51.100.3:36820" in access
        assert "10.7.0.0/16" in access


def test_the_role_brings_the_same_text(other: Room) -> None:
    words = handouts.words(other)
    for path, text in handouts.rendered(other).items():
        assert folder.reworded((LABS / path).read_text(), words) == text, path


def test_the_command_shows_a_handout_with_the_commands_that_work_there(file: Path) -> None:
    said = labroom("--room", str(file), "handout", "tcp_hello").stdout
    assert "10.7.1.1" in said
    assert f"\n    $ ./labroom --room {file} ssh server\n" in said
    assert f"`./labroom --room {file} check tcp_hello`" in said
    assert not re.search(r"[`$ ]labroom (?!--room)", said)
    assert labroom("handout", "tcp_hello", "--lang", "ko").stdout == re.sub(
        r"(?<=`)labroom (?=[a-z])|(?<=^    \$ )labroom ",
        "./labroom ",
        (LABS / "tcp_hello/README.ko.md").read_text(),
        flags=re.MULTILINE,
    )


def test_a_lab_that_there_is_not_is_a_usage_error() -> None:
    wrong = partial(labroom, "handout", status=2)
    assert "no such lab: tcp_helo; did you mean tcp_hello?" in wrong("tcp_helo").stderr


def test_a_room_may_leave_labs_out(other: Room) -> None:
    assert labs.left_out(None) == []
    assert set(labs.left_out(other.labs)) == labs.titles().keys() - set(other.labs or ())


def test_machines_that_exist_already_get_the_same_handouts(other: Room) -> None:
    """By the filter of the role lab_programs: all that handouts say of these hosts, as a room of theirs has it."""
    hosts = {name: [*map(str, guest.addresses.values())] for name, guest in other.guests.items()}
    own = {address for addresses in hosts.values() for address in addresses}
    wanted = {word: here for word, here in handouts.words(other).items() if _is_of(own, here)}
    found = words_for(hosts)
    assert len(wanted) > 6
    assert {word: found.get(word) for word in wanted} == wanted


def _is_of(addresses: set[str], word: str) -> bool:
    """Whether a word is one of these addresses, in any form."""
    digits = word.replace(" ", "")
    if re.fullmatch("[0-9a-f]{8}", digits):
        word = ".".join(str(byte) for byte in bytes.fromhex(digits))
    return word in addresses or ".".join(reversed(word.split("."))) in addresses
