"""A sandbox for daemons that a test starts: Docker's engine, libvirt. What they make goes when the sandbox is left.

It is a network, a mount, a process and a control group namespace (namespaces(7)) whose first process ends all others in
it when it ends (pid_namespaces(7)), as it does when the process that made it dies. Bridges, iptables rules, settings
of the network and mounts are seen by nobody else. /run is empty, there is one control group hierarchy, version 2, as on
today's distributions (or, for who measures, all those of this machine), and the package registries are reached through
slirp4netns(1), as from a room.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from labroom.providers.nspawn.links import UPLINK_NAME_SERVER

#: What it takes in Debian and Ubuntu.
PACKAGES = ("iproute2", "slirp4netns", "util-linux")
_PATH = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"  # the distribution's tools, and no docker of /usr/local/bin
_PATIENCE = 60.0  # s

# $1 a resolv.conf, $2 a fifo to say that all is ready, $3 whose control groups, then the groups to join. The first
# process of the sandbox moves aside: a control group that has children with controllers may have no processes
# (cgroups(7)). It stays a shell, which takes in the status of orphans that have ended.
_LAUNCH = """
resolver=$1 ready=$2 kind=$3; shift 3
for group; do echo $$ >"$group/cgroup.procs" || exit; done
[ "$kind" = machine ] || cgroup=--cgroup
exec setpriv --pdeathsig KILL \\
    unshare --net --mount --pid $cgroup --fork --kill-child --mount-proc --propagation private sh -ec '
    ip link set lo up
    mount -t tmpfs -o mode=755 tmpfs /run
    if [ "$3" != machine ]; then
        umount --recursive --lazy /sys
        mount -t sysfs sysfs /sys
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
        mkdir /sys/fs/cgroup/sandbox
        echo 1 >/sys/fs/cgroup/sandbox/cgroup.procs
    fi
    mount --bind "$1" /etc/resolv.conf
    echo >"$2"
    sleep infinity &
    wait
' sh "$resolver" "$ready" "$kind"
"""


# Joins the control groups whose files are named before "--", and becomes the command after it.
_JOIN = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit; shift; done; shift; exec "$@"'


class SandboxError(Exception):
    """The sandbox, or a daemon in it, failed; the message says how."""


class Sandbox:
    """The sandbox, from entering its `with` block to leaving it.

    Args:
        folder: for the files of what runs in it; made and removed, with all that is in it. Its name is that of the
            sandbox: one of the same name that was killed is cleared away.
        machines_groups: whether it has the machine's own control groups, where what runs in it is `/GROUP/sandbox` in
            every hierarchy (`group`), and not one hierarchy of its own.
    """

    def __init__(self, folder: Path, *, machines_groups: bool = False) -> None:
        self.folder = folder
        self.group = f"labroom-{folder.name}"
        self._machines_groups = machines_groups
        self._holder: subprocess.Popen[bytes] | None = None
        self._uplink: subprocess.Popen[bytes] | None = None
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.pid = 0  # of the sandbox's first process

    def __enter__(self) -> "Sandbox":
        self._clear()
        self.folder.mkdir(mode=0o711, parents=True)
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

    def _groups(self) -> list[Path]:
        """The control group of all that runs in it: in each hierarchy of the machine that it joins."""
        # Not in a cpuset of version 1, which takes no process before it has been given processors (cpuset(7)).
        joined = [mount for mount in hierarchies() if not (mount / "cpuset.cpus").exists()]
        return [mount / self.group for mount in (joined if self._machines_groups else joined[-1:])]

    def _start(self) -> None:
        joined = [group / "sandbox" if self._machines_groups else group for group in self._groups()]
        for group in joined:
            group.mkdir(parents=True)
        resolver, ready = self.folder / "resolv.conf", self.folder / "ready"
        resolver.write_text(f"nameserver {UPLINK_NAME_SERVER}\n")
        os.mkfifo(ready)
        # Read and write, so that this end opens at once, and a holder that ends early is seen.
        with open(ready, "r+b", buffering=0) as pipe:  # noqa: PTH123
            self._holder = subprocess.Popen(
                [
                    *("sh", "-c", _LAUNCH, "sh", str(resolver), str(ready)),
                    *("machine" if self._machines_groups else "one", *map(str, joined)),
                ],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us, who will end it
            )
            os.set_blocking(pipe.fileno(), False)
            deadline = time.monotonic() + _PATIENCE
            while not pipe.read(1):
                if self._holder.poll() is not None or time.monotonic() > deadline:
                    assert self._holder.stderr
                    raise SandboxError(f"the sandbox did not start: {self._holder.stderr.read().decode().strip()}")
                time.sleep(0.01)
        outer = self._holder.pid
        self.pid = int(Path(f"/proc/{outer}/task/{outer}/children").read_text(encoding="utf-8"))
        self._start_uplink()

    def _start_uplink(self) -> None:
        ready, signal_ready = os.pipe()
        self._uplink = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", "slirp4netns", "--configure", "--mtu=1500"),
                *("--disable-host-loopback", f"--ready-fd={signal_ready}", str(self.pid), "tap0"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[signal_ready],
            start_new_session=True,
        )
        os.close(signal_ready)
        with os.fdopen(ready) as pipe:
            if not pipe.read(1):
                raise SandboxError("slirp4netns ended at once")

    def _stop(self) -> None:
        for process in (self._uplink, self._holder):
            if process:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        self._clear()
        for daemon in self._daemons:
            daemon.wait()

    def _clear(self) -> None:
        """End every process of a sandbox of this name and remove what no namespace took with it."""
        deadline = time.monotonic() + _PATIENCE
        for group in (mount / self.group for mount in hierarchies()):  # a daemon may make groups where we didn't join
            while group.is_dir():
                with contextlib.suppress(OSError):  # it is gone, or of version 1, or Linux is older than 5.14
                    (group / "cgroup.kill").write_text("1")
                for folder in sorted([group, *group.rglob("*/")], reverse=True):
                    with contextlib.suppress(OSError):  # the killed ones may take a moment to go
                        folder.rmdir()
                if time.monotonic() > deadline:
                    raise SandboxError(f"{group} can't be removed: it is still in use")
                time.sleep(0.01)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    @property
    def inside(self) -> tuple[str, ...]:
        """The command that runs another one in the sandbox, in the folder where this process is."""
        kinds = ["--net", "--mount", "--pid", *([] if self._machines_groups else ["--cgroup"])]
        return ("nsenter", f"--target={self.pid}", *kinds, f"--wdns={Path.cwd()}", "--")

    def environment(self, **variables: str) -> dict[str, str]:
        """The environment for what runs inside: this process's, but for what points to another Docker or libvirt."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DOCKER_", "COMPOSE_", "VAGRANT_", "LIBVIRT_"))
        }
        return {**kept, "PATH": f"{Path(os.environ.get('VIRTUAL_ENV', '/nonexistent'))}/bin:{_PATH}", **variables}

    def start(self, *argv: str, log: str) -> subprocess.Popen[bytes]:
        """Start a daemon inside, whose output goes to the file `log` of the sandbox's folder."""
        groups = [str(group / "sandbox" / "cgroup.procs") for group in self._groups()]
        with (self.folder / log).open("w") as output:
            daemon = subprocess.Popen(
                ["sh", "-c", _JOIN, "sh", *groups, "--", *self.inside, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment(),
                start_new_session=True,
            )
        self._daemons.append(daemon)
        return daemon

    def wait_for(self, argv: Sequence[str], daemon: subprocess.Popen[bytes], log: str) -> None:
        """Wait until a command succeeds inside, which asks whether a daemon is ready.

        Raises:
            SandboxError: the daemon ended, or was not ready in time; the message has the last lines of its log.
        """
        deadline = time.monotonic() + _PATIENCE
        while self.run(*argv, check=False).returncode != 0:
            if daemon.poll() is not None or time.monotonic() > deadline:
                lines = (self.folder / log).read_text(errors="replace").strip().splitlines()
                raise SandboxError(f"{argv[0]} got no answer; {log} ends:\n" + "\n".join(lines[-5:]))
            time.sleep(0.05)

    def run(
        self, *argv: str, check: bool = True, timeout: float | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end.

        Raises:
            SandboxError: it failed, and `check` asks for success; the message has the end of what it said.
        """
        done = subprocess.run(
            [*self.inside, *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(**(env or {})),
            check=False,
        )
        if check and done.returncode != 0:
            raise SandboxError(f"{' '.join(argv)}: status {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
        return done


def hierarchies() -> list[Path]:
    """Where the machine's control groups are (cgroups(7)): the mounts of version 1, then that of version 2."""
    mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    return [Path(mount) for version in ("cgroup", "cgroup2") for _, mount, kind in mounts if kind == version]
