#!/usr/bin/env python3
"""Does anything ever stay behind, whatever moment labroom is killed at and whatever a student does to a guest?

Ends `labroom` at random moments of its verbs, by random signals; takes the room down each time, and counts what is left
of it on the machine, and what is lost of a student's work: no byte may be. Then lets a hostile student loose in a
guest, kind by kind: the machine, the other guest and the next `labroom up` must be as if nothing had happened.

Run as root: .venv/bin/python -m benchmarks.torture [-n KILLS] [--seed SEED]. Exit status: 0 nothing stayed and nobody
was harmed, 1 something did, 3 it could not be measured, 130 interrupted. All that was done goes to
reports/benchmark-torture-<time>.json.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import IO

from labroom import state
from labroom.providers.nspawn import guest, homes, image_tools
from labroom.resources import ROOT
from tests.helpers import FORK_BOMB
from tests.trial.room import traces

NAME, ADDRESSES = "torture", r"192\.168\.78\.|198\.19\.78\."  # nobody else's: other rooms stay up meanwhile
ROOM = """\
plugin: labroom.labroom.room
name: torture
networks: {private: 192.168.78.0/24, outside: 198.19.78.0/28}
internet: false
guests:
  server: {private: 192.168.78.10}
  alfa: {private: 192.168.78.11}
limits: {processes: 300, memory_mib: 256, disk_mib: 300, home_mib: 300, files: 20000}
"""
LABROOM = (sys.executable, "-m", "labroom")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# What is ended, and how many seconds it takes at most; ARCHIVE is one of all homes.
ARCHIVE, WRITTEN = "homes.tgz", "again.tgz"
VERBS = {
    "up": (("up",), 1.0),
    "repair": (("up",), 1.0),  # of a room one of whose guests has died
    "check": (("check", "tcp_hello", "-k", "refused"), 2.0),
    "down": (("down",), 0.5),
    "reset": (("reset", "alfa"), 1.5),
    "backup": (("backup", WRITTEN), 0.7),
    "restore": (("restore", ARCHIVE, "--yes"), 2.0),
    "restore, down": (("restore", ARCHIVE, "--yes"), 0.7),
    "image": (("up",), 20.0),  # of a room whose image has to be made
}
# A student's work: a file of 8 MB, and many small ones.
WORK = """
mkdir -p ~/work/many; head -c 8M /dev/urandom >~/work/large; cd ~/work/many; seq 2000 | split -l 1 -a 4 -d -
"""
TERMINALS = """
import os, time
try:
    while True: os.open("/dev/ptmx", 2)
except OSError:
    time.sleep(2)
"""
FLOOD = """
import socket, time
sending, end = socket.socket(type=socket.SOCK_DGRAM), time.time() + 2
while time.time() < end:
    sending.sendto(bytes(1400), ("192.168.78.1", 9))
"""
# Scripts of the student's, who may use sudo; each ends by itself, or is ended with the guest.
HOSTILE = {
    "fork bomb": f"python3 -c '{FORK_BOMB}' & sleep 1",
    "20 GB at once": "fallocate -l 20G ~/big; fallocate -l 20G /tmp/big; fallocate -l 20G /dev/shm/big",
    "endless file": "head -c 20G /dev/zero >~/big; sudo sh -c 'cat /dev/zero >/var/big'",
    "endless files": "mkdir ~/many; cd ~/many; seq 300000 | xargs touch",
    "deep folders": 'cd; python3 -c \'import os; [(os.mkdir("deep"), os.chdir("deep")) for _ in range(5000)]\'',
    "endless memory": "python3 -c 'held = []\nwhile True: held.append(bytes(1 << 20))'",
    "memory by many": "for i in $(seq 50); do python3 -c 'held = bytes(20 << 20); input()' & done; sleep 2",
    "inotify": "python3 -c 'import ctypes, time\nwhile ctypes.CDLL(None).inotify_init() >= 0: pass\ntime.sleep(2)'",
    "console": "sudo timeout 2 sh -c 'yes >/dev/console'",
    "journal": "timeout 2 sh -c 'yes | logger'",
    "terminals": f"python3 -c '{TERMINALS}'",
    "namespaces": "for i in $(seq 300); do unshare -r -m -n -p -f sleep 2 & done; sleep 2",
    "mounts": "sudo sh -c 'for i in $(seq 2000); do mount -t tmpfs none /mnt; done'",
    "a set-user-ID shell": "sudo cp /bin/sh /var/sh; sudo chmod 4755 /var/sh; sudo chmod 777 /",
    "no sshd": "sudo systemctl stop ssh",
    "no files": "sudo rm -rf --no-preserve-root / 2>/dev/null",
    "no rights": "sudo chmod -R 000 / 2>/dev/null",
    "reboot": "sudo systemctl reboot --force",
    "power off": "sudo systemctl poweroff --force",
    "no init": "sudo kill -9 -1",
    "flood": f"python3 -c '{FLOOD}'",
    "another address": "sudo ip address add 192.168.78.1/24 dev host0; sudo ip address add 192.168.78.11/24 dev host0",
    "links": "rm -rf ~/*; ln -s / ~/root; ln -s .. ~/up; sudo ln -sf /etc/passwd /etc/hostname",
}


class Torture:
    """One run.

    Args:
        file: the room file.
        chance: what decides.
    """

    def __init__(self, file: Path, chance: random.Random) -> None:
        self.file = file
        self.chance = chance
        self.done: list[dict[str, object]] = []
        self.work: dict[str, tuple[int, int, float, str]] = {}

    def begin(self) -> str:
        """Have a student work in both guests, and put that away; returns what went wrong."""
        for words in (("up",), ("ssh", "alfa", WORK), ("ssh", "server", WORK), ("backup", ARCHIVE), ("down",)):
            if (done := self.labroom(*words)).returncode != 0:
                return done.stderr
        self.work = self.in_archive(ARCHIVE)
        return ""

    def in_archive(self, name: str) -> dict[str, tuple[int, int, float, str]]:
        """The files of a student's in an archive: mode, owner, time and digest of each."""
        with tarfile.open(self.file.with_name(name)) as archive:
            return {
                each.name: (each.mode, each.uid, each.mtime, digest(archive.extractfile(each) or BytesIO()))
                for each in archive
                if "/student/work/" in each.name and each.isfile()
            }

    def missed(self) -> list[str]:
        """What is lost or half of the homes of a room that is down, or left beside them."""
        folder = self.file.parent
        bad = []
        written = folder / WRITTEN
        if written.exists() and self.in_archive(WRITTEN) != self.work:
            bad.append("an archive that is not whole")
        written.unlink(missing_ok=True)
        if others := {path.name for path in folder.iterdir()} - {ARCHIVE, self.file.name}:
            bad.append(f"beside the archive: {others}")
        if left := [path.name for path in homes.folder(NAME).iterdir() if path.suffix != ".ext4"]:
            bad.append(f"beside the homes: {left}")
        if (backup := self.labroom("backup", WRITTEN)).returncode != 0:
            return [*bad, f"backup: {backup.stderr}"]
        now = self.in_archive(WRITTEN)
        written.unlink()
        if lost := [name for name in self.work if now.get(name) != self.work[name]]:
            bad.append(f"{len(lost)} of {len(self.work)} files lost, such as {lost[0]}")
        return bad

    def labroom(self, *words: str, state_folder: str = "") -> subprocess.CompletedProcess[str]:
        """Run `labroom` on the room to its end."""
        argv = [*LABROOM, "--room", str(self.file), *words]
        env = os.environ | ({"LABROOM_STATE_DIR": state_folder} if state_folder else {})
        folder = self.file.parent
        return subprocess.run(argv, capture_output=True, text=True, cwd=folder, env=env, timeout=300, check=False)

    def kill(self, verb: str) -> list[str]:
        """End a verb at a random moment, take the room down; returns what is left or doesn't work then."""
        words, longest = VERBS[verb]
        if verb not in ("up", "image", "restore, down"):
            self.labroom("up")
        if verb == "repair":
            with contextlib.suppress(ProcessLookupError):
                os.kill(guest.runs(NAME, "alfa") or 0, signal.SIGKILL)
        folder = tempfile.mkdtemp(dir=state.root()) if verb == "image" else ""
        if folder:
            shutil.copytree(
                state.images(),
                f"{folder}/images",
                copy_function=os.link,
                symlinks=True,
                ignore=lambda _, names: [name for name in names if name.startswith(("guest-", "gateway-"))],
            )
        env = os.environ | ({"LABROOM_STATE_DIR": folder} if folder else {})
        argv = [*LABROOM, "--room", str(self.file), *words]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            argv, stdin=quiet, stdout=quiet, stderr=quiet, cwd=self.file.parent, env=env, start_new_session=True
        )
        number = self.chance.choice(SIGNALS)
        moment = self.chance.uniform(0, longest)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        ended = process.poll() is not None
        everybody = self.chance.random() < 0.5  # as when a terminal is closed
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if everybody else os.kill)(process.pid, number)
        process.wait()
        down = self.labroom("down", state_folder=folder)
        bad = [] if down.returncode == 0 else [f"down: {down.stderr}"]
        names = [NAME, image_tools.builder_name()]
        if folder:
            names[1] = _builder_of(folder)
            subprocess.run(["rm", "-rf", "--one-file-system", folder], check=False)
        bad += [f"{kind}: {found}" for name in names for kind, found in traces(name, ADDRESSES).items() if found]
        bad += self.missed()
        self.done.append(
            {"verb": verb, "signal": number.name, "moment": moment, "over": ended, "group": everybody, "bad": bad}
        )
        return bad

    def let_loose(self, kind: str) -> list[str]:
        """Have a hostile student in alfa; returns what was harmed."""
        bad = []
        if (up := self.labroom("up")).returncode != 0:
            return [f"up before: {up.stderr}"]
        free = shutil.disk_usage(state.root()).free
        began = time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [*LABROOM, "--room", str(self.file), "ssh", "alfa", HOSTILE[kind]],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=60,
                cwd=ROOT,
                check=False,
            )
        took = free - shutil.disk_usage(state.root()).free
        if took > 700 << 20:
            bad.append(f"it took {took >> 20} MiB of the machine's disk")
        said = self.labroom("ssh", "server", "echo here")
        if said.stdout != "here\n":
            bad.append(f"the other guest: {said.stderr}")
        again = time.monotonic()
        up = self.labroom("up")
        repaired = time.monotonic() - again
        if up.returncode != 0:
            bad.append(f"up after: {up.stderr}")
        elif (said := self.labroom("ssh", "alfa", "echo here")).stdout != "here\n":
            bad.append(f"the guest after up: {said.stderr}")
        down = self.labroom("down")
        if down.returncode != 0:
            bad.append(f"down: {down.stderr}")
        bad += [f"{what}: {found}" for what, found in traces(NAME, ADDRESSES).items() if found]
        if (anew := self.labroom("reset", "alfa", "--home", "--yes")).returncode != 0:
            bad.append(f"a new home: {anew.stderr}")
        words = [line.strip() for line in up.stdout.splitlines() if "alfa" in line and "replaced" in line]
        result = words[0] if words else "as it was"
        print(
            f"  {kind:20} {again - began:5.1f} s; up after {repaired:4.1f} s: {result}{'; ' if bad else ''}{bad or ''}"
        )
        self.done.append({"hostile": kind, "up_seconds": repaired, "result": result, "bad": bad})
        return bad


def digest(file: IO[bytes]) -> str:
    """The digest of what is in a file."""
    return hashlib.sha256(file.read()).hexdigest()


def _builder_of(folder: str) -> str:
    """The name of the room in which a state folder's images are made."""
    ask = "from labroom.providers.nspawn import image_tools; print(image_tools.builder_name())"
    env = os.environ | {"LABROOM_STATE_DIR": folder}
    return subprocess.run(
        [sys.executable, "-c", ask], env=env, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def main() -> int:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-n", type=int, default=300, metavar="KILLS", help="how often labroom is ended (300)")
    parser.add_argument("--seed", type=int, default=1, help="what decides on verbs, signals and moments (1)")
    arguments = parser.parse_args()
    report = ROOT / "reports" / f"benchmark-torture-{time.strftime('%Y%m%d-%H%M%S')}.json"
    report.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "torture.yml")
        file.write_text(ROOM, encoding="utf-8")
        torture = Torture(file, random.Random(arguments.seed))  # noqa: S311 (no secret)
        kills, left = Counter[str](), 0
        try:
            if wrong := torture.begin():
                print(f"benchmark: {wrong}", file=sys.stderr)
                return 3
            for number in range(arguments.n):
                # An image takes long to make: one kill in twenty.
                verb = "image" if number % 20 == 19 else torture.chance.choice(list(VERBS)[:-1])
                if torture.kill(verb):
                    left += 1
                    print(f"  {torture.done[-1]}")
                kills[verb] += 1
                if number % 25 == 24:
                    print(f"  {number + 1} of {arguments.n} kills, {left} left something", flush=True)
            of_each = ", ".join(f"{count} of {verb}" for verb, count in kills.items())
            print(f"{sum(kills.values())} kills ({of_each}): {left} left something")
            harmed = sum(bool(torture.let_loose(kind)) for kind in HOSTILE)
            print(f"{len(HOSTILE)} hostile kinds: {harmed} did harm")
        except KeyboardInterrupt:
            return 130
        finally:
            torture.labroom("down")
            torture.labroom("reset", "--home", "--yes")
            report.write_text(json.dumps(torture.done, indent=1))
            print(report)
    return 1 if left or harmed else 0


if __name__ == "__main__":
    sys.exit(main())
