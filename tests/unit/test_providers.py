"""What providers have in common, without a guest: whom a guest asks, what a room's record is good for."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from labroom import providers, state
from labroom import room as room_file
from labroom.providers import docker, guest_network, nspawn, record
from labroom.providers.nspawn import fetched, image_base, links
from labroom.resources import ROOT
from labroom.room import Room


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
    assert refused == {*networks.values(), "192.168.74.0/24", "203.0.113.0/28"}


def _record_by(provider: str, room: Room, file: Path) -> dict[str, object]:
    if provider == "docker":
        return docker.record_of(room, file)
    return nspawn.record_of(room, file, {})


def test_every_list_of_masked_units_is_one_of_units_that_no_guest_needs() -> None:
    every = image_base.masked_units("nspawn")
    assert len(every) == len(set(every)) > 40
    for who in ("container", "vm"):
        units = image_base.masked_units(who)
        assert {"apt-daily.timer", "systemd-logind.service"} <= set(units) < set(every)


def test_a_room_with_two_gateways_is_refused() -> None:
    gateway = {"part": "gateway", "private": "192.168.74.9", "outside": "203.0.113.9"}
    guests = room_file.load(ROOT / "room.yml").model_dump()["guests"] | {"second": gateway}
    with pytest.raises(ValidationError, match="guests: at most one may be the gateway"):
        _room(guests=guests)


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
