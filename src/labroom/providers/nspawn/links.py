"""A room's links: a bridge a network, in a namespace of the room's own, and the machine's and the internet's way in.

Deleting the namespace deletes every link, address, route and nftables table in it. On the machine itself there is one
interface a network, with the machine's own address in the room; the bridges hand it nothing that is not for that
address, so the machine forwards nothing for the room, whatever its own settings, and nothing but answers: guests reach
those ports of the machine that room.yml opens, and no other. The internet is reached through slirp4netns(1), a process
of the room that opens ordinary sockets on behalf of the guests, and may not open one to this machine (`fence`): no
route, no rule and no setting of the machine is touched.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import struct
import time
from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from labroom import commands, state
from labroom.errors import MachineError
from labroom.processes import run, spawn, start_time
from labroom.providers import guest_network, record
from labroom.providers.nspawn import fence
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.room import LINKS, Link, Room

#: The name server that slirp4netns gives to the namespace: the machine's own, whatever that is.
UPLINK_NAME_SERVER = "10.0.2.3"
#: The network that slirp4netns has for itself.
UPLINK_NETWORK = IPv4Network("10.0.2.0/24")
#: What brings unified control groups to a machine that has older ones alone.
MOUNT_UNIFIED = "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
_UPLINK = "uplink.helper"  # the control group of slirp4netns; no guest's name has a dot
_ARP_RETRY_MS = 50  # while a guest boots, ask for it this often instead of once a second
_ARP_RETRIES = 20
_SIOCDARP, _ARPREQ = 0x8953, "=H2x4s8x36x16s"  # struct arpreq of arp(7): address and interface
_SSH_PORT = 22  # by which guests are reached; in the room's own namespace nobody listens there
_REFUSAL_SECONDS = 3.0
_IP_RECVERR = 11  # linux/in.h: what ICMP says of a socket is kept (ip(7))


def interface(room_name: str, link: Link) -> str:
    """The machine's interface in a network of the room."""
    return f"{room_name}-{link}"


def namespace(room_name: str) -> Path:
    """The file that holds the room's network namespace (namespaces(7))."""
    return state.rooms() / room_name / "netns"


def inside(room_name: str) -> tuple[str, ...]:
    """The command that runs another one in the room's network namespace."""
    return ("nsenter", f"--net={namespace(room_name)}", "--")


def bridge_port(room_name: str, guest: str) -> str:
    """The port of the bridge that a guest's first interface leads to, as systemd-nspawn names it.

    If it is longer than an interface's name may be, that is an alternative name (ip-link(8), property).
    """
    return f"vb-{room_name}-{guest}"


def far_end(guest: str, own: str) -> str:
    """The far end, in the room's namespace, of a further interface of a guest's: as long a name as one may have."""
    return f"far-{hashlib.sha256(f'{guest} {own}'.encode()).hexdigest()[:11]}"


def exists(room_name: str) -> bool:
    """Whether the room's links are there, all of them, and were made to the end."""
    there = all(Path("/sys/class/net", own).exists() for own in _interfaces(room_name))
    return _complete(room_name).exists() and _pinned(namespace(room_name)) and there


def _interfaces(room_name: str) -> list[str]:
    """The machine's interfaces in a room, by its record; labroom 0.1 made two, and did not write it."""
    known: list[str] | None = record.read(room_name).get("interfaces")
    return known or [interface(room_name, link) for link in LINKS]


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
        MachineError: one does; the message names it, and the room that has it, if it is one's.
    """
    guests = {address for guest in room.guests.values() for address in guest.addresses.values()}
    found = uses({interface(room.name, link) for link in room.networks.subnets}, guests)
    for subnet in room.networks.subnets.values():
        if not (what := used(subnet, found)):
            continue
        remedy = "choose other networks and addresses in room.yml"
        for other in record.others(room.name):
            if any(subnet.overlaps(network) for network in other.networks):
                words = f"{subnet} is in use on this machine by room {other.room_name}, of {other.file}"
                raise MachineError(words, f"{other.down()}, or {remedy}")
        raise MachineError(f"{subnet} is in use on this machine: {what}", remedy)


def used(subnet: IPv4Network, found: Sequence[tuple[IPv4Network, str]]) -> str | None:
    """What of `uses` is in a subnet, in words; None if nothing is.

    A wider route that covers it, as a VPN's 0.0.0.0/1 or 10.0.0.0/8, is no use of it: the room's own is more specific,
    and wins (RFC 1812, 5.2.4.3).
    """
    return next((what for network, what in found if network.subnet_of(subnet)), None)


def uses(interfaces: Collection[str] = (), addresses: Collection[IPv4Address] = ()) -> list[tuple[IPv4Network, str]]:
    """Where this machine's routes lead, by whom, and whom it asks for names: each network or address, and what it is.

    Args:
        interfaces: those whose routes are left out.
        addresses: name servers that are left out.
    """
    found = []
    for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "all")):
        if route.get("dev") in interfaces or route.get("type") in ("broadcast", "multicast"):
            continue
        target = IPv4Network("0.0.0.0/0" if route["dst"] == "default" else route["dst"])
        found.append((target, f"{route['dst']} on {route.get('dev', 'a route of its own')}"))
        hops = [hop["gateway"] for hop in (route, *route.get("nexthops", [])) if "gateway" in hop]
        found += [(IPv4Network(hop), f"{hop}, the gateway to {route['dst']}") for hop in hops]
    servers = [server for server in name_servers() if server not in addresses]
    return found + [(IPv4Network(server), f"{server}, this machine's name server") for server in servers]


# Guests get tables of sockets of their own (ip-sysctl.rst). Otherwise they share the machine's, and the kernel goes
# through all its places, a quarter of a million, each time that a check asks which sockets a guest has.
_SMALL_TABLES = """cd /proc/sys/net/ipv4
if [ -e tcp_child_ehash_entries ]; then echo 8192 >tcp_child_ehash_entries; fi  # Linux 6.1
if [ -e udp_child_hash_entries ]; then echo 1024 >udp_child_hash_entries; fi  # Linux 6.2
"""


def create(room: Room, *, joined: bool = True) -> None:
    """Make the room's links, and let this machine join them unless `joined` says no."""
    name = room.name
    file = namespace(name)
    state.prepare(file.parent)
    file.touch()
    run("unshare", f"--net={file}", "true")
    networks = room.networks
    links = ["link set lo up"]
    for bridge in networks.subnets:
        links += [f"link add name {bridge} type bridge", f"link set dev {bridge} up"]
    links.append(f"addr add {networks.router}/{networks.outside.prefixlen} dev outside")
    run(*inside(name), "ip", "-batch", "-", stdin="\n".join(links))
    run(*inside(name), "sh", "-c", _SMALL_TABLES)  # before the guests' namespaces are created from this one
    # nftables: one table of ours in each family, in the room's namespace.
    run(*inside(name), "nft", "-f", "-", stdin=_rules_for_the_machine(room) + (_RULES_FOR_THE_UPLINK * room.internet))
    if room.internet:
        run(*inside(name), "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        _refuse(file, _all_subnets(room))  # after the table is there, into which other rooms put themselves
    if joined:
        _join(room)
    _complete(name).touch()


def _rules_for_the_machine(room: Room) -> str:
    """What of the room's frames gets to the machine: answers, what asks who is there, and what is for open ports.

    Without conntrack(8), which few kernels have for bridges: TCP is opened by SYN without ACK alone (RFC 9293, 3.10.7),
    of UDP it is remembered whom the machine has asked. The hook is postrouting, which sees what a router in the
    namespace sends, too.
    """
    ports = f"{{ {', '.join(map(str, room.machine_ports))} }}"
    opened = f"tcp dport {ports} accept\nudp dport {ports} accept\n" if room.machine_ports else ""
    asking, answering = "", ""
    for link, subnet in room.networks.subnets.items():
        machine = room.networks.machine(link)
        asking += f'iifname "machine-{link}" ip protocol udp update @asked {{ ip daddr . udp dport . udp sport }}\n'
        answering += (
            f'oifname "machine-{link}" ip saddr {subnet} ip daddr {machine} jump to_machine\n'
            f'oifname "machine-{link}" ether type != arp drop\n'
        )
    return f"""table bridge labroom {{
        set asked {{
            type ipv4_addr . inet_service . inet_service
            flags dynamic, timeout
            timeout 3m
            size 65536
        }}
        chain to_machine {{
            tcp flags & (syn | ack) != syn accept
            ip saddr . udp sport . udp dport @asked accept
            icmp type {{ echo-request, echo-reply, destination-unreachable, time-exceeded, parameter-problem }} accept
            ip frag-off & 0x1fff != 0 ip protocol {{ udp, icmp }} accept
            {opened}
        }}
        chain forward {{
            type filter hook forward priority filter
            {asking}
        }}
        chain postrouting {{
            type filter hook postrouting priority filter
            {answering}
        }}
    }}
    """


# Of what slirp4netns has for itself, guests reach its name server alone; and nothing of the machine's own links: not
# loopback, nor what is named link-local, such as the service by which clouds hand out keys, nor who listens to many.
_RULES_FOR_THE_UPLINK = f"""table ip labroom {{
    set rooms {{ type ipv4_addr; flags interval; auto-merge; }}
    chain forward {{
        type filter hook forward priority filter
        oifname != "tap0" accept
        ip daddr {UPLINK_NAME_SERVER} meta l4proto {{ tcp, udp }} th dport 53 accept
        ip daddr {{ {UPLINK_NETWORK}, 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3 }} reject
        ip daddr @rooms reject
    }}
    chain postrouting {{ type nat hook postrouting priority srcnat; oifname "tap0" masquerade; }}
}}
"""


def _all_subnets(room: Room) -> list[IPv4Network]:
    """The subnets of every room of this machine, which none may reach by way of its uplink."""
    others = [subnet for other in record.others(room.name) for subnet in other.networks]
    return sorted({*room.networks.subnets.values(), *others})


def close_to(room: Room) -> None:
    """Let the uplinks of this machine's other rooms refuse this room's addresses too."""
    own = namespace(room.name)
    for file in {
        *state.rooms().glob("*/netns"),
        *(claim.state / "rooms" / claim.room_name / "netns" for claim in record.claims()),
    }:
        if file != own and _pinned(file):
            with contextlib.suppress(MachineError):  # it has no uplink
                _refuse(file, list(room.networks.subnets.values()))


def _refuse(file: Path, subnets: Sequence[IPv4Network]) -> None:
    elements = ", ".join(map(str, subnets))
    run("nsenter", f"--net={file}", "--", "nft", f"add element ip labroom rooms {{ {elements} }}")


def _join(room: Room) -> None:
    """Give the machine its interfaces in the room."""
    file = namespace(room.name)
    for link in room.networks.subnets:
        own = interface(room.name, link)
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
    restore(room)
    attach = "".join(f"link set machine-{link} master {link} up\n" for link in room.networks.subnets)
    run(*inside(room.name), "ip", "-batch", "-", stdin=attach)
    for link in room.networks.subnets:
        _require_way_to(room, link)
    require_answers(room)


def restore(room: Room) -> None:
    """Give the machine's interfaces their addresses, which they may have lost to a network manager of the machine's."""
    commands = ""
    for link, subnet in room.networks.subnets.items():
        own = interface(room.name, link)
        commands += f"addr replace {room.networks.machine(link)}/{subnet.prefixlen} dev {own}\nlink set {own} up\n"
    run("ip", "-batch", "-", stdin=commands)


def forget_neighbours(room: Room, names: Iterable[str]) -> None:
    """Let the machine ask anew who has the addresses of guests that were replaced (arp(7)).

    What opens a connection it would send at once to a guest that it knows. Nobody is there yet, and it would be sent
    again after a second (RFC 6298).
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for guest in (room.guests[name] for name in names):
            own = interface(room.name, guest.link).encode()
            asked = struct.pack(_ARPREQ, socket.AF_INET, guest.address.packed, own)
            with contextlib.suppress(OSError):  # it was not known
                fcntl.ioctl(any_socket, _SIOCDARP, asked)


def route(room: Room) -> None:
    """Let what comes back from the internet find its way to the networks that are joined with `outside` without NAT."""
    if room.internet:
        ways = {subnet: guest_network.next_hop(room, None, link) for link, subnet in room.networks.subnets.items()}
        commands = [f"route add {subnet} via {hop} proto static" for subnet, hop in ways.items() if hop]
        run(*inside(room.name), "ip", "-batch", "-", stdin="\n".join(["route flush proto static", *commands]))


def _require_way_to(room: Room, link: Link) -> None:
    """See that the machine sends what is for the room to the room, whatever rules it has (ip-rule(8)).

    Raises:
        MachineError: it doesn't.
    """
    subnet = room.networks.subnets[link]
    route = {}
    with contextlib.suppress(MachineError):  # it is sent nowhere
        (route,) = json.loads(run("ip", "-json", "route", "get", str(subnet.network_address + 2)))
    if route.get("dev") != interface(room.name, link):
        raise MachineError(
            f"this machine sends what is for {subnet} to {route.get('dev', 'nowhere')}: a rule of `ip rule` says so",
            f"ip rule add to {subnet} lookup main priority 1",
        )


def require_answers(room: Room) -> None:
    """See that the machine's firewall lets it call the room: the router, which no guest is, refuses it at once.

    Where the machine has lost its address in the room, that is no firewall's doing; `up` gives it back.

    Raises:
        MachineError: it doesn't.
    """
    router = str(room.networks.router)
    with socket.socket() as calling:
        calling.settimeout(_REFUSAL_SECONDS)
        calling.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        try:
            calling.bind((str(room.networks.machine("outside")), 0))
        except OSError:
            return
        try:
            calling.connect((router, _SSH_PORT))
        except ConnectionRefusedError:
            if not _is_of_icmp(calling):
                return
        except OSError:
            pass
    raise MachineError(
        f"a firewall of this machine keeps it from its own room: {router} does not answer it", _opening(room)
    )


def _is_of_icmp(calling: socket.socket) -> bool:
    """Whether a refusal came by ICMP, as of firewalls that reject; a host where nobody listens says it by TCP."""
    calling.setblocking(False)  # else Python asks again and again until the socket's time is over
    try:
        return bool(calling.recvmsg(1, 512, socket.MSG_ERRQUEUE))
    except OSError:
        return False


def _opening(room: Room) -> str:
    """What opens the machine's firewall to its room."""
    names = [interface(room.name, link) for link in room.networks.subnets]
    remedy = f"let pass what uses {' and '.join(names)}: {commands.as_root('nft list ruleset')} shows the rules"
    if _ufw_is_on():
        remedy = " && ".join(commands.as_root(f"ufw allow out on {name}") for name in names)
    with contextlib.suppress(MachineError):  # this isn't root
        if "firewalld_policy_drop" in run("nft", "list", "tables"):
            remedy = commands.as_root("firewall-cmd --panic-off")
    return remedy


def _ufw_is_on() -> bool:
    """Whether ufw(8) is this machine's firewall."""
    try:
        return "\nENABLED=yes" in Path("/etc/ufw/ufw.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def start_uplink(room_name: str) -> None:
    """Start slirp4netns for a room whose links are there, where only playbooks run: they may reach this machine.

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


def reset_uplink(room: Room) -> None:
    """Clear away what a slirp4netns that died has left, and start it anew, kept from this machine.

    Raises:
        MachineError: it did not come up, or this machine can't keep it.
    """
    group = Cgroup(room.name, _UPLINK)
    group.remove()
    group.create()
    if not (unified := group.unified()):
        raise MachineError(
            "this machine has no unified control groups, by which guests are kept from its own services", MOUNT_UNIFIED
        )
    fence.raise_around(unified, room.machine_ports, name_servers())
    start_uplink(room.name)


def name_servers(file: Path = Path("/etc/resolv.conf")) -> list[IPv4Address]:
    """The name servers of this machine that slirp4netns can ask: those with IPv4 addresses (resolv.conf(5))."""
    found = []
    with contextlib.suppress(OSError):
        for words in map(str.split, file.read_text(encoding="utf-8", errors="replace").splitlines()):
            if len(words) > 1 and words[0] == "nameserver":
                with contextlib.suppress(ValueError):
                    found.append(IPv4Address(words[1]))
    return found


def remove(room_name: str) -> None:
    """Remove the links, whatever is left of them; everything in them must have ended."""
    _complete(room_name).unlink(missing_ok=True)
    for own in _interfaces(room_name):
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
