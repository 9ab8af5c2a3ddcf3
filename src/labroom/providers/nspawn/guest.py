"""A guest of the nspawn provider: a systemd machine, started by systemd-nspawn(1) on an overlay of shared image layers.

A guest's overlay is mounted in a mount namespace of its own, its processes are in a control group of its own and its
links in the room's network namespace: when those processes end, however they end, nothing of it stays mounted or
linked. What is left to remove is found by the room's name, never by what a file remembers.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import selectors
import shutil
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path

from labroom import keys, state
from labroom.errors import MachineError, RoomFault
from labroom.processes import PRIVATE_MOUNTS, run, spawn, start_time
from labroom.providers import guest_network
from labroom.providers.guest_network import GuestNetwork
from labroom.providers.nspawn import cgroups, fetched, links
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.room import Link, Room

#: A guest's user 0 is this user of the machine, who owns nothing else: the last 65,536 of the range that systemd
#: sets apart for containers (systemd's UIDS-GIDS.md).
UID_BASE = 0x6FFF0000
UID_COUNT = 65536

_BOOT_TIMEOUT = 180  # s; a guest takes one, six at once on an emulated or overloaded machine a hundred
_STOP_TIMEOUT = 5  # s, then it is killed

# $1 the folder from which the overlay's are named, $2 overlay options, $3 mount point, then the command.
_MOUNTED = 'cd "$1" && options=$2 root=$3; shift 3; mount -t overlay overlay -o "$options" "$root" && exec "$@"'


@dataclass(frozen=True)
class NspawnGuest:
    """What it takes to start one guest of room.yml.

    Attributes:
        name: its host name.
        link: the network of its first interface, host0.
        addresses: interface to address with prefix length, as `ip addr add` takes it.
        network: its way out, and the files that say whom it asks for names.
        processes: how many it may have.
        memory_mib: how much it may hold.
        layers: the image, topmost layer first.
    """

    name: str
    link: Link
    addresses: dict[str, str]
    network: GuestNetwork
    processes: int
    memory_mib: int
    layers: tuple[str, ...]

    def digest(self) -> str:
        """Tells one description from another."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def describe(room: Room, name: str, layers: Iterable[Path]) -> NspawnGuest:
    """What it takes to start the guest `name` of `room` on the given image layers."""
    guest = room.guests[name]
    first: IPv4Network = getattr(room.networks, guest.link)
    addresses = {"host0": f"{guest.address}/{first.prefixlen}"}
    if guest.private and guest.outside:
        addresses["outside0"] = f"{guest.outside}/{room.networks.outside.prefixlen}"
    return NspawnGuest(
        name=name,
        link=guest.link,
        addresses=addresses,
        network=guest_network.of(room, name, router=str(room.networks.router), name_server=links.UPLINK_NAME_SERVER),
        processes=room.limits.processes,
        memory_mib=room.limits.memory_mib,
        layers=tuple(map(str, layers)),
    )


def folder(room_name: str, guest: str) -> Path:
    """Where a guest's own files and its record are."""
    return state.rooms() / room_name / "guests" / guest


def runs(room_name: str, guest: str) -> int | None:
    """The process that is the guest's supervisor, None if it isn't there."""
    record = state.read_json(folder(room_name, guest) / "guest.json")
    pid = record.get("pid")
    return pid if pid and start_time(pid) == record.get("start_time") else None


def start(room_name: str, wanted: NspawnGuest, apt: Path | None = None) -> None:
    """Start a guest, in place of one that died if there is one; it answers SSH a second or so later.

    Args:
        room_name: the room whose links and keys it gets.
        wanted: what to start.
        apt: what is lent to its apt (`fetched`).
    """
    home = folder(room_name, wanted.name)
    remove(room_name, wanted.name)
    upper, root = home / "upper", home / "root"
    for path in (upper, home / "work", root):
        path.mkdir(parents=True)
    os.chown(upper, UID_BASE, UID_BASE)
    _furnish(room_name, wanted, upper, apt)
    group = Cgroup(room_name, wanted.name)
    group.create(wanted.processes, wanted.memory_mib)
    # Named from where they lie: in a path to there, commas and colons would end an option.
    own = (str(upper), str(home / "work"))
    *lower, above, work = (os.path.relpath(path, state.root()) for path in (*wanted.layers, *own))
    overlay = f"lowerdir={':'.join(lower)},upperdir={above},workdir={work}"
    # In turn: the room's links, mounts of its own, the overlay, the machine.
    mounted = ("sh", "-c", _MOUNTED, "sh", str(state.root()), overlay, str(root))
    command = [*links.inside(room_name), *PRIVATE_MOUNTS, *mounted]
    command += [
        "systemd-nspawn",
        "--quiet",
        "--settings=no",
        "--register=no",
        "--keep-unit",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--console=read-only",
        f"--directory={root}",
        f"--private-users={UID_BASE}:{UID_COUNT}",
        "--private-users-ownership=off",
        f"--machine={room_name}-{wanted.name}",
        f"--hostname={wanted.name}",
        f"--network-bridge={wanted.link}",
    ]
    if "outside0" in wanted.addresses:
        command.append(f"--network-veth-extra={_far_end(wanted.name)}:outside0")
    environment = {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        # One hierarchy in the guest, whatever the machine has: newer systemd knows no other.
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
    }
    pid = spawn(group.entering(*command, "--boot"), home / "console.log", environment)
    state.write_json(home / "guest.json", {"pid": pid, "start_time": start_time(pid), "digest": wanted.digest()})


def _far_end(guest: str) -> str:
    """The far end, in the room's namespace, of a gateway's second interface."""
    return f"far-{guest}"[:15]


def connect_far_side(room_name: str, wanted: NspawnGuest) -> None:
    """Put the second interface of a gateway on the outside network, as soon as systemd-nspawn has made it."""
    if "outside0" not in wanted.addresses:
        return
    deadline = time.monotonic() + _BOOT_TIMEOUT
    while True:
        try:
            run(*links.inside(room_name), "ip", "link", "set", _far_end(wanted.name), "master", "outside", "up")
        except MachineError:
            if runs(room_name, wanted.name) is None or time.monotonic() > deadline:
                raise _did_not_boot(room_name, wanted.name) from None
            time.sleep(0.02)
        else:
            return


def _furnish(room_name: str, wanted: NspawnGuest, upper: Path, apt: Path | None) -> None:
    """Write what tells this guest from others of the same image."""
    layers = [Path(layer) for layer in wanted.layers]

    def parents(path: Path) -> None:
        if not path.parts or (upper / path).exists():
            return
        parents(path.parent)
        below = next((layer / path for layer in layers if (layer / path).is_dir()), None)
        (upper / path).mkdir()
        if below:
            shutil.copystat(below, upper / path)
            os.chown(upper / path, below.stat().st_uid, below.stat().st_gid)
        else:
            os.chown(upper / path, UID_BASE, UID_BASE)

    def write(path: str, text: str, mode: int = 0o644, owner: int = 0) -> None:
        parents(Path(path).parent)
        file = upper / path
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        os.chown(file, UID_BASE + owner, UID_BASE + owner)

    interfaces = "link set lo up\n"
    for interface, address in wanted.addresses.items():
        interfaces += f"addr add {address} dev {interface}\nlink set {interface} up\n"
    if wanted.network.router:
        interfaces += f"route add default via {wanted.network.router}\n"
    write("etc/labroom/network", interfaces)
    write("etc/hostname", f"{wanted.name}\n")
    write("etc/hosts", wanted.network.hosts)
    write("etc/resolv.conf", wanted.network.resolv_conf)
    write("etc/machine-id", hashlib.sha256(f"{room_name} {wanted.name}".encode()).hexdigest()[:32] + "\n", 0o444)
    host_key = keys.host_key(room_name, wanted.name)
    write("etc/ssh/ssh_host_ed25519_key", host_key.read_text(encoding="utf-8"), 0o600)
    write("etc/ssh/ssh_host_ed25519_key.pub", keys.public(host_key) + "\n")
    allowed = keys.public(keys.identity(room_name)) + "\n"
    (upper / "root").mkdir(mode=0o700)
    os.chown(upper / "root", UID_BASE, UID_BASE)
    (upper / "root/.ssh").mkdir(mode=0o700)
    os.chown(upper / "root/.ssh", UID_BASE, UID_BASE)
    write("root/.ssh/authorized_keys", allowed, 0o600)
    accounts = next(layer / "etc/passwd" for layer in layers if (layer / "etc/passwd").exists())
    for account in accounts.read_text(encoding="utf-8").splitlines():
        login, _, uid, _, _, home, _ = account.split(":")
        if login == keys.STUDENT:
            write(f"{home.lstrip('/')}/.ssh/authorized_keys", allowed, 0o600, int(uid))
    if apt:
        for place in fetched.PLACES.values():
            parents(place)
        fetched.lend(apt, upper, UID_BASE)


def wait_for_ssh(room: Room, guests: Iterable[str], timeout: float = _BOOT_TIMEOUT) -> None:
    """Wait until each guest's sshd has said who it is (RFC 4253, 4.2).

    Raises:
        RoomFault: a guest ended, or did not answer in time; the message has the last lines of its console.
    """
    pending = set(guests)
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as sockets:
        trying: dict[str, socket.socket] = {}
        while pending:
            for name in sorted(pending - trying.keys()):
                if runs(room.name, name) is None:
                    raise _did_not_boot(room.name, name)
                guest = room.guests[name]
                attempt = sockets.enter_context(socket.socket())
                attempt.setblocking(False)
                with contextlib.suppress(OSError):
                    attempt.bind((str(room.networks.machine(guest.link)), 0))
                    if attempt.connect_ex((str(guest.address), 22)) == errno.EINPROGRESS:
                        trying[name] = attempt
                        selector.register(attempt, selectors.EVENT_READ, name)
            for key, _ in selector.select(timeout=0.05):
                name = key.data
                attempt = trying.pop(name)
                try:
                    answer = attempt.recv(4)
                except OSError:
                    answer = b""
                selector.unregister(attempt)
                attempt.close()
                if answer == b"SSH-":
                    pending.discard(name)
            if time.monotonic() > deadline:
                raise _did_not_boot(room.name, min(pending))
            if pending and len(trying) < len(pending):
                time.sleep(0.01)


def console(room_name: str, guest: str, lines: int = 8) -> list[str]:
    """The last lines that a guest wrote to its console, without colours."""
    try:
        text = (folder(room_name, guest) / "console.log").read_text(errors="replace", encoding="utf-8")
    except OSError:
        return []
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r", "", text)
    return [line for line in plain.splitlines() if line.strip()][-lines:]


def _did_not_boot(room_name: str, guest: str) -> RoomFault:
    ended = runs(room_name, guest) is None
    last = "".join(f"\n    {line}" for line in console(room_name, guest)) or " (nothing)"
    # An `up` that fails takes the guest's own files away again.
    kept = state.root() / f"{room_name}-{guest}-console.log"
    with contextlib.suppress(OSError):
        shutil.copy(folder(room_name, guest) / "console.log", kept)
    return RoomFault(
        f"guest {guest} {'ended while it booted' if ended else 'did not answer SSH in time'}; its console's end:{last}",
        f"the whole log: {kept}",
    )


def shut_down(room_name: str, guests: Iterable[str]) -> None:
    """Shut guests down side by side, killing what does not go in time."""
    left = set(guests)
    for name in left:
        if pid := runs(room_name, name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)  # systemd-nspawn turns it into a clean shutdown
    deadline = time.monotonic() + _STOP_TIMEOUT
    while left and time.monotonic() < deadline:
        left = {name for name in left if runs(room_name, name)}
        if left:
            time.sleep(0.01)
    for name in left:
        Cgroup(room_name, name).remove()


def stop(room_name: str, guests: Iterable[str]) -> None:
    """Shut guests down and remove what was theirs alone."""
    names = list(guests)
    shut_down(room_name, names)
    for name in names:
        remove(room_name, name)


def remove(room_name: str, guest: str) -> None:
    """Remove all that is left of a guest: processes, control group, files."""
    Cgroup(room_name, guest).remove()
    state.remove_tree(folder(room_name, guest))
    with contextlib.suppress(OSError):  # a killed systemd-nspawn leaves it
        Path(f"/run/systemd/nspawn/propagate/{room_name}-{guest}").rmdir()


def remove_all(room_name: str) -> None:
    """Remove every process, control group, link and file of a room but its keys, remembered or not."""
    home = state.rooms() / room_name
    guests = {path.name for path in (home / "guests").glob("*/")}
    for part in guests | cgroups.parts(room_name):
        remove(room_name, part)
    links.remove(room_name)
    cgroups.remove_room(room_name)
    state.remove_tree(home / "guests")
    for leftover in (*home.glob("*.json"), *home.glob("*.log")):
        leftover.unlink()
