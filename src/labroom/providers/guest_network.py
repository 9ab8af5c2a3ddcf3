"""Who routes and who resolves for a guest, whatever makes it: the files and the default route that it starts with."""

from dataclasses import dataclass

from labroom.room import Room
from labroom.routes import OUTSIDE


@dataclass(frozen=True)
class GuestNetwork:
    """What a guest knows of the world at its start.

    Attributes:
        router: its default route; None: no way out.
        resolv_conf: its resolv.conf(5).
        hosts: its hosts(5).
        routes: further networks, and by whom they are reached.
    """

    router: str | None
    resolv_conf: str
    hosts: str
    routes: dict[str, str]


def of(room: Room, name: str, *, router: str, name_server: str) -> GuestNetwork:
    """How the guest `name` finds its way.

    Args:
        room: the room.
        name: the guest.
        router: by which the far side leaves for the internet, where the room has it.
        name_server: whom the far side, and a gateway that isn't provisioned, ask for names then.
    """
    guest = room.guests[name]
    hops = {network: hop for network in room.networks.subnets if (hop := next_hop(room, name, network))}
    way_out = hops.pop(OUTSIDE, None)
    if guest.outside:
        way_out = router if room.internet else None
    upstream = [name_server] if room.internet and way_out else []
    name_servers = upstream
    if gateway := room.routes.gateway(name, tuple(guest.addresses)):
        name_servers = [str(room.guests[gateway.name].addresses[gateway.link])]
    if guest.part == "gateway":  # it is the name service, once it is provisioned
        own = next(at for link, at in guest.addresses.items() if link != room.routes.far_sides[name])
        name_servers = [str(own), *([] if room.image.provisioned else upstream)]
    lines = [f"search {room.domain}"] if guest.link != OUTSIDE else []
    lines += [f"nameserver {address}" for address in name_servers]
    return GuestNetwork(
        router=way_out,
        resolv_conf="".join(f"{line}\n" for line in lines),
        hosts=f"127.0.0.1 localhost\n{guest.address} {name}.{room.domain} {name}\n",
        routes={str(room.networks.subnets[link]): hop for link, hop in hops.items() if hop != way_out},
    )


def next_hop(room: Room, name: str | None, network: str) -> str | None:
    """The address of whom a guest, or what routes for `outside` (None), sends to what is for a network.

    Returns:
        None, where it is on that network itself, or no way leads there.
    """
    links = tuple(room.guests[name].addresses) if name else (OUTSIDE,)
    hop = None if network in links else room.routes.hop(name, links, network)
    return str(room.guests[hop.name].addresses[hop.link]) if hop else None
