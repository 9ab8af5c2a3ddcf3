"""Who routes and who resolves for a guest, whatever makes it: the files and the default route that it starts with."""

from dataclasses import dataclass

from labroom.room import Room


@dataclass(frozen=True)
class GuestNetwork:
    """What a guest knows of the world at its start.

    Attributes:
        router: its default route; None: no way out.
        resolv_conf: its resolv.conf(5).
        hosts: its hosts(5).
    """

    router: str | None
    resolv_conf: str
    hosts: str


def of(room: Room, name: str, *, router: str, name_server: str) -> GuestNetwork:
    """How the guest `name` finds its way.

    Args:
        room: the room.
        name: the guest.
        router: by which the far side leaves for the internet, where the room has it.
        name_server: whom the far side, and a gateway that isn't provisioned, ask for names then.
    """
    guest = room.guests[name]
    if guest.outside:
        way_out, name_servers = (router, [name_server]) if room.internet else (None, [])
    else:
        way_out = str(room.gateway.private) if room.gateway else None
        name_servers = [way_out] if way_out else []
    if guest.part == "gateway":  # it is the name service, once it is provisioned
        name_servers = [str(guest.private), *([] if room.image.provisioned else name_servers)]
    lines = [f"search {room.domain}"] if guest.private else []
    lines += [f"nameserver {address}" for address in name_servers]
    return GuestNetwork(
        router=way_out,
        resolv_conf="".join(f"{line}\n" for line in lines),
        hosts=f"127.0.0.1 localhost\n{guest.address} {name}.{room.domain} {name}\n",
    )
