"""A room's links: two bridges in a network namespace of the room's own, and the machine's and the internet's way in.

Deleting the namespace deletes every link, address, route and nftables table in it. On the machine itself there is one
interface a network, with the machine's own address in the room; the bridges hand it nothing that is not for that
address, so the machine forwards nothing for the room, whatever its own settings. The internet is reached through
slirp4netns(1), a process of the room that opens ordinary sockets on behalf of the guests: no route, no NAT rule and no
setting of the machine is touched.
"""

import contextlib
import json
import os
import time
from ipaddress import IPv4Network
from pathlib import Path

from labroom import state
from labroom.errors import MachineError
from labroom.processes import run, spawn, start_time
from labroom.providers import record
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.room import LINKS, Link, Room

#: The name server that slirp4netns gives to the namespace: the machine's own, whatever that is.
UPLINK_NAME_SERVER = "10.0.2.3"
_UPLINK = "uplink"  # the control group of slirp4netns
_ARP_RETRY_MS = 50  # while a guest boots, ask for it this often instead of once a second
_ARP_RETRIES = 20


def interface(room_name: str, link: Link) -> str:
    """The machine's interface in a network of the room."""
    return f"{room_name}-{link}"


def namespace(room_name: str) -> Path:
    """The file that holds the room's network namespace (namespaces(7))."""
    return state.rooms() / room_name / "netns"


def inside(room_name: str) -> tuple[str, ...]:
    """The command that runs another one in the room's network namespace."""
    return ("nsenter", f"--net={namespace(room_name)}", "--")


def exists(room_name: str) -> bool:
    """Whether the room's links are there."""
    interfaces = [Path("/sys/class/net", interface(room_name, link)) for link in LINKS]
    return _pinned(namespace(room_name)) and all(path.exists() for path in interfaces)


def _complete(room_name: str) -> Path:
    """The file that says that the links were made to the end, rules and all."""
    return state.rooms() / room_name / "links"


def _pinned(file: Path) -> bool:
    """Whether a namespace is mounted on `file`."""
    try:
        return file.stat().st_dev != file.parent.stat().st_dev
    except FileNotFoundError:
        return False


def check_free(room: Room) -> None:
    """See that no other network of this machine uses the room's addresses.

    Raises:
        MachineError: one does; the message names the interface or the route.
    """
    own = {interface(room.name, link) for link in LINKS}
    for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "all")):
        target = route.get("dst", "default")
        if target == "default" or route.get("dev") in own or route.get("type") in ("broadcast", "multicast"):
            continue
        for subnet in (room.networks.private, room.networks.outside):
            if IPv4Network(target, strict=False).overlaps(subnet):
                raise MachineError(
                    f"{subnet} is in use on this machine: {target} on {route.get('dev', 'a route of its own')}",
                    "choose other networks and addresses in room.yml",
                )


def create(room: Room, *, joined: bool = True) -> None:
    """Make the room's links, and let this machine join them unless `joined` says no."""
    name = room.name
    file = namespace(name)
    state.prepare(file.parent)
    file.touch()
    run("unshare", f"--net={file}", "true")
    networks = room.networks
    links = ["link set lo up"]
    for bridge in LINKS:
        links += [f"link add {bridge} type bridge", f"link set {bridge} up"]
    links.append(f"addr add {networks.router}/{networks.outside.prefixlen} dev outside")
    run(*inside(name), "ip", "-batch", "-", stdin="\n".join(links))
    # nftables: one table of ours in each family, in the room's namespace.
    rules = "table bridge labroom { chain forward { type filter hook forward priority filter;\n"
    for link in LINKS:
        address = networks.machine(link)
        rules += f'oifname "machine-{link}" ether type ip ip daddr != {address} drop\n'
        rules += f'oifname "machine-{link}" ether type ip6 drop\n'
    rules += "}\n}\n"
    if room.internet:
        others = ", ".join(str(subnet) for subnet in _all_subnets(room))
        rules += (
            "table ip labroom {\n"
            f"set rooms {{ type ipv4_addr; flags interval; auto-merge; elements = {{ {others} }} }}\n"
            'chain forward { type filter hook forward priority filter; oifname "tap0" ip daddr @rooms reject; }\n'
            'chain postrouting { type nat hook postrouting priority srcnat; oifname "tap0" masquerade; }\n'
            "}\n"
        )
        run(*inside(name), "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    run(*inside(name), "nft", "-f", "-", stdin=rules)
    if joined:
        _join(room)
    _complete(name).touch()


def _all_subnets(room: Room) -> list[IPv4Network]:
    """The subnets of every room of this machine, which none may reach by way of its uplink."""
    subnets = {room.networks.private, room.networks.outside}
    for _, known in record.every():
        subnets |= {IPv4Network(subnet) for subnet in known.get("networks", [])}
    return sorted(subnets)


def close_to(room: Room, others: list[str]) -> None:
    """Let the uplinks of other rooms refuse this room's addresses too."""
    elements = f"{room.networks.private}, {room.networks.outside}"
    for other in others:
        with contextlib.suppress(MachineError):  # it has no uplink
            run(*inside(other), "nft", f"add element ip labroom rooms {{ {elements} }}")


def _join(room: Room) -> None:
    """Give the machine its interfaces in the room."""
    file = namespace(room.name)
    for link in LINKS:
        own = interface(room.name, link)
        subnet: IPv4Network = getattr(room.networks, link)
        address = room.networks.machine(link)
        # A hardware address of our choosing: one of the kernel's choosing udev would change under the guests' feet.
        hardware = f"02:00:{address.packed.hex(':')}"
        far_end = ("peer", "name", f"machine-{link}", "netns", str(file))
        run("ip", "link", "add", own, "address", hardware, "type", "veth", *far_end)
        settings = {
            f"/proc/sys/net/ipv6/conf/{own}/disable_ipv6": 1,  # no router advertisements from a guest
            f"/proc/sys/net/ipv4/neigh/{own}/retrans_time_ms": _ARP_RETRY_MS,
            f"/proc/sys/net/ipv4/neigh/{own}/mcast_solicit": _ARP_RETRIES,
        }
        for setting, value in settings.items():
            with contextlib.suppress(FileNotFoundError):  # a machine without IPv6
                Path(setting).write_text(str(value), encoding="utf-8")
        run("ip", "-batch", "-", stdin=f"addr add {address}/{subnet.prefixlen} dev {own}\nlink set {own} up\n")
    attach = "".join(f"link set machine-{link} master {link} up\n" for link in LINKS)
    run(*inside(room.name), "ip", "-batch", "-", stdin=attach)


def start_uplink(room_name: str) -> None:
    """Start slirp4netns for a room whose links are there.

    Raises:
        MachineError: it did not come up; the message has what it said.
    """
    group = Cgroup(room_name, _UPLINK)
    group.create()
    log = state.rooms() / room_name / "uplink.log"
    ready, signal_ready = os.pipe()
    command = ("slirp4netns", "--configure", "--mtu=1500", "--disable-host-loopback", "--netns-type=path")
    os.set_inheritable(signal_ready, True)
    spawn(
        group.entering(*command, f"--ready-fd={signal_ready}", str(namespace(room_name)), "tap0"), log, dict(os.environ)
    )
    os.close(signal_ready)
    with os.fdopen(ready, encoding="utf-8") as pipe:
        if not pipe.read(1):  # it ended
            lines = log.read_text(encoding="utf-8").strip().splitlines()
            raise MachineError(f"slirp4netns: {lines[-1] if lines else 'ended at once'}", f"see {log}")


def uplink_runs(room_name: str) -> bool:
    """Whether the room's slirp4netns is there."""
    return any(start_time(pid) is not None for pid in Cgroup(room_name, _UPLINK).processes())


def reset_uplink(room_name: str) -> None:
    """Clear away what a slirp4netns that died has left, and start it anew."""
    Cgroup(room_name, _UPLINK).remove()
    start_uplink(room_name)


def remove(room_name: str) -> None:
    """Remove the links, whatever is left of them; everything in them must have ended."""
    _complete(room_name).unlink(missing_ok=True)
    for link in LINKS:
        own = interface(room_name, link)
        if Path("/sys/class/net", own).exists():
            run("ip", "link", "delete", own)
    file = namespace(room_name)
    deadline = time.monotonic() + 5
    while _pinned(file):
        try:
            run("umount", str(file))
        except MachineError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    file.unlink(missing_ok=True)
