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
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from labroom import commands, keys, state
from labroom.errors import MachineError, RoomFault
from labroom.processes import environment, start_time
from labroom.providers import guest_network, record
from labroom.providers.guest_files import GuestFile
from labroom.providers.guest_network import GuestNetwork
from labroom.providers.nspawn import bad_links, bounds, cgroups, disks, fetched, homes, links
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.providers.nspawn.disks import UID_BASE, UID_COUNT
from labroom.providers.nspawn.launcher import HOME_FAULT
from labroom.room import Link, Room

_FIRST_UID = 0x80000

_BOOT_TIMEOUT = 180  # s; a guest takes one, six at once on an emulated or overloaded machine a hundred
_STOP_TIMEOUT = 5  # s, then it is killed
_ROUTER = """\
[Service]
ExecStart=sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
"""
_RECORD = "guest.json"  # what is known of a guest that was started: its users, its supervisor, its digest


@dataclass(frozen=True)
class NspawnGuest:
    """What it takes to start one guest of room.yml.

    Attributes:
        name: its host name.
        link: the network of its first interface, host0.
        addresses: interface to address with prefix length, as `ip addr add` takes it.
        network: its ways out, and the files that say whom it asks for names.
        forwards: whether it is a router.
        processes: how many it may have.
        memory_mib: how much it may hold.
        disk_mib: how much it may write; None: as much as there is, with the users on disk, as what becomes an image.
        files: how many of them it may have.
        home_mib: how much it may write in its /home, which is kept (`homes`); 0: that is a part of its disk.
        layers: the image, topmost layer first.
    """

    name: str
    link: Link
    addresses: dict[str, str]
    network: GuestNetwork
    forwards: bool
    processes: int
    memory_mib: int
    disk_mib: int | None
    files: int
    home_mib: int
    layers: tuple[str, ...]

    def digest(self) -> str:
        """Tells one description from another."""
        described = asdict(self)
        # What labroom 0.1 did not know counts where it says something: its guests are no others.
        if not described["forwards"]:
            del described["forwards"]
        if not described["network"]["routes"]:
            del described["network"]["routes"]
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def describe(room: Room, name: str, layers: Iterable[Path]) -> NspawnGuest:
    """What it takes to start the guest `name` of `room` on the given image layers."""
    guest = room.guests[name]
    subnets = room.networks.subnets
    addresses = {
        "host0" if link == guest.link else f"{link}0": f"{address}/{subnets[link].prefixlen}"
        for link, address in guest.addresses.items()
    }
    return NspawnGuest(
        name=name,
        link=guest.link,
        addresses=addresses,
        network=guest_network.of(room, name, router=str(room.networks.router), name_server=links.UPLINK_NAME_SERVER),
        forwards=guest.part == "router",
        processes=room.limits.processes,
        memory_mib=room.limits.memory_mib,
        disk_mib=room.limits.disk_mib,
        files=room.limits.files,
        home_mib=room.limits.home_mib,
        layers=tuple(map(str, layers)),
    )


def folder(room_name: str, guest: str) -> Path:
    """Where a guest's own files and its record are."""
    return state.rooms() / room_name / "guests" / guest


def known(room_name: str, guest: str) -> dict[str, Any]:
    """What is known of a guest that was started; empty if there is none."""
    return state.read_json(folder(room_name, guest) / _RECORD)


def runs(room_name: str, guest: str) -> int | None:
    """The process that is the guest's supervisor, None if it isn't there."""
    record = known(room_name, guest)
    pid = record.get("pid")
    started = start_time(pid) if pid else None
    return pid if started and started == record.get("start_time") else None


def start(
    room_name: str,
    wanted: Sequence[NspawnGuest],
    files: Mapping[str, Sequence[GuestFile]] = MappingProxyType({}),
    shared: Sequence[GuestFile] = (),
    apt: Path | None = None,
    link_scripts: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Start guests, in place of those that died; they answer SSH a second or so later.

    Args:
        room_name: the room whose links and keys they get.
        wanted: what to start.
        files: what each has besides, by its name.
        shared: what all of them have besides.
        apt: what is lent to their apt (`fetched`).
        link_scripts: what makes the links of some bad (`bad_links`), by their names.

    Raises:
        MachineError: the machine refuses what they take.
    """
    # It begins to start while all is made ready for it.
    pipe = subprocess.PIPE
    with subprocess.Popen(disks.LAUNCHER, stdin=pipe, stdout=pipe, encoding="utf-8", env=environment()) as launching:
        with_home = {guest.name: (guest.home_mib, guest.files) for guest in wanted if guest.home_mib}
        if with_home:
            homes.require_space(room_name)
        for guest in wanted:
            remove(room_name, guest.name)
        homes.prepare(room_name, with_home)
        users = _choose_users(room_name, [guest.name for guest in wanted])
        for name, script in link_scripts.items():
            (folder(room_name, name) / bad_links.FILE).write_text(script, encoding="utf-8")
        beneath = [str(_shared_layer(room_name, shared, wanted[0].layers))] if shared else []
        for guest in wanted:  # one boots while the next is made ready
            layers = [*beneath, *guest.layers]
            own = _furnish(room_name, guest, layers, files.get(guest.name, ()), apt)
            plan = json.dumps(_plan(room_name, guest, users[guest.name], [str(own), *layers]))
            with contextlib.suppress(BrokenPipeError):  # it was killed, and will say nothing
                print(plan, file=launching.stdin, flush=True)
        started = json.loads(launching.communicate()[0] or "{}")
    if not started:
        again = commands.labroom("up", room=record.read(room_name).get("file"))
        raise MachineError("what starts guests was killed", again)
    for guest in wanted:
        pid = started[guest.name]
        known = {"pid": pid, "start_time": start_time(pid), "digest": guest.digest(), "users": users[guest.name]}
        known["home"] = bool(guest.home_mib)
        state.write_json(folder(room_name, guest.name) / _RECORD, known)


def _choose_users(room_name: str, names: Sequence[str]) -> dict[str, int]:
    """The first of the users of this machine that each guest has for itself; remembered at once."""
    ranges = (UID_BASE - _FIRST_UID) // UID_COUNT
    chosen = {}
    with state.locked(state.lock("users"), "chooses users for guests"):
        known = (state.read_json(file) for file in state.rooms().glob(f"*/guests/*/{_RECORD}"))
        taken = {record.get("users") for record in known}
        for name in names:
            number = int(hashlib.sha256(f"{state.root()} {room_name} {name}".encode()).hexdigest()[:8], 16)
            while (first := UID_BASE - UID_COUNT * (number % ranges + 1)) in taken:
                number += 1
            taken.add(first)
            chosen[name] = first
            home = folder(room_name, name)
            state.prepare(home)
            home.parent.chmod(0o700)  # a guest's files are none of the machine's users'
            state.write_json(folder(room_name, name) / _RECORD, {"users": first})
    return chosen


def _plan(room_name: str, wanted: NspawnGuest, users: int, layers: Sequence[str]) -> dict[str, object]:
    """All that the launcher has to know of a guest, whose control group is there afterwards."""
    home = folder(room_name, wanted.name)
    group = Cgroup(room_name, wanted.name)
    group.create(wanted.processes, wanted.memory_mib)
    command = [
        "systemd-nspawn",
        "--quiet",
        "--settings=no",
        "--register=no",
        "--keep-unit",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--console=read-only",
        "--boot",
        f"--directory={home / 'root'}",
        "--private-users-ownership=off",
        f"--machine={room_name}-{wanted.name}",
        f"--hostname={wanted.name}",
        f"--network-bridge={wanted.link}",
        f"--tmpfs=/dev/shm:mode=1777,size={wanted.memory_mib // 4}m",
    ]
    far_ends = {links.far_end(wanted.name, own): own for own in wanted.addresses if own != "host0"}
    command += [f"--network-veth-extra={far_end}:{own}" for far_end, own in far_ends.items()]
    return {
        "name": wanted.name,
        "folder": str(home),
        "control": [str(file) for file in group.entrances()],
        "network": str(links.namespace(room_name)),
        "disk": str(disks.empty(wanted.disk_mib, wanted.files)) if wanted.disk_mib else None,
        "home": str(homes.file(room_name, wanted.name)) if wanted.home_mib else None,
        "layers": layers,
        "stored": UID_BASE,
        "wanted": users if wanted.disk_mib else UID_BASE,
        "count": UID_COUNT,
        "command": command,
        "bounds": bounds.script(),
        "port": links.bridge_port(room_name, wanted.name),
        "far_ends": {far_end: own.removesuffix("0") for far_end, own in far_ends.items()},
        "environment": {
            "PATH": environment()["PATH"],
            # One hierarchy in the guest, whatever the machine has: newer systemd knows no other.
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            # /tmp lies on the guest's disk, which has a limit; else it would be memory, a part of the machine's.
            "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
        },
    }


class _Layer:
    """A new layer, whose folders have the owners and modes that they have below.

    Args:
        folder: where it becomes.
        below: the layers that it will lie on, topmost first.
    """

    def __init__(self, folder: Path, below: Sequence[str]) -> None:
        self.folder = folder
        self._below = [Path(layer) for layer in below]
        folder.mkdir()
        self._own(folder, 0o755)

    def folders(self, path: Path) -> None:
        """Have a folder in it, and those that it is in."""
        if not path.parts or (self.folder / path).exists():
            return
        self.folders(path.parent)
        (self.folder / path).mkdir()
        below = next((status for layer in self._below if (status := _folder(layer / path))), None)
        owner = (below.st_uid - UID_BASE, below.st_gid - UID_BASE) if below else (0, 0)
        self._own(self.folder / path, below.st_mode & 0o7777 if below else 0o755, *owner)

    def write(self, path: str, text: str, mode: int = 0o644, owner: int = 0) -> None:
        """Write a file: its path in the guest, what is in it, its mode, and the user and group whose it is."""
        self.folders(Path(path).parent)
        file = self.folder / path
        file.write_text(text, encoding="utf-8")
        self._own(file, mode, owner, owner)

    def write_files(self, files: Iterable[GuestFile]) -> None:
        """Write what the room has for its guests, where there is a student."""
        for login, uid, _ in self.accounts():
            for file in files if login == keys.STUDENT else ():
                self.write(file.path, file.text, *((0o600, uid) if file.students else ()))

    def accounts(self) -> Iterator[tuple[str, int, str]]:
        """Yield the accounts of the layers below: login, number, home folder."""
        file = next(file for layer in self._below if (file := layer / "etc/passwd").exists())
        for account in file.read_text(encoding="utf-8").splitlines():
            login, _, uid, _, _, home, _ = account.split(":")
            yield login, int(uid), home

    def _own(self, path: Path, mode: int, user: int = 0, group: int = 0) -> None:
        path.chmod(mode)
        os.chown(path, UID_BASE + user, UID_BASE + group)


def _folder(path: Path) -> os.stat_result | None:
    return path.stat() if path.is_dir() else None


def _shared_layer(room_name: str, files: Sequence[GuestFile], below: Sequence[str]) -> Path:
    """The layer with what all guests of a room have besides, by a name that tells it from others; made once."""
    digest = hashlib.sha256(f"{files} {below[-1]}".encode()).hexdigest()[:12]
    shared = state.rooms() / room_name / "shared" / digest
    if not shared.is_dir():
        state.remove_tree(partial := shared.with_suffix(".partial"))  # of an `up` that was killed
        state.prepare(shared.parent)
        shared.parent.chmod(0o700)
        _Layer(partial, below).write_files(files)
        partial.rename(shared)
    return shared


def _furnish(
    room_name: str, wanted: NspawnGuest, below: Sequence[str], files: Sequence[GuestFile], apt: Path | None
) -> Path:
    """Write what tells this guest from others of the same image: a layer of its own, which it can't change."""
    own = folder(room_name, wanted.name) / "own"
    layer = _Layer(own, below)
    interfaces = "link set lo up\n"
    for interface, address in wanted.addresses.items():
        interfaces += f"addr add {address} dev {interface}\nlink set {interface} up\n"
    if wanted.network.router:
        interfaces += f"route add default via {wanted.network.router}\n"
    for network, router in wanted.network.routes.items():
        interfaces += f"route add {network} via {router}\n"
    if wanted.forwards:
        layer.write("etc/systemd/system/labroom-network.service.d/router.conf", _ROUTER)
    layer.write("etc/labroom/network", interfaces)
    layer.write("etc/hostname", f"{wanted.name}\n")
    layer.write("etc/hosts", wanted.network.hosts)
    layer.write("etc/resolv.conf", wanted.network.resolv_conf)
    machine_id = hashlib.sha256(f"{room_name} {wanted.name}".encode()).hexdigest()[:32]
    layer.write("etc/machine-id", f"{machine_id}\n", 0o444)
    host_key = keys.host_key(room_name, wanted.name)
    layer.write("etc/ssh/ssh_host_ed25519_key", host_key.read_text(encoding="utf-8"), 0o600)
    layer.write("etc/ssh/ssh_host_ed25519_key.pub", keys.public(host_key) + "\n")
    allowed = keys.public(keys.identity(room_name)) + "\n"
    for login, uid, home in layer.accounts():
        if login in ("root", keys.STUDENT):
            ssh = f"{home.lstrip('/')}/.ssh"
            layer.folders(Path(ssh))
            layer.write(f"{ssh}/authorized_keys", allowed, 0o600, uid)
            (own / ssh).chmod(0o700)
    layer.write_files(files)
    if apt:
        for place in fetched.PLACES.values():
            layer.folders(place)
        fetched.lend(apt, own, UID_BASE)
    return own


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
    if (said := console(room_name, guest, 1)) and ended and (words := said[0].partition(HOME_FAULT)[2]):
        repair = f"e2fsck -y {homes.file(room_name, guest)}"
        anew = commands.labroom("reset", "--home", guest, room=record.read(room_name).get("file"))
        remedy = f"{repair}, or a new home: {anew}"
        return RoomFault(f"the home of {guest} can't be mounted: {words}", remedy)
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
    for part in ("guests", "shared"):
        state.remove_tree(home / part)
    for leftover in (*home.glob("*.json"), *home.glob("*.log")):
        leftover.unlink()
