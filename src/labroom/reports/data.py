"""A room as data, for programs: what `labroom status --json` prints, and what its picture is drawn of.

docs/wire.md documents the fields. One may be added; none changes its meaning or goes.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from labroom.providers import Status
from labroom.room import Link, Room
from labroom.routes import OUTSIDE


def networks(room: Room) -> dict[str, IPv4Network]:
    """The room's networks by their names, the one that leads to the internet last."""
    return dict(sorted(room.networks.subnets.items(), key=lambda each: each[0] == OUTSIDE))


def machine(room: Room) -> dict[str, IPv4Address]:
    """This machine's addresses, by the networks that they are in."""
    return {link: room.networks.machine(link) for link in networks(room)}


def forwarded(room: Room) -> list[dict[str, Any]]:
    """The forwarded ports, each with the gateway and the address that it is at."""
    return [
        {
            "gateway": gateway,
            "address": str(room.far_address(gateway)),
            "port": each.port,
            "guest": each.guest,
            "guest_port": each.target,
        }
        for gateway in room.gateways
        for each in room.forwards(gateway)
    ]


def status(
    room: Room,
    file: str,
    found: Sequence[Status] | None,
    provider: str,
    links: Mapping[str, Mapping[Link, Mapping[str, str]]],
) -> dict[str, Any]:
    """The room and what is known of its guests.

    Args:
        room: the room.
        file: its room file.
        found: what is known of each guest; None if the room isn't up.
        provider: what makes its guests.
        links: what is bad about each guest's links, by the guest's name and the network.
    """
    known = {each.name: each for each in found or ()}
    guests = []
    for name, described in room.guests.items():
        now = known.get(name)
        up = bool(now and now.up)
        guests.append(
            {
                "name": name,
                "part": described.part,
                "addresses": {network: str(address) for network, address in described.addresses.items()},
                "up": up,
                "seconds": round(now.seconds, 1) if now and up else None,
                "memory_bytes": now.memory_bytes if now and up else None,
                "cpu_seconds": round(now.cpu_seconds, 2) if now and up else None,
                "processes": now.processes if now and up else None,
                "writable": now.writable if now and up else None,
                "links": {network: dict(bad) for network, bad in links.get(name, {}).items() if bad},
            }
        )
    return {
        "room": room.name,
        "file": file,
        "up": found is not None,
        "provider": provider,
        "domain": room.domain,
        "internet": room.internet,
        "networks": [
            {"name": name, "subnet": str(subnet), "machine": str(machine(room)[name])}
            for name, subnet in networks(room).items()
        ],
        "guests": guests,
        "forwarded_ports": forwarded(room),
    }
