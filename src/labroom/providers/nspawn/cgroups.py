"""Control groups: one for each guest, which limits it, counts what it uses, and finds every process of it (cgroups(7)).

A machine may have the unified hierarchy (v2), the older ones (v1), or both; a group here is the same path in each that
matters. Under systemd the room's groups lie below a unit of their own, delegated to us by systemd; elsewhere below
/labroom of each hierarchy.
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from labroom.errors import MachineError
from labroom.processes import run

_CONTROLLERS = ("pids", "memory", "cpuacct", "name=systemd")
# The group of a process for whose sake systemd keeps the room's group: it removes empty ones. No guest's
# name has a dot.
_KEEPER = "keeper.helper"


@dataclass(frozen=True)
class _Hierarchy:
    mount: Path
    controllers: frozenset[str]
    unified: bool


@cache
def _hierarchies() -> tuple[_Hierarchy, ...]:
    found = []
    for line in Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, mount, kind, options = line.split()[:4]
        if kind == "cgroup2":
            controllers = frozenset((Path(mount) / "cgroup.controllers").read_text(encoding="utf-8").split())
            found.append(_Hierarchy(Path(mount), controllers, unified=True))
        elif kind == "cgroup" and (wanted := set(options.split(",")) & set(_CONTROLLERS)):
            found.append(_Hierarchy(Path(mount), frozenset(wanted), unified=False))
    return tuple(found)


def missing_controllers() -> list[str]:
    """The controllers that a guest's limits need and this machine doesn't have."""
    there = {controller for hierarchy in _hierarchies() for controller in hierarchy.controllers}
    return [name for name in ("pids", "memory") if name not in there]


def under_systemd() -> bool:
    """Whether systemd runs this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def _unit(room_name: str) -> str:
    return f"labroom-{room_name}.service"


def _base(room_name: str) -> str:
    return f"system.slice/{_unit(room_name)}" if under_systemd() else f"labroom/{room_name}"


class Cgroup:
    """The control group of one part of a room: a guest, or a helper such as the uplink."""

    def __init__(self, room_name: str, part: str) -> None:
        self.room_name = room_name
        self.part = part

    def _folders(self) -> list[tuple[_Hierarchy, Path]]:
        return [(hierarchy, hierarchy.mount / _base(self.room_name) / self.part) for hierarchy in _hierarchies()]

    def create(self, processes: int | None = None, memory_mib: int | None = None) -> None:
        """Make the group, limited.

        Raises:
            MachineError: the machine does not let us, as in a container whose control groups can't be written.
        """
        if under_systemd() and not (_hierarchies()[0].mount / _base(self.room_name)).is_dir():
            _start_unit(self.room_name)
        try:
            for hierarchy, folder in self._folders():
                if hierarchy.unified:
                    _enable_controllers(hierarchy, folder)
                folder.mkdir(parents=True, exist_ok=True)
                limits = {}
                if processes and "pids" in hierarchy.controllers:
                    limits["pids.max"] = str(processes)
                if memory_mib and "memory" in hierarchy.controllers:
                    limits["memory.max" if hierarchy.unified else "memory.limit_in_bytes"] = str(memory_mib << 20)
                for file, value in limits.items():
                    (folder / file).write_text(value, encoding="utf-8")
        except OSError as error:
            raise MachineError(
                f"this machine refuses a control group for {self.room_name}/{self.part}: "
                f"{error.filename}: {error.strerror}",
                "run on the machine itself, or in a container that may write to its control groups",
            ) from error

    def entrances(self) -> list[Path]:
        """The files into which a process writes 0 in order to join the group, which must be there."""
        return [folder / "cgroup.procs" for _, folder in self._folders()]

    def entering(self, *argv: str) -> list[str]:
        """The command that joins the group, which must be there, and then becomes `argv`."""
        script = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit; shift; done; shift; exec "$@"'
        return ["sh", "-c", script, "sh", *map(str, self.entrances()), "--", *argv]

    def processes(self) -> set[int]:
        """The number of every process in the group and below it."""
        found: set[int] = set()
        for _, folder in self._folders():
            for below, _, _ in os.walk(folder):  # which does not mind that groups vanish meanwhile
                with contextlib.suppress(OSError):
                    found.update(map(int, Path(below, "cgroup.procs").read_text(encoding="utf-8").split()))
        return found

    def unified(self) -> Path | None:
        """The group in the unified hierarchy, if this machine has that."""
        return next((folder for hierarchy, folder in self._folders() if hierarchy.unified), None)

    def memory_bytes(self) -> int:
        """What the group holds in memory: processes, kernel objects and files' pages; 0 where it isn't counted."""
        return self._number("memory.current", "memory.usage_in_bytes")

    def cpu_seconds(self) -> float:
        """The processor time its processes have used; 0 where it isn't counted."""
        for hierarchy, folder in self._folders():
            with contextlib.suppress(OSError):
                if hierarchy.unified:
                    return int((folder / "cpu.stat").read_text(encoding="utf-8").split()[1]) / 1e6
                return int((folder / "cpuacct.usage").read_text(encoding="utf-8")) / 1e9
        return 0.0

    def _number(self, *names: str) -> int:
        for _, folder in self._folders():
            for name in names:
                with contextlib.suppress(OSError):
                    return int((folder / name).read_text(encoding="utf-8"))
        return 0

    def remove(self, timeout: float = 10) -> None:
        """Kill what is in the group, or is about to join it, and remove it.

        Raises:
            MachineError: it is still there after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            for hierarchy, folder in self._folders():
                if hierarchy.unified:  # all at once, faster than anything forks
                    with contextlib.suppress(OSError):  # it is gone, or Linux is older than 5.14
                        (folder / "cgroup.kill").write_text("1", encoding="utf-8")
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not [folder for _, folder in self._folders() if not _removed(folder)]:
                return
            if time.monotonic() > deadline:
                raise MachineError(f"what runs in {self.room_name}/{self.part} can't be killed: {self.processes()}")
            time.sleep(0.005)


def parts(room_name: str) -> set[str]:
    """The parts of a room that have a control group, also those nobody remembers."""
    found = {folder.name for hierarchy in _hierarchies() for folder in (hierarchy.mount / _base(room_name)).glob("*/")}
    return found - {_KEEPER}


def remove_room(room_name: str) -> None:
    """Remove the room's own group, after those of its parts."""
    if under_systemd():
        _stop_unit(room_name)
    for hierarchy in _hierarchies():
        _removed(hierarchy.mount / _base(room_name))
        with contextlib.suppress(OSError):  # it stays while another room is there
            (hierarchy.mount / "labroom").rmdir()


def _stop_unit(room_name: str) -> None:
    with contextlib.suppress(MachineError):  # there is none
        run("systemctl", "stop", _unit(room_name))


def _start_unit(room_name: str) -> None:
    """Have systemd make the room's group and leave it to us.

    The unit has started when its command has ended, and stays: no process that dies makes systemd end the others.
    """
    _stop_unit(room_name)  # one whose group went, because nothing was left in it
    keeper = _hierarchies()[0].mount / _base(room_name) / _KEEPER
    # Without a "$", which systemd would expand; 0 is whoever writes it.
    command = f"mkdir {keeper} && echo 0 >{keeper}/cgroup.procs && {{ sleep infinity & }}"
    run(
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={_unit(room_name)}",
        "--slice=system.slice",
        "--property=Type=oneshot",
        "--property=RemainAfterExit=yes",
        "--property=Delegate=yes",
        # Each guest has limits of its own, and no share in those of the machine's services.
        "--property=TasksMax=infinity",
        f"--description=labroom room {room_name}",
        "sh",
        "-c",
        command,
    )


def _enable_controllers(hierarchy: _Hierarchy, folder: Path) -> None:
    """Let `folder` count and limit: each controller is switched on from its first ancestor that is ours downwards."""
    wanted = " ".join(f"+{name}" for name in ("pids", "memory") if name in hierarchy.controllers)
    ancestors = [parent for parent in reversed(folder.parents) if parent.is_relative_to(hierarchy.mount)]
    if under_systemd():  # above the unit it is systemd that decides
        ancestors = ancestors[-1:]
    for ancestor in ancestors:
        ancestor.mkdir(exist_ok=True)
        if wanted:
            (ancestor / "cgroup.subtree_control").write_text(wanted, encoding="utf-8")


def _removed(folder: Path) -> bool:
    """Remove a group and those in it, and say whether that could be done: not while a process is in one of them."""
    for below, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            Path(below).rmdir()
    return not folder.is_dir()
