"""A room's life: up, up again, down; what holds while it is up, and that nothing is left of it."""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from labroom import state
from labroom.providers.nspawn import guest, image
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.resources import ROOT
from labroom.room import load
from tests.helpers import labroom
from tests.room.trial import ROOM, Trial, traces

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
    assert [path.name for path in own.rglob("*") if path.is_file()] == ["trial"]  # the lock, and nothing else
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
    assert min(owners.values()) >= guest.UID_BASE
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


def _listener(address: str) -> socket.socket:
    """Something to reach on this machine outside the room: it greets every caller."""
    listener = socket.create_server((address, 0))

    def greet() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.sendall(b"reached\n")
            connection.close()

    threading.Thread(target=greet, daemon=True).start()
    return listener


def _own_address() -> str:
    """An address of this machine other than loopback and the rooms' own."""
    for link in json.loads(subprocess.run(["ip", "-j", "-4", "address"], capture_output=True, check=True).stdout):
        if link["ifname"] != "lo" and not link["ifname"].endswith(("-private", "-outside")):
            for address in link["addr_info"]:
                return str(address["local"])
    raise AssertionError("this machine has no address but loopback")


def _reach(trial: Trial, guest: str, address: str, port: int) -> str:
    script = f"timeout 1 bash -c 'cat < /dev/tcp/{address}/{port}' || true"
    return trial.run("ssh", guest, script)


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


def _greeting(address: str, *login: str) -> str:
    """What a guest sees that connects to sshd at `address`: its greeting, or why there is none."""
    done = labroom(*login, f"timeout 5 bash -c 'head -n 1 < /dev/tcp/{address}/22'", status=None)
    return done.stdout + done.stderr


def test_rooms_do_not_reach_each_other(trial: Trial) -> None:
    assert guest.runs("lab", "server"), "this needs the default room: labroom up"
    far = "  far: {outside: 198.51.100.10}\n"
    trial.file.write_text(ROOM.replace("internet: false", "internet: true") + far)
    trial.up()
    # The control: what one room can't reach is there, and answers, as its own guests see it.
    assert "SSH" in _greeting("192.168.74.128", "ssh", "alfa")
    assert "SSH" in _greeting("192.168.75.10", "--room", str(trial.file), "ssh", "two")
    assert "SSH" in _greeting("198.51.100.10", "--room", str(trial.file), "ssh", "far")
    # Refused by the room's own router: it went no further.
    for address in ("192.168.74.128", "203.0.113.2"):
        assert "Connection refused" in _greeting(address, "--room", str(trial.file), "ssh", "far")
    for address in ("192.168.75.10", "198.51.100.10"):
        assert "Connection refused" in _greeting(address, "ssh", "outside")


def test_internet_is_a_switch_and_the_machine_forwards_nothing(trial: Trial) -> None:
    far = "  far: {outside: 198.51.100.10}\n"
    address = _own_address()
    with _listener(address) as listener:
        port = listener.getsockname()[1]
        trial.file.write_text(ROOM.replace("internet: false", "internet: true") + far)
        trial.up()
        assert "reached" in _reach(trial, "far", address, port)
        # Not by way of the uplink into the room's own private network.
        assert "SSH" not in _reach(trial, "far", "192.168.75.10", 22)
        trial.down()
        trial.file.write_text(ROOM + far)
        trial.up()
        assert "reached" not in _reach(trial, "far", address, port)
        # Nor with the machine as its router, which a guest's root may well try.
        trial.run("ssh", "one", "sudo ip route replace default via 192.168.75.1")
        trial.run("ssh", "far", "sudo ip route replace default via 198.51.100.1")
        assert "reached" not in _reach(trial, "one", address, port)
        assert "SSH" not in _reach(trial, "far", "192.168.75.10", 22)
