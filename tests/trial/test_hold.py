"""Guests hold who is in them: what they can take of the machine, what they leave on it, and who can reach them."""

import contextlib
import os
import shlex
import subprocess
from pathlib import Path

from labroom import state
from labroom.providers.nspawn import guest
from labroom.providers.nspawn.cgroups import Cgroup
from tests.trial.room import ROOM, Trial, traces

LIMITS = "limits: {disk_mib: 300, home_mib: 300, files: 5000, memory_mib: 256}\n"
MIB = 1 << 20
RECORDS = ("room.json", "links", "netns")  # what anybody may know of a room
NOBODY = "54321"  # a user of the machine who is neither root nor anybody in a guest

# Takes what is called argv[1] until it can't, says how many and why, and gives all back by ending.
TAKE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
hold, release = os.pipe()

def inotify_instance():
    if libc.inotify_init() < 0:
        raise OSError(ctypes.get_errno(), "")

def terminal():
    os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)

def user_namespace():
    told, tell = os.pipe()
    if os.fork() == 0:
        os.close(release)
        failed = libc.unshare(0x10000000)
        os.write(tell, bytes([ctypes.get_errno() if failed else 0]))
        os.read(hold, 1)  # until its parent ends
        os._exit(0)
    if number := os.read(told, 1)[0]:
        raise OSError(number, "")

take = {"inotify instances": inotify_instance, "terminals": terminal, "user namespaces": user_namespace}[sys.argv[1]]
count, why = 0, "no end"
try:
    while count < 5000:
        take()
        count += 1
except OSError as error:
    why = os.strerror(error.errno)
print(count, why)
"""


def _as_student(trial: Trial, name: str, script: str) -> str:
    """What a shell script of the student's prints in a guest, whatever becomes of it."""
    return trial.run("ssh", name, f"bash -c {shlex.quote(script)} 2>&1; true")


def _taken(trial: Trial, name: str, what: str) -> tuple[int, str]:
    said = _as_student(trial, name, f"python3 -c {shlex.quote(TAKE)} {shlex.quote(what)}").strip()
    count, _, why = said.partition(" ")
    return int(count), why


def _used_mib(trial: Trial) -> float:
    """What the files of the room's guests take of the machine's disk."""
    files = (path for path in (state.rooms() / trial.name).rglob("*") if path.is_file())
    return sum(path.lstat().st_blocks * 512 for path in files) / MIB


def test_a_guest_takes_no_more_of_the_disk_than_its_limit(trial: Trial) -> None:
    trial.file.write_text(ROOM + LIMITS)
    trial.up()
    supervisor = guest.runs(trial.name, "one")
    fills = {
        "at once": "fallocate -l 20G ~/big",
        "by and by": "head -c 20G /dev/zero >~/big",
        "in /tmp": "head -c 20G /dev/zero >/tmp/big",
        "as root, where root alone may": "sudo sh -c 'head -c 20G /dev/zero >/var/big'",
        "in memory": "head -c 20G /dev/zero >/dev/shm/big",
        "by files": "mkdir -p ~/many; cd ~/many; seq 20000 | xargs touch",
    }
    for how, script in fills.items():
        said = _as_student(trial, "one", script)
        assert "No space left on device" in said, f"{how}: {said}"
        assert _used_mib(trial) < 2 * 300, how
        _as_student(trial, "one", "sudo rm -rf ~/big /tmp/big /var/big /dev/shm/big ~/many")
    assert guest.runs(trial.name, "one") == supervisor
    trial.run("reset", "one")  # which starts it anew: a home gives back what was removed then, not at once
    assert _used_mib(trial) < 100, "what a guest removes, the machine has again"
    assert _as_student(trial, "two", "echo here >/tmp/x && cat /tmp/x") == "here\n"


def test_what_a_guest_prints_on_its_console_has_an_end(trial: Trial) -> None:
    trial.up()
    said = _as_student(trial, "one", "sudo timeout 3 sh -c 'yes $(seq -s, 100) >/dev/console'; echo ended")
    assert said.endswith("ended\n")
    assert (guest.folder(trial.name, "one") / "console.log").stat().st_size <= MIB
    assert _as_student(trial, "one", "echo here") == "here\n"
    assert guest.console(trial.name, "one")


def test_a_guest_can_not_take_the_last_of_what_the_kernel_counts(trial: Trial) -> None:
    trial.up()
    for what, most in {"inotify instances": 128, "user namespaces": 64}.items():
        count, why = _taken(trial, "one", what)
        assert 10 < count <= most, (what, count, why)
    count, why = _taken(trial, "one", "terminals")
    assert why == "Too many open files" or count > 1000, (count, why)
    # Nobody else misses them, while they are held.
    hold = "import ctypes, time\nwhile ctypes.CDLL(None).inotify_init() >= 0: pass\nprint('held', flush=True)\ninput()"
    holder = trial.start("ssh", "one", f"python3 -c {shlex.quote(hold)}")
    assert holder.stdout
    try:
        assert holder.stdout.readline() == "held\n"
        assert _taken(trial, "two", "inotify instances")[0] > 50
        own = ["python3", "-c", "import ctypes; raise SystemExit(ctypes.CDLL(None).inotify_init() < 0)"]
        subprocess.run(own, check=True)
    finally:
        holder.kill()
        holder.communicate()


def test_too_much_memory_ends_who_took_it_and_not_the_guest(trial: Trial) -> None:
    trial.file.write_text(ROOM + LIMITS)
    trial.up()
    supervisor = guest.runs(trial.name, "one")
    takes = "import time; held = []\nwhile True: held.append(bytes(1 << 20))"
    # One who takes all of it, and forty who take it together, none of whom is the largest process by far.
    _as_student(trial, "one", f"python3 -c {shlex.quote(takes)}")
    _as_student(trial, "one", f"for i in $(seq 40); do python3 -c {shlex.quote(takes)} & done; wait")
    assert guest.runs(trial.name, "one") == supervisor
    assert _as_student(trial, "one", "echo here") == "here\n"


def test_what_a_guest_leaves_hurts_nobody(trial: Trial) -> None:
    trial.up()
    leaves = r"""
        cd; python3 -c 'import os; [(os.mkdir("deep"), os.chdir("deep")) for _ in range(3000)]'
        mkdir ~/names; touch ~/names/$'new\nline' ~/names/$'\xff\xfe' ~/names/-rf ~/names/'* ?'
        touch ~/names/"$(printf %0250d)"
        ln -s / ~/names/root; ln -s loop ~/names/loop; mkfifo ~/names/fifo
        mkdir -m 0 ~/names/closed; seq 50000 | sed "s,^,$HOME/names/," | xargs touch
        sudo chattr +i ~/names/-rf; sudo mount -t tmpfs none /mnt; sudo mknod ~/names/zero c 1 5
        sudo mkdir -p /home/student/etc && sudo mount --bind /etc /home/student/etc
        sudo cp /bin/bash /var/shell; sudo chmod 4755 /var/shell
    """
    _as_student(trial, "one", leaves)
    os.kill(guest.runs(trial.name, "two") or 0, 9)
    assert "two replaced" in trial.run("up")
    trial.file.write_text(ROOM.replace("75.10", "75.20"))
    assert "one replaced" in trial.run("up")
    _as_student(trial, "one", leaves)
    assert trial.run("down").startswith("room trial: down after ")
    assert not any(traces().values()), traces()
    assert not (state.rooms() / trial.name / "guests").exists()


def test_nobody_on_the_machine_reaches_a_guests_files(trial: Trial) -> None:
    trial.up()
    _as_student(
        trial, "one", "sudo cp /bin/bash /var/shell; sudo chmod 4755 /var/shell; echo mine >~/mine; chmod 644 ~/mine"
    )
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    kept = [str(state.rooms() / trial.name), str(state.images())]
    for may in ("-readable", "-writable"):
        found = subprocess.run(
            [*as_nobody, "find", *kept, "-type", "f", may], capture_output=True, text=True, check=False
        )
        assert not [line for line in found.stdout.splitlines() if Path(line).name not in RECORDS], may
    assert set(map(str.strip, found.stderr.splitlines())), "there is what nobody may look into"
    for pid in Cgroup(trial.name, "one").processes():  # one that has ended can't be looked into either
        inside = subprocess.run([*as_nobody, "ls", f"/proc/{pid}/root/"], capture_output=True, check=False)
        assert inside.returncode != 0


def _owners(name: str) -> set[int]:
    """The users of the machine whose processes a guest has."""
    found = set()
    for pid in Cgroup(Trial.name, name).processes():
        with contextlib.suppress(FileNotFoundError):  # it has ended
            found.add(Path(f"/proc/{pid}").stat().st_uid)
    return found


def test_no_two_guests_have_the_same_users(trial: Trial) -> None:
    trial.up()
    one, two = _owners("one"), _owners("two")
    assert one & two == {0}, "supervisors alone are the machine's root"
    assert len(one) > 1
    assert len(two) > 1
    assert _as_student(trial, "one", "stat -c %u /etc/passwd ~ && id -u") == "0\n1000\n1000\n"
