"""Processes of the machine: running commands, and telling a process from another that got its number later."""

import os
import subprocess
from pathlib import Path

from labroom import commands
from labroom.errors import MachineError

#: The command that runs another one with mounts of its own, which no other process sees and which end with it.
PRIVATE_MOUNTS = ("unshare", "--mount", "--propagation=private", "--")


def run(*argv: str, stdin: str | None = None, timeout: float = 60) -> str:
    """Run a command to its end and return what it printed.

    Raises:
        MachineError: it is not there, failed (the message has the line that tells why) or took longer than `timeout`
            seconds.
    """
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
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
    return None if ticks is None else f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}:{ticks}"


def _ticks(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def age(pid: int) -> float:
    """Seconds since a process started; 0 if it isn't there."""
    started = _ticks(pid)
    if started is None:
        return 0.0
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return max(0.0, uptime - started / os.sysconf("SC_CLK_TCK"))
