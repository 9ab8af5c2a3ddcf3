"""The nspawn provider: a room of systemd-nspawn guests on one machine, whose links are the room's own.

A guest's overlay is mounted in a mount namespace of its own, its processes are in a control group of its own and its
links in the room's network namespace: when those processes end, however they end, nothing of it stays mounted or
linked. What is left to remove is found by the room's name, never by what a file remembers.
"""

from pathlib import Path

from labroom import keys, machine, state
from labroom import providers as provider
from labroom.console import Progress
from labroom.endpoint import Endpoint
from labroom.errors import MachineError
from labroom.processes import age
from labroom.providers import Status
from labroom.providers.nspawn import image
from labroom.providers.nspawn import links as network
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.providers.nspawn.guest import (
    clear_away,
    connect_far_side,
    describe,
    folder,
    runs,
    shut_down,
    start,
    stop,
    wait_for_ssh,
)
from labroom.room import Room

NEEDS_ROOT = True
NAME_SERVER = network.UPLINK_NAME_SERVER
_INOTIFY_PER_GUEST = 6  # instances that a guest's systemd takes of its user's fs.inotify.max_user_instances


def up(room: Room, file: Path, progress: Progress) -> dict[str, str]:
    """Make the room what room.yml says, its image too where it is missing (`Provider.up`)."""
    was_up = exists(room.name)
    if was_up and provider.read_record(room.name).get("links") != _link_digest(room):
        raise MachineError(
            "the running room has other networks than room.yml now says", "labroom down, then labroom up"
        )
    layers = _layers_in_use(room) if was_up else None
    if layers is None:
        machine.install_missing(progress)
        machine.require_user_namespaces()
        network.check_free(room)
        layers = image.ensure(room, progress)
    elif layers != image.ready(room):
        print(
            "  note: roles or labs have changed since these guests' image was made; `labroom down` and `up`\n"
            "  renew them, `ansible-playbook -i room.yml playbooks/room.yml` changes them as they are"
        )
    with progress.phase(f"guests: {' '.join(room.guests)}"[:50]):
        return bring_up(room, file, layers)


def bring_up(room: Room, file: Path, layers: image.Layers) -> dict[str, str]:
    """Make the room what room.yml says, on these layers of the image (`Provider.up`)."""
    name = room.name
    fresh = not exists(name)
    if fresh:
        down(name)
        network.check_free(room)
    state.prepare(state.ROOMS / name)
    # Before anything else is made: it is how `down` knows the room when room.yml is gone.
    state.write_json(provider.record(name), _record(room, file, layers))
    if fresh:
        network.create(room)
        network.close_to(room, [other for other in _rooms() if other != name])
    keys.prepare(room)
    if room.internet and not network.uplink_runs(name):
        network.reset_uplink(name)
    _allow_inotify(len(room.guests))
    done: dict[str, str] = {}
    present = {path.name for path in (state.ROOMS / name / "guests").glob("*/")}
    if gone := present - room.guests.keys():
        stop(name, gone)
        done |= dict.fromkeys(gone, "removed")
    launched = []
    for guest_name, guest in room.guests.items():
        description = describe(room, guest_name, layers[guest.part])
        known = state.read_json(folder(name, guest_name) / "guest.json")
        if runs(name, guest_name) and known.get("digest") == description.digest():
            continue
        done[guest_name] = "replaced" if known else "started"
        if runs(name, guest_name):
            stop(name, [guest_name])
        start(name, description)
        launched.append(description)
    for description in launched:
        connect_far_side(name, description)
    wait_for_ssh(room, room.guests)
    return done


def _record(room: Room, file: Path, layers: image.Layers) -> dict[str, object]:
    return {
        "provider": "nspawn",
        "file": str(file),
        "networks": [str(room.networks.private), str(room.networks.outside)],
        "links": _link_digest(room),
        "layers": {part: [str(path) for path in paths] for part, paths in layers.items()},
    }


def _link_digest(room: Room) -> str:
    """Tells rooms apart whose links differ: these can't change under running guests."""
    return f"{room.networks!r} internet={room.internet}"


def _layers_in_use(room: Room) -> image.Layers | None:
    """The image that a running room was made from, if it is still there for a guest that has to be started anew."""
    known = provider.read_record(room.name).get("layers", {})
    layers = {part: [Path(layer) for layer in paths] for part, paths in known.items()}
    needed = {guest.part for guest in room.guests.values()}
    if needed <= layers.keys() and all(layer.is_dir() for part in needed for layer in layers[part]):
        return layers
    return None


def _rooms() -> list[str]:
    """The rooms of this machine that have links, whoever made them."""
    return sorted(path.parent.name for path in state.ROOMS.glob("*/netns"))


def _allow_inotify(guests: int) -> None:
    """Raise the limit that stops a machine at about 20 guests: "Failed to acquire watch file descriptor"."""
    setting = Path("/proc/sys/fs/inotify/max_user_instances")
    needed = 64 + (guests + len(list(state.ROOMS.glob("*/guests/*/")))) * _INOTIFY_PER_GUEST
    if int(setting.read_text()) < needed:
        setting.write_text(str(needed))


def down(name: str, *, at_once: bool = False) -> bool:
    """Take a room down whatever state it is in, keeping its keys (`Provider.down`)."""
    guests = {path.name for path in (state.ROOMS / name / "guests").glob("*/")}
    there = bool(guests) or network.namespace(name).exists()
    if not at_once:
        shut_down(name, guests)
    clear_away(name)
    image.clear_away_if_idle()
    return there


def purge() -> None:
    """Remove every layer that no room lies on."""
    image.purge()


def exists(name: str) -> bool:
    """Whether the room's links are there."""
    return network.exists(name)


def status(room: Room) -> list[Status]:
    """What is known of each guest, in the order of room.yml."""
    found = []
    for name in room.guests:
        pid = runs(room.name, name)
        group = Cgroup(room.name, name)
        found.append(
            Status(
                name,
                pid is not None,
                age(pid) if pid else 0,
                group.memory_bytes(),
                group.cpu_seconds(),
                len(group.processes()),
            )
        )
    return found


def endpoints(room: Room) -> dict[str, Endpoint]:
    """Where each guest answers SSH: at its own address, which this machine has a link to."""
    return {
        name: Endpoint(
            name=name,
            address=str(guest.address),
            ssh_host=str(guest.address),
            ssh_port=22,
            user=keys.STUDENT,
            identity_files=(keys.identity(room.name),),
            known_hosts=(keys.known_hosts(room.name),),
            bind_address=str(room.networks.machine(guest.link)),
        )
        for name, guest in room.guests.items()
    }
