"""A room as a Compose project: what docker-compose.yml in the checkout is of the checkout's own room.yml.

docs/docker.md says what a container may do, and why.
"""

import json
import zlib
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from labroom import keys
from labroom.inventory import gateway_variables, guest_variables
from labroom.providers import guest_network
from labroom.room import LINKS, ForwardedPort, Link, Room
from labroom.routes import OUTSIDE

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


def project(room: Room) -> dict[str, Any]:
    """The room as a Compose project (the Compose Specification, as far as docker-compose 1.29 knows it)."""
    services = {name: _service(room, name) for name in room.guests}
    used = {network for service in services.values() for network in service["networks"]}
    networks = {
        _network_name(room, link): _network(
            subnet, room.networks.router if link == OUTSIDE else room.networks.machine(link)
        )
        for link, subnet in room.networks.subnets.items()
    }
    networks["uplink"] = _network(_uplink(room), _uplink(room)[1], way_out=True)
    described: dict[str, Any] = {
        "services": services,
        "networks": {name: network for name, network in sorted(networks.items()) if name in used},
    }
    if room.limits.home_mib:
        described["volumes"] = {home(name): {} for name in room.guests}
    return described


def _network_name(room: Room, link: Link) -> str:
    """What Compose calls a network of the room.

    Docker publishes a container's ports at its address on the first of its networks, by their names. So those that are
    nearer to `outside` come first: of a gateway's, that of its far side.
    """
    if link in LINKS:
        return link
    near, far = (room.routes.steps(each, OUTSIDE) for each in (link, "private"))
    return f"{OUTSIDE if near < far else 'private'}-{near:02}-{link}"


def published(room: Room) -> dict[str, list[ForwardedPort]]:
    """The forwarded ports that are ports of this machine, too, by gateway: of those that no other gateway hides.

    A port that several gateways have is the first one's.
    """
    found: dict[str, list[ForwardedPort]] = {}
    taken: set[int] = set()
    for name in room.gateways:
        if room.routes.far_sides[name] in room.routes.without_nat():
            found[name] = [forward for forward in room.forwards(name) if forward.port not in taken]
            taken |= {forward.port for forward in found[name]}
    return found


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
    ports += [f"127.0.0.1:{forward.port}:{forward.port}" for forward in published(room).get(name, [])]
    networks: dict[str, Any] = {
        _network_name(room, link): {"ipv4_address": str(address)} for link, address in guest.addresses.items()
    }
    if guest.outside and room.internet:
        networks["uplink"] = {}
    return {
        "image": _image(room, name),
        "build": {"context": ".", "target": _target(room, name), "args": _build_arguments(room, name)},
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
        **({"sysctls": {"net.ipv4.ip_forward": 1}} if guest.part != "guest" else {}),
    }


def _target(room: Room, name: str) -> str:
    """The stage of the Dockerfile that a guest is made of."""
    if not room.image.provisioned:
        return "base"
    return "gateway" if name in room.gateways else "guest"


def _image(room: Room, name: str) -> str:
    """The image that a guest is made of: a further gateway has one of its own."""
    target = _target(room, name)
    further = target == "gateway" and room.guests[name] is not room.gateway
    return f"{room.name}-{target}{f'-{name}' if further else ''}"


def _build_arguments(room: Room, name: str) -> dict[str, str]:
    arguments = {
        "BASE_IMAGE": f"${{LABROOM_BASE_IMAGE:-{_BASE_IMAGES[room.image.release]}}}",
        "CERTIFICATES": "${LABROOM_CERTIFICATES-}",
    }
    own = {key: value for key, value in guest_variables(room).items() if value != keys.STUDENT}
    if _target(room, name) != "base" and own:
        arguments["VARIABLES"] = _json(own)
    if _target(room, name) == "gateway":
        arguments["GATEWAY_VARIABLES"] = _json(gateway_variables(room, name, NAME_SERVER))
    return arguments


def _json(variables: dict[str, Any]) -> str:
    return json.dumps(variables).replace("$", "$$")  # what Compose makes `$` of again


def _environment(room: Room, name: str) -> dict[str, str]:
    """What docker/start makes of the container: its ways, whom it asks for names, and its own name."""
    network = guest_network.of(room, name, router=str(_uplink(room)[1]), name_server=NAME_SERVER)
    environment = {"ROUTER": network.router or "", "RESOLV_CONF": network.resolv_conf}
    if network.routes:
        environment["ROUTES"] = "".join(f"route replace {to} via {hop}\n" for to, hop in network.routes.items())
    # Docker would give its name every address that it has.
    if room.guests[name].outside or len(room.guests[name].addresses) > 1:
        environment["HOSTS"] = network.hosts
    return environment
