"""Whose fault it is: agents on a disk, among processes and in memory of which there is no more, and false agents.

Each agent is a real one of a real sshd, which confines it: ForceCommand of sshd_config(5).
"""

import os
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labroom.driver import CheckFailed, Driver, Host, agent
from labroom.driver.connection import LINE_BYTES
from labroom.errors import RoomFault, fault_of
from tests.helpers import FORK_BOMB, parent_of
from tests.unit.conftest import Sshd

AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to confine the agent")
USER = 64000 + os.getpid() % 1000  # nobody else's
REMEDY = "switch it off and on"

Confined = Callable[..., Host]


@pytest.fixture
def confined(tmp_path: Path) -> Iterator[Confined]:
    """A host whose agent is run by a command: `confined("nice", "-n", "5")`."""
    started: list[tuple[Driver, Sshd]] = []

    def confine(*command: str) -> Host:
        (tmp_path / "confine").write_text(shlex.join([*command, "sh", "-c"]) + ' "$SSH_ORIGINAL_COMMAND"\n')
        sshd = Sshd(tmp_path, f"ForceCommand exec sh {tmp_path}/confine")
        driver = Driver({"alfa": replace(sshd.endpoint, remedy=REMEDY)}, patience=0.5)
        started.append((driver, sshd))
        driver.begin("lab")
        return driver.hosts["alfa"]

    yield confine
    for driver, sshd in started:
        driver.close()
        sshd.process.terminate()
        sshd.process.wait()


def on_small_disk(confined: Confined, before: str = ":") -> Host:
    """A host whose /tmp holds 4 MiB; `before` runs there before the agent."""
    script = f'mount -t tmpfs -o size=4m tmpfs /tmp && {before}; exec "$@"'
    return confined("unshare", "--mount", "sh", "-c", script, "sh")


def test_the_umask_of_the_machine_is_no_programs_fault(confined: Confined) -> None:
    alfa = confined("sh", "-c", 'umask 077; exec "$@"', "sh")
    created = alfa.run("sh", "-c", "umask; touch created; stat -c %a created; rm created")
    assert created.stdout == "0022\n644\n"


def agent_of(host: Host) -> int:
    """Its process id."""
    program = host.start_command(["sleep", "1000"])
    pid = parent_of(program.pid)
    program.kill()
    return pid


def is_the_rooms(fault: pytest.ExceptionInfo[RoomFault], words: str) -> None:
    assert words in str(fault.value)
    assert REMEDY in fault.value.remedy


# -- the rule itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "named", "share", "whose"),
    [
        ("ENOENT", True, 0, CheckFailed),
        ("ENOENT", False, 0, RoomFault),
        ("ENOEXEC", True, 0, CheckFailed),
        ("ENOSPC", True, 0, RoomFault),
        ("ENOSPC", True, 0.9, CheckFailed),
        ("EAGAIN", True, 0.4, RoomFault),
        ("EAGAIN", True, 0.6, CheckFailed),
        ("ENOMEM", False, 0, RoomFault),
        ("EIO", True, 1, RoomFault),
        ("EROFS", True, 0, RoomFault),
        ("EMFILE", True, 1, RoomFault),
        ("", True, 1, RoomFault),
    ],
)
def test_the_rule(error: str, named: bool, share: float, whose: type[Exception]) -> None:
    assert fault_of(error, named=named, share=share) is whose


# -- what a program brings about --------------------------------------------------------------------------------


def test_what_cannot_be_started_and_what_was_not_written(confined: Confined, tmp_path: Path) -> None:
    alfa = confined("env")
    for name, content, mode in (("text", "no program", 0o755), ("locked", "#!/bin/sh\n", 0o644)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(mode)
    with pytest.raises(CheckFailed, match=r"text can't be started: \./text: Exec format error"):
        alfa.start_command(["./text"], directory=str(tmp_path))
    with pytest.raises(CheckFailed, match=r"locked can't be started: \./locked: Permission denied"):
        alfa.start_command(["./locked"], directory=str(tmp_path))
    with pytest.raises(CheckFailed, match="/none: No such file or directory"):
        alfa.read_file(f"{tmp_path}/none")


def test_a_command_or_a_folder_that_the_guest_lacks(confined: Confined) -> None:
    alfa = confined("env")
    with pytest.raises(RoomFault) as fault:
        alfa.start_command(["no-such-command"])
    is_the_rooms(fault, "guest alfa can't start a program: no-such-command: No such file or directory")
    with pytest.raises(RoomFault) as fault:
        alfa.start_command(["./server"], directory="/nonexistent")
    is_the_rooms(fault, "guest alfa can't start a program: /nonexistent: No such file or directory")


# -- no more disk -----------------------------------------------------------------------------------------------


@AS_ROOT
@pytest.mark.parametrize("before", ["5M", "3600K"], ids=["full", "all but full"])
def test_a_disk_that_was_full_before(confined: Confined, before: str) -> None:
    alfa = on_small_disk(confined, f"{{ head -c {before} /dev/zero >/tmp/full 2>&- || true; }}")
    with pytest.raises(RoomFault) as fault:
        alfa.write_file(f"{alfa.scratch}/file", b"x" * (1 << 20))
    is_the_rooms(fault, "guest alfa can't write a file")
    assert "No space left on device" in str(fault.value)


@AS_ROOT
def test_a_disk_that_somebody_else_fills(confined: Confined) -> None:
    alfa = on_small_disk(confined)
    scratch = alfa.scratch
    with pytest.raises(OSError, match="No space left"):
        Path(f"/proc/{agent_of(alfa)}/root/tmp/other").write_bytes(b"x" * (5 << 20))
    with pytest.raises(RoomFault, match=r"can't write a file: .*: No space left on device"):
        alfa.write_file(f"{scratch}/file", b"x" * 100000)


@AS_ROOT
def test_a_program_that_a_full_disk_ends_is_not_to_blame(confined: Confined) -> None:
    alfa = on_small_disk(confined, "{ head -c 5M /dev/zero >/tmp/full 2>&- || true; }")
    program = alfa.start_command(["sh", "-c", "head -c 1M /dev/zero >/tmp/own"])
    with pytest.raises(RoomFault) as fault:
        program.expect_exit(0)
    is_the_rooms(fault, "the disk of guest alfa is full")
    waiting = alfa.start_command(["cat"])
    with pytest.raises(RoomFault, match="the disk of guest alfa is full"):
        waiting.expect("nothing")


@AS_ROOT
@pytest.mark.parametrize("left", ["a file in the check's folder", "an open file"])
def test_a_disk_that_the_program_fills(confined: Confined, left: str) -> None:
    alfa = on_small_disk(confined)
    scratch = alfa.scratch
    if left == "an open file":
        program = alfa.start_command(
            ["sh", "-c", "exec 3>/tmp/own; rm /tmp/own; head -c 5M /dev/zero >&3; echo full; read line"]
        )
        program.expect("full")
    else:
        alfa.run("sh", "-c", f"head -c 5M /dev/zero >{scratch}/own")
        program = alfa.start_command(["cat"])
    with pytest.raises(CheckFailed, match="No space left on device"):
        alfa.write_file(f"{scratch}/file", b"x" * 100000)
    with pytest.raises(CheckFailed, match="the disk of guest alfa is full: the check's own programs have used it up"):
        program.expect("nothing")


@AS_ROOT
@pytest.mark.parametrize(
    ("before", "why"),
    [("mount -o remount,ro /tmp", "Read-only file system"), ("export TMPDIR=/tmp/none", "No such file or directory")],
)
def test_a_folder_for_the_check_that_cannot_be_created(confined: Confined, before: str, why: str) -> None:
    alfa = on_small_disk(confined, before)
    with pytest.raises(RoomFault) as fault:
        _ = alfa.scratch
    is_the_rooms(fault, "guest alfa can't create a folder")
    assert why in str(fault.value)


# -- no more processes ------------------------------------------------------------------------------------------


def of_few_processes(confined: Confined) -> Host:
    """A host whose agent's user may have 30 processes."""
    ids = (f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
    return confined("prlimit", "--nproc=30", "setpriv", *ids)


@AS_ROOT
def test_processes_that_somebody_else_has(confined: Confined) -> None:
    alfa = of_few_processes(confined)
    program = alfa.start_command(["cat"])
    others = [subprocess.Popen(["sleep", "1000"], user=USER, group=USER) for _ in range(35)]
    try:
        with pytest.raises(RoomFault) as fault:
            alfa.start_command(["true"])
        is_the_rooms(fault, "guest alfa can't start a program: Resource temporarily unavailable")
        with pytest.raises(RoomFault) as fault:
            program.expect("nothing")
        is_the_rooms(fault, "guest alfa has as many processes as it may have")
    finally:
        for other in others:
            other.kill()
            other.wait()


@AS_ROOT
def test_a_fork_bomb_is_the_programs(confined: Confined) -> None:
    alfa = of_few_processes(confined)
    bomb = alfa.start_command(["python3", "-c", FORK_BOMB])
    bomb.expect("Resource temporarily unavailable")
    with pytest.raises(CheckFailed, match="true can't be started: Resource temporarily unavailable"):
        alfa.start_command(["true"])
    with pytest.raises(CheckFailed, match="as many processes as it may have: the check's own programs have used it up"):
        bomb.expect("nothing")


# -- no more memory ---------------------------------------------------------------------------------------------


def test_no_memory_for_the_agent(confined: Confined, tmp_path: Path) -> None:
    alfa = confined("env")
    (tmp_path / "file").write_bytes(bytes(4 << 20))
    pid = agent_of(alfa)
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[0])
    most = pages * resource.getpagesize() + (12 << 20)
    resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
    with pytest.raises(RoomFault) as fault:
        alfa.read_file(f"{tmp_path}/file")
    is_the_rooms(fault, "guest alfa can't read a file: Cannot allocate memory")


def test_a_file_of_several_pieces_comes_whole(confined: Confined, tmp_path: Path) -> None:
    alfa = confined("env")
    data = os.urandom(2 * agent.FILE_PIECE + 1000)
    (tmp_path / "file").write_bytes(data)
    assert alfa.read_file(f"{tmp_path}/file") == data


# -- another clock ----------------------------------------------------------------------------------------------


@AS_ROOT
def test_a_host_whose_clock_is_behind(confined: Confined) -> None:
    alfa = confined("unshare", "--time", "--monotonic=-20", "--fork", "--kill-child")
    alfa.driver.note("before")
    alfa.start_command(["echo", "told"]).expect("told")
    alfa.driver.note("after")
    texts = [event.text for event in alfa.driver.transcript if event.stream != "exit"]
    assert texts == ["before", "echo told", "told", "after"]


# -- agents that are none of ours -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "says",
    [
        "print('Welcome!')",
        "print('[1]')",
        "print('{}')",
        """print('{"time": 1.0, "id": 1, "result": 1}'); print('{"time": 1.0, "id": 1, "result": 1}')""",
        """print('{"time": 1.0, "id": 4711, "result": 1}')""",
        """print('{"time": 1.0, "program": 4711, "stream": "stdout", "text": "x"}')""",
        """print('{"time": 1.0, "program": [], "exit": 0}')""",
        """print('{"time": 1.0, "program": 1, "exit": "soon"}')""",
        """print('{"time": 1.0, "program": 1, "stream": "stdlog", "text": "x"}')""",
        """print('{"time": 1.0, "program": 1, "stream": "stdout", "text": "€"}')""",
        """print('{"time": 1.0, "id": 2, "result": {}}')""",
        """print('{"time": 1.0, "id": 2, "error": "no"}')""",
        """print('{"time": 1.0, "id": 2}')""",
        """print('{"id": 2, "result": 4711}')""",
        """print('{"time": "now", "id": 2, "result": 4711}')""",
        "print('[' * 100000)",
        f"print('x' * {LINE_BYTES + (1 << 20)})",
    ],
)
def test_what_no_agent_of_ours_says(confined: Confined, tmp_path: Path, says: str) -> None:
    (tmp_path / "false.py").write_text(
        "import sys\n"
        "while b'[\"true\"]' not in sys.stdin.buffer.readline(): pass\n"
        f"{says}\nsys.stdout.flush()\nsys.stdin.buffer.read()\n"
    )
    alfa = confined(sys.executable, "-X", "utf8", str(tmp_path / "false.py"))
    with pytest.raises(RoomFault) as fault:
        alfa.start_command(["true"])  # program 1, by request 2
    is_the_rooms(fault, "guest alfa sent what no agent of ours sends: ")
    assert "\n" not in str(fault.value)
    assert len(str(fault.value)) < 1000


def test_last_words_of_a_guest_are_one_harmless_line(confined: Confined) -> None:
    alfa = confined("sh", "-c", r"printf 'first\n\033]52;c;bHM=\007%01000d' 0 >&2; exit 1", "sh")
    with pytest.raises(RoomFault, match=r"guest alfa stopped answering \(\^\[\]52;c;bHM=\^G0+…\)") as fault:
        alfa.start_command(["true"])
    assert str(fault.value).isprintable()
