"""A Docker engine of the benchmarks' own, beside any other of this machine, which leaves nothing behind.

It is the distribution's dockerd in a sandbox of the tests', with the machine's own control groups, in which what its
containers use is counted.
"""

import contextlib
import ctypes
import os
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import packages
from tests.docker import engine
from tests.sandbox import Sandbox, SandboxError, hierarchies

IMAGE = "labroom-benchmark"
_CLONE_NEWNET = 0x40000000  # setns(2)
_PATIENCE = 60.0  # s, for a guest to answer


@dataclass(frozen=True)
class Usage:
    """What something has used.

    Attributes:
        memory_bytes: what it holds now: processes, kernel objects and files' pages.
        cpu_seconds: the processor time it has used since its start.
    """

    memory_bytes: int
    cpu_seconds: float


@contextlib.contextmanager
def docker_engine(folder: Path) -> Iterator["Engine"]:
    """Run an engine; `folder` is for its data, created and removed with all that is in it.

    Raises:
        SandboxError: it did not start.
    """
    packages.install(*engine.PACKAGES)
    with Sandbox(folder, machines_groups=True) as inside:
        engine.start(
            inside,
            folder / "data",
            "--bridge=none",
            "--storage-driver=overlay2",
            "--userland-proxy=false",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            "--default-cgroupns-mode=private",
            f"--cgroup-parent=/{inside.group}/guests",
        )
        yield Engine(inside)


class Engine:
    """The engine, while it runs in a sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def version(self) -> str:
        """What runs here."""
        done = self._sandbox.run("docker", "version", "--format", "{{.Server.Version}}")
        return f"Docker {done.stdout.strip()}"

    def import_image(self, layers: Iterable[Path], uid_base: int) -> None:
        """Make `IMAGE` of the layers of a room's guest, flattened.

        Three files are added that a room gives to each guest and an image of Docker brings along: the host key, the
        machine's id, and the list of its links, empty because Docker sets them up.

        Args:
            layers: folders, topmost first, as an overlay has them.
            uid_base: the user who owns there what user 0 shall own in the image.
        """
        added, tree = self._sandbox.folder / "added", self._sandbox.folder / "tree"
        for folder in (tree, added / "etc/labroom", added / "etc/ssh"):
            folder.mkdir(parents=True)
        (added / "etc/labroom/network").touch()
        (added / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n", encoding="utf-8")
        host_key = added / "etc/ssh/ssh_host_ed25519_key"
        self._sandbox.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host_key))
        owners = self._sandbox.folder / "owners"
        owners.write_text(
            "".join(f"+{owner} :{owner - uid_base}\n" for owner in _owners(layers) if owner >= uid_base),
            encoding="utf-8",
        )
        overlay = ":".join(map(str, (added, *layers)))
        script = (
            'mount -t overlay overlay -o "ro,lowerdir=$1" "$2" && '
            'tar --create --directory="$2" --numeric-owner --owner-map="$3" --group-map="$3" . | docker import - "$4"'
        )
        self._sandbox.run("unshare", "--mount", "sh", "-c", script, "sh", overlay, str(tree), str(owners), IMAGE)

    def compose(self, file: Path, *arguments: str) -> None:
        """Run docker-compose(1).

        Raises:
            SandboxError: it failed.
        """
        self._sandbox.run("docker-compose", "--file", str(file), *arguments)

    def wait_for_ssh(self, addresses: Iterable[str]) -> None:
        """Wait until the sshd at each address has said who it is (RFC 4253, 4.2).

        Raises:
            SandboxError: one did not in time.
        """
        deadline = time.monotonic() + _PATIENCE
        with self._network():
            for address in addresses:
                while not _says_ssh(address):
                    if time.monotonic() > deadline:
                        raise SandboxError(f"the container at {address} did not answer SSH in time")
                    time.sleep(0.01)

    @contextlib.contextmanager
    def _network(self) -> Iterator[None]:
        """Be in the engine's network namespace (setns(2))."""
        libc = ctypes.CDLL(None, use_errno=True)
        theirs = f"/proc/{self._sandbox.pid}/ns/net"
        with open("/proc/thread-self/ns/net", "rb") as own, open(theirs, "rb") as engines:  # noqa: PTH123
            if libc.setns(engines.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                libc.setns(own.fileno(), _CLONE_NEWNET)

    def guests(self) -> list[Usage]:
        """What each running container has used."""
        group = self._sandbox.group
        names = {path.name for mount in hierarchies() for path in (mount / group / "guests").glob("*/")}
        return [_usage(f"{group}/guests/{name}") for name in names if len(name) == 64]

    def overhead(self) -> Usage:
        """What the engine itself has used: dockerd, containerd and a supervisor for each container."""
        return _usage(f"{self._sandbox.group}/sandbox")


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


def _usage(group: str) -> Usage:
    memory, cpu = 0, 0.0
    for mount in hierarchies():
        folder = mount / group
        for file in (folder / "memory.current", folder / "memory.usage_in_bytes"):
            if file.exists():
                memory = int(file.read_text(encoding="utf-8"))
        if (folder / "cpu.stat").exists() and "usage_usec" in (
            text := (folder / "cpu.stat").read_text(encoding="utf-8")
        ):
            cpu = cpu or int(text.split()[1]) / 1e6
        if (folder / "cpuacct.usage").exists():
            cpu = int((folder / "cpuacct.usage").read_text(encoding="utf-8")) / 1e9
    return Usage(memory, cpu)
