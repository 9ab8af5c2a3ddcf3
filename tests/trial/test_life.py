"""A room's life: up, up again, down; what holds while it is up, and that nothing is left of it."""

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from labroom import state
from labroom.providers.nspawn import guest, image
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.resources import ROOT
from labroom.room import load
from tests.helpers import wait_for
from tests.trial.room import ROOM, Trial, traces

# Forks until it can't, and says how far it came.
BOMB = """
import os, signal
children = []
try:
    while len(children) < 5000:
        if not (child := os.fork()):
            signal.pause()
        children.append(child)
except OSError as error:
    print(len(children), error, flush=True)
for child in children:
    os.kill(child, signal.SIGKILL)
"""


def _pids(trial: Trial) -> dict[str, int | None]:
    return {name: guest.runs(trial.name, name) for name in ("one", "two")}


def _own_settings() -> list[str]:
    """What this machine does with packets of others: its rules, and whether it forwards."""
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    return [rules, Path("/proc/sys/net/ipv4/ip_forward").read_text(encoding="utf-8")]


def test_up_makes_the_room_and_again_changes_nothing_and_down_leaves_nothing(trial: Trial) -> None:
    assert not any(traces().values()), traces()
    before = _own_settings()
    output = trial.run("up")
    assert "longest: " in output
    pids = _pids(trial)
    assert all(pids.values())
    assert trial.run("ssh", "one", "hostname", "-f") == "one.lab.test\n"
    assert "all in order" in trial.run("up")
    assert _pids(trial) == pids
    # Each kind of trace is seen while it is there, but for rules: the machine's own settings are left alone.
    found = traces()
    assert found.pop("nftables") == []
    assert all(found.values()), found
    assert _own_settings() == before
    trial.run("down")
    assert not any(traces().values()), traces()
    assert "was not up" in trial.run("down")


def test_purge_removes_image_and_keys_and_down_alone_does_not(trial: Trial) -> None:
    own = Path(tempfile.mkdtemp(dir=state.root()))  # on the same disk, so that the image can be linked
    subprocess.run(["cp", "--archive", "--link", str(state.images()), str(own / "images")], check=True)
    env = {"LABROOM_STATE_DIR": str(own)}
    trial.run("up", env=env)
    trial.run("down", env=env)
    assert (own / "rooms/trial/keys/id_ed25519").stat().st_mode & 0o777 == 0o600
    assert list(own.glob("images/guest-*"))
    trial.run("down", "--purge", env=env)
    assert {path.name for path in own.rglob("*") if path.is_file()} == {"trial", "users"}  # the locks, and nothing else
    state.remove_tree(own)


def test_up_replaces_the_guest_that_died_and_no_other(trial: Trial) -> None:
    trial.up()
    before = _pids(trial)
    assert before["one"]
    os.kill(before["one"], signal.SIGKILL)
    output = trial.run("up")
    after = _pids(trial)
    assert "one replaced" in output
    assert "two" not in output.replace("one two", "")
    assert after["one"] not in (None, before["one"])
    assert after["two"] == before["two"]


@pytest.mark.parametrize("order", ["systemctl reboot --force", "reboot --force --force", "kill -INT 1"])
def test_a_guest_that_reboots_comes_back_with_its_files(trial: Trial, order: str) -> None:
    gateway = "  gate: {part: gateway, private: 192.168.75.2, outside: 198.51.100.2}\n"
    far = "  far: {outside: 198.51.100.10}\n"
    trial.file.write_text(ROOM + gateway + far)
    trial.up()
    trial.run("ssh", "gate", "sudo touch /run/first; touch kept")
    trial.run("ssh", "gate", f"sudo {order}", status=None)
    wait_for(lambda: "No such file" in trial.run("ssh", "gate", "ls /run/first 2>&1", status=None), "another boot")
    assert trial.run("ssh", "gate", "ls kept") == "kept\n"
    assert trial.run("ssh", "far", "timeout 5 bash -c 'head -c 4 < /dev/tcp/198.51.100.2/22'") == "SSH-"
    assert "all in order" in trial.run("up")


def test_a_guest_that_powers_off_stays_off_until_the_next_up(trial: Trial) -> None:
    trial.up()
    trial.run("ssh", "one", "sudo systemctl poweroff --force", status=None)
    wait_for(lambda: guest.runs(trial.name, "one") is None, "the guest's end")
    assert "one replaced" in trial.run("up")


def test_up_follows_room_yml(trial: Trial) -> None:
    trial.up()
    before = _pids(trial)
    trial.file.write_text(ROOM.replace("  two: {private: 192.168.75.11}\n", "  three: {private: 192.168.75.12}\n"))
    output = trial.run("up")
    assert "two removed" in output
    assert "three started" in output
    assert _pids(trial)["one"] == before["one"]
    assert trial.run("ssh", "three", "hostname") == "three\n"


def test_a_guests_root_is_nobody_on_the_machine_and_its_limits_hold(trial: Trial) -> None:
    trial.up()
    supervisor = guest.runs(trial.name, "one")
    owners: dict[int, int] = {}
    for pid in Cgroup(trial.name, "one").processes():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one of those that only booting takes
            if "/one/payload" in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8"):
                owners[pid] = Path(f"/proc/{pid}").stat().st_uid
    assert owners
    assert supervisor not in owners
    assert min(owners.values()) >= 0x80000, "of those that systemd sets apart for containers"
    bombed = trial.run("ssh", "one", f"python3 -c {shlex.quote(BOMB)}").split(maxsplit=1)
    assert 300 < int(bombed[0]) < 400
    assert "Resource temporarily unavailable" in bombed[1]
    assert trial.run("ssh", "two", "echo still here") == "still here\n"


def test_status_shows_each_guest(trial: Trial) -> None:
    assert "not up" in trial.run("status")
    trial.up()
    os.kill(guest.runs(trial.name, "two") or 0, signal.SIGKILL)
    lines = {line.split()[0]: line.split() for line in trial.run("status").splitlines() if line}
    assert lines["one"][1:3] == ["192.168.75.10", "up"]
    assert lines["two"][1:3] == ["192.168.75.11", "DOWN"]


def test_ssh_config_reaches_guests_and_nothing_at_all_when_the_room_is_down(trial: Trial) -> None:
    trial.up()
    config = trial.file.with_name("ssh_config")
    config.write_text(trial.run("ssh-config"))

    def ssh() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["ssh", "-F", config, "two", "whoami"], capture_output=True, text=True, check=False)

    assert ssh().stdout == "student\n"
    trial.down()
    # Not one packet may take the machine's default route: the address to come from is gone.
    assert "192.168.75.1" in ssh().stderr
    assert ssh().returncode == 255


def test_host_keys_are_checked(trial: Trial) -> None:
    trial.up()
    known = state.rooms() / trial.name / "keys/known_hosts"
    lines = known.read_text().splitlines()
    first, second = (line.split() for line in lines)
    known.write_text(f"{first[0]} {first[1]} {second[2]}\n")  # another guest's key for this one
    error = trial.run("ssh", "one", "true", status=255)
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in error or "Host key verification failed" in error


def test_a_layer_that_is_old_and_unused_goes_when_a_new_one_is_made() -> None:
    """Asked of the clearing itself: making an image takes more than a minute."""
    old, new = (state.images() / f"guest-none-{name}" for name in ("old", "new"))
    try:
        for layer in (old, new):
            layer.mkdir()
        os.utime(old, (0, 0))
        image._remove_old({})
        assert new.exists()
        assert not old.exists()
        assert image.ready(load(ROOT / "room.yml"))
    finally:
        for layer in (old, new):
            state.remove_tree(layer)


# Forks without end: it takes, too, what becomes free when a log-in is over.
ENDLESS_BOMB = """
import os, signal
while True:
    try:
        if os.fork() == 0:
            signal.pause()
    except OSError:
        pass
"""

# What a student, who may use sudo, can do to a guest so that nobody logs in any more, while it still runs.
SPOILT = {
    "a fork bomb": f"sudo systemd-run --quiet --uid=student python3 -c {shlex.quote(ENDLESS_BOMB)}",
    "sshd at another port": "sudo systemctl stop ssh && sudo mkdir -p /run/sshd && sudo /usr/sbin/sshd -p 2222",
    "another host key": "sudo rm /etc/ssh/ssh_host_* && sudo ssh-keygen -q -A && sudo systemctl restart ssh",
    "a shell that ends": "sudo chsh -s /bin/false student",
    "a frozen sshd": "sudo kill -STOP $(pgrep -o sshd)",
}


@pytest.mark.parametrize("how", SPOILT)
def test_up_replaces_a_guest_in_which_nobody_can_log_in(trial: Trial, how: str) -> None:
    trial.up()
    before = _pids(trial)
    start = trial.start("ssh", "one", f"nohup sh -c {shlex.quote('sleep 0.2; ' + SPOILT[how])} >/dev/null 2>&1 &")
    start.communicate(timeout=60)

    def spoilt() -> bool:
        done = trial.start("ssh", "one", "true", before=("timeout", "5"))
        done.communicate()
        return done.returncode != 0

    wait_for(spoilt, how)
    assert "one replaced" in trial.run("up")
    assert trial.run("ssh", "one", "hostname") == "one\n"
    assert _pids(trial)["two"] == before["two"]
    assert "all in order" in trial.run("up")
