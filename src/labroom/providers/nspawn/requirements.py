"""What the nspawn provider needs of the host machine: is it there, and what brings it?"""

import os
import shutil
from pathlib import Path

from labroom import commands, machine, state
from labroom.console import Progress
from labroom.errors import MachineError
from labroom.machine import Finding
from labroom.processes import run
from labroom.providers.nspawn import cgroups, links
from labroom.room import Room

#: What the provider runs, and the package of it in Debian and Ubuntu.
COMMANDS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "slirp4netns": "slirp4netns",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "umount": "mount",
    "mke2fs": "e2fsprogs",
}


def install_missing(progress: Progress) -> None:
    """Install the packages that a room needs, with the machine's package manager.

    Raises:
        MachineError: there is none that labroom knows, or it failed.
    """
    missing = [command for command in COMMANDS if not shutil.which(command)]
    if not missing:
        return
    packages = sorted({COMMANDS[command] for command in missing})
    if not shutil.which("apt-get"):
        raise MachineError(
            f"{', '.join(packages)}: not installed, and apt-get is the only package manager that labroom knows",
            f"install what brings: {' '.join(missing)}",
        )
    log = state.root() / "apt.log"
    with progress.phase(f"packages: {' '.join(packages)}"[:50], log):
        machine.install(packages, log)


def _user_namespaces() -> Finding:
    """Whether a process here can have a user namespace of its own (user_namespaces(7)): in a chroot none can."""
    try:
        run("unshare", "--user", "true")
        ok = True
    except MachineError:
        ok = False
    allow = commands.as_root("sysctl user.max_user_namespaces=10000")
    remedy = f"{allow}; in a chroot there is none: use systemd-nspawn or pivot_root"
    return Finding("user namespaces", ok, remedy)


def require_user_namespaces() -> None:
    """See that guests can have users of their own.

    Raises:
        MachineError: they can't.
    """
    finding = _user_namespaces()
    if not finding.ok:
        raise MachineError("this machine allows no user namespaces, which guests need", finding.remedy)


def examine(room: Room) -> list[Finding]:
    """Everything that this room needs on this machine, and whether it is there."""
    kinds = Path("/proc/filesystems").read_text(encoding="utf-8").split()
    overlay = "overlay" in kinds or Path(f"/lib/modules/{os.uname().release}/kernel/fs/overlayfs").exists()
    loop = Path("/dev/loop-control").exists()
    missing = cgroups.missing_controllers()
    limits = "control groups that limit processes and memory"
    kept = state.root()
    free = shutil.disk_usage(next(path for path in (kept, *kept.parents) if path.is_dir())).free
    return [
        Finding("root", os.geteuid() == 0, "sudo before the command"),
        *(_command(command) for command in COMMANDS),
        Finding("overlay file systems", overlay, commands.as_root("modprobe overlay")),
        _user_namespaces(),
        Finding("loop devices, which hold guests' disks", loop, commands.as_root("modprobe loop")),
        Finding(limits, not missing, f"boot with cgroup: {', '.join(missing)}"),
        Finding(f"2 GiB free at {kept}", free >= 2 << 30, "free some space, or set LABROOM_STATE_DIR"),
        _networks(room),
        *([name_servers(), _unified_groups(room)] if room.internet else []),
    ]


def name_servers() -> Finding:
    """Whether slirp4netns can ask this machine's name servers, which it does over IPv4 alone."""
    repair = "name one with an IPv4 address in /etc/resolv.conf"
    if Path("/run/systemd/resolve/stub-resolv.conf").exists():  # systemd-resolved(8) listens at 127.0.0.53, too
        repair = commands.as_root("ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf")
    remedy = f"{repair}, or choose internet: false in room.yml"
    return Finding("a name server with an IPv4 address, for guests", bool(links.name_servers()), remedy)


def _unified_groups(room: Room) -> Finding:
    what = "unified control groups, which keep guests with internet from this machine's services"
    return Finding(what, cgroups.Cgroup(room.name, "any").unified() is not None, links.MOUNT_UNIFIED)


def _command(command: str) -> Finding:
    remedy = (
        commands.as_root(f"apt-get install {COMMANDS[command]}")
        if shutil.which("apt-get")
        else f"install what brings {command}"
    )
    return Finding(command, shutil.which(command) is not None, remedy)


def _networks(room: Room) -> Finding:
    try:
        links.check_free(room)
    except MachineError as error:
        return Finding(f"the room's networks are free: {error}", ok=False, remedy=error.remedy)
    return Finding("the room's networks are free", ok=True)
