"""Processes of the machine: what they run in, running them, and telling one from another that got its number later."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from labroom import commands
from labroom.errors import MachineError

#: The command that runs another one with mounts of its own, which no other process sees and which end with it.
PRIVATE_MOUNTS = ("unshare", "--mount", "--propagation=private", "--")

# Variables that have interpreters and tools do other than they do by themselves. Of Ansible's, those stay that say how
# a person's inventories are read, and with which password.
_FOREIGN = re.compile(
    r"ANSIBLE_(?!(CONFIG|HOME|COLLECTIONS_PATH)$|VAULT_|INVENTORY_|(FILTER|LOOKUP|TEST|VARS)_PLUGINS$)"
    r"|(APT|COMPOSE|DPKG|GIT|LC|PYTEST|SYSTEMD)_|PERL|PYTHON"
    r"|(BASH_ENV|CDPATH|ENV|LANG|LANGUAGE|POSIXLY_CORRECT|TAR_OPTIONS|VIRTUAL_ENV)$"
)
_PATH = "/usr/local/bin:/usr/bin:/bin"  # where there is none


def environment(**own: str) -> dict[str, str]:
    """The environment (environ(7)) in which labroom runs what it runs: the caller's, as far as tools don't obey it.

    Who the person is, where the person's agent, proxies and engine are, stays. What would have Python, Ansible, pytest
    and others do something else goes. Tools speak English, in UTF-8; none is taken from the current folder, and those
    of the system's administrator are found, too, though PATH lacks them after su(1).

    Args:
        own: variables that the tool is to have besides, or instead.
    """
    kept = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
    if not os.access(kept.get("TMPDIR", ""), os.W_OK | os.X_OK):
        kept.pop("TMPDIR", None)
    folders = [folder for folder in kept.get("PATH", _PATH).split(os.pathsep) if folder.startswith("/")]
    folders += [str(Path(folder).with_name("sbin")) for folder in folders if Path(folder).name == "bin"]
    return kept | {"PATH": os.pathsep.join(dict.fromkeys(folders)), "LC_ALL": "C.UTF-8"} | own


@contextlib.contextmanager
def own_environment(**own: str) -> Iterator[None]:
    """Make `environment` this process's own, with which all that it starts begins, for the `with` block."""
    before, within = dict(os.environ), environment(**own)
    os.environ.clear()
    os.environ.update(within)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run(*argv: str, stdin: str | None = None, timeout: float = 60) -> str:
    """Run a command to its end and return what it printed.

    Raises:
        MachineError: it is not there, failed (the message has the line that tells why) or took longer than `timeout`
            seconds.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=timeout,
            env=environment(),
            check=False,
        )
    except FileNotFoundError as error:
        raise MachineError(
            f"{argv[0]} is not installed", f"{commands.labroom('doctor')} says what brings it"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise MachineError(f"{argv[0]} did not end within {timeout:g} s") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        telling = next((line for line in lines if "error" in line.lower()), lines[-1])
        raise MachineError(f"{' '.join(argv[:6])}: {telling}")
    return done.stdout


def spawn(argv: list[str], log: Path, env: dict[str, str]) -> int:
    """Start a command that outlives this process, in a session of its own, what it prints in `log`.

    Returns:
        its process number.
    """
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawnp(argv[0], argv, env, file_actions=actions, setsid=True)


def start_time(pid: int) -> str | None:
    """What tells a process from every other that ever has its number; None if it isn't there or a zombie.

    Which boot of the machine it is of (random(4), boot_id), and when it started, in clock ticks since then (proc(5),
    stat field 22): the same number and tick may well come again after the next boot.
    """
    ticks = _ticks(pid)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return None if ticks is None else f"{boot}:{ticks}"


def _ticks(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def age(pid: int) -> float:
    """Seconds since a process started; 0 if it isn't there."""
    started = _ticks(pid)
    if started is None:
        return 0.0
    uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    return max(0.0, uptime - started / os.sysconf("SC_CLK_TCK"))
