"""The guests' image: made once, in layers, each named by the digest of all that went into it.

The `base` layer is a Debian or Ubuntu by mmdebstrap(1) that boots fast and answers SSH. On it lies the `guest` layer:
what playbooks/guest.yml changes in one guest made from the base, over SSH; and on that, for each gateway, what
playbooks/gateway.yml changes. A room's guests are overlays on these, so that starting one provisions nothing. Where
room.yml wants them bare (`provisioned: false`), they lie on the base alone.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from labroom import inventory, keys, machine, state
from labroom.console import Progress
from labroom.endpoint import Endpoint
from labroom.errors import MachineError
from labroom.providers import record
from labroom.providers.nspawn import disks, fetched, guest, image_base, image_tools, links
from labroom.resources import COLLECTIONS, LABS, PLAYBOOKS, ROLES, ROOT
from labroom.room import Guest, Room

#: The layers of each kind of guest (`kind`), topmost first.
Layers = dict[str, list[Path]]

_KEPT_SECONDS = 14 * 86400  # an unused layer is kept so long: who goes back to an older checkout has it still
_NEEDED_BYTES = 2 << 30  # what making an image takes at its peak, with room to spare


def kind(room: Room, name: str) -> str:
    """Of which layers a guest is: "guest", or "gateway"; a further gateway has one of its own."""
    if name not in room.gateways:
        return "guest"
    return "gateway" if room.guests[name] is room.gateway else f"gateway {name}"


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _files(*folders: Path) -> list[tuple[str, str]]:
    """Name and digest of every file below `folders`, but for what Python caches."""
    found = [
        (str(path.relative_to(ROOT)), hashlib.sha256(path.read_bytes()).hexdigest())
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return sorted(found)


def _roles(playbook: str) -> list[str]:
    plays = yaml.load((PLAYBOOKS / playbook).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return [role["role"].rpartition(".")[2] for play in plays for role in play["roles"]]


def _names(room: Room, release: str) -> dict[str, str]:
    """The name of each layer for this room, checkout and release."""
    base = f"base-{release}-{_digest(release, image_base.recipe(), machine.apt_sources(release), disks.UID_BASE)}"
    modules = {ROOT / "plugins" / kind for kind in ("action", "modules", "module_utils")}
    for_guest = modules | {ROLES / name for name in _roles("guest.yml")}
    for_gateway = {ROLES / name for name in _roles("gateway.yml")}
    guest_inputs = [*_files(*for_guest, LABS), (PLAYBOOKS / "guest.yml").read_text(encoding="utf-8")]
    on_guests = f"guest-{release}-{_digest(base, inventory.guest_variables(room), guest_inputs)}"
    gateway_inputs = [*_files(*(for_gateway - for_guest)), (PLAYBOOKS / "gateway.yml").read_text(encoding="utf-8")]
    names = {"base": base, "guest": on_guests}
    for name in room.gateways:
        variables = inventory.gateway_variables(room, name, links.UPLINK_NAME_SERVER)
        names[kind(room, name)] = f"gateway-{release}-{_digest(on_guests, variables, gateway_inputs)}"
    return names


def _layers(room: Room, names: dict[str, str]) -> Layers:
    base = [image_tools.tree(names["base"])]
    kinds = [each for each in names if each != "base"]
    if not room.image.provisioned:
        return dict.fromkeys(kinds, base)
    on_guests = [image_tools.tree(names["guest"]), *base]
    return {each: on_guests if each == "guest" else [image_tools.tree(names[each]), *on_guests] for each in kinds}


def ready(room: Room) -> Layers | None:
    """The room's image, if it is there and made of just what the checkout holds now."""
    release = image_base.chosen_release(room.image.release)
    if release is None:
        return None
    layers = _layers(room, _names(room, release))
    return layers if all(layer.is_dir() for needed in layers.values() for layer in needed) else None


def create(room: Room, progress: Progress) -> Layers:
    """Make the room's image, as far as it isn't there.

    Returns:
        It.

    Raises:
        MachineError: it can't be made: no network, no space, a tool that failed; the message has its last lines.
    """
    if layers := ready(room):
        return layers
    folder = state.images()
    state.prepare(folder)
    folder.chmod(0o700)  # set-user-ID programs of the guests are none of the machine's users'
    with state.locked(folder / "lock", "makes an image", tell=progress.waiting):
        _remove_leftovers()
        free = shutil.disk_usage(folder).free
        if free < _NEEDED_BYTES:
            raise MachineError(
                f"{folder} has {free / 2**30:.1f} GiB free, and making an image takes {_NEEDED_BYTES >> 30} GiB",
                "free some space, or set LABROOM_STATE_DIR to a folder on another disk",
            )
        release = image_base.decide_release(room.image.release, progress)
        names = _names(room, release)
        try:
            if not image_tools.tree(names["base"]).is_dir():
                image_base.create(names["base"], release, progress)
            if room.image.release == "auto":
                image_base.remember_release(release)
            missing = [each for each, layers in _layers(room, names).items() if not layers[0].is_dir()]
            if missing:
                _provision(room, names, missing, progress)
            _remove_old(names)
        finally:
            _remove_leftovers()
        return _layers(room, names)


def _remove_leftovers() -> None:
    """Remove what making an image left behind; the lock says that nobody makes one."""
    name = image_tools.builder_name()
    guest.remove_all(name)
    state.remove_tree(state.rooms() / name)
    for partial in state.images().glob("*.partial"):
        state.remove_tree(partial)


def remove_leftovers_if_idle() -> None:
    """Remove what making an image left behind when it was killed, unless one is being made now."""
    if state.images().is_dir():
        with state.locked(state.images() / "lock", "clears away", wait=False) as held:
            if held:
                _remove_leftovers()


def purge() -> None:
    """Remove every layer that no room lies on."""
    used = _used()
    _remove_layers(image for image in state.images().glob("*-*-*/") if image.name not in used)
    if not used:
        state.remove_tree(state.images())


def _used() -> set[str]:
    """The layers that a room of this machine lies on."""
    layers = [part for _, known in record.every() for part in known.get("layers", {}).values()]
    return {Path(layer).parent.name for part in layers for layer in part}


def _remove_old(names: dict[str, str]) -> None:
    """Remove the layers that were made long ago, that no room lies on and that are not among `names`."""
    old = time.time() - _KEPT_SECONDS
    kept = _used() | set(names.values())
    unused = [image for image in state.images().glob("*-*-*/") if image.name not in kept]
    _remove_layers(image for image in unused if image.stat().st_mtime < old)


def _remove_layers(images: Iterable[Path]) -> None:
    for image in images:
        state.remove_tree(image)
        image_tools.log(image.name).unlink(missing_ok=True)


# --- provisioned layers --------------------------------------------------------------------------------------------


def _provision(room: Room, names: dict[str, str], missing: list[str], progress: Progress) -> None:
    """Make the missing layers, each in a guest made from the one below it, by the playbook of its part.

    Args:
        room: the room.
        names: of all layers.
        missing: the kinds of guests whose own layer is missing.
        progress: is told what is done.
    """
    builder = Room.model_construct(
        name=image_tools.builder_name(),
        domain=room.domain,
        networks=room.networks,
        internet=True,
        guests={"builder": Guest(outside=room.networks.outside.network_address + 2)},
    )
    links.create(builder, joined=False)
    links.start_uplink(builder.name)
    keys.prepare(builder)
    apt = fetched.folder(image_tools.tree(names["base"]))
    for each in missing:
        below = _layers(room, names)[each][1:]
        log = image_tools.log(names[each])
        gateway = next((name for name in room.gateways if kind(room, name) == each), None)
        part = "gateway" if gateway else "guest"
        with progress.phase(f"{each} layer by playbooks/{part}.yml"[:50], log):
            described = guest.describe(builder, "builder", below)
            described = replace(described, disk_mib=None, home_mib=0)  # its disk becomes the layer
            guest.start(builder.name, [described], apt=apt)
            _run_playbook(room, builder, gateway, log)
            partial = image_tools.partial(names[each])
            partial.mkdir()
            guest.shut_down(builder.name, ["builder"])
            (guest.folder(builder.name, "builder") / "disk/upper").rename(partial / "tree")
            guest.remove(builder.name, "builder")
            fetched.keep(apt, partial / "tree")
            image_tools.forget_identity(partial / "tree")
            image_tools.finish(names[each])


def _run_playbook(room: Room, builder: Room, gateway: str | None, log: Path) -> None:
    """Make the builder what the room's guests are; what `gateway` is besides, where one is named and they are that."""
    address = str(builder.guests["builder"].address)
    own_keys = (keys.identity(builder.name),), (keys.known_hosts(builder.name),)
    endpoints = {"builder": Endpoint("builder", address, address, 22, "root", *own_keys)}
    gateways = {"builder": gateway} if gateway else {}
    groups = inventory.inventory(room, endpoints, links.UPLINK_NAME_SERVER, gateways)
    patience = " -o ConnectionAttempts=30 -o ConnectTimeout=1"  # it is still booting
    groups["guests"]["hosts"]["builder"]["ansible_ssh_common_args"] += patience
    folder = state.rooms() / builder.name
    file = folder / "inventory.yml"
    file.write_text(json.dumps(groups, indent=1), encoding="utf-8")
    control = Path(f"/run/labroom-{builder.name}.ssh")  # of bounded length (unix(7))
    control.unlink(missing_ok=True)  # of a builder that was killed
    play = "gateway.yml" if gateway else "guest.yml"
    playbook = [*machine.ansible("playbook"), f"--inventory={file}", f"playbooks/{play}"]
    try:
        image_tools.run_logged(
            [*links.inside(builder.name), *playbook],
            log,
            # From the folder where it runs: in a path to there, Ansible would put variables in, and end it at a colon.
            ANSIBLE_CONFIG="ansible.cfg",
            ANSIBLE_COLLECTIONS_PATH=os.path.relpath(COLLECTIONS, ROOT),
            ANSIBLE_HOME=os.path.relpath(folder / "ansible", ROOT),
            ANSIBLE_SSH_CONTROL_PATH=str(control),
        )
    except MachineError as error:
        if "UNREACHABLE" in log.read_text(encoding="utf-8", errors="replace"):
            console = "\n    ".join(guest.console(builder.name, "builder"))
            raise MachineError(f"{error}\nthe builder's console ends:\n    {console}") from error
        raise
