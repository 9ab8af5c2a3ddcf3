"""A Docker engine of the benchmarks' own, beside any other of this machine, which leaves nothing behind.

It is the distribution's dockerd (Debian, Ubuntu: packages docker.io and docker-compose) in a network, a mount and a
process namespace of its own (namespaces(7)): its bridges, its iptables rules, its ip_forward setting and its mounts are
seen by nobody else and go when its first process ends, which ends every other process in it (pid_namespaces(7)). What
a namespace does not hold is one folder and one control group; they are removed at the end, or by the next engine if
this one was killed.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

IMAGE = "labroom-benchmark"
_GROUP = "labroom-benchmark"  # the control group, in every hierarchy, of all that the engine runs
_PACKAGES = {"dockerd": "docker.io", "docker": "docker.io", "docker-compose": "docker-compose"}
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # the distribution's tools, not another docker of this machine
_CLONE_NEWNET = 0x40000000  # setns(2)
_PATIENCE = 60.0  # s, for the engine to start and for a guest to answer

# $0 the control group's name, $1 the folder, then the control groups to join.
_LAUNCH = """
folder=$1; shift
for group; do echo $$ >"$group/cgroup.procs" || exit; done
exec setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private sh -c '
    mount -t tmpfs tmpfs /run && ip link set lo up &&
    exec dockerd --host="unix://$1/docker.sock" --data-root="$1/data" --exec-root=/run/docker \\
        --pidfile=/run/docker.pid --bridge=none --storage-driver=overlay2 --userland-proxy=false \\
        --exec-opt native.cgroupdriver=cgroupfs --default-cgroupns-mode=private --cgroup-parent="/$2/guests"
' sh "$folder" "$0"
"""


class EngineError(Exception):
    """The engine, or what was asked of it, failed; the message says how."""


@dataclass(frozen=True)
class Usage:
    """What something has used.

    Attributes:
        memory_bytes: what it holds now: processes, kernel objects and files' pages.
        cpu_seconds: the processor time it has used since its start.
    """

    memory_bytes: int
    cpu_seconds: float


def missing_packages() -> list[str]:
    """The packages that would bring the commands that aren't there."""
    return sorted({package for command, package in _PACKAGES.items() if not shutil.which(command, path=_PATH)})


class Engine:
    """The engine, from entering its `with` block to leaving it.

    Args:
        folder: for its data; made and removed, with all that is in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Engine":
        self._stop()  # one that was killed
        self._folder.mkdir(mode=0o700)
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        # Not in a cpuset of version 1, which takes no process before it has been given processors (cpuset(7)).
        hierarchies = [mount for mount in _hierarchies() if not (mount / "cpuset.cpus").exists()]
        groups = [mount / _GROUP / "engine" for mount in hierarchies]
        for group in groups:
            group.mkdir(parents=True)
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", _LAUNCH, _GROUP, str(self._folder), *map(str, groups)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for us, who will end it
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                lines = (self._folder / "log").read_text().strip().splitlines()
                raise EngineError("dockerd did not start: " + "\n".join(lines[-5:]))
            time.sleep(0.05)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self._folder / "docker.sock"))
            except OSError:
                return False
        return self._call("docker", "version", check=False) == 0

    def _stop(self) -> None:
        """End every process of the engine and remove what no namespace took with it."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        _remove_groups()
        if self._folder.exists():
            shutil.rmtree(self._folder)

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_"))},
            "PATH": _PATH,
            "DOCKER_HOST": f"unix://{self._folder}/docker.sock",
            "DOCKER_CONFIG": str(self._folder / "config"),
            "HOME": str(self._folder),
        }

    def _call(self, *argv: str, check: bool = True) -> int:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self._environment, check=False
        )
        if check and done.returncode != 0:
            raise EngineError(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()[-500:]}")
        return done.returncode

    def version(self) -> str:
        """What runs here."""
        argv = ["docker", "version", "--format", "{{.Server.Version}}"]
        done = subprocess.run(argv, capture_output=True, text=True, env=self._environment, check=True)
        return f"Docker {done.stdout.strip()}"

    def import_image(self, layers: Iterable[Path], uid_base: int) -> None:
        """Make `IMAGE` of the layers of a room's guest, flattened.

        Three files are added that a room gives to each guest and an image of Docker brings along: the host key, the
        machine's id, and the list of its links, empty because Docker sets them up.

        Args:
            layers: folders, topmost first, as an overlay has them.
            uid_base: the user who owns there what user 0 shall own in the image.
        """
        added, tree = self._folder / "added", self._folder / "tree"
        for folder in (tree, added / "etc/labroom", added / "etc/ssh"):
            folder.mkdir(parents=True)
        (added / "etc/labroom/network").touch()
        (added / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        host_key = added / "etc/ssh/ssh_host_ed25519_key"
        self._call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host_key))
        owners = self._folder / "owners"
        owners.write_text("".join(f"+{owner} :{owner - uid_base}\n" for owner in _owners(layers) if owner >= uid_base))
        overlay = ":".join(map(str, (added, *layers)))
        script = (
            'mount -t overlay overlay -o "ro,lowerdir=$1" "$2" && '
            'tar --create --directory="$2" --numeric-owner --owner-map="$3" --group-map="$3" . | docker import - "$4"'
        )
        self._call("unshare", "--mount", "sh", "-c", script, "sh", overlay, str(tree), str(owners), IMAGE)

    def compose(self, file: Path, *arguments: str) -> None:
        """Run docker-compose(1).

        Raises:
            EngineError: it failed.
        """
        self._call("docker-compose", "--file", str(file), *arguments)

    def wait_for_ssh(self, addresses: Iterable[str]) -> None:
        """Wait until the sshd at each address has said who it is (RFC 4253, 4.2).

        Raises:
            EngineError: one did not in time.
        """
        deadline = time.monotonic() + _PATIENCE
        with self._network():
            for address in addresses:
                while not _says_ssh(address):
                    if time.monotonic() > deadline:
                        raise EngineError(f"the container at {address} did not answer SSH in time")
                    time.sleep(0.01)

    @contextlib.contextmanager
    def _network(self) -> Iterator[None]:
        """Be in the engine's network namespace (setns(2))."""
        assert self._process  # noqa: S101 (entered)
        pid = self._process.pid
        child = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as own, open(f"/proc/{child}/ns/net", "rb") as theirs:  # noqa: PTH123
            if libc.setns(theirs.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                libc.setns(own.fileno(), _CLONE_NEWNET)

    def guests(self) -> list[Usage]:
        """What each running container has used."""
        names = {path.name for mount in _hierarchies() for path in (mount / _GROUP / "guests").glob("*/")}
        return [_usage(f"guests/{name}") for name in names if len(name) == 64]

    def overhead(self) -> Usage:
        """What the engine itself has used: dockerd, containerd and a supervisor for each container."""
        return _usage("engine")


def _says_ssh(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=0.5) as client:
            return client.recv(4) == b"SSH-"
    except OSError:
        return False


def _owners(layers: Iterable[Path]) -> set[int]:
    """Every user and group that owns a file of the layers."""
    found: set[int] = set()
    for layer in layers:
        for folder, folders, files in os.walk(layer):
            for name in (*folders, *files):
                status = Path(folder, name).lstat()
                found |= {status.st_uid, status.st_gid}
    return found


def _hierarchies() -> list[Path]:
    """Where control groups are (cgroups(7)): the mounts of both versions."""
    mounts = (line.split()[:3] for line in Path("/proc/mounts").read_text().splitlines())
    return [Path(mount) for _, mount, kind in mounts if kind in ("cgroup", "cgroup2")]


def _usage(group: str) -> Usage:
    memory, cpu = 0, 0.0
    for mount in _hierarchies():
        folder = mount / _GROUP / group
        for file in (folder / "memory.current", folder / "memory.usage_in_bytes"):
            if file.exists():
                memory = int(file.read_text())
        if (folder / "cpu.stat").exists() and "usage_usec" in (text := (folder / "cpu.stat").read_text()):
            cpu = cpu or int(text.split()[1]) / 1e6
        if (folder / "cpuacct.usage").exists():
            cpu = int((folder / "cpuacct.usage").read_text()) / 1e9
    return Usage(memory, cpu)


def _remove_groups() -> None:
    """Remove the control groups, whose processes have been killed: they may take a moment to go."""
    deadline = time.monotonic() + 10
    for mount in _hierarchies():
        while (mount / _GROUP).is_dir():
            for folder in sorted([mount / _GROUP, *(mount / _GROUP).rglob("*/")], reverse=True):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            if time.monotonic() > deadline:
                raise EngineError(f"{mount / _GROUP} can't be removed: it is still in use")
            time.sleep(0.01)
