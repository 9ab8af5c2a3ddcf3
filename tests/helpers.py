"""What tests all over the tree do: wait for a state, look at a process, and run `labroom` as a person does."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from labroom.machine import tool
from labroom.resources import ROOT

#: A Python program that forks until it can't, says why, and stays.
FORK_BOMB = """
import os, signal
try:
    while os.fork():
        pass
except OSError as error:
    print(error, flush=True)
signal.pause()
"""


def wait_for(look: Callable[[], object], what: str, seconds: float = 60, every: float = 0.005) -> None:
    """Wait until `look` returns something true; the test fails where it doesn't in time.

    Args:
        look: looks at the state.
        what: the state in words, for whoever reads that it never came.
        seconds: how long at most.
        every: seconds between two looks; never a replacement for one.
    """
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"waited in vain, {seconds:g} s: {what}"
        time.sleep(every)


def state_of(pid: int) -> str:
    """The state of a process, proc_pid_stat(5): R if it runs, S if it sleeps, T if it is stopped, Z if it has ended.

    Raises:
        OSError: there is no such process.
    """
    return _stat(pid)[0]


def parent_of(pid: int) -> int:
    """The process id of a process's parent; raises OSError where there is no such process."""
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """The fields that follow a process's name, which may itself have spaces and parentheses."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def start_labroom(
    *arguments: str, before: Sequence[str] = (), env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start `labroom` in the checkout and go on; nothing on its standard input, pipes from the other two.

    Args:
        arguments: its arguments.
        before: a command that runs it, such as unshare.
        env: what its environment has besides this process's.
    """
    return subprocess.Popen(
        [*before, tool("python"), "-m", "labroom", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | (env or {}),
        cwd=ROOT,
    )


def labroom(
    *arguments: str,
    status: int | None = 0,
    before: Sequence[str] = (),
    env: dict[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run `labroom` in the checkout to its end, and see that it ends with `status` (None: any) and no traceback."""
    process = start_labroom(*arguments, before=before, env=env)
    output, error = process.communicate(timeout=timeout)
    assert status in (None, process.returncode), f"status {process.returncode}\n{output}{error}"
    assert "Traceback" not in error, error
    return subprocess.CompletedProcess(process.args, process.returncode, output, error)
