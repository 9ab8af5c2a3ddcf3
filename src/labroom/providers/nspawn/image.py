"""The guests' image: made once, in layers, each named by the digest of all that went into it.

The `base` layer is a Debian or Ubuntu by mmdebstrap(1) that boots fast and answers SSH. On it lies the `guest` layer:
what playbooks/guest.yml changes in one guest made from the base, over SSH; and on that, for the gateway, what
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
from labroom.providers.nspawn import fetched, guest, image_base, image_tools, links
from labroom.resources import COLLECTIONS, LABS, PLAYBOOKS, ROLES, ROOT
from labroom.room import Guest, Room

#: The layers of each part, topmost first.
Layers = dict[str, list[Path]]

_KEPT_SECONDS = 14 * 86400  # an unused layer is kept so long: who goes back to an older checkout has it still
_NEEDED_BYTES = 2 << 30  # what making an image takes at its peak, with room to spare


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
    base = f"base-{release}-{_digest(release, image_base.recipe(), machine.apt_sources(release), guest.UID_BASE)}"
    variables = inventory.role_variables(room, links.UPLINK_NAME_SERVER)
    modules = {ROOT / "plugins" / kind for kind in ("action", "modules", "module_utils")}
    for_guest = modules | {ROLES / name for name in _roles("guest.yml")}
    for_gateway = {ROLES / name for name in _roles("gateway.yml")}
    guest_inputs = [*_files(*for_guest, LABS), (PLAYBOOKS / "guest.yml").read_text(encoding="utf-8")]
    on_guests = f"guest-{release}-{_digest(base, variables['guests'], guest_inputs)}"
    gateway_inputs = [*_files(*for_guest, *for_gateway), (PLAYBOOKS / "gateway.yml").read_text(encoding="utf-8")]
    on_gateway = f"gateway-{release}-{_digest(on_guests, variables['gateways'], gateway_inputs)}"
    return {"base": base, "guest": on_guests, "gateway": on_gateway}


def _layers(room: Room, names: dict[str, str]) -> Layers:
    base = [image_tools.tree(names["base"])]
    if not room.image.provisioned:
        return {"guest": base, "gateway": base}
    on_guests = [image_tools.tree(names["guest"]), *base]
    return {"guest": on_guests, "gateway": [image_tools.tree(names["gateway"]), *on_guests]}


def _wanted(room: Room) -> list[str]:
    if not room.image.provisioned:
        return ["base"]
    return ["base", "guest", "gateway"] if room.gateway else ["base", "guest"]


def ready(room: Room) -> Layers | None:
    """The room's image, if it is there and made of just what the checkout holds now."""
    release = image_base.chosen_release(room.image.release)
    if release is None:
        return None
    names = _names(room, release)
    return _layers(room, names) if all(image_tools.tree(names[layer]).is_dir() for layer in _wanted(room)) else None


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
            missing = [part for part in _wanted(room)[1:] if not image_tools.tree(names[part]).is_dir()]
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
    """Make the missing layers, each in a guest made from the one below it, by the playbook of its part."""
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
    for part in missing:
        below = _layers(room, names)[part][1:]
        log = image_tools.log(names[part])
        with progress.phase(f"{part} layer by playbooks/{part}.yml", log):
            described = guest.describe(builder, "builder", below)
            guest.start(builder.name, [replace(described, disk_mib=None)], apt)  # its disk becomes the layer
            _run_playbook(room, builder, part, log)
            partial = image_tools.partial(names[part])
            partial.mkdir()
            guest.shut_down(builder.name, ["builder"])
            (guest.folder(builder.name, "builder") / "disk/upper").rename(partial / "tree")
            guest.remove(builder.name, "builder")
            fetched.keep(apt, partial / "tree")
            image_tools.forget_identity(partial / "tree")
            image_tools.finish(names[part])


def _run_playbook(room: Room, builder: Room, part: str, log: Path) -> None:
    address = str(builder.guests["builder"].address)
    own_keys = (keys.identity(builder.name),), (keys.known_hosts(builder.name),)
    endpoints = {"builder": Endpoint("builder", address, address, 22, "root", *own_keys)}
    gateways = ["builder"] if part == "gateway" else []
    groups = inventory.inventory(room, endpoints, links.UPLINK_NAME_SERVER, gateways)
    patience = " -o ConnectionAttempts=30 -o ConnectTimeout=1"  # it is still booting
    groups["guests"]["hosts"]["builder"]["ansible_ssh_common_args"] += patience
    folder = state.rooms() / builder.name
    file = folder / "inventory.yml"
    file.write_text(json.dumps(groups, indent=1), encoding="utf-8")
    control = Path(f"/run/labroom-{builder.name}.ssh")  # of bounded length (unix(7))
    control.unlink(missing_ok=True)  # of a builder that was killed
    playbook = [*machine.ansible("playbook"), f"--inventory={file}", f"playbooks/{part}.yml"]
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
