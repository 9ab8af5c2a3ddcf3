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
from pathlib import Path

from labroom import keys, state
from labroom.errors import MachineError, RoomFault
from labroom.processes import PRIVATE_MOUNTS, run, spawn, start_time
from labroom.providers.nspawn import cgroups
from labroom.providers.nspawn import links as network
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.room import Link, Room

#: A guest's user 0 is this user of the machine, who owns nothing else: the last 65,536 of the range that systemd
#: sets apart for containers (systemd's UIDS-GIDS.md).
UID_BASE = 0x6FFF0000
UID_COUNT = 65536

_BOOT_TIMEOUT = 180  # s; a guest takes one, six at once on an emulated or overloaded machine a hundred
_STOP_TIMEOUT = 5  # s, then it is killed

# $1 overlay options, $2 mount point, then the command.
_MOUNTED = 'options=$1 root=$2; shift 2; mount -t overlay overlay -o "$options" "$root" && exec "$@"'


@dataclass(frozen=True)
class Guest:
    """What it takes to start one guest.

    Attributes:
        name: its host name.
        link: the network of its first interface, host0.
        addresses: interface to address with prefix length, as `ip addr add` takes it.
        route: its way out, if it has one.
        name_servers: who it asks for names, if anybody; the next one where one doesn't answer.
        domain: the room's domain.
        processes: how many it may have.
        memory_mib: how much it may hold.
        layers: the image, topmost layer first.
    """

    name: str
    link: Link
    addresses: dict[str, str]
    route: str | None
    name_servers: tuple[str, ...]
    domain: str
    processes: int
    memory_mib: int
    layers: tuple[str, ...]

    def digest(self) -> str:
        """Tells one description from another."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def describe(room: Room, name: str, layers: Iterable[Path]) -> Guest:
    """What it takes to start the guest `name` of `room` on the given image layers."""
    guest = room.guests[name]
    far_out = str(room.networks.router) if room.internet else None
    if guest.private:
        addresses = {"host0": f"{guest.private}/{room.networks.private.prefixlen}"}
        if guest.outside:
            addresses["outside0"] = f"{guest.outside}/{room.networks.outside.prefixlen}"
    else:
        addresses = {"host0": f"{guest.outside}/{room.networks.outside.prefixlen}"}
    if guest.outside:
        route, name_servers = far_out, [network.UPLINK_NAME_SERVER] if room.internet else []
    else:
        route = str(room.gateway.private) if room.gateway else None
        name_servers = [route] if route else []
    if guest.part == "gateway":  # it is the name service, once it is provisioned
        name_servers = [str(guest.private), *([] if room.image.provisioned else name_servers)]
    return Guest(
        name=name,
        link=guest.link,
        addresses=addresses,
        route=route,
        name_servers=tuple(name_servers),
        domain=room.domain,
        processes=room.limits.processes,
        memory_mib=room.limits.memory_mib,
        layers=tuple(map(str, layers)),
    )


def folder(room: str, guest: str) -> Path:
    """Where a guest's own files and its record are."""
    return state.ROOMS / room / "guests" / guest


def runs(room: str, guest: str) -> int | None:
    """The process that is the guest's supervisor, None if it isn't there."""
    record = state.read_json(folder(room, guest) / "guest.json")
    pid = record.get("pid")
    return pid if pid and start_time(pid) == record.get("start_time") else None


def start(room: str, guest: Guest) -> None:
    """Start a guest, in place of one that died if there is one; it answers SSH a second or so later.

    Args:
        room: the name of the room whose links and keys it gets.
        guest: what to start.
    """
    home = folder(room, guest.name)
    clear(room, guest.name)
    upper, root = home / "upper", home / "root"
    for path in (upper, home / "work", root):
        path.mkdir(parents=True)
    os.chown(upper, UID_BASE, UID_BASE)
    _furnish(room, guest, upper)
    group = Cgroup(room, guest.name)
    group.create(guest.processes, guest.memory_mib)
    overlay = f"lowerdir={':'.join(guest.layers)},upperdir={upper},workdir={home / 'work'}"
    nspawn = [
        *("systemd-nspawn", "--quiet", "--settings=no", "--register=no", "--keep-unit", "--link-journal=no"),
        *("--resolv-conf=off", "--timezone=off", "--console=read-only", f"--directory={root}"),
        *(f"--private-users={UID_BASE}:{UID_COUNT}", "--private-users-ownership=off"),
        *(f"--machine={room}-{guest.name}", f"--hostname={guest.name}", f"--network-bridge={guest.link}"),
    ]
    if "outside0" in guest.addresses:
        nspawn.append(f"--network-veth-extra={_far_end(guest.name)}:outside0")
    pid = spawn(
        group.entering(
            *(*network.inside(room), *PRIVATE_MOUNTS),
            *("sh", "-c", _MOUNTED, "sh", overlay, str(root), *nspawn, "--boot"),
        ),
        home / "console.log",
        {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            # One hierarchy in the guest, whatever the machine has: newer systemd knows no other.
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        },
    )
    state.write_json(home / "guest.json", {"pid": pid, "start_time": start_time(pid), "digest": guest.digest()})


def _far_end(guest: str) -> str:
    """The far end, in the room's namespace, of a gateway's second interface."""
    return f"far-{guest}"[:15]


def connect_far_side(room: str, guest: Guest) -> None:
    """Put the second interface of a gateway on the outside network, as soon as systemd-nspawn has made it."""
    if "outside0" not in guest.addresses:
        return
    deadline = time.monotonic() + _BOOT_TIMEOUT
    while True:
        try:
            run(*network.inside(room), "ip", "link", "set", _far_end(guest.name), "master", "outside", "up")
        except MachineError:
            if runs(room, guest.name) is None or time.monotonic() > deadline:
                raise _did_not_boot(room, guest.name) from None
            time.sleep(0.02)
        else:
            return


def _furnish(room: str, guest: Guest, upper: Path) -> None:
    """Write what tells this guest from others of the same image."""
    layers = [Path(layer) for layer in guest.layers]

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
        file.write_text(text)
        file.chmod(mode)
        os.chown(file, UID_BASE + owner, UID_BASE + owner)

    own = next(iter(guest.addresses.values())).partition("/")[0]
    links = "link set lo up\n"
    for interface, address in guest.addresses.items():
        links += f"addr add {address} dev {interface}\nlink set {interface} up\n"
    if guest.route:
        links += f"route add default via {guest.route}\n"
    write("etc/labroom/network", links)
    write("etc/hostname", f"{guest.name}\n")
    write("etc/hosts", f"127.0.0.1 localhost\n{own} {guest.name}.{guest.domain} {guest.name}\n")
    resolver = f"search {guest.domain}\n" if guest.link == "private" else ""
    write("etc/resolv.conf", resolver + "".join(f"nameserver {server}\n" for server in guest.name_servers))
    write("etc/machine-id", hashlib.sha256(f"{room} {guest.name}".encode()).hexdigest()[:32] + "\n", 0o444)
    host_key = keys.host_key(room, guest.name)
    write("etc/ssh/ssh_host_ed25519_key", host_key.read_text(), 0o600)
    write("etc/ssh/ssh_host_ed25519_key.pub", keys.public(host_key) + "\n")
    allowed = keys.public(keys.identity(room)) + "\n"
    (upper / "root").mkdir(mode=0o700)
    os.chown(upper / "root", UID_BASE, UID_BASE)
    (upper / "root/.ssh").mkdir(mode=0o700)
    os.chown(upper / "root/.ssh", UID_BASE, UID_BASE)
    write("root/.ssh/authorized_keys", allowed, 0o600)
    accounts = next(layer / "etc/passwd" for layer in layers if (layer / "etc/passwd").exists())
    for account in accounts.read_text().splitlines():
        login, _, uid, _, _, home, _ = account.split(":")
        if login == keys.STUDENT:
            write(f"{home.lstrip('/')}/.ssh/authorized_keys", allowed, 0o600, int(uid))


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


def console(room: str, guest: str, lines: int = 8) -> list[str]:
    """The last lines that a guest wrote to its console, without colours."""
    try:
        text = (folder(room, guest) / "console.log").read_text(errors="replace")
    except OSError:
        return []
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r", "", text)
    return [line for line in plain.splitlines() if line.strip()][-lines:]


def _did_not_boot(room: str, guest: str) -> RoomFault:
    ended = runs(room, guest) is None
    last = "".join(f"\n    {line}" for line in console(room, guest)) or " (nothing)"
    kept = state.ROOT / f"{room}-{guest}-console.log"  # an `up` that fails takes the guest's own files away again
    with contextlib.suppress(OSError):
        shutil.copy(folder(room, guest) / "console.log", kept)
    return RoomFault(
        f"guest {guest} {'ended while it booted' if ended else 'did not answer SSH in time'}; its console's end:{last}",
        f"the whole log: {kept}",
    )


def shut_down(room: str, guests: Iterable[str]) -> None:
    """Shut guests down side by side, killing what does not go in time."""
    left = set(guests)
    for name in left:
        if pid := runs(room, name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)  # systemd-nspawn turns it into a clean shutdown
    deadline = time.monotonic() + _STOP_TIMEOUT
    while left and time.monotonic() < deadline:
        left = {name for name in left if runs(room, name)}
        if left:
            time.sleep(0.01)
    for name in left:
        Cgroup(room, name).destroy()


def stop(room: str, guests: Iterable[str]) -> None:
    """Shut guests down and remove what was theirs alone."""
    names = list(guests)
    shut_down(room, names)
    for name in names:
        clear(room, name)


def clear(room: str, guest: str) -> None:
    """Remove all that is left of a guest: processes, control group, files."""
    Cgroup(room, guest).destroy()
    state.remove_tree(folder(room, guest))
    with contextlib.suppress(OSError):  # a killed systemd-nspawn leaves it
        Path(f"/run/systemd/nspawn/propagate/{room}-{guest}").rmdir()


def clear_away(name: str) -> None:
    """Remove every process, control group, link and file of a room but its keys, remembered or not."""
    guests = {path.name for path in (state.ROOMS / name / "guests").glob("*/")}
    for part in guests | cgroups.parts(name):
        clear(name, part)
    network.destroy(name)
    cgroups.destroy_room(name)
    state.remove_tree(state.ROOMS / name / "guests")
    for leftover in (*state.ROOMS.joinpath(name).glob("*.json"), *state.ROOMS.joinpath(name).glob("*.log")):
        leftover.unlink()
