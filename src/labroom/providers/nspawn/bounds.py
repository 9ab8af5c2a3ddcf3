"""What a guest may take of what the kernel has a number of, beside its processes, memory and disk.

Some objects are counted by user namespace, and so by guest: these get a limit (namespaces(7), /proc/sys/user). Others
the kernel counts for the whole machine, while their memory is the guest's who has them: of these the machine gets as
many as the guests' memory can hold, so that none can take the last one.
"""

import subprocess
from pathlib import Path

from labroom.errors import MachineError

_PER_GUEST = {
    "max_inotify_instances": 128,  # Linux's own limit for a user
    "max_inotify_watches": 16384,
    "max_fanotify_groups": 16,
    "max_fanotify_marks": 4096,
    **{f"max_{kind}_namespaces": 64 for kind in ("user", "mnt", "net", "pid", "uts", "ipc", "cgroup", "time")},
}
_OF_THE_MACHINE = {
    "fs/file-max": (1 << 63) - 1,  # as systemd has it
    "kernel/pty/max": 1 << 20,
    "kernel/pid_max": 1 << 22,
}
_MACHINES_OWN = 256  # inotify instances for those who aren't guests


def raise_limits(guests: int) -> None:
    """Raise the machine's limits, where they are lower, to what so many guests may take.

    A guest's systemd takes five inotify instances of its root and of the machine's: else a machine would end at twenty
    guests, with "Failed to acquire watch file descriptor".
    """
    wanted = {
        **_OF_THE_MACHINE,
        "fs/inotify/max_user_instances": _MACHINES_OWN + guests * _PER_GUEST["max_inotify_instances"],
        "fs/inotify/max_user_watches": guests * _PER_GUEST["max_inotify_watches"],
        "net/ipv4/neigh/default/gc_thresh3": 1024 * (guests + 1),
    }
    for name, least in wanted.items():
        setting = Path("/proc/sys", name)
        try:
            if int(setting.read_text()) < least:
                setting.write_text(str(least))
        except FileNotFoundError:  # a kernel without it
            continue
        except OSError as error:
            raise MachineError(
                f"this machine refuses {setting}: {error.strerror}", f"sysctl {name.replace('/', '.')}={least}"
            ) from error


def hold(supervisors: dict[str, int]) -> None:
    """Hold guests that have booted to their numbers.

    Args:
        supervisors: guest to its systemd-nspawn.

    Raises:
        MachineError: the kernel refuses.
    """
    script = 'cd /proc/sys/user; for each; do [ ! -e "${each%=*}" ] || echo "${each#*=}" >"${each%=*}" || exit; done'
    settings = [f"{name}={number}" for name, number in _PER_GUEST.items()]
    running = {}
    for name, pid in supervisors.items():
        try:
            inits = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:  # it has just ended
            continue
        for init in (init for init in inits if _user_namespace(init) not in (None, _user_namespace("self"))):
            # In the guest's user namespace, and in no other of it: the programs are the machine's.
            enter = [
                "nsenter",
                f"--user=/proc/{init}/ns/user",
                "--",
                "sh",
                "-c",
                script,
                "sh",
            ]
            running[name, init] = subprocess.Popen([*enter, *settings], stderr=subprocess.PIPE, text=True)
    for (name, init), process in running.items():
        _, said = process.communicate()
        if process.returncode != 0 and Path("/proc", init).exists():
            raise MachineError(f"guest {name} can't be held to its kernel objects: {said.strip()}")


def _user_namespace(process: str) -> int | None:
    """Which user namespace a process is in; None if it isn't there."""
    try:
        return Path("/proc", process, "ns/user").stat().st_ino
    except OSError:
        return None
