"""What a guest may take of what the kernel has a number of, beside its processes, memory and disk.

Some objects are counted by user namespace, and so by guest: these get a limit (namespaces(7), /proc/sys/user). Others
the kernel counts for the whole machine, while their memory is the guest's who has them: of these the machine gets as
many as the guests' memory can hold, so that none can take the last one.
"""

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
            if int(setting.read_text(encoding="utf-8")) < least:
                setting.write_text(str(least), encoding="utf-8")
        except FileNotFoundError:  # a kernel without it
            continue
        except OSError as error:
            raise MachineError(
                f"this machine refuses {setting}: {error.strerror}", f"sysctl {name.replace('/', '.')}={least}"
            ) from error


def script() -> str:
    """What holds a guest to its numbers: a script for a shell that is root in its user namespace."""
    settings = " ".join(f"{name}={number}" for name, number in _PER_GUEST.items())
    return (
        f"cd /proc/sys/user && for each in {settings}; do "
        '[ ! -e "${each%=*}" ] || echo "${each#*=}" >"${each%=*}" || exit; done'
    )
