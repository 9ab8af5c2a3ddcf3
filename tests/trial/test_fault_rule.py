"""The fault rule on a real guest that has run out of something: whoever used it up is at fault.

What others do on the guest, a driver of its own does, beside the one that checks.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labroom import rooms
from labroom.checks import run as checks
from labroom.endpoint import Endpoint
from labroom.providers import nspawn
from labroom.room import load
from tests.trial.room import Trial, traces

ROOM = """\
name: trial
networks: {private: 192.168.75.0/24, outside: 198.51.100.0/28}
internet: false
limits: {processes: 60, memory_mib: 192}
guests:
  alfa: {private: 192.168.75.10}
"""

CONFTEST = """
import pytest
from labroom.driver import Driver

from tests.helpers import FORK_BOMB

@pytest.fixture
def bomb():
    return ["python3", "-c", FORK_BOMB]

@pytest.fixture
def other(driver):
    "The same guest, as another driver has it."
    another = Driver({"alfa": driver.hosts["alfa"].endpoint})
    another.begin("other")
    yield another.hosts["alfa"]
    another.clean()
    another.close()
"""

# verdict -> checks that have to end with it; a `with` block would keep what it holds from the next check.
CHECKS = {
    "fault": """
def test_a_full_disk(alfa, other):
    mount = ["sudo", "mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", "/tmp"]
    try:
        assert other.run(*mount).status == 0, "no small disk"
        other.run("sh", "-c", "head -c 3M /dev/zero >/tmp/full")
        alfa.write_file(f"{alfa.scratch}/file", b"x" * 100000)
    finally:
        other.run("sudo", "umount", "--lazy", "/tmp")

def test_a_full_disk_ends_a_program(alfa, other):
    mount = ["sudo", "mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", "/tmp"]
    try:
        assert other.run(*mount).status == 0, "no small disk"
        other.run("sh", "-c", "head -c 3M /dev/zero >/tmp/full")
        alfa.start_command(["sh", "-c", "head -c 1M /dev/zero >/tmp/own"]).expect_exit(0)
    finally:
        other.run("sudo", "umount", "--lazy", "/tmp")

def test_no_more_processes(alfa, other, bomb):
    alfa.ping()  # so that its agent is there
    other.start_command(bomb).expect("Resource temporarily unavailable")
    alfa.start_command(["true"])

def test_no_memory(alfa, other):
    hog = "held = bytearray(30 << 20); print('done', flush=True); input()"
    for _ in range(4):  # each of them smaller than what comes
        other.start_command(["python3", "-c", hog]).expect("done")
    alfa.start_command(["python3", "-c", "print(len(bytearray(100 << 20)))"]).expect("104857600")

def test_no_folder(alfa, other):
    try:
        assert other.run("sudo", "chmod", "755", "/tmp").status == 0
        alfa.scratch
    finally:
        other.run("sudo", "chmod", "1777", "/tmp")
""",
    "failed": """
def test_a_full_disk(alfa, other):
    mount = ["sudo", "mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", "/tmp"]
    try:
        assert other.run(*mount).status == 0, "no small disk"
        alfa.run("sh", "-c", f"head -c 3M /dev/zero >{alfa.scratch}/own")
        alfa.write_file(f"{alfa.scratch}/file", b"x" * 100000)
    finally:
        other.run("sudo", "umount", "--lazy", "/tmp")

def test_a_fork_bomb(alfa, bomb):
    alfa.start_command(bomb).expect("Resource temporarily unavailable")
    alfa.start_command(["true"])

def test_too_much_memory(alfa):
    alfa.start_command(["python3", "-c", "print(len(bytearray(500 << 20)))"]).expect("524288000")

def test_a_file_that_is_not_written(alfa):
    alfa.read_file(f"{alfa.scratch}/file")

def test_a_program_that_is_not_there(alfa):
    alfa.start_command(["./server.py"], directory="/opt/labs/tcp_hello")
""",
}


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Endpoint]]:
    """The trial room's endpoints: one guest with room for few processes and little memory."""
    nspawn.down(Trial.name)  # what a test run that was killed may have left
    trial = Trial(tmp_path_factory.mktemp("room") / "trial.yml")
    trial.file.write_text(ROOM)
    trial.up()
    yield rooms.endpoints(load(trial.file))
    trial.down()
    assert not any(traces().values()), traces()


@pytest.mark.parametrize("verdict", CHECKS)
def test_whose_fault_it_is(endpoints: dict[str, Endpoint], tmp_path: Path, verdict: str) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / f"test_{verdict}.py").write_text(CHECKS[verdict])
    result = checks.run(endpoints, [verdict], tmp_path / "results", folder=tmp_path)
    found = {check.name: (check.verdict, check.words) for check in result.labs[0].checks}
    assert [name for name, (said, _) in found.items() if said != verdict] == [], found
    assert [words for _, words in found.values() if "the check itself broke" in words] == []
    print(*(f"{name}: {words}" for name, (_, words) in found.items()), sep="\n")
    assert len(found) == CHECKS[verdict].count("\ndef ")
    assert result.status == {"fault": 3, "failed": 1}[verdict]
