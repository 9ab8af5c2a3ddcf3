"""The guests' image: made once, in layers, each named by the digest of all that went into it.

The `base` layer is a Debian or Ubuntu by mmdebstrap(1) that boots fast and answers SSH. On it lies the `guest` layer:
what playbooks/guest.yml changes in one guest made from the base, over SSH; and on that, for the gateway, what
playbooks/gateway.yml changes. A room's guests are overlays on these, so that starting one provisions nothing. Where
room.yml wants them bare (`provisioned: false`), they lie on the base alone.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from labroom import inventory, keys, machine, processes, state
from labroom.console import Progress
from labroom.endpoint import Endpoint
from labroom.errors import MachineError
from labroom.providers.nspawn import guest as nspawn_guest
from labroom.providers.nspawn import links as network
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.resources import COLLECTIONS, ROOT
from labroom.room import Guest, Room

#: The layers of each part, topmost first.
Layers = dict[str, list[Path]]

# The room, and control group, in which images are made: one for each place that keeps them, each with its lock. No
# room.yml can have this name.
_BUILD = f"build-{hashlib.sha256(str(state.ROOT).encode()).hexdigest()[:6]}"
# What it takes to boot, to answer SSH and to be provisioned by Ansible; the rest is the roles' to install.
_BASE_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "iproute2", "openssh-server", "python3", "python3-apt", "ca-certificates"),
)
_UBUNTU = ("noble", "jammy")
_KEPT_SECONDS = 14 * 86400  # an unused layer is kept so long: who goes back to an older checkout has it still
_NEEDED_BYTES = 2 << 30  # what making an image takes at its peak, with room to spare

# Units that a guest of a lab never needs: each costs every guest a piece of its start (benchmarks/README.md).
_MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("motd-news.timer", "systemd-tmpfiles-clean.timer", "e2scrub_reap.service", "systemd-pstore.service"),
    *("getty.target", "getty-static.service", "console-getty.service", "systemd-logind.service"),
    *("systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "systemd-firstboot.service"),
    *("systemd-journal-flush.service", "systemd-machine-id-commit.service", "systemd-modules-load.service"),
    *("systemd-pcrphase.service", "systemd-pcrphase-sysinit.service", "systemd-random-seed.service"),
    *("systemd-repart.service", "systemd-sysusers.service", "systemd-update-utmp.service", "kmod-static-nodes.service"),
    *("systemd-update-utmp-runlevel.service", "systemd-udevd.service", "systemd-udev-trigger.service"),
    *("systemd-timesyncd.service", "systemd-networkd-wait-online.service", "systemd-hwdb-update.service"),
    *("ldconfig.service", "modprobe@.service", "systemd-initctl.socket", "systemd-journald-audit.socket"),
    *("systemd-ask-password-wall.path", "systemd-ask-password-console.path", "cryptsetup.target"),
    *("integritysetup.target", "veritysetup.target", "remote-fs.target", "dev-hugepages.mount", "dev-mqueue.mount"),
    *("sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount"),
    *("sys-kernel-tracing.mount", "systemd-tmpfiles-setup-dev.service", "systemd-remount-fs.service"),
    *("systemd-sysctl.service", "systemd-user-sessions.service"),
)
_MASKED_FILES = (
    "etc/tmpfiles.d/systemd-nologin.conf",  # with user sessions: students may log in as soon as sshd answers
    "etc/systemd/system/multi-user.target.wants/dbus.service",  # its socket starts it when it is asked for
)
_GENERATORS = "usr/lib/systemd/system-generators"  # they look for hardware, partitions and init scripts at each start
_NEEDED_GENERATORS = ("sshd-socket-generator",)  # Ubuntu's, which tells ssh.socket what sshd_config says
_FILES = {
    "etc/systemd/system/labroom-network.service": """\
[Unit]
Description=The guest's links, as room.yml has them
DefaultDependencies=no
Before=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip -batch /etc/labroom/network

[Install]
WantedBy=sysinit.target
""",
    # A volatile journal of at most 4 MB: it lies in memory, and goes with the guest.
    "etc/systemd/journald.conf.d/labroom.conf": """\
[Journal]
Storage=volatile
RuntimeMaxUse=4M
RuntimeMaxFileSize=1M
""",
}


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
    plays = yaml.load((ROOT / "playbooks" / playbook).read_text(), Loader=yaml.CSafeLoader)
    return [role["role"].rpartition(".")[2] for play in plays for role in play["roles"]]


def _names(room: Room, release: str) -> dict[str, str]:
    """The name of each layer for this room, checkout and release."""
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    base = f"base-{release}-{_digest(release, recipe, machine.apt_sources(release), nspawn_guest.UID_BASE)}"
    variables = inventory.role_variables(room, network.UPLINK_NAME_SERVER)
    roles, playbooks = ROOT / "roles", ROOT / "playbooks"
    modules = {ROOT / "plugins" / kind for kind in ("action", "modules", "module_utils")}
    for_guest = modules | {roles / name for name in _roles("guest.yml")}
    for_gateway = {roles / name for name in _roles("gateway.yml")}
    guest_inputs = [*_files(*for_guest, ROOT / "labs"), (playbooks / "guest.yml").read_text()]
    guest = f"guest-{release}-{_digest(base, variables['guests'], guest_inputs)}"
    gateway_inputs = [*_files(*for_guest, *for_gateway), (playbooks / "gateway.yml").read_text()]
    gateway = f"gateway-{release}-{_digest(guest, variables['gateways'], gateway_inputs)}"
    return {"base": base, "guest": guest, "gateway": gateway}


def _tree(name: str) -> Path:
    return state.IMAGES / name / "tree"


def _layers(room: Room, names: dict[str, str]) -> Layers:
    base = [_tree(names["base"])]
    if not room.image.provisioned:
        return {"guest": base, "gateway": base}
    guest = [_tree(names["guest"]), *base]
    return {"guest": guest, "gateway": [_tree(names["gateway"]), *guest]}


def _wanted(room: Room) -> list[str]:
    if not room.image.provisioned:
        return ["base"]
    return ["base", "guest", "gateway"] if room.gateway else ["base", "guest"]


def _chosen_release(room: Room) -> str | None:
    """The release of the room's image; None where `auto` has not been decided on this machine yet."""
    if room.image.release != "auto":
        return room.image.release
    decided: str | None = state.read_json(state.IMAGES / "auto.json").get("release")
    return decided


def ready(room: Room) -> Layers | None:
    """The room's image, if it is there and made of just what the checkout holds now."""
    release = _chosen_release(room)
    if release is None:
        return None
    names = _names(room, release)
    return _layers(room, names) if all(_tree(names[layer]).is_dir() for layer in _wanted(room)) else None


def ensure(room: Room, progress: Progress) -> Layers:
    """The room's image, made now as far as it isn't there.

    Raises:
        MachineError: it can't be made: no network, no space, a tool that failed; the message has its last lines.
    """
    if layers := ready(room):
        return layers
    state.prepare(state.IMAGES)
    state.IMAGES.chmod(0o700)  # set-user-ID programs of the guests are none of the machine's users'
    with state.locked(state.IMAGES / "lock", "makes an image"):
        _clear_away()
        free = shutil.disk_usage(state.IMAGES).free
        if free < _NEEDED_BYTES:
            raise MachineError(
                f"{state.IMAGES} has {free / 2**30:.1f} GiB free, and making an image takes {_NEEDED_BYTES >> 30} GiB",
                "free some space, or set LABROOM_STATE_DIR to a folder on another disk",
            )
        release = _decide_release(room)
        names = _names(room, release)
        try:
            if not _tree(names["base"]).is_dir():
                _make_base(names["base"], release, progress)
            missing = [part for part in _wanted(room)[1:] if not _tree(names[part]).is_dir()]
            if missing:
                _provision(room, names, missing, progress)
            _forget_old(names)
        finally:
            _clear_away()
        return _layers(room, names)


def _clear_away() -> None:
    """Remove what making an image left behind; the lock says that nobody makes one."""
    nspawn_guest.clear_away(_BUILD)
    state.remove_tree(state.ROOMS / _BUILD)
    for partial in state.IMAGES.glob("*.partial"):
        state.remove_tree(partial)


def clear_away_if_idle() -> None:
    """Remove what making an image left behind when it was killed, unless one is being made now."""
    if state.IMAGES.is_dir():
        with state.locked(state.IMAGES / "lock", "clears away", wait=False) as held:
            if held:
                _clear_away()


def purge() -> None:
    """Remove every layer that no room lies on."""
    used = _used()
    _remove_layers(image for image in state.IMAGES.glob("*-*-*/") if image.name not in used)
    if not used:
        state.remove_tree(state.IMAGES)


def _used() -> set[str]:
    """The layers that a room of this machine lies on."""
    records = [state.read_json(record) for record in state.ROOMS.glob("*/room.json")]
    return {Path(layer).parent.name for known in records for part in known.get("layers", {}).values() for layer in part}


def _forget_old(names: dict[str, str]) -> None:
    """Remove the layers that were made long ago, that no room lies on and that are not among `names`."""
    old = time.time() - _KEPT_SECONDS
    kept = _used() | set(names.values())
    unused = [image for image in state.IMAGES.glob("*-*-*/") if image.name not in kept]
    _remove_layers(image for image in unused if image.stat().st_mtime < old)


def _remove_layers(images: Iterable[Path]) -> None:
    for image in images:
        state.remove_tree(image)
        image.with_name(f"{image.name}.log").unlink(missing_ok=True)


# --- base ----------------------------------------------------------------------------------------------------------


def _decide_release(room: Room) -> str:
    if release := _chosen_release(room):
        return release
    own = machine.os_release()
    release, reason = own.get("VERSION_CODENAME", ""), ""
    if release != "noble":
        keyring = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")
        if not keyring.exists():
            machine.try_install("ubuntu-keyring", "distro-info-data")  # the latter tells mmdebstrap what noble is
        if not keyring.exists():
            reason = "Ubuntu's keyring can't be had here"
        elif not _archive_answers("noble"):
            reason = "Ubuntu's archive can't be reached from here"
        else:
            release = "noble"
    if reason:
        print(f"  {reason}: the guests are {own.get('PRETTY_NAME', release)}, as this machine is", flush=True)
    state.write_json(state.IMAGES / "auto.json", {"release": release})
    return release


def _archive_answers(release: str) -> bool:
    try:
        processes.run("mmdebstrap", "--simulate", "--variant=essential", release, "/dev/null", timeout=40)
    except MachineError:
        return False
    return True


def _make_base(name: str, release: str, progress: Progress) -> None:
    partial = state.IMAGES / f"{name}.partial"
    tree = partial / "tree"
    partial.mkdir()
    log = state.IMAGES / f"{name}.log"
    sources = machine.apt_sources(release)
    options = [
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join(_BASE_PACKAGES)}",
        "--aptopt=APT::Install-Recommends false",
        *(f"--aptopt={option}" for option in machine.apt_proxies()),
        *(["--components=main,universe"] if release in _UBUNTU and not sources else []),
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "info", "locale", "man")),
    ]
    with progress.phase(f"base of the guests' image ({release})", log):
        # What it mounts in the tree goes with it, should it be killed: nobody may ever remove a tree with /sys in it.
        command = [*processes.PRIVATE_MOUNTS, "mmdebstrap", *options, release, str(tree)]
        _run_logged([*command, *(["-"] if sources else [])], log, stdin=sources)
    with progress.phase("made to boot as a guest"):
        generators = {path.name for path in (tree / _GENERATORS).iterdir()} - set(_NEEDED_GENERATORS)
        masked = [
            *(f"etc/systemd/system/{unit}" for unit in _MASKED),
            *(f"etc/systemd/system-generators/{name}" for name in sorted(generators)),
            *_MASKED_FILES,
        ]
        for path in masked:
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).symlink_to("/dev/null")
        for path, text in _FILES.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        wants = tree / "etc/systemd/system/sysinit.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / "labroom-network.service").symlink_to("../labroom-network.service")
        (tree / "etc/labroom").mkdir()
        _forget_identity(tree)
        _shift_owners(tree)
    _keep(name, partial)


def _forget_identity(tree: Path) -> None:
    """Remove what each guest gets for itself, and what an installation leaves behind."""
    for pattern in (
        *(
            "etc/ssh/ssh_host_*",
            "etc/machine-id",
            "etc/hostname",
            "etc/hosts",
            "etc/resolv.conf",
            "etc/labroom/network",
        ),
        *("root/.ssh", "root/.ansible", f"home/{keys.STUDENT}/.ssh/authorized_keys", "var/log/**/*.log", "tmp/*"),
        *("var/lib/apt/lists/*", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", "var/lib/systemd/random-seed"),
        *("var/lib/dbus/machine-id", "var/cache/debconf/*-old", "var/lib/dpkg/*-old", "var/log/journal/*", "run/*"),
    ):
        for path in tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _shift_owners(tree: Path) -> None:
    """Give every file to the user of the machine that its owner will be in a guest."""
    for folder, folders, files in os.walk(tree):
        for path in (Path(folder), *(Path(folder, name) for name in (*folders, *files))):
            status = path.lstat()
            if status.st_uid < nspawn_guest.UID_COUNT:  # not yet: hard links come by twice
                os.lchown(path, nspawn_guest.UID_BASE + status.st_uid, nspawn_guest.UID_BASE + status.st_gid)
                if status.st_mode & 0o6000 and not path.is_symlink():  # which lchown clears
                    path.chmod(status.st_mode & 0o7777)


def _keep(name: str, partial: Path) -> None:
    """Make a finished layer known by its name, its list of packages beside it."""
    installed = (partial / "tree/var/lib/dpkg/status").read_text().split("\n\n")
    fields = [dict(re.findall(r"^(Package|Version): (.*)$", block, re.MULTILINE)) for block in installed]
    packages = sorted(f"{field['Package']} {field['Version']}\n" for field in fields if "Version" in field)
    (partial / "packages.txt").write_text("".join(packages))
    partial.replace(state.IMAGES / name)


# --- provisioned layers --------------------------------------------------------------------------------------------


def _provision(room: Room, names: dict[str, str], missing: list[str], progress: Progress) -> None:
    """Make the missing layers, each in a guest made from the one below it, by the playbook of its part."""
    builder = Room.model_construct(
        name=_BUILD,
        domain=room.domain,
        networks=room.networks,
        internet=True,
        guests={"builder": Guest(outside=room.networks.outside.network_address + 2)},
    )
    network.create(builder, machine=False)
    network.start_uplink(_BUILD)
    keys.prepare(builder)
    for part in missing:
        below = _layers(room, names)[part][1:]
        log = state.IMAGES / f"{names[part]}.log"
        with progress.phase(f"{part} layer by playbooks/{part}.yml", log):
            nspawn_guest.start(_BUILD, nspawn_guest.describe(builder, "builder", below))
            _run_playbook(room, builder, part, log)
            partial = state.IMAGES / f"{names[part]}.partial"
            partial.mkdir()
            nspawn_guest.shut_down(_BUILD, ["builder"])
            (nspawn_guest.folder(_BUILD, "builder") / "upper").rename(partial / "tree")
            nspawn_guest.clear(_BUILD, "builder")
            _forget_identity(partial / "tree")
            _keep(names[part], partial)


def _run_playbook(room: Room, builder: Room, part: str, log: Path) -> None:
    address = str(builder.guests["builder"].address)
    own_keys = (keys.identity(_BUILD),), (keys.known_hosts(_BUILD),)
    endpoints = {"builder": Endpoint("builder", address, address, 22, "root", *own_keys)}
    groups = inventory.inventory(builder, endpoints, network.UPLINK_NAME_SERVER)
    variables = inventory.role_variables(room, network.UPLINK_NAME_SERVER)
    groups["guests"]["vars"] |= variables["guests"]
    patience = " -o ConnectionAttempts=30 -o ConnectTimeout=1"  # it is still booting
    groups["guests"]["hosts"]["builder"]["ansible_ssh_common_args"] += patience
    groups["gateways"] = {"hosts": {"builder": {}} if part == "gateway" else {}, "vars": variables["gateways"]}
    file = state.ROOMS / _BUILD / "inventory.yml"
    file.write_text(json.dumps(groups, indent=1))
    try:
        _run_logged(
            [*network.inside(_BUILD), machine.tool("ansible-playbook"), f"--inventory={file}", f"playbooks/{part}.yml"],
            log,
            env={
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
                "ANSIBLE_HOME": str(state.ROOMS / _BUILD / "ansible"),
                "ANSIBLE_FORCE_COLOR": "0",
            },
        )
    except MachineError as error:
        if "UNREACHABLE" in log.read_text():
            raise MachineError(
                f"{error}\nthe builder's console ends:\n    " + "\n    ".join(nspawn_guest.console(_BUILD, "builder"))
            ) from error
        raise


def _run_logged(argv: list[str], log: Path, stdin: str = "", env: dict[str, str] | None = None) -> None:
    """Run a tool that makes an image, in the control group of all that does, its output in `log`.

    Raises:
        MachineError: it failed; the message has its last lines.
    """
    tools = Cgroup(_BUILD, "tools")
    tools.create()
    with log.open("w") as output:
        done = subprocess.run(
            tools.entering(*argv),
            input=stdin.encode(),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"LC_ALL": "C.UTF-8"} | (env or {}),
            cwd=ROOT,
            start_new_session=True,
            check=False,
        )
    if done.returncode == 0:
        return
    text = log.read_text(errors="replace")
    tool = next(Path(word).name for word in argv if Path(word).name in ("mmdebstrap", "ansible-playbook"))
    if "No space left on device" in text:
        raise MachineError(f"the disk is full: {tool} found no space left for {state.IMAGES}", "free some space")
    unreachable = re.search(
        r"(Could not resolve|Temporary failure resolving|Could not connect|Unable to connect).*", text
    )
    if unreachable:
        raise MachineError(
            f"no network for the first image: {unreachable.group(0).strip()}",
            "the package mirror of this machine's apt must answer, once: try apt-get update",
        )
    last = "".join(f"\n    {line}" for line in text.strip().splitlines()[-8:])
    raise MachineError(
        f"{tool} failed (exit status {done.returncode}); its output ends:{last}", f"the whole log: {log}"
    )
