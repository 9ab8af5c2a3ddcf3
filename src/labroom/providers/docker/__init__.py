"""The docker provider: each guest a container of the project's Dockerfile, by way of Compose.

Works with Compose v2 (`docker compose`) and docker-compose 1.29, and an engine whose guests may be in a virtual machine
(macOS, Windows): a guest's sshd is reached at a port of 127.0.0.1.
"""

import io
import json
import re
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from labroom import bad_link_inside, commands, keys, labs, machine, state
from labroom.bad_link import GOOD, BadLink
from labroom.console import Progress
from labroom.endpoint import Endpoint
from labroom.errors import MachineError, RoomFault
from labroom.processes import environment
from labroom.providers import compose, guest_files, probe, record
from labroom.providers.docker import engine, homes
from labroom.providers.guest_files import GuestFile
from labroom.providers.provider import Status
from labroom.resources import ROOT
from labroom.room import Link, Room

NEEDS_ROOT = False
NAME_SERVER = compose.NAME_SERVER

_SERVICE = "com.docker.compose.service"
_BOOT_TIMEOUT = 180  # s, from a container's start to its sshd's answer

# The key on standard input may log in as root and, where there is one, as the student $1, whatever is in a home that is
# kept (the Dockerfile); prints the host key. What is in a home may be anything: only its owner writes there.
_EXCHANGE_KEYS = """
set -eu
key=$(cat)
mkdir -p /etc/ssh/authorized_keys
for account in root "$1"; do
    printf '%s\\n' "$key" >"/etc/ssh/authorized_keys/$account"
    printf '%s\\n' "$key" | su -s /bin/sh "$account" -c 'umask 077; cd && mkdir -p .ssh && cd .ssh &&
        { [ -s authorized_keys ] || cat >authorized_keys; }' >/dev/null || :
done
cat /etc/ssh/ssh_host_ed25519_key.pub
"""

# Prints memory (byte; 0 without the controller), processor time (us) and processes: a container sees its own control
# group as the root (cgroup_namespaces(7)).
_USAGE = """
cd /sys/fs/cgroup
cat memory.current 2>/dev/null || echo 0
sed -n 's/usage_usec //p' cpu.stat
ls -d /proc/[0-9]* | wc -l
"""
_ASKING = 3  # processes of the asking itself: sh, ls, wc


def _compose_command() -> list[str]:
    """The command of Compose: v2, a part of docker, or docker-compose 1.29.

    Raises:
        MachineError: there is neither.
    """
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, env=environment(), check=False)
    if asked.returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise MachineError("Compose is not installed", commands.as_root("apt-get install docker-compose"))


def _run_compose(room_name: str, *arguments: str) -> None:
    """Run Compose on the room's file, its output in the room's docker.log.

    Raises:
        MachineError: it failed; the message has what it said.
    """
    argv = [*_compose_command(), f"--project-directory={ROOT}", f"--project-name={room_name}"]
    with _log(room_name).open("w", encoding="utf-8") as output:
        done = subprocess.run(
            [*argv, f"--file={_project_file(room_name)}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(LABROOM_CERTIFICATES=certificates()),
            start_new_session=True,  # Ctrl-C is for us, who will end it
            check=False,
        )
    if done.returncode != 0:
        text = _log(room_name).read_text(errors="replace", encoding="utf-8")
        error = engine.explained(text)
        raise MachineError(str(error), error.remedy or f"the whole log: {_log(room_name)}")


def certificates() -> str:
    """Whom images are to trust besides: the certificates of `machine.certificates`, one after the other."""
    return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in machine.certificates())


def _project_file(room_name: str) -> Path:
    return state.rooms() / room_name / "docker-compose.yml"


def _log(room_name: str) -> Path:
    return state.root() / f"{room_name}-docker.log"


def _containers(room_name: str) -> dict[str, dict[str, Any]]:
    """The containers of a room, running or not: for each guest what the engine knows (`docker inspect`)."""
    found = engine.docker("ps", "--all", "--quiet", f"--filter=label={engine.PROJECT}={room_name}").split()
    if not found:
        return {}
    described = json.loads(engine.docker("inspect", "--type=container", *found))
    return {container["Config"]["Labels"][_SERVICE]: container for container in described}


def _ssh_port(container: dict[str, Any] | None) -> int:
    """The port of 127.0.0.1 that leads to a container's sshd; 0, where nothing can listen, if it doesn't run."""
    ports = (container["NetworkSettings"]["Ports"].get("22/tcp") or []) if container else []
    return int(ports[0]["HostPort"]) if ports else 0


# --- the provider --------------------------------------------------------------------------------------------------


def prepare(room: Room, file: Path, progress: Progress) -> None:
    """Build the room's images where something in the checkout has changed (`Provider.prepare`)."""
    project = compose.project(room)
    running = _containers(room.name)
    if running and record.read(room.name).get("project_networks", project["networks"]) != project["networks"]:
        raise MachineError("the running room has other networks than room.yml now says", _anew(room))
    keys.prepare_identity(room.name)
    record.write(room.name, record_of(room, file))
    _project_file(room.name).write_text(yaml.safe_dump(project, sort_keys=False), encoding="utf-8")
    a_guest_of_each = {service["image"]: name for name, service in project["services"].items()}
    with progress.phase("images by the Dockerfile", _log(room.name)):
        _run_compose(room.name, "build", *a_guest_of_each.values())


def up(room: Room, file: Path, progress: Progress) -> dict[str, str]:
    """Make the room what `prepare` has written of room.yml (`Provider.up`)."""
    before = _containers(room.name)
    with progress.phase(f"containers: {' '.join(room.guests)}"[:50], _log(room.name)):
        if failing := probe.failing(_known(room)):
            engine.docker("rm", "--force", "--volumes", *(before[name]["Id"] for name in failing))
        _run_compose(room.name, "up", "--detach", "--no-build", "--remove-orphans")
        after = _containers(room.name)
        _wait_for_ssh(room, after)
        _exchange_keys(room, after)
        if room.image.provisioned:
            _furnish(room, after)
    for name, guest in room.guests.items():
        if named := {link: bad for link, bad in guest.bad_links.items() if bad != GOOD}:
            make_links(room, name, bad_link_inside.made(endpoints(room)[name], guest.addresses) | named)
    return _changes(before, after)


def _known(room: Room) -> dict[str, Endpoint]:
    """The guests that run, and whose host keys are known: an earlier `up` has made them what they should be."""
    file = keys.known_hosts(room.name)
    text = file.read_text() if file.is_file() else ""
    return {name: at for name, at in endpoints(room).items() if at.ssh_port and f"[127.0.0.1]:{at.ssh_port}" in text}


def record_of(room: Room, file: Path) -> dict[str, object]:
    """The record of a room (`record`)."""
    return {
        "provider": "docker",
        "file": str(file),
        "networks": [str(subnet) for subnet in room.networks.subnets.values()],
        "project_networks": compose.project(room)["networks"],
    }


def _changes(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> dict[str, str]:
    changes = dict.fromkeys(before.keys() - after.keys(), "removed")
    for name, container in after.items():
        old = before.get(name)
        if old is None:
            changes[name] = "started"
        elif old["Id"] != container["Id"]:
            changes[name] = "replaced"
        elif old["State"]["StartedAt"] != container["State"]["StartedAt"]:
            changes[name] = "started"
    return changes


def _wait_for_ssh(room: Room, containers: dict[str, dict[str, Any]]) -> None:
    """Wait until each guest's sshd has said who it is (RFC 4253, 4.2); Docker accepts connections before it does.

    Raises:
        RoomFault: a container ended, or did not answer in time.
    """
    deadline = time.monotonic() + _BOOT_TIMEOUT
    look = 0.0
    pending = dict(containers)
    while pending := {name: each for name, each in pending.items() if not _says_ssh(_ssh_port(each))}:
        if (now := time.monotonic()) >= look:  # asking the engine takes what the guests could boot with
            look = now + 1
            ended = [name for name, container in _containers(room.name).items() if not container["State"]["Running"]]
            if ended or now > deadline:
                raise _did_not_boot(room, containers, min(ended or pending), ended=bool(ended))
        time.sleep(0.05)


def _says_ssh(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
            return client.recv(4) == b"SSH-"
    except OSError:
        return False


def _did_not_boot(room: Room, containers: dict[str, dict[str, Any]], name: str, *, ended: bool) -> RoomFault:
    said = subprocess.run(
        ["docker", "logs", containers[name]["Id"]], capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    lines = (said.stdout + said.stderr).strip().splitlines()[-8:]
    last = "".join(f"\n    {line}" for line in lines) or " (nothing)"
    return RoomFault(
        f"container {name} {'ended while it booted' if ended else 'did not answer SSH in time'}; it said:{last}",
        "docs/docker.md says what a container needs of the engine",
    )


def _anew(room: Room) -> str:
    """The commands that make a room's containers anew."""
    file = record.read(room.name)["file"]
    return f"{commands.labroom('down', room=file)} && {commands.labroom('up', '--provider', 'docker', room=file)}"


def _exchange_keys(room: Room, containers: dict[str, dict[str, Any]]) -> None:
    """Let the room's key log in to every guest, and remember the guests' own."""
    allowed = keys.public(keys.identity(room.name))

    def exchange(container: dict[str, Any]) -> str:
        said = engine.asked(container, "sh", "-c", _EXCHANGE_KEYS, "sh", keys.STUDENT, stdin=allowed)
        found = re.match(r"ssh-ed25519 [A-Za-z0-9+/]{60,80}={0,2}(?= |$)", said.strip())
        return found[0] if found else ""

    with ThreadPoolExecutor() as pool:
        host_keys = dict(zip(containers, pool.map(exchange, containers.values()), strict=True))
    for name, key in host_keys.items():
        if not key:
            raise RoomFault(f"container {name} does not take the room's key", _anew(room))
    ports = {name: [_ssh_port(container)] for name, container in containers.items()}
    for forward in (each for forwards in compose.published(room).values() for each in forwards):
        if forward.target == 22:
            ports[forward.guest].append(forward.port)
    keys.write_known_hosts(room, host_keys, ports)


def _furnish(room: Room, containers: dict[str, dict[str, Any]]) -> None:
    """Give each guest the files that tell it from others of its image."""
    shared = guest_files.shared(room)

    def furnish(name: str) -> bool:
        archive = _archive([*guest_files.of(room, name), *shared])
        # Of the names of accounts, not of their numbers, which the container alone knows.
        return bool(engine.asked(containers[name], "sh", "-c", "tar -xpf - -C / && echo done", stdin=archive))

    with ThreadPoolExecutor() as pool:
        done = dict(zip(containers, pool.map(furnish, containers), strict=True))
    if failed := [name for name, right in done.items() if not right]:
        raise RoomFault(f"container {failed[0]} does not take the room's files", _anew(room))


def _archive(files: Iterable[GuestFile]) -> bytes:
    """Files as a tar archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for file in files:
            content = file.text.encode()
            entry = tarfile.TarInfo(file.path)
            entry.size, entry.mtime = len(content), int(time.time())
            entry.mode = 0o600 if file.students else 0o644
            entry.uname = entry.gname = keys.STUDENT if file.students else "root"
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def down(room_name: str, *, at_once: bool = False) -> bool:
    """Take a room down whatever state it is in, keeping its keys (`Provider.down`); a container is always killed."""
    label = f"--filter=label={engine.PROJECT}={room_name}"
    there = False
    homes.end_helpers(room_name)
    # Until none is left: a Compose that was interrupted may just have asked for one more.
    while containers := engine.docker("ps", "--all", "--quiet", label).split():
        there = True
        engine.docker("stop", "-t", "0", *containers)  # side by side, where rm goes one by one
        engine.docker("rm", "--force", "--volumes", *containers)
    if networks := engine.docker("network", "ls", "--quiet", label).split():
        there = True
        engine.docker("network", "rm", *networks)
    record.path(room_name).unlink(missing_ok=True)
    _project_file(room_name).unlink(missing_ok=True)
    return there


def purge() -> None:
    """Remove the images that no container uses, if there is an engine that may have some."""
    try:
        engine.docker("version")
    except MachineError:
        return
    engine.docker("image", "prune", "--all", "--force", "--filter=label=labroom")


def renew(room: Room, file: Path, names: Iterable[str], change: Callable[[], object]) -> None:
    """Make containers of a room that is up anew (`Provider.renew`); `file` is in its record."""
    containers = _containers(room.name)
    if gone := [containers[name]["Id"] for name in names if name in containers]:
        engine.docker("stop", "-t", "0", *gone)
        engine.docker("rm", "--force", "--volumes", *gone)
    change()
    up(room, file, Progress())


def homes_kept(room_name: str) -> list[str]:
    """The guests whose homes are kept (`Provider.homes_kept`)."""
    return homes.kept(room_name)


def homes_worked_in(room_name: str) -> list[str]:
    """The same: only a container could tell what is in a volume (`Provider.homes_worked_in`)."""
    return homes.kept(room_name)


def remove_homes(room_name: str, names: Iterable[str]) -> None:
    """Remove the volumes of homes (`Provider.remove_homes`)."""
    homes.remove(room_name, names)


def pack_home(room_name: str, name: str, take: Callable[[bytes], object]) -> bool:
    """Give away a home as a tar archive (`Provider.pack_home`)."""
    return homes.pack(room_name, name, take)


def unpack_home(room: Room, name: str, archive: Iterable[bytes]) -> None:
    """Make a home of an archive (`Provider.unpack_home`)."""
    homes.unpack(room.name, name, archive)


def put_homes(room_name: str, names: Iterable[str]) -> None:
    """Put homes that were unpacked in their places (`Provider.put_homes`)."""
    homes.put(room_name, names)


def remove_half_homes(room_name: str) -> None:
    """Remove what was unpacked and not put in its place (`Provider.remove_half_homes`)."""
    homes.remove_half(room_name)


def exists(room_name: str) -> bool:
    """Whether there is a container of the room, running or not."""
    return bool(engine.docker("ps", "--all", "--quiet", f"--filter=label={engine.PROJECT}={room_name}").split())


def require_way(room: Room) -> None:
    """Guests are called by way of 127.0.0.1, which firewalls leave alone (`Provider.require_way`)."""


def status(room: Room) -> list[Status]:
    """What is known of each guest, in the order of room.yml (`Provider.status`)."""
    containers = _containers(room.name)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda name: _status(name, containers.get(name)), room.guests))


def _status(name: str, container: dict[str, Any] | None) -> Status:
    if container is None or not container["State"]["Running"]:
        return Status(name, up=False, seconds=0, memory_bytes=0, cpu_seconds=0, processes=0)
    since = datetime.fromisoformat(container["State"]["StartedAt"])
    seconds = (datetime.now(UTC) - since).total_seconds()
    said = re.fullmatch(r"(\d{1,15})\s(\d{1,15})\s(\d{1,9})\s", engine.asked(container, "sh", "-c", _USAGE, timeout=5))
    memory, cpu, processes = map(int, said.groups()) if said else (0, 0, 0)
    return Status(
        name,
        up=True,
        seconds=seconds,
        memory_bytes=memory,
        cpu_seconds=cpu / 1e6,
        processes=max(0, processes - _ASKING),
    )


def bad_links_of(room: Room) -> dict[str, dict[Link, BadLink]]:
    """How bad each guest's links are (`Provider.bad_links_of`); nothing is known of those that don't run."""
    at = endpoints(room)

    def made(name: str) -> dict[Link, BadLink]:
        links = room.guests[name].addresses
        return bad_link_inside.made(at[name], links) if at[name].ssh_port else dict.fromkeys(links, GOOD)

    with ThreadPoolExecutor() as pool:
        return dict(zip(room.guests, pool.map(made, room.guests), strict=True))


def make_links(room: Room, name: str, wanted: Mapping[Link, BadLink]) -> None:
    """Make a guest's links as bad as that (`Provider.make_links`), from inside: links are the engine's."""
    at = endpoints(room)[name]
    if not at.ssh_port:
        raise RoomFault(f"guest {name} is not up")
    addresses = {link: str(address) for link, address in room.guests[name].addresses.items()}
    bad_link_inside.make(at, addresses, wanted)


def endpoints(room: Room) -> dict[str, Endpoint]:
    """Where each guest answers SSH: at the port of 127.0.0.1 that the engine has given it when it was started."""
    containers = _containers(room.name)
    return {
        name: Endpoint(
            name=name,
            address=str(guest.address),
            ssh_host="127.0.0.1",
            ssh_port=_ssh_port(containers.get(name)),
            user=keys.STUDENT,
            identity_files=(keys.identity(room.name),),
            known_hosts=(keys.known_hosts(room.name),),
            left_out=tuple(labs.left_out(room.labs)),
            sudo=room.sudo,
        )
        for name, guest in room.guests.items()
    }
