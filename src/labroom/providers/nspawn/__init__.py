"""The nspawn provider: a room of systemd-nspawn guests on one machine, whose links are the room's own.

A guest's overlay is mounted in a mount namespace of its own, its processes are in a control group of its own and its
links in the room's network namespace: when those processes end, however they end, nothing of it stays mounted or
linked. What is left to remove is found by the room's name, never by what a file remembers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from labroom import commands, keys, labs, state
from labroom.bad_link import GOOD, BadLink
from labroom.console import Progress
from labroom.endpoint import Endpoint
from labroom.errors import MachineError, RoomFault
from labroom.processes import age
from labroom.providers import guest_files, probe, record
from labroom.providers.nspawn import bad_links, bounds, fetched, guest, homes, image, links, requirements
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.providers.nspawn.requirements import examine
from labroom.providers.provider import Status
from labroom.room import Link, Room

__all__ = [
    "NAME_SERVER",
    "NEEDS_ROOT",
    "bad_links_of",
    "bring_up",
    "down",
    "endpoints",
    "examine",
    "exists",
    "homes_kept",
    "homes_worked_in",
    "make_links",
    "pack_home",
    "prepare",
    "purge",
    "put_homes",
    "record_of",
    "remove_half_homes",
    "remove_homes",
    "renew",
    "require_way",
    "status",
    "unpack_home",
    "up",
]

NEEDS_ROOT = True
NAME_SERVER = links.UPLINK_NAME_SERVER


def prepare(room: Room, file: Path, progress: Progress) -> None:
    """Make the room's image where it is missing, unless guests that run have another (`Provider.prepare`)."""
    was_up = exists(room.name)
    if was_up:
        _refuse_other_links(room, file)
    in_use = _layers_in_use(room) if was_up else None
    if in_use is None:
        requirements.install_missing(progress)
        requirements.require_user_namespaces()
        links.check_free(room)
        bad_links.require(room)
        if room.internet and not (finding := requirements.name_servers()).ok:
            progress.note(f"note: guests will find no names: this machine lacks {finding.what}\n{finding.remedy}")
        image.create(room, progress)
    elif in_use != image.ready(room):
        progress.note(
            "note: roles or labs have changed since these guests' image was made:\n"
            f"renew them:      {commands.labroom('down', room=file)} && {commands.labroom('up', room=file)}\n"
            f"or change them:  {commands.playbook('room.yml', file)}"
        )


def _refuse_other_links(room: Room, file: Path) -> None:
    if record.read(room.name).get("links") != _link_digest(room):
        raise MachineError(
            "the running room has other networks than room.yml now says",
            f"{commands.labroom('down', room=file)} && {commands.labroom('up', room=file)}",
        )


def up(room: Room, file: Path, progress: Progress) -> dict[str, str]:
    """Make the room what room.yml says, of the image that it has or gets (`Provider.up`)."""
    layers = _layers(room, file)
    if homeless := [name for name in _guests_of(room.name) & room.guests.keys() if _is_homeless(room, name)]:
        first, again = min(homeless), (commands.labroom(verb, room=file) for verb in ("down", "up"))
        progress.note(
            f"note: a labroom that keeps no homes has started {' '.join(sorted(homeless))}\n"
            f"save it:         {commands.labroom('copy', f'{first}:', '.', room=file)}\n"
            f"renew them:      {' && '.join(again)}"
        )
    with progress.phase(f"guests: {' '.join(room.guests)}"[:50]):
        return bring_up(room, file, layers)


def _layers(room: Room, file: Path) -> image.Layers:
    layers = (_layers_in_use(room) if exists(room.name) else None) or image.ready(room)
    if layers is None:
        raise MachineError(
            "the room's image isn't there, or roles and labs are changing just now", commands.labroom("up", room=file)
        )
    return layers


def _is_homeless(room: Room, name: str) -> bool:
    """Whether a guest runs that a labroom has started which kept no homes: replacing it would lose what is in it."""
    return guest.runs(room.name, name) is not None and "home" not in guest.known(room.name, name)


def _takes_writes(room_name: str, name: str) -> bool:
    """Whether a guest's home can be written, as far as this machine is concerned; so it counts where none runs."""
    pid = guest.runs(room_name, name)
    return pid is None or homes.takes_writes(pid, room_name, name)


def bring_up(room: Room, file: Path, layers: image.Layers) -> dict[str, str]:
    """Make the room what room.yml says, on these layers of an image (`Provider.up`)."""
    name = room.name
    fresh = not exists(name)
    if fresh:
        down(name)
        links.check_free(room)
    state.prepare(state.rooms() / name)
    record.write(name, record_of(room, file, layers))
    if fresh:
        links.create(room)
        links.close_to(room)
    else:
        links.restore(room)
        links.require_answers(room)  # else guests would be replaced in which nothing is wrong
    links.route(room)
    keys.prepare(room)
    if room.internet and not links.uplink_runs(name):
        links.reset_uplink(room)
    bounds.raise_limits(len(room.guests) + len(list(state.rooms().glob("*/guests/*/"))))
    done: dict[str, str] = {}
    if gone := _guests_of(name) - room.guests.keys():
        guest.stop(name, gone)
        done |= dict.fromkeys(gone, "removed")
    wanted = {each: guest.describe(room, each, layers[image.kind(room, each)]) for each in room.guests}
    known = {each: guest.known(name, each) for each in wanted}
    running = [each for each in wanted if guest.runs(name, each)]
    as_wanted = [
        each for each in running if known[each].get("digest") == wanted[each].digest() or _is_homeless(room, each)
    ]
    user = keys.STUDENT if room.image.provisioned else "root"
    failing = probe.failing({each: replace(at, user=user) for each, at in endpoints(room).items() if each in as_wanted})
    failing |= {each for each in as_wanted if not _takes_writes(name, each)}
    missing = [described for each, described in wanted.items() if each not in as_wanted or each in failing]
    guest.stop(name, [each for each in running if each not in as_wanted])  # those that fail are ended at once
    links.forget_neighbours(room, (described.name for described in missing if known[described.name]))
    done |= {described.name: "replaced" if known[described.name] else "started" for described in missing}
    if missing:
        _start(room, missing, layers)
    guest.wait_for_ssh(room, room.guests)
    now = bad_links_of(room)
    for each, described in room.guests.items():
        named = now[each] | {link: bad for link, bad in described.bad_links.items() if bad != GOOD}
        if named != now[each]:
            make_links(room, each, named)
    return done


def _start(room: Room, wanted: Sequence[guest.NspawnGuest], layers: image.Layers) -> None:
    """Start guests, each with what the room has for it."""
    names = [described.name for described in wanted]
    provisioned = room.image.provisioned
    guest.start(
        room.name,
        wanted,
        {name: guest_files.of(room, name) for name in names} if provisioned else {},
        guest_files.shared(room) if provisioned else (),
        None if provisioned else fetched.folder(layers["guest"][-1]),
        {
            name: bad_links.script(room, name, bad)
            for name in names
            if {*(bad := room.guests[name].bad_links).values()} != {GOOD}
        },
    )


def record_of(room: Room, file: Path, layers: image.Layers) -> dict[str, object]:
    """The record of a room (`record`)."""
    return {
        "provider": "nspawn",
        "file": str(file),
        "networks": [str(subnet) for subnet in room.networks.subnets.values()],
        "interfaces": [links.interface(room.name, link) for link in room.networks.subnets],
        "links": _link_digest(room),
        "layers": {part: [str(path) for path in paths] for part, paths in layers.items()},
    }


def _link_digest(room: Room) -> str:
    """Tells rooms apart whose links differ: these can't change under running guests."""
    return f"{room.networks!r} internet={room.internet} machine_ports={room.machine_ports}"


def _layers_in_use(room: Room) -> image.Layers | None:
    """The image that a running room was made from, if it is still there for a guest that has to be started anew."""
    known = record.read(room.name).get("layers", {})
    layers = {part: [Path(layer) for layer in paths] for part, paths in known.items()}
    needed = {image.kind(room, name) for name in room.guests}
    if needed <= layers.keys() and all(layer.is_dir() for kind in needed for layer in layers[kind]):
        return layers
    return None


def _guests_of(room_name: str) -> set[str]:
    """The guests that have been started, whatever became of them."""
    return {path.name for path in (state.rooms() / room_name / "guests").glob("*/")}


def down(room_name: str, *, at_once: bool = False) -> bool:
    """Take a room down whatever state it is in, keeping its keys (`Provider.down`)."""
    guests = _guests_of(room_name)
    there = bool(guests) or links.namespace(room_name).exists()
    if not at_once:
        guest.shut_down(room_name, guests)
    guest.remove_all(room_name)
    homes.remove_leftovers(room_name)
    image.remove_leftovers_if_idle()
    return there


def purge() -> None:
    """Remove every layer that no room lies on."""
    image.purge()


def renew(room: Room, file: Path, names: Iterable[str], change: Callable[[], object]) -> None:
    """Make guests of a room that is up anew (`Provider.renew`)."""
    _refuse_other_links(room, file)
    links.require_answers(room)
    names = list(names)
    if homeless := [name for name in names if _is_homeless(room, name)]:
        again = (commands.labroom(verb, room=file) for verb in ("down", "up"))
        raise MachineError(
            f"a labroom that keeps no homes has started {' '.join(homeless)}: what is in them would be lost",
            f"{commands.labroom('copy', f'{homeless[0]}:', '.', room=file)}, then {' && '.join(again)}",
        )
    layers = _layers(room, file)
    wanted = [guest.describe(room, name, layers[image.kind(room, name)]) for name in names]
    if room.limits.home_mib:
        homes.require_space(room.name)
    for described in wanted:
        guest.remove(room.name, described.name)
    links.forget_neighbours(room, names)
    change()
    _start(room, wanted, layers)
    guest.wait_for_ssh(room, [described.name for described in wanted])


def homes_kept(room_name: str) -> list[str]:
    """The guests whose homes are kept (`Provider.homes_kept`)."""
    return homes.kept(room_name)


def homes_worked_in(room_name: str) -> list[str]:
    """Those among them in which somebody has written something (`Provider.homes_worked_in`)."""
    return [
        name for name in homes.kept(room_name) if homes.is_worked_in(room_name, name, _home_keeper(room_name, name))
    ]


def _home_keeper(room_name: str, name: str) -> int | None:
    """The process that has a guest's home mounted: its supervisor, or one that outlived that."""
    supervisor = guest.runs(room_name, name)
    if supervisor and homes.has_mounted(supervisor, room_name, name):
        return supervisor
    others = Cgroup(room_name, name).processes()
    return next((pid for pid in others if homes.has_mounted(pid, room_name, name)), None)


def remove_homes(room_name: str, names: Iterable[str]) -> None:
    """Remove homes (`Provider.remove_homes`)."""
    homes.remove(room_name, names)


def pack_home(room_name: str, name: str, take: Callable[[bytes], object]) -> bool:
    """Give away a home as a tar archive (`Provider.pack_home`)."""
    return homes.pack(room_name, name, take, _home_keeper(room_name, name))


def unpack_home(room: Room, name: str, archive: Iterable[bytes]) -> None:
    """Make a home of an archive (`Provider.unpack_home`)."""
    homes.unpack(room.name, name, archive, (room.limits.home_mib, room.limits.files))


def put_homes(room_name: str, names: Iterable[str]) -> None:
    """Put homes that were unpacked in their places (`Provider.put_homes`)."""
    homes.put(room_name, names)


def remove_half_homes(room_name: str) -> None:
    """Remove what was unpacked and not put in its place (`Provider.remove_half_homes`)."""
    homes.remove_leftovers(room_name)


def exists(room_name: str) -> bool:
    """Whether the room's links are there."""
    return links.exists(room_name)


def require_way(room: Room) -> None:
    """See that this machine's firewall lets it call the room (`Provider.require_way`)."""
    links.require_answers(room)


def status(room: Room) -> list[Status]:
    """What is known of each guest, in the order of room.yml."""
    found = []
    for name in room.guests:
        pid = guest.runs(room.name, name)
        group = Cgroup(room.name, name)
        seconds = age(pid) if pid else 0
        used = group.memory_bytes(), group.cpu_seconds(), len(group.processes())
        found.append(Status(name, pid is not None, seconds, *used, writable=_takes_writes(room.name, name)))
    return found


def bad_links_of(room: Room) -> dict[str, dict[Link, BadLink]]:
    """How bad each guest's links are (`Provider.bad_links_of`)."""
    return {
        name: bad_links.made(guest.folder(room.name, name), described.addresses)
        for name, described in room.guests.items()
    }


def make_links(room: Room, name: str, wanted: Mapping[Link, BadLink]) -> None:
    """Make a guest's links as bad as that (`Provider.make_links`)."""
    if guest.runs(room.name, name) is None:
        raise RoomFault(f"guest {name} is not up")
    bad_links.make(room, name, guest.folder(room.name, name), wanted)


def endpoints(room: Room) -> dict[str, Endpoint]:
    """Where each guest answers SSH: at its own address, which this machine has a link to."""
    return {
        name: Endpoint(
            name=name,
            address=str(described.address),
            ssh_host=str(described.address),
            ssh_port=22,
            user=keys.STUDENT,
            identity_files=(keys.identity(room.name),),
            known_hosts=(keys.known_hosts(room.name),),
            left_out=tuple(labs.left_out(room.labs)),
            sudo=room.sudo,
            bind_address=str(room.networks.machine(described.link)),
        )
        for name, described in room.guests.items()
    }
