"""Rooms of several routers and gateways: which way each guest sends, whom it asks, and what can't be drawn."""

import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labroom import inventory, keys
from labroom import room as room_file
from labroom.errors import RoomFileError
from labroom.providers import guest_network
from labroom.providers.nspawn import guest as nspawn_guest
from labroom.providers.nspawn import image
from labroom.resources import ROOT
from labroom.room import Room
from labroom.routes import OUTSIDE, Joint, Routes

# left - r1 - middle - r2 - far - r3 - outside; a guest in each network.
CHAIN = """\
name: chain
networks: {private: 10.9.1.0/24, middle: 10.9.2.0/24, far: 10.9.3.0/24, outside: 203.0.113.0/28}
guests:
  left: {private: .10}
  r1: {part: router, private: .2, middle: .2}
  between: {middle: .10}
  r2: {part: router, middle: .3, far: .2}
  r3: {part: router, far: .3, outside: .2}
  right: {outside: .10}
"""
# pc - box - the private network, where the server is - isp - outside.
HOMES = """\
name: homes
networks: {private: 10.9.1.0/24, home: 10.9.2.0/24, yard: 10.9.3.0/24, outside: 203.0.113.0/28}
guests:
  isp: {part: gateway, private: .2, outside: .2}
  box: {part: gateway, home: .2, private: .3}
  shed: {part: router, home: .3, yard: .2}
  pc: {home: .10}
  hen: {yard: .10}
  server: {private: .10}
  far: {outside: .10}
forwarded_ports:
  - {port: 2222, gateway: isp, guest: box}
  - {port: 2222, gateway: box, guest: hen, guest_port: 22}
  - {port: 9090, gateway: isp, guest: server}
"""


def _load(folder: Path, text: str) -> Room:
    file = folder / "room.yml"
    file.write_text(text)
    return room_file.load(file)


def _way(room: Room, name: str) -> tuple[str | None, dict[str, str]]:
    network = guest_network.of(room, name, router="the router", name_server="the resolver")
    return network.router, network.routes


def _asks(room: Room, name: str) -> list[str]:
    network = guest_network.of(room, name, router="the router", name_server="the resolver")
    return re.findall(r"^nameserver (.*)$", network.resolv_conf, re.MULTILINE)


def test_an_address_is_written_by_its_end(tmp_path: Path) -> None:
    wider = CHAIN.replace("10.9.1.0/24", "10.8.0.0/16").replace("left: {private: .10}", "left: {private: .7.20}")
    room = _load(tmp_path, wider)
    assert {name: list(map(str, guest.addresses.values())) for name, guest in room.guests.items()} == {
        "left": ["10.8.7.20"],
        "r1": ["10.8.0.2", "10.9.2.2"],
        "between": ["10.9.2.10"],
        "r2": ["10.9.2.3", "10.9.3.2"],
        "r3": ["10.9.3.3", "203.0.113.2"],
        "right": ["203.0.113.10"],
    }
    (tmp_path / "room.yml").write_text(room.model_dump_json(exclude_none=True))
    assert room_file.load(tmp_path / "room.yml") == room  # as an image of Docker's is told


def test_a_chain_of_routers_works_at_once(tmp_path: Path) -> None:
    room = _load(tmp_path, CHAIN)
    private, middle, far = (str(room.networks.subnets[link]) for link in ("private", "middle", "far"))
    assert {name: _way(room, name) for name in room.guests} == {
        "left": ("10.9.1.2", {}),
        "r1": ("10.9.2.3", {}),
        "between": ("10.9.2.3", {private: "10.9.2.2"}),
        "r2": ("10.9.3.3", {private: "10.9.2.2"}),
        "r3": ("the router", {private: "10.9.3.2", middle: "10.9.3.2"}),
        "right": ("the router", dict.fromkeys((private, middle, far), "203.0.113.2")),
    }
    # What comes back from the internet finds its way in.
    hops = {link: guest_network.next_hop(room, None, link) for link in room.networks.subnets}
    assert hops == {"private": "203.0.113.2", "middle": "203.0.113.2", "far": "203.0.113.2", "outside": None}
    assert _asks(room, "left") == ["the resolver"]  # no gateway is on its way
    without = _load(tmp_path, f"{CHAIN}internet: false\n")
    assert _way(without, "left") == ("10.9.1.2", {})
    assert _way(without, "r3")[0] is None
    assert _asks(without, "left") == []


def test_a_router_forwards_and_is_made_of_the_guests_image(tmp_path: Path) -> None:
    room = _load(tmp_path, CHAIN)
    described = nspawn_guest.describe(room, "r2", [])
    assert described.forwards
    assert described.addresses == {"host0": "10.9.2.3/24", "far0": "10.9.3.2/24"}
    assert not nspawn_guest.describe(room, "left", []).forwards
    assert {image.kind(room, name) for name in room.guests} == {"guest"}


def test_a_home_behind_a_home(tmp_path: Path) -> None:
    """Each gateway translates what is inside it alone, and nothing finds a way in."""
    room = _load(tmp_path, HOMES)
    private, home, yard = (str(room.networks.subnets[link]) for link in ("private", "home", "yard"))
    assert {name: _way(room, name) for name in room.guests} == {
        "isp": ("the router", {}),
        "box": ("10.9.1.2", {yard: "10.9.2.3"}),
        "shed": ("10.9.2.2", {}),
        "pc": ("10.9.2.2", {yard: "10.9.2.3"}),
        "hen": ("10.9.3.2", {}),
        "server": ("10.9.1.2", {}),
        "far": ("the router", {}),
    }
    asked = {"pc": "10.9.2.2", "hen": "10.9.2.2", "box": "10.9.2.2", "server": "10.9.1.2", "isp": "10.9.1.2"}
    assert {name: _asks(room, name) for name in asked} == {name: [address] for name, address in asked.items()}
    isp, box = (inventory.gateway_variables(room, name, "the resolver") for name in ("isp", "box"))
    assert isp["nat_gateway_inside"] == private
    assert box["nat_gateway_inside"] == [home, yard]
    assert (isp["nat_gateway_outside_address"], box["nat_gateway_outside_address"]) == ("203.0.113.2", "10.9.1.3")
    forwarded = {
        (forward["port"], forward["to"], forward["to_port"])
        for variables in (isp, box)
        for forward in variables["nat_gateway_forwarded_ports"]
    }
    assert forwarded == {(2222, "10.9.1.3", 2222), (9090, "10.9.1.10", 9090), (2222, "10.9.3.10", 22)}
    assert box["name_service_listen_addresses"] == ["10.9.2.2"]
    assert [image.kind(room, name) for name in ("isp", "box", "pc")] == ["gateway", "gateway box", "guest"]


def test_ansible_has_of_each_gateway_what_is_its_own(tmp_path: Path) -> None:
    groups = inventory.inventory(_load(tmp_path, HOMES), {}, "the resolver")["gateways"]
    assert groups["vars"].keys() >= {"name_service_domain", "name_service_hosts", "name_service_upstream"}
    own = {"name_service_listen_addresses", "nat_gateway_forwarded_ports"}
    own |= {"nat_gateway_inside", "nat_gateway_outside_address"}
    assert {host: variables.keys() for host, variables in groups["hosts"].items()} == {"isp": own, "box": own}


def test_ssh_knows_a_guest_by_its_gateways_forwarded_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABROOM_STATE_DIR", str(tmp_path / "state"))
    room = _load(tmp_path, HOMES)
    keys.prepare(room)
    names = [line.split()[0] for line in keys.known_hosts("homes").read_text().splitlines()]
    assert "hen,hen.lab.test,10.9.3.10,[10.9.1.3]:2222" in names
    assert "pc,pc.lab.test,10.9.2.10" in names


def test_of_ways_that_are_as_short_the_first_in_the_file_is_taken(tmp_path: Path) -> None:
    ring = """\
name: ring
networks: {private: 10.9.1.0/24, up: 10.9.2.0/24, low: 10.9.3.0/24, outside: 203.0.113.0/28}
guests:
  r1: {part: router, private: .2, up: .2}
  r2: {part: router, private: .3, low: .2}
  r3: {part: router, up: .3, outside: .2}
  r4: {part: router, low: .3, outside: .3}
  pc: {private: .10}
"""
    assert _way(_load(tmp_path, ring), "pc") == ("10.9.1.2", {"10.9.3.0/24": "10.9.1.3"})
    swapped = ring.replace("r1:", "r0:").replace("r2:", "r1:").replace("r0:", "r2:").splitlines()
    swapped[3], swapped[4] = swapped[4], swapped[3]
    assert _way(_load(tmp_path, "\n".join(swapped)), "pc") == ("10.9.1.3", {"10.9.2.0/24": "10.9.1.2"})


@pytest.mark.parametrize(
    ("text", "found", "replacement", "expected"),
    [
        (CHAIN, "middle: 10", "middles: 10", r"5: guests.r1.middle: no such field; did you mean middles\?"),
        (CHAIN, "{private: .10}", "{privat: .10}", r"4: guests.left.privat: no such field; did you mean private\?"),
        (CHAIN, "{private: .10}", "{privat: x}", r"4: guests.left.privat: no such field; did you mean private\?"),
        (CHAIN, "middle: 10", "router1x: 10", r"2: networks.router1x: no name of a network: .* 7 in all"),
        (CHAIN, "middle: 10", "part: 10", r"2: networks.part: part is a field of guests: choose another name"),
        (CHAIN, "middle: 10", "lo: 10", r"2: networks.lo: lo is a name of Linux's own: choose another name"),
        (CHAIN, "10.9.2.0/24", "10.9.0.0/16", r"2: networks: private and middle overlap, middle and far overlap$"),
        (CHAIN, "10.9.2.0/24", "10.9.2.1/24", r"2: networks.middle: .* did you mean 10.9.2.0/24\?$"),
        (CHAIN, "networks: {private", "network: {private", r"2: network: no such field; did you mean networks\?$"),
        (CHAIN, "left: {private: .10}", "left: {private: .300}", r"4: guests.left.private: .*, not '10.9.1.300'"),
        (CHAIN, "left: {private: .10}", "left: {private: .1}", r"4: guests.left.private: 10.9.1.1 is taken by this"),
        (CHAIN, "left: {private: .10}", "left: {far: .3}", r"8: guests.r3.far: 10.9.3.3 is taken by left"),
        (
            CHAIN,
            "left: {private: .10}",
            "left: {private: .10, far: .9}",
            r"4: guests.left: .* on one network",
        ),
        (CHAIN, "private: .2, middle: .2", "private: .2", r"5: guests.r1: a router needs an address on two networks"),
        (CHAIN, "r3: {part: router", "r3: {part: guest", r"8: guests.r3: a guest needs an address on one network"),
        (
            CHAIN.replace(", outside: .2}", "}").replace("r3: {part: router, far: .3}", "r3: {far: .3}"),
            "r2: {part: router",
            "r2: {part: gateway",
            r"7: guests.r2: which side of this gateway is the far one\? no way leads from it to outside",
        ),
        (
            CHAIN.replace("right: {", "r4: {part: router, private: .9, "),
            "r2: {part: router, middle: .3, far: .2}",
            "r2: {part: gateway, private: .3, far: .2}",
            r"7: guests.r2: which side of this gateway is the far one\? .* equal ones by two of its networks",
        ),
        (
            CHAIN,
            "right: {outside: .10}",
            "right: {part: gateway, middle: .9, outside: .10}",
            r"9: guests.right: middle and outside are joined by routers, too, past this gateway",
        ),
        (
            HOMES,
            "gateway: isp, guest: box",
            "guest: box",
            r"12: forwarded_ports.0.gateway: is required .* isp or box",
        ),
        (
            HOMES,
            "gateway: isp, guest: box",
            "gateway: ips, guest: box",
            r"12: .*no gateway 'ips'; did you mean isp\?",
        ),
        (
            HOMES,
            "isp, guest: box",
            "isp, guest: hen",
            r"12: .*guest: 'hen' is no guest of the private network",
        ),
        (
            HOMES,
            "guest: hen",
            "guest: hem",
            r"13: .*'hem' is no guest of the home or yard network; did you mean hen\?",
        ),
        (HOMES, "port: 9090", "port: 2222", r"14: forwarded_ports.2.port: 2222 is forwarded already"),
        (
            HOMES,
            "far: {outside: .10}",
            "other: {part: gateway, private: .9, outside: .10}",
            None,  # two gateways side by side: the first is taken
        ),
        (
            HOMES.replace("far: {", "other: {part: gateway, private: .9, "),
            "gateway: isp, guest: server",
            "gateway: other, guest: server",
            r"14: forwarded_ports.2.guest: server would answer by way of isp, not of other",
        ),
    ],
)
def test_what_can_not_be_drawn_is_said_in_words(
    tmp_path: Path, text: str, found: str, replacement: str, expected: str | None
) -> None:
    assert found in text
    if expected is None:
        assert _load(tmp_path, text.replace(found, replacement, 1))
        return
    with pytest.raises(RoomFileError, match=rf"(?m)room\.yml:{expected}"):
        _load(tmp_path, text.replace(found, replacement, 1))


def test_a_mistake_brings_no_others_about(tmp_path: Path) -> None:
    """What can't be known without what is wrong is not said."""
    text = HOMES.replace("shed: {part: router", "r2: {part: router")
    for found, replacement in (
        ("networks: {private", "network: {private"),
        ("private: 10.9.1.0/24", "private: 10.9.1.0"),
        ("r2: {part: router", "r2: {part: rooter"),
        ("far: {outside: .10}", "far: {outsid: .10}"),
    ):
        assert found in text
        with pytest.raises(RoomFileError) as caught:
            _load(tmp_path, text.replace(found, replacement, 1))
        assert len(str(caught.value).splitlines()) == 1, caught.value


def test_the_rooms_of_the_documentation_are_rooms(tmp_path: Path) -> None:
    drawn = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/routers.md").read_text(encoding="utf-8"), re.DOTALL)
    chain, homes = (_load(tmp_path, text) for text in drawn)
    assert _way(chain, "alfa") == ("192.168.85.2", {})
    assert _asks(chain, "alfa") == ["192.168.87.3"]
    assert homes.far_address("box") in homes.networks.private


LINKS = ("private", "a", "b", "c", OUTSIDE)
JOINT = st.builds(Joint, st.lists(st.sampled_from(LINKS), min_size=2, unique=True).map(tuple), st.booleans())


@settings(max_examples=500)
@given(st.dictionaries(st.sampled_from("123456"), JOINT))
def test_who_sends_arrives_and_never_through_a_gateway_from_its_far_side(joints: dict[str, Joint]) -> None:
    """Whatever is drawn."""
    routes = Routes(joints)
    if any(routes.mistakes()):
        return
    for link, to in product(LINKS, LINKS):
        crossed: list[str] = []
        name: str | None = None
        links: tuple[str, ...] = (link,)
        while to not in links and (hop := routes.hop(name, links, to)):
            assert hop.name not in crossed
            assert hop.link in links
            assert hop.link != routes.far_sides.get(hop.name)
            name, links = hop.name, joints[hop.name].links
            crossed.append(hop.name)
        assert to in links or not crossed
        if to in links and not any(joints[name].nat for name in crossed):
            assert link == to or routes.hop(None, (to,), link)  # the answer comes back
