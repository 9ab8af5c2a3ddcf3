"""What providers have in common, without a guest: whom a guest asks, what a room's record is good for."""

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from labroom import inventory, keys, providers, state
from labroom import room as room_file
from labroom.errors import MachineError
from labroom.machine import tool
from labroom.providers import compose, docker, guest_files, guest_network, nspawn, record
from labroom.providers.nspawn import fetched, image_base, image_tools, launcher, links
from labroom.providers.nspawn import guest as nspawn_guest
from labroom.resources import ROOT
from labroom.room import Room
from tests.helpers import labroom


def _room(**changes: object) -> Room:
    return Room.model_validate(room_file.load(ROOT / "room.yml").model_dump() | changes)


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder without any room."""
    monkeypatch.setenv("LABROOM_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_the_state_folder_is_the_one_that_is_named_now(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [state.root(), state.images(), state.rooms()] == [own_state, own_state / "images", own_state / "rooms"]
    monkeypatch.delenv("LABROOM_STATE_DIR")
    assert state.rooms() != own_state / "rooms"


@pytest.mark.parametrize(
    ("name", "changes", "router", "name_servers", "search"),
    [
        ("server", {}, "192.168.74.2", ["192.168.74.2"], True),
        ("server", {"internet": False}, "192.168.74.2", ["192.168.74.2"], True),
        ("outside", {}, "the router", ["the resolver"], False),
        ("outside", {"internet": False}, None, [], False),
        ("gateway", {}, "the router", ["192.168.74.2"], True),
        ("gateway", {"internet": False}, None, ["192.168.74.2"], True),
        # Until it is provisioned it is no name service.
        ("gateway", {"image": {"provisioned": False}}, "the router", ["192.168.74.2", "the resolver"], True),
    ],
)
def test_who_routes_and_who_resolves_for_a_guest(
    name: str, changes: dict[str, object], router: str | None, name_servers: list[str], search: bool
) -> None:
    network = guest_network.of(_room(**changes), name, router="the router", name_server="the resolver")
    assert network.router == router
    expected = ["search lab.test"] * search + [f"nameserver {server}" for server in name_servers]
    assert network.resolv_conf.splitlines() == expected


def test_a_guest_of_a_room_without_a_gateway_has_no_way_out() -> None:
    guests = {"server": {"private": "192.168.74.128"}}
    room = _room(guests=guests, forwarded_ports=(), names={}, aliases={})
    network = guest_network.of(room, "server", router="the router", name_server="the resolver")
    assert (network.router, network.resolv_conf) == (None, "search lab.test\n")
    assert network.hosts == "127.0.0.1 localhost\n192.168.74.128 server.lab.test server\n"


@pytest.mark.parametrize("provider", providers.NAMES)
def test_the_uplink_of_a_room_refuses_the_networks_of_every_other(own_state: Path, provider: str) -> None:
    """Whoever made that one: containers had a record that this couldn't read."""
    record.path("other").parent.mkdir(parents=True)
    record.write("other", _record_by(provider, _room(name="other"), own_state / "other.yml"))
    assert providers.of("other") is providers.named(provider)
    networks = {"private": "192.168.80.0/24", "outside": "198.51.100.64/28"}
    guests = {"server": {"private": "192.168.80.10"}}
    room = _room(name="own", networks=networks, guests=guests, forwarded_ports=(), names={}, aliases={})
    refused = {str(subnet) for subnet in links._all_subnets(room)}
    assert refused >= {*networks.values(), "192.168.74.0/24", "203.0.113.0/28"}  # and those of rooms that are up now


# Runs a command with links, a resolv.conf and claims of its own; lan0 and vpn0 are links of a machine.
OWN_NETWORK = (
    *("unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-ec"),
    "mount --bind $1 /etc/resolv.conf\n"
    "[ ! -d /run/labroom ] || mount -t tmpfs none /run/labroom\n"
    "for link in lan0 vpn0; do ip link add $link type bridge; ip link set $link up; done\n"
    'ip -batch $2; shift 2; exec "$@"',
    "sh",
)
CHECK_FREE = """
import sys
from pathlib import Path
from labroom import room
from labroom.errors import LabroomError
from labroom.providers.nspawn import links
try:
    links.check_free(room.load(Path(sys.argv[1])))
except LabroomError as error:
    print(error)
    print(error.remedy)
"""


def _check_free(folder: Path, commands: str, resolver: str = "192.0.2.53", private: str = "192.168.74.0/24") -> str:
    """What `check_free` says on a machine whose links have been changed by commands of `ip -batch`."""
    file, resolv, batch = (folder / name for name in ("room.yml", "resolv.conf", "batch"))
    host = private.rpartition(".")[0]
    file.write_text(
        f"name: own\nnetworks: {{private: {private}, outside: 203.0.113.0/28}}\nguests: {{a: {{private: {host}.10}}}}\n"
    )
    resolv.write_text(f"nameserver {resolver}\n")
    batch.write_text(commands)
    command = [*OWN_NETWORK, str(resolv), str(batch), tool("python"), "-c", CHECK_FREE, str(file)]
    own = os.environ | {"LABROOM_STATE_DIR": str(folder / "state")}
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=own).stdout


@pytest.mark.parametrize(
    ("commands", "more"),
    [
        ("route add 0.0.0.0/1 dev vpn0\nroute add 128.0.0.0/1 dev vpn0", {}),  # OpenVPN, def1
        ("route add 10.0.0.0/8 dev vpn0", {"private": "10.20.30.0/24"}),
        ("addr add 192.168.1.5/16 dev lan0", {}),  # a flat campus network
        ("route add unreachable 192.168.0.0/16", {}),
        ("route add default dev vpn0 table 51820", {}),  # wg-quick(8)
        ("", {"resolver": "192.168.74.10"}),  # a guest of the room
        ("", {"resolver": "2001:db8::53"}),
    ],
)
def test_a_wider_route_does_not_use_a_rooms_networks(tmp_path: Path, commands: str, more: dict[str, str]) -> None:
    assert _check_free(tmp_path, commands, **more) == ""


@pytest.mark.parametrize(
    ("commands", "more", "what"),
    [
        ("addr add 192.168.74.77/16 dev lan0", {}, "192.168.74.0/24 is in use on this machine: 192.168.74.77 on lan0"),
        ("addr add 203.0.113.4/32 dev lan0", {}, "203.0.113.0/28 is in use on this machine: 203.0.113.4 on lan0"),
        ("route add 192.168.74.0/24 dev vpn0", {}, "192.168.74.0/24 on vpn0"),
        ("route add 192.168.74.128/25 dev vpn0 table 52", {}, "192.168.74.128/25 on vpn0"),  # Tailscale's table
        ("route add blackhole 192.168.74.9", {}, "192.168.74.9 on a route of its own"),
        (
            "addr add 192.168.1.5/16 dev lan0\nroute add default via 192.168.74.1",
            {},
            "192.168.74.1, the gateway to default",
        ),
        (
            "addr add 192.168.1.5/16 dev lan0",
            {"resolver": "192.168.74.53"},
            "192.168.74.53, this machine's name server",
        ),
    ],
)
def test_what_uses_a_rooms_networks_is_named(tmp_path: Path, commands: str, more: dict[str, str], what: str) -> None:
    assert _check_free(tmp_path, commands, **more).splitlines()[0].endswith(what)


def test_a_room_that_has_a_network_is_named_and_its_file(own_state: Path, tmp_path: Path) -> None:
    record.path("other").parent.mkdir(parents=True)
    record.write("other", _record_by("docker", _room(name="other"), tmp_path / "other.yml"))
    error, remedy = _check_free(tmp_path, "addr add 192.168.74.1/24 dev lan0").splitlines()
    assert error == f"192.168.74.0/24 is in use on this machine by room other, of {tmp_path}/other.yml"
    assert remedy.endswith(f"--room {tmp_path}/other.yml down, or choose other networks and addresses in room.yml")


def test_a_room_of_two_networks_is_what_it_was_before_there_were_more() -> None:
    """One that is up with labroom 0.1 goes on: neither its links nor its guests are others."""
    room = _room()
    links_of_0_1 = "Networks(private=IPv4Network('192.168.74.0/24'), outside=IPv4Network('203.0.113.0/28'))"
    assert nspawn._link_digest(room).startswith(f"{links_of_0_1} internet=True")
    for name in room.guests:
        described = nspawn_guest.describe(room, name, [])
        known = asdict(described)
        assert known.pop("forwards") is False
        assert known["network"].pop("routes") == {}
        assert described.digest() == hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def test_containers_are_a_room_of_more_networks() -> None:
    """Docker publishes a container's ports at its address on the first of its networks, by their names."""
    networks = {
        "private": "192.168.74.0/24",
        "far": "192.168.75.0/24",
        "home": "192.168.76.0/24",
        "outside": "203.0.113.0/28",
    }
    guests = {
        "r1": {"part": "router", "private": ".2", "far": ".2"},
        "provider": {"part": "gateway", "far": ".3", "outside": ".2"},
        "box": {"part": "gateway", "home": ".2", "private": ".3"},
        "alfa": {"private": ".129"},
        "pc": {"home": ".129"},
    }
    forwards = [
        {"port": 2222, "gateway": "provider", "guest": "box"},
        {"port": 2222, "gateway": "box", "guest": "pc", "guest_port": 22},
    ]
    room = _room(networks=networks, guests=guests, forwarded_ports=forwards, names={}, aliases={})
    services = compose.project(room)["services"]
    first = {name: services[name]["networks"][min(services[name]["networks"])]["ipv4_address"] for name in services}
    assert {name: first[name] for name in room.gateways} == {"provider": "203.0.113.2", "box": "192.168.74.3"}
    assert services["provider"]["ports"] == ["127.0.0.1::22", "127.0.0.1:2222:2222"]
    assert services["box"]["ports"] == ["127.0.0.1::22"]  # 2222 of this machine is the provider's
    assert services["r1"]["environment"]["ROUTER"] == "192.168.75.3"
    assert services["r1"]["image"] == services["alfa"]["image"]
    assert services["provider"]["image"] != services["box"]["image"]
    variables = json.loads(services["box"]["build"]["args"]["GATEWAY_VARIABLES"])
    assert variables["nat_gateway_outside_address"] == "192.168.74.3"
    assert services["provider"]["environment"]["ROUTES"] == "route replace 192.168.74.0/24 via 192.168.75.2\n"


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("# nameserver 192.0.2.1\nnameserver 127.0.0.53\noptions edns0\n", ["127.0.0.53"]),  # systemd-resolved
        ("nameserver 2001:db8::53\nnameserver\t192.0.2.53\n", ["192.0.2.53"]),
        ("nameserver 2001:db8::53\nnameserver fe80::1%eth0\nnameserver ::1\n", []),
        ("", []),
        (None, []),
    ],
)
def test_name_servers_that_guests_can_have(tmp_path: Path, text: str | None, servers: list[str]) -> None:
    file = tmp_path / "resolv.conf"
    if text is not None:
        file.write_text(text)
    assert [str(server) for server in links.name_servers(file)] == servers


@pytest.mark.parametrize("internet", [True, False])
def test_doctor_says_that_guests_will_have_no_names(tmp_path: Path, *, internet: bool) -> None:
    file, resolv, batch = (tmp_path / name for name in ("room.yml", "resolv.conf", "batch"))
    file.write_text(
        "name: own\nnetworks: {private: 192.168.74.0/24, outside: 203.0.113.0/28}\n"
        f"internet: {str(internet).lower()}\nguests: {{a: {{private: 192.168.74.10}}}}\n"
    )
    resolv.write_text("nameserver 2001:db8::53\n")
    batch.write_text("")
    done = labroom("--room", str(file), "doctor", before=(*OWN_NETWORK, str(resolv), str(batch)), status=None)
    said = "NO  a name server with an IPv4 address, for guests: name one with an IPv4 address in /etc/resolv.conf"
    assert (said in done.stdout) == internet


def _cut(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: len(text) // 2], encoding="utf-8")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "an empty private key": lambda pair: pair.write_text(""),
    "an empty public key": lambda pair: pair.with_name(pair.name + ".pub").write_text(""),
    "half a private key": _cut,
    "half a public key": lambda pair: _cut(pair.with_name(pair.name + ".pub")),
    "nothing but zeros": lambda pair: pair.write_bytes(bytes(pair.stat().st_size)),
    "no private key": Path.unlink,
    "no public key": lambda pair: pair.with_name(pair.name + ".pub").unlink(),
    "another pair's public key": lambda pair: pair.with_name(pair.name + ".pub").write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f other\n"
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_key_that_a_power_cut_damaged_is_made_anew_and_no_other(own_state: Path, damage: str) -> None:
    room = _room(guests={"server": {"private": "192.168.74.128"}}, forwarded_ports=(), names={}, aliases={})
    keys.prepare(room)
    host_key, identity = keys.host_key(room.name, "server"), keys.identity(room.name)
    for damaged, whole in ((host_key, identity), (identity, host_key)):
        before = whole.read_text()
        DAMAGES[damage](damaged)
        keys.prepare(room)
        derived = subprocess.run(["ssh-keygen", "-y", "-f", damaged], capture_output=True, text=True, check=True).stdout
        assert derived.split()[:2] == keys.public(damaged).split()[:2]
        assert whole.read_text() == before
    assert keys.public(host_key).split()[1] in keys.known_hosts(room.name).read_text()


def test_a_lock_is_never_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kept")
    (tmp_path / "lock").symlink_to("other")
    with pytest.raises(MachineError, match=r"can't lock .*: Too many levels of symbolic links") as refused:
        state.locked(tmp_path / "lock", "is a test").__enter__()
    assert (tmp_path / "other").read_text() == "kept"
    subprocess.run(["sh", "-c", refused.value.remedy], check=True)
    with state.locked(tmp_path / "lock", "is a test") as held:
        assert held
        assert state.is_locked(tmp_path / "lock")
    assert not state.is_locked(tmp_path / "lock")


def test_a_guest_that_ended_before_it_was_remembered_does_not_run(own_state: Path) -> None:
    """Its home could not be mounted, say: `up` waited three minutes for it."""
    state.prepare(nspawn_guest.folder("own", "one"))
    ended = subprocess.Popen(["true"])
    ended.wait()
    state.write_json(nspawn_guest.folder("own", "one") / "guest.json", {"pid": ended.pid, "start_time": None})
    assert nspawn_guest.runs("own", "one") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone claims names")
def test_an_up_without_an_engine_leaves_no_claim(own_state: Path, tmp_path: Path) -> None:
    file = tmp_path / "room.yml"
    file.write_text(
        "name: engine\nnetworks: {private: 192.168.79.0/24, outside: 198.51.100.240/28}\n"
        "guests: {one: {private: 192.168.79.10}}\n"
    )
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/nowhere"}
    labroom("--room", str(file), "up", "--provider", "docker", env=nowhere, status=3)
    assert not Path("/run/labroom/engine.json").exists()


def _record_by(provider: str, room: Room, file: Path) -> dict[str, object]:
    if provider == "docker":
        return docker.record_of(room, file)
    return nspawn.record_of(room, file, {})


def test_every_list_of_masked_units_is_one_of_units_that_no_guest_needs() -> None:
    every = image_base.masked_units("nspawn")
    assert len(every) == len(set(every)) > 40
    for who in ("container", "vm"):
        units = image_base.masked_units(who)
        assert {"apt-daily.timer", "systemd-update-utmp.service"} <= set(units) < set(every)


def test_what_a_room_wants_of_the_roles_makes_another_image() -> None:
    """The layer of nspawn by its digest, the container's by an argument of its build."""
    plain, exam = _room(), _room(labs=("tcp_hello",), sudo=False, packages=("htop",))
    wanted = inventory.guest_variables(exam)
    assert wanted["student_account_sudo"] is False
    assert wanted["toolchain_more_packages"] == ["htop"]
    assert "tcp_echo" in wanted["lab_programs_left_out"]
    assert "tcp_hello" not in wanted["lab_programs_left_out"]
    assert inventory.guest_variables(plain) == {"student_account_name": "student"}
    arguments = [compose.project(room)["services"]["alfa"]["build"]["args"] for room in (plain, exam)]
    assert "VARIABLES" not in arguments[0]
    assert json.loads(arguments[1]["VARIABLES"]).items() <= wanted.items()


def test_a_guest_knows_the_way_to_the_others_and_their_host_keys(own_state: Path) -> None:
    room = _room()
    keys.prepare(room)
    shared = guest_files.shared(room)
    files = {name: {file.path: file for file in (*guest_files.of(room, name), *shared)} for name in room.guests}
    private = keys.inside(room.name).read_text()
    allowed = "".join(f"{keys.public(key)}\n" for key in (keys.identity(room.name), keys.inside(room.name)))
    for name, own in files.items():
        assert [path for path, file in own.items() if file.students] == ["etc/ssh/inside_ed25519"]
        assert own["etc/ssh/inside_ed25519"].text == private != keys.identity(room.name).read_text()
        assert own["etc/ssh/authorized_keys/student"].text == allowed
        assert own["etc/motd"].text.startswith(f"This is {name} of the room lab: ")
    ways = {name: own["etc/ssh/ssh_config.d/labroom.conf"].text for name, own in files.items()}
    assert "Host bravo bravo.lab.test\n    HostName 192.168.74.130\n    Port 22\n" in ways["alfa"]
    assert "Host bravo bravo.lab.test\n    HostName 203.0.113.2\n    Port 2203\n" in ways["outside"]  # forwarded
    assert "Host outside outside.lab.test\n    HostName 203.0.113.10\n    Port 22\n" in ways["alfa"]
    known = own_state / "known"
    known.write_text(files["alfa"]["etc/ssh/ssh_known_hosts"].text)
    for name in ("bravo", "bravo.lab.test", "192.168.74.130", "[203.0.113.2]:2203", "www", "echo.lab.test"):
        asked = subprocess.run(["ssh-keygen", "-F", name, "-f", known], capture_output=True, check=False)
        assert asked.returncode == 0, name


def test_the_greeting_says_what_an_exam_leaves_out(own_state: Path) -> None:
    room = _room(labs=(), sudo=False, internet=False)
    keys.prepare(room)
    greeting = next(file.text for file in guest_files.of(room, "alfa") if file.path == "etc/motd")
    assert "/opt/labs" not in greeting
    assert "apt-get" not in greeting
    assert "no sudo" in greeting


def test_a_bare_guest_gets_what_a_builder_has_fetched(tmp_path: Path) -> None:
    apt, archives, lists = tmp_path / "apt", *(fetched.PLACES[kind] for kind in ("packages", "lists"))

    def guest(name: str, **fetches: dict[str, str]) -> Path:
        for kind, files in {"packages": {}, "lists": {}, **fetches}.items():
            place = tmp_path / name / fetched.PLACES[kind]
            (place / "partial").mkdir(parents=True)
            for file, text in {"lock": "", **files}.items():
                (place / file).write_text(text)
        return tmp_path / name

    fetched.lend(apt, guest("first"), os.getuid())  # nothing yet
    old = {"gcc_4%3a12-3_amd64.deb": "old", "gcc-12_12.2_amd64.deb": "kept"}
    fetched.keep(apt, guest("builder", packages=old, lists={"main_InRelease": "old", "main_Packages": "old"}))
    bare = guest("bare")
    fetched.lend(apt, bare, 4321)
    new = {"gcc_4%3a13-1_amd64.deb": "new", "gcc-13_13.1_amd64.deb": "added"}
    fetched.keep(apt, guest("second", packages=new, lists={"main_InRelease": "new", "main_Packages": "new"}))
    assert {path.name: path.read_text() for path in (apt / "packages").iterdir()} == {
        "gcc_4%3a13-1_amd64.deb": "new",
        "gcc-13_13.1_amd64.deb": "added",
        "gcc-12_12.2_amd64.deb": "kept",
    }
    assert {path.name: path.read_text() for path in (apt / "lists").iterdir()} == dict.fromkeys(
        ("main_InRelease", "main_Packages"), "new"
    )
    assert {path.name: path.read_text() for path in (bare / archives).glob("*.deb")} == old
    owners = {path.name: path.stat().st_uid for path in (bare / lists).glob("main*")}
    assert owners == {"main_InRelease": 4321, "main_Packages": 0}


@pytest.mark.parametrize(
    ("printed", "says", "helps"),
    [
        (
            '{"changed": false, "msg": "the release has no package htpo (did you mean htop?), nix"}\nPLAY RECAP',
            "the guests' release has no package htpo (did you mean htop?), nix",
            "the field packages of the room file",
        ),
        (
            "E: Failed to fetch http://mirror.test/x  Could not resolve 'mirror.test'\nE: exit",
            "no network for the first image: Could not resolve 'mirror.test'",
            "try apt-get update",
        ),
        ("tar: write error: No space left on device\n", "the disk is full", "free some space"),
        ("one\ntwo\n", "ansible-playbook failed (exit status 2); its output ends:\n    one\n    two", "image.log"),
    ],
    ids=["package", "network", "disk", "unknown"],
)
def test_what_keeps_an_image_from_being_made_is_said_with_a_remedy(
    tmp_path: Path, printed: str, says: str, helps: str
) -> None:
    log = tmp_path / "image.log"
    log.write_text(printed, encoding="utf-8")
    error = image_tools.failure("ansible-playbook", 2, log)
    assert str(error).startswith(says)
    assert helps in error.remedy


def test_a_disk_is_copied_to_a_file_system_of_another_kind(tmp_path: Path) -> None:
    """Images and rooms may lie on two disks, of which copy_file_range(2) copies nothing from one to the other."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        template, disk = Path(folder, "template"), tmp_path / "disk"
        with template.open("wb") as file:
            file.seek(1 << 20)
            file.write(b"x" * 9000)
            file.truncate(4 << 20)
        launcher.copy_disk(str(template), str(disk))
        assert disk.read_bytes() == template.read_bytes()
        assert disk.stat().st_blocks < 100
