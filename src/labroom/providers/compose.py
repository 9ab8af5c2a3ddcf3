"""A room as a Compose project: what docker-compose.yml in the checkout is of the checkout's own room.yml.

docs/docker.md says what a container may do, and why.
"""

import json
import zlib
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from labroom import keys
from labroom import room as room_file
from labroom.inventory import guest_variables
from labroom.providers import guest_network
from labroom.resources import ROOT
from labroom.room import LINKS, Room

#: Whom the gateway asks for names that are not the room's: Docker's own name server, as a container sees it.
NAME_SERVER = "127.0.0.11"

_BASE_IMAGES = {
    "auto": "ubuntu:24.04",
    "noble": "ubuntu:24.04",
    "jammy": "ubuntu:22.04",
    "bookworm": "debian:12",
    "trixie": "debian:13",
}
# Beyond Docker's own default; docs/docker.md says what for.
_CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE")


def can_have(room: Room) -> bool:
    """Whether containers can be this room: of the two networks that each has, with one gateway between them.

    Docker publishes forwarded ports at a container's first network, by name: it need not be a gateway's far side.
    """
    parts = [guest.part for guest in room.guests.values()]
    return len(room.networks.subnets) == len(LINKS) and parts.count("gateway") <= 1 and "router" not in parts


def project(room: Room) -> dict[str, Any]:
    """The room as a Compose project (the Compose Specification, as far as docker-compose 1.29 knows it)."""
    services = {name: _service(room, name) for name in room.guests}
    used = {network for service in services.values() for network in service["networks"]}
    networks = {
        # In the order of their names: Docker publishes a container's ports at its address on the first.
        "outside": _network(room.networks.outside, room.networks.router),
        "private": _network(room.networks.private, room.networks.machine("private")),
        "uplink": _network(_uplink(room), _uplink(room)[1], way_out=True),
    }
    networks = {name: network for name, network in networks.items() if name in used}
    described: dict[str, Any] = {"services": services, "networks": networks}
    if room.limits.home_mib:
        described["volumes"] = {home(name): {} for name in room.guests}
    return described


def home(name: str) -> str:
    """The volume in which a guest's home is kept."""
    return f"home-{name}"


def _uplink(room: Room) -> IPv4Network:
    """The network by which the far side reaches the internet: one for each room's name, of the range of RFC 2544.

    It can't be the outside network itself. Where the machine's netfilter sees bridged packets too (br_netfilter),
    Docker's rule that translates the addresses of a network meets what the gateway forwards from there as well.
    """
    number = zlib.crc32(room.name.encode())
    return list(IPv4Network("198.18.0.0/15").subnets(new_prefix=24))[number % 512]


def _network(subnet: IPv4Network, bridge: IPv4Address, *, way_out: bool = False) -> dict[str, Any]:
    return {
        # Who leaves another way, root as he may be, gets no answer.
        "driver_opts": {"com.docker.network.bridge.enable_ip_masquerade": str(way_out).lower()},
        "ipam": {"config": [{"subnet": str(subnet), "gateway": str(bridge)}]},
    }


def _service(room: Room, name: str) -> dict[str, Any]:
    guest = room.guests[name]
    ports = ["127.0.0.1::22"]  # any free one
    if guest.part == "gateway":
        ports += [f"127.0.0.1:{forward.port}:{forward.port}" for forward in room.forwarded_ports]
    networks: dict[str, Any] = {
        link: {"ipv4_address": str(getattr(guest, link))} for link in LINKS if getattr(guest, link)
    }
    if guest.outside and room.internet:
        networks["uplink"] = {}
    return {
        "image": f"{room.name}-{target(room, name)}",
        "build": {"context": ".", "target": target(room, name), "args": _build_arguments(room, name)},
        "hostname": name,
        "domainname": room.domain,
        "networks": networks,
        "environment": _environment(room, name),
        "ports": ports,
        "cap_add": list(_CAPABILITIES),
        "security_opt": ["apparmor:unconfined"],
        "pids_limit": room.limits.processes,
        "mem_limit": f"{room.limits.memory_mib}m",
        **({"volumes": [f"{home(name)}:/home"]} if room.limits.home_mib else {}),
        **({"sysctls": {"net.ipv4.ip_forward": 1}} if guest.part == "gateway" else {}),
    }


def target(room: Room, name: str) -> str:
    """The stage of the Dockerfile that a guest is made of."""
    return room.guests[name].part if room.image.provisioned else "base"


def _build_arguments(room: Room, name: str) -> dict[str, str]:
    arguments = {"BASE_IMAGE": f"${{LABROOM_BASE_IMAGE:-{_BASE_IMAGES[room.image.release]}}}"}
    own = {key: value for key, value in guest_variables(room).items() if value != keys.STUDENT}
    if target(room, name) != "base" and own:
        arguments["VARIABLES"] = json.dumps(own)
    if target(room, name) == "gateway" and room != room_file.load(ROOT / "room.yml"):
        arguments["ROOM"] = room.model_dump_json(exclude_none=True).replace("$", "$$")
    return arguments


def _environment(room: Room, name: str) -> dict[str, str]:
    """What docker/start makes of the container: its way out, whom it asks for names, and its own name."""
    network = guest_network.of(room, name, router=str(_uplink(room)[1]), name_server=NAME_SERVER)
    environment = {"ROUTER": network.router or "", "RESOLV_CONF": network.resolv_conf}
    if room.guests[name].outside:  # Docker would give its name every address that it has
        environment["HOSTS"] = network.hosts
    return environment
