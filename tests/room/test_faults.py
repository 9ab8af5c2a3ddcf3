"""When things go wrong: each fault is one line with its remedy and its own exit status, and nothing is left behind."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labroom import room, state
from labroom.errors import RoomFault
from labroom.providers import nspawn, record
from labroom.providers.nspawn import cgroups, guest, image, links
from tests.helpers import wait_for
from tests.room.trial import ROOM, Trial, traces

WAIT = 60  # s
ATTEMPTS = 5  # at a moment that may come too late

# What `up` has made at the moment at which it is ended.
MOMENTS: dict[str, Callable[[], bool]] = {
    "its record": lambda: record.path("trial").exists(),
    "the network namespace": lambda: (state.rooms() / "trial/netns").exists(),
    "the machine's interface": lambda: Path("/sys/class/net/trial-private").exists(),
    "a guest's control group": lambda: bool({"one", "two"} & cgroups.parts("trial")),
    "a guest's record": lambda: (guest.folder("trial", "one") / "guest.json").exists(),
    "a guest's console": lambda: bool(guest.console("trial", "one")),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_down_clears_away_an_up_that_was_killed(trial: Trial, moment: str) -> None:
    process = trial.start("up")
    wait_for(MOMENTS[moment], moment, WAIT, every=0.001)
    process.kill()
    process.communicate()
    trial.run("down")
    assert not any(traces().values()), traces()


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_leaves_nothing(trial: Trial, moment: str) -> None:
    for _ in range(ATTEMPTS):
        process = trial.start("up")
        wait_for(MOMENTS[moment], moment, WAIT, every=0.001)
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=WAIT)
        if process.returncode != 0:
            break
        assert "log in:" in output  # it was done before the signal came
        trial.down()
    else:
        pytest.fail(f"of {ATTEMPTS} times, none was interrupted at {moment}")
    assert process.returncode == 130, output + error
    assert error == "labroom: interrupted\n"
    assert not any(traces().values()), traces()


@pytest.mark.parametrize("moment", ["the machine's interface", "a guest's control group"])
def test_up_after_an_up_that_was_killed(trial: Trial, moment: str) -> None:
    process = trial.start("up")
    wait_for(MOMENTS[moment], moment, WAIT, every=0.001)
    process.kill()
    process.communicate()
    trial.run("up")
    rules = subprocess.run([*links.inside("trial"), "nft", "list", "tables"], capture_output=True, check=True)
    assert b"table bridge labroom" in rules.stdout  # what keeps the machine from forwarding
    assert trial.run("ssh", "two", "hostname") == "two\n"


@pytest.mark.parametrize("change", ["gone", "broken", "another name"])
def test_down_does_not_need_room_yml(trial: Trial, change: str) -> None:
    trial.up()
    if change == "gone":
        trial.file.unlink()
    elif change == "broken":
        trial.file.write_text("name: [")
    else:
        trial.file.write_text(ROOM.replace("trial", "other"))
    trial.run("down")
    assert not any(traces().values()), traces()


def test_everything_of_the_room_killed_at_once(trial: Trial) -> None:
    trial.file.write_text(ROOM.replace("internet: false", "internet: true"))
    trial.up()
    for part in cgroups.parts(trial.name):
        for pid in cgroups.Cgroup(trial.name, part).processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    output = trial.run("up")
    assert "one replaced" in output
    assert "two replaced" in output
    trial.run("down")


def test_two_at_once_the_second_says_whom_it_waits_for(trial: Trial) -> None:
    with state.locked(state.lock(trial.name), "brings room trial up"):
        second = trial.start("up")
        assert second.stderr
        said = second.stderr.readline()
        assert said == f"waiting for process {os.getpid()}, which brings room trial up\n"
        assert not record.path(trial.name).exists()
    output, _ = second.communicate(timeout=WAIT)
    assert second.returncode == 0, output


def test_a_room_of_that_name_from_another_file(trial: Trial, tmp_path: Path) -> None:
    trial.up()
    other = tmp_path / "other.yml"
    shutil.copy(trial.file, other)
    mine, trial.file = trial.file, other
    error = trial.run("up", status=3)
    assert f"a room named trial is up already, of {mine}" in error
    assert f"room trial is that of {mine}\n  help: labroom --room {mine} down" in trial.run("down", status=3)
    trial.file = mine
    assert trial.run("ssh", "one", "hostname") == "one\n"


def test_other_networks_than_the_running_rooms(trial: Trial) -> None:
    trial.up()
    trial.file.write_text(ROOM.replace("192.168.75", "192.168.76"))
    assert "other networks than room.yml now says\n  help: labroom down" in trial.run("up", status=3)


@pytest.fixture
def neighbour() -> Iterator[str]:
    """A network of this machine's that has the trial room's addresses."""
    name = "neighbour0"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    subprocess.run(["ip", "address", "add", "192.168.75.77/26", "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


def test_a_subnet_in_use_is_named(trial: Trial, neighbour: str) -> None:
    error = trial.run("up", status=3)
    assert "192.168.75.0/24 is in use on this machine" in error
    assert neighbour in error
    assert "help: choose other networks" in error


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_too_small_for_an_image(trial: Trial, small_disk: Path) -> None:
    error = trial.run("up", env={"LABROOM_STATE_DIR": str(small_disk)}, status=3)
    assert "making an image takes 2 GiB" in error
    assert "help: free some space, or set LABROOM_STATE_DIR" in error


def test_a_disk_that_fills_while_guests_are_made(trial: Trial, small_disk: Path) -> None:
    (small_disk / "images").symlink_to(state.images())  # the image is there, on another disk
    (small_disk / "rest").write_bytes(b"x" * (900 << 10))
    for link in range(40):  # every file takes a page: what is left goes to keys and records
        (small_disk / f"page{link}").write_bytes(b"x")
        if shutil.disk_usage(small_disk).free < (30 << 10):
            break
    error = trial.run("up", env={"LABROOM_STATE_DIR": str(small_disk)}, status=3)
    assert "No space left on device" in error
    assert len(error.splitlines()) <= 4, error
    trial.run("down", env={"LABROOM_STATE_DIR": str(small_disk)})
    assert not any(traces().values()), traces()


def test_no_network_for_the_first_image(trial: Trial, tmp_path: Path) -> None:
    error = trial.run("up", before=("unshare", "--net"), env={"LABROOM_STATE_DIR": str(tmp_path / "empty")}, status=3)
    assert "no network for the first image" in error
    assert "help: " in error
    assert not list((tmp_path / "empty/images").glob("*.partial"))


def test_a_guest_that_does_not_boot_shows_its_consoles_end(trial: Trial, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "usr/lib/systemd").mkdir(parents=True)
    os.mknod(broken / "usr/lib/systemd/systemd", 0o20000)  # an overlay's word for "removed"
    wanted = room.load(trial.file)
    layers = image.ready(wanted)
    assert layers
    with pytest.raises(RoomFault, match=r"guest (one|two) ended while it booted; its console's end:\n    \S") as fault:
        nspawn.bring_up(wanted, trial.file, {"guest": [broken, *layers["guest"]]})
    assert fault.value.status == 3
    trial.down()
    kept = Path(fault.value.remedy.removeprefix("the whole log: "))
    assert kept.read_text(encoding="utf-8")  # also when the guest's own files are gone
    kept.unlink()


def test_commands_on_a_room_that_is_down(trial: Trial) -> None:
    for command in (["check"], ["ssh", "one"], ["ssh-config"]):
        assert "room trial is not up\n  help: sudo ./labroom up" in trial.run(*command, status=3)


def test_an_unknown_guest(trial: Trial) -> None:
    trial.up()
    assert "there is no guest 'three'\n  help: the guests: one, two" in trial.run("ssh", "three", status=2)
