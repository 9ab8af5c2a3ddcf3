"""room.yml: what is accepted, and that each mistake is named with its file, line and field."""

import os
import re
from collections.abc import Callable
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
        ("guest: alfa, ", "guest: afla, ", "forwarded_ports.4.guest", "did you mean alfa?"),
        ("guest: alfa, ", "guest: outside, ", "forwarded_ports.4.guest", "no guest of the private network"),
        ("port: 3240", "port: 9090", "forwarded_ports.2.port", "9090 is forwarded already"),
        ("port: 9090", "port: 99999", "forwarded_ports.2.port", "65535, not 99999"),
        ("internet: true", "internet: maybe", "internet", "true or false, not 'maybe'"),
        ("internet: true", "internet: 1", "internet", "true or false, not 1"),
        ("internet: true", "sudo: maybe", "sudo", "true or false"),
        ("internet: true", "labs: [tcp_helo]", "labs.0", "no lab 'tcp_helo'; did you mean tcp_hello?"),
        ("internet: true", "labs: tcp_hello", "labs", "a list, not 'tcp_hello'"),
        ("internet: true", "packages: [htop=3]", "packages.0", "the name of a Debian package"),
        ("internet: true", 'packages: ["--purge"]', "packages.0", "the name of a Debian package"),
        ("domain: ", "domian: ", "domian", "no such field; did you mean domain?"),
        ("memory_mib: ", "memory: ", "limits.memory", "no such field; did you mean memory_mib?"),
        ("{ private: 192.168.74.130 }", "{ adress: 192.168.74.130 }", "guests.bravo.adress", "there are part, private"),
        ("name: lab", "name: my lab", "name", "not 'my lab'"),
        ("release: auto", "release: gutsy", "image.release", "not 'gutsy'"),
        ("release: auto", "release: nobel", "image.release", "did you mean noble?"),
        ("outside: 203.0.113.0/28", "outside: 192.168.74.0/28", "networks", "overlap"),
        ("echo: server", "alfa: server", "aliases.alfa", "a guest's own name"),
        ("www: [server, alfa, bravo]", "www: [server, zulu]", "names.www", "no guest 'zulu'"),
        ("www: [server, alfa, bravo]", "www: [sever]", "names.www", "did you mean server?"),
        ("www: [server, alfa, bravo]", "www: []", "names.www", "at least one guest"),
        ("www: [server, alfa, bravo]", "www: [alfa, alfa]", "names.www", "alfa is named twice"),
        ("www: [server, alfa, bravo]", "www: server", "names.www", "a list, not 'server'"),
        ("echo: server", "www: server", "aliases.www", "has addresses already"),
        ("echo: server", "localhost: server", "aliases.localhost", "choose another name"),
        ("www: [server", "localhost: [server", "names.localhost", "choose another name"),
        ("processes: 400", "processes: 4", "limits.processes", "from 50"),
        ("processes: 400", "processes: 99", "limits.processes", "the labs need 100"),
        ("memory_mib: 1024", "memory_mib: 64", "limits.memory_mib", "from 128"),
        ("processes: 400", "processes: 1.5", "limits.processes", "1.5 is not the same"),
        ("memory_mib: 1024", "memory_mib: 1e3", "limits.memory_mib", "1e3 is not the same"),
        ("memory_mib: 1024", "memory_mib: true", "limits.memory_mib", "not true"),
        ("memory_mib: 1024", f"memory_mib: {'9' * 5000}", "limits.memory_mib", "a whole number"),
        ("port: 3240", "port: 03240", "forwarded_ports.1.port", "03240 is not the same"),
        ("port: 3240", "port: 22:22", "forwarded_ports.1.port", "22:22 is not the same"),
        ("port: 3240", "port: 0xca8", "forwarded_ports.1.port", "0xca8 is not the same"),
        ("port: 3240", "port: '3240'", "forwarded_ports.1.port", "not '3240'"),
        ("name: lab", "name: 2024-13-45", "name", "a date to YAML"),
        ("domain: lab.test", "domain: 2024-11-27", "domain", "a date to YAML"),
        ("domain: lab.test", "domain: 0.5", "domain", "0.5 is not the same"),
        ("name: lab", "name: yes", "name", "not true"),
        ("name: lab", "name:", "name", "not nothing"),
        ("name: lab", "name: !!python/name:os.system lab", "name", "a tag"),
        ("domain: lab.test", "domain: localhost", "domain", "no domain"),
        ("domain: lab.test", "domain: lab.local", "domain", "no domain"),
        ("domain: lab.test", "domain: lab..test", "domain", "between dots"),
        ("domain: lab.test", "domain: -lab.test", "domain", "between dots"),
        ("domain: lab.test", f"domain: {'a' * 64}.test", "domain", "1 to 63"),
        ("domain: lab.test", f"domain: {'.'.join(['a' * 30] * 2)}", "domain", "64 characters"),
        ("domain: lab.test", "domain: 10.0.0.1", "domain", "an address"),
        ("private: 192.168.74.0/24", "private: 192.168.74.5/24", "networks.private", "did you mean 192.168.74.0/24?"),
        ("private: 192.168.74.0/24", "private: 192.168.74.0", "networks.private", "an IPv4 network"),
        ("private: 192.168.74.0/24", "private: 192.168.74.0/255.255.255.0", "networks.private", "an IPv4 network"),
        ("private: 192.168.74.0/24", "private: 192.168.74.0/29", "networks.private", "/8 to /28"),
        ("private: 192.168.74.0/24", "private: 192.0.0.0/7", "networks.private", "/8 to /28"),
        ("private: 192.168.74.0/24", "private: 224.0.9.0/24", "networks.private", "multicast"),
        ("private: 192.168.74.0/24", "private: 127.0.9.0/24", "networks.private", "loopback"),
        ("private: 192.168.74.0/24", "private: 169.254.1.0/24", "networks.private", "link-local"),
        ("private: 192.168.74.0/24", "private: 0.0.0.0/8", "networks.private", "0.0.0.0/8"),
        ("private: 192.168.74.0/24", "private: 250.0.0.0/24", "networks.private", "reserved"),
        ("private: 192.168.74.0/24", "private: 10.0.0.0/8", "networks.private", "10.0.2.0/24 is the way"),
        ("192.168.74.129", "3232254593", "guests.alfa.private", "an IPv4 address"),
        ("alfa: {", "server: {", "guests.server", "written twice, first in line 23"),
        ("guest: alfa, ", "guest: alfa, guest: bravo, ", "forwarded_ports.4.guest", "written twice"),
        ("charlie: {", "charlie: &charlie {", "guests.charlie", "&charlie is an anchor"),
        ("  charlie: {", "  <<: {", "guests.<<", "merge key"),
        ("  charlie: {", "  on: {", "guests.on", "in quotes it is text"),
        ("  charlie: {", "  7: {", "guests.7", "a name is text"),
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
    words = rf"{re.escape(field)}: .*{re.escape(expected)}"
    place = re.search(rf"^{re.escape(str(file))}:(\d+): {words}", message, re.MULTILINE)
    assert place, message
    changed = [new for new, old in zip(broken.splitlines(), DEFAULT.splitlines(), strict=True) if new != old]
    named = broken.splitlines()[int(place[1]) - 1]
    assert named in changed or named.strip() == f"{field}:", f"{message} points at {named!r}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"guests: [", r":\d: not valid YAML: "),
        (b"name: \xff", r": not UTF-8 text"),
        (b"", r":1: expected fields, .*, not nothing"),
        (b"- name: lab\n", r":1: expected fields, .*, not a list"),
        (b"name: lab", r":1: networks: is required\n.*:1: guests: is required$"),
        (b"[" * 100_000, r":1: more than 16 lists and mappings"),
        (b"- " * 100_000, r":1: more than 16 lists and mappings"),
        (b"{a: " * 100_000, r":1: more than 16 lists and mappings"),
        (b"a: &a [*a]", r":1: a: \*a is an alias"),
        (
            b"a: &a [x, x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n + 1, n + 1, n, n) for n in range(1, 60)),
            r"alias",
        ),
        (b"name: lab\n\tdomain: lab.test", r":2: not valid YAML: "),
        (b"name: l\0b", r":1: not valid YAML: "),
        (b"name: 'lab", r":\d: not valid YAML: "),
        (b"name: lab\n---\nname: lab", r":2: not valid YAML: "),
        ("name: lab".encode("utf-16"), r": not UTF-8 text"),
        (b"#" * (2 << 20), r": Larger than 1 MiB"),
        (b'"\\e[2J\\nname": lab', r":1: '.x1b\[2J.nname': no such field"),
    ],
)
def test_a_file_that_is_no_room_at_all(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "room.yml"
    file.write_bytes(content)
    with pytest.raises(RoomFileError, match=expected):
        room.load(file)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    """Those of single fields, of what readers of YAML take differently, and what contradicts what, line by line."""
    broken = DEFAULT
    for found, replacement in (
        ("domain: ", "domian: "),
        ("release: auto", "release: nobel"),
        ("outside: 203.0.113.0/28", "outside: 203.0.113.1/28"),
        ("server: {", "gateway: {"),
        ("port: 3240", "port: 18080"),
        ("port: 9090", "port: 09090"),
        ("guest: bravo", "guest: brvao"),
        ("www: [server,", "www: [sever,"),
        ("echo: server", "www: alfa"),
    ):
        assert found in broken
        broken = broken.replace(found, replacement, 1)
    file = tmp_path / "room.yml"
    file.write_text(broken)
    with pytest.raises(RoomFileError) as caught:
        room.load(file)
    lines = [line.removeprefix(f"{file}:").split(": ") for line in str(caught.value).splitlines()]
    found_at = [broken.splitlines()[int(number) - 1] for number, *_ in lines]
    assert [place for _, place, *_ in lines] == [
        "domian",
        "image.release",
        "networks.outside",
        "guests.gateway",
        "forwarded_ports.0.guest",  # there is no `server`: its line is the second `gateway`
        "forwarded_ports.1.guest",
        "forwarded_ports.1.port",
        "forwarded_ports.2.port",
        "forwarded_ports.3.guest",
        "forwarded_ports.5.guest",
        "names.www",
        "aliases.www",
    ]
    assert "brvao" in found_at[9]
    assert "bravo" in lines[9][-1]


@pytest.mark.parametrize("name", ["all", "guests", "gateways", "localhost", "student", "uplink", "keeper", "builder"])
def test_a_guest_has_no_name_that_means_something_else(tmp_path: Path, name: str) -> None:
    file = tmp_path / "room.yml"
    file.write_text(DEFAULT.replace("  charlie:", f"  {name}:").replace("guest: charlie", f"guest: {name}"))
    with pytest.raises(RoomFileError, match=rf"room\.yml:26: guests\.{name}: {name} is .*: choose another name$"):
        room.load(file)


@pytest.mark.parametrize("form", [lambda text: f"\ufeff{text}", lambda text: text.replace("\n", "\r\n")])
def test_a_file_of_windows_is_the_same_room(tmp_path: Path, form: Callable[[str], str]) -> None:
    file = tmp_path / "room.yml"
    file.write_bytes(form(DEFAULT).encode())
    assert room.load(file) == room.load(ROOT / "room.yml")


def test_what_can_not_be_read_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for file, words in (
        (tmp_path / "none.yml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (tmp_path / "pipe", "Not a regular file"),
        (tmp_path / "loop", "Too many levels of symbolic links"),
        (Path("/dev/zero"), "Not a regular file"),
    ):
        with pytest.raises(RoomFileError, match=rf"{file}: {words}$"):
            room.load(file)


def test_a_room_file_here_that_can_not_be_read_does_not_mean_the_checkouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert room.default_file() == ROOT / "room.yml"
    (tmp_path / "room.yml").symlink_to("gone.yml")
    with pytest.raises(RoomFileError, match=r"^room\.yml: No such file or directory$"):
        room.load(room.default_file())


def test_a_room_as_json_is_the_same_room(tmp_path: Path) -> None:
    """As the docker provider hands it to the build of an image."""
    default = room.load(ROOT / "room.yml")
    (tmp_path / "room.yml").write_text(default.model_dump_json(exclude_none=True))
    assert room.load(tmp_path / "room.yml") == default
