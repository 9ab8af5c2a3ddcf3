"""What a student makes is kept: over the end of guests and rooms, in archives, and whoever is killed when."""

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labroom import room, state
from labroom.errors import MachineError
from labroom.machine import tool
from labroom.processes import run
from labroom.providers import nspawn, record
from labroom.providers.nspawn import cgroups, disks, guest, homes, image
from labroom.resources import ROOT
from tests.helpers import wait_for
from tests.trial.room import ROOM, Trial, traces

LIMITS = "limits: {home_mib: 100, disk_mib: 100, files: 5000, memory_mib: 256}\n"
# What a student makes: all that a file can be, by names of all kinds.
MAKES = r"""
    cd; mkdir -p work "한글 폴더" .cache
    echo 'int main;' >work/main.c; echo x >"한글 폴더/a 'b' \$c"; chmod 640 work/main.c
    ln -f work/main.c twin; ln -s /etc/shadow secret; ln -s .. up; mkfifo fifo
    truncate -s 1T holes; echo end >>holes; touch -d '2001-02-03 04:05:06.789' old; rm -f .profile
    touch $'new\nline' $'\xff\xfe' -- -rf
    sudo sh -c 'cp /bin/true tool; chmod 4755 tool; echo root >roots; setfacl -m u:7:r roots 2>/dev/null'; sync
"""
# All of it but caches in words: what it is, whose, since when, where links lead, and what is in files but that of 1 TB.
TELLS = r"""
    all() { sudo find . '(' -path ./.ssh -o -path ./.cache ')' -prune -o "$@" | LC_ALL=C sort -z; }
    cd; { all -printf '%y %m %n %U:%G %s %T+ %l %P\0'; all -type f -size -100M -print0 | sudo xargs -0 sha256sum; } |
    tr '\0' '\n' | cat -v
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """A room in which student `one` has made something; up for the first test."""
    _clear()
    place = Trial(tmp_path_factory.mktemp("work") / "trial.yml")
    place.file.write_text(ROOM + LIMITS, encoding="utf-8")
    place.up()
    place.run("ssh", "one", MAKES)
    yield place
    _clear()
    assert not any(traces().values()), traces()


def _clear() -> None:
    nspawn.down(Trial.name)
    nspawn.remove_homes(Trial.name, nspawn.homes_kept(Trial.name))


def _pid(name: str) -> int:
    pid = guest.runs(Trial.name, name)
    assert pid
    return pid


def _work(place: Trial) -> str:
    place.up()
    said = place.run("ssh", "one", TELLS)
    assert "work/main.c" in said
    return said


def _members(file: Path) -> list[dict[str, object]]:
    with tarfile.open(file) as archive:
        return [{key: value for key, value in each.get_info().items() if key != "chksum"} for each in archive]


def _answer(place: Trial, words: str, *arguments: str) -> tuple[int, str]:
    """Run `labroom` on a terminal, at which a person types one line; its exit status, and what it showed."""
    ours, theirs = pty.openpty()
    argv = [tool("python"), "-m", "labroom", "--room", str(place.file), *arguments]
    out = subprocess.PIPE
    with subprocess.Popen(argv, stdin=theirs, stdout=out, stderr=subprocess.STDOUT, text=True, cwd=ROOT) as asking:
        os.close(theirs)
        os.write(ours, f"{words}\n".encode())
        shown = asking.communicate(timeout=60)[0]
    os.close(ours)
    return asking.returncode, shown


def test_work_outlives_its_guest_and_its_room(place: Trial, tmp_path: Path) -> None:
    made = _work(place)
    assert "secret" in made
    assert ".profile" not in made
    os.kill(_pid("one"), signal.SIGKILL)
    place.run("backup", str(tmp_path / "work.tgz"))  # of a guest that goes on without its supervisor
    assert "one replaced" in place.run("up")
    assert _work(place) == made
    place.run("ssh", "one", "sudo systemctl reboot --force", status=None)
    wait_for(lambda: place.run("ssh", "one", "cat /proc/uptime", status=None)[0].isdigit(), "another boot")
    assert _work(place) == made
    assert "homes are kept: one\n" in place.run("down")
    assert "homes are kept: one\n" in place.run("down"), "of a room that is down, too"
    assert _work(place) == made


def test_a_new_image_shows_through(place: Trial, tmp_path: Path) -> None:
    made = _work(place)
    wanted = room.load(place.file)
    layers = image.ready(wanted)
    assert layers
    new = tmp_path / "home/student"
    new.mkdir(parents=True)
    for path in (tmp_path, new.parent):
        os.chown(path, disks.UID_BASE, disks.UID_BASE)
    for name in ("handout", "old", ".profile"):
        (new / name).write_text("of the image\n", encoding="utf-8")
        os.chown(new / name, disks.UID_BASE + 1000, disks.UID_BASE + 1000)
    os.chown(new, disks.UID_BASE + 1000, disks.UID_BASE + 1000)
    place.down()
    nspawn.bring_up(wanted, place.file, {"guest": [tmp_path, *layers["guest"]]})
    assert place.run("ssh", "one", "cat handout; wc -c <old; ls .profile", status=2).splitlines()[:2] == [
        "of the image",
        "0",
    ]
    place.down()
    assert _work(place) == made


def test_reset_makes_guests_new_and_no_others(place: Trial) -> None:
    made = _work(place)
    one, two = _pid("one"), _pid("two")
    place.run("ssh", "one", "sudo touch /var/mine")
    run("ip", "neigh", "replace", "192.168.75.10", "lladdr", "02:00:00:00:00:01", "dev", "trial-private")
    assert place.run("reset", "one") == "new: one\n"
    assert (one == _pid("one"), two == _pid("two")) == (False, True)
    assert place.run("ssh", "one", "ls /var/mine", status=2)
    assert _work(place) == made
    assert "there is no guest 'three'" in place.run("reset", "three", status=2)


def test_a_guest_is_made_new_while_the_network_of_the_old_one_is_still_there(place: Trial) -> None:
    """The kernel takes its time to remove it, the longer the more the machine has to do; looked into, it stays."""
    machine = Path(f"/proc/{_pid('one')}/task/{_pid('one')}/children").read_text(encoding="utf-8").split()[0]
    init = Path(f"/proc/{machine}/task/{machine}/children").read_text(encoding="utf-8").split()[0]
    with Path(f"/proc/{init}/ns/net").open(encoding="utf-8"):
        assert place.run("reset", "one") == "new: one\n"


def test_a_home_goes_when_a_person_says_so(place: Trial) -> None:
    made = _work(place)
    for words, *verb in (("n", "reset", "--home", "one"), ("", "down", "--purge")):
        error = place.run(*verb, status=2)
        assert "the work in the homes of one would be lost, and there is nobody to ask" in error
        assert f"labroom --room {place.file} backup FILE; or say --yes" in error
        status, shown = _answer(place, words, *verb)
        assert status == 130, shown
        assert "Go on? [y/N]" in shown
    assert place.run("reset", "two", "--home") == "new: two\ntheir homes, too\n", "no work, no question"
    assert _work(place) == made


def test_archives_hold_homes_as_they_are(place: Trial, tmp_path: Path) -> None:
    made = _work(place)
    up, down = tmp_path / "up.tgz", tmp_path / "down.tgz"
    assert f"{up}: the homes of one two" in place.run("backup", str(up))
    with tarfile.open(up) as archive:
        assert archive.getmember("one/student/secret").linkname == "/etc/shadow", "the link, and not where it leads"
    place.down()
    place.run("backup", str(down))
    assert _members(up) == _members(down)
    assert up.stat().st_size < 1 << 20, "a file of 1 TB that is a hole is one there"
    # Down, without a question where there is no work; up, after one.
    place.run("reset", "--home", "--yes")
    assert "homes of one two\n" in place.run("restore", str(down))
    assert _work(place) == made
    place.run("ssh", "one", "rm -rf work; echo later >later")
    two = _pid("two")
    assert "homes of one would be lost" in place.run("restore", str(up), "one", status=2)
    status, shown = _answer(place, "y", "restore", str(up), "one")
    assert status == 0, shown
    assert _work(place) == made
    assert _pid("two") == two
    assert list(tmp_path.iterdir()) == [up, down] or list(tmp_path.iterdir()) == [down, up]


def test_a_home_that_can_not_be_restored_leaves_all_as_it_was(place: Trial, tmp_path: Path) -> None:
    made = _work(place)
    place.run("ssh", "two", "head -c 80M /dev/urandom >large; sync")
    archive = tmp_path / "work.tgz"
    place.run("backup", str(archive))
    place.run("reset", "two", "--home", "--yes")
    place.file.write_text(ROOM + LIMITS.replace("home_mib: 100", "home_mib: 82"), encoding="utf-8")
    error = place.run("restore", str(archive), "--yes", status=3)
    assert "the home of two can't be restored: tar: two/student/large:" in error
    assert "help: limits.home_mib and limits.files in the room file say how much" in error
    assert sorted(file.name for file in homes.folder(Trial.name).iterdir()) == ["one.ext4", "two.ext4"]
    place.file.write_text(ROOM + LIMITS, encoding="utf-8")
    assert _work(place) == made
    assert "large" not in place.run("ssh", "two", "ls")


def test_who_is_killed_leaves_no_half_archive_and_no_half_home(place: Trial, tmp_path: Path) -> None:
    made = _work(place)
    whole = tmp_path / "whole.tgz"
    place.run("backup", str(whole))
    before = _members(whole)
    # benchmarks/torture.py does it hundreds of times.
    for verb, seconds in (("backup", 0.35), ("restore", 0.6), ("reset", 0.5)):
        process = place.start(
            *{"backup": (verb, str(whole)), "restore": (verb, str(whole), "--yes")}.get(verb, (verb,))
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        process.communicate()
        assert _members(whole) == before, "the old one, or a new one, and no half of one"
        assert _work(place) == made
    assert [file.name for file in tmp_path.iterdir()] == ["whole.tgz"]
    place.down()
    assert sorted(file.name for file in homes.folder(Trial.name).iterdir()) == ["one.ext4", "two.ext4"]


def test_files_are_copied_from_a_guest_and_to_all(place: Trial, tmp_path: Path) -> None:
    place.up()
    folder = tmp_path / "한글 폴더"
    folder.mkdir()
    names = ["a b", "-n", "$x", "'", "[1]", "*", "a:b"]
    for name in names:
        (folder / name).write_text(name, encoding="utf-8")
    assert place.run("copy", str(folder), "all:to all") == "one: copied\ntwo: copied\n"
    back = tmp_path / "back"
    assert place.run("copy", "two:to all", str(back)) == ""
    assert {file.name: file.read_text(encoding="utf-8") for file in back.iterdir()} == dict(
        zip(names, names, strict=True)
    )
    assert place.run("ssh", "one", "stat -c %U 'to all'; rm -r 'to all'") == "student\n"
    assert "scp: " in place.run("copy", "one:nothing", str(tmp_path), status=3)
    assert "one: not all was copied: " in place.run("copy", str(folder), "all:/proc/x", status=3)
    assert "there is no guest 'six'" in place.run("copy", "six:x", ".", status=2)
    assert "one side has to be on a guest" in place.run("copy", "one:x", "two:y", status=2)
    place.run("ssh", "two", "rm -r 'to all'")


def test_what_is_written_under_sudo_is_the_persons(place: Trial, tmp_path: Path) -> None:
    place.up()
    nobody = {"SUDO_UID": "65534", "SUDO_GID": "65534"}  # whom passwd(5) has
    place.run("capture", "one", "--seconds", "0.1", "-w", str(tmp_path / "one.pcap"), env=nobody)
    place.run("copy", "one:/etc/skel", str(tmp_path / "folder"), env=nobody)
    place.run("copy", "one:/etc/hostname", str(tmp_path), env=nobody)
    place.run("backup", str(tmp_path / "homes"), env=nobody)
    place.run("new", "another", "--file", str(tmp_path / "another.yml"), env=nobody)
    made = [path for path in tmp_path.rglob("*") if path not in (place.file, *place.file.parents)]
    assert {path.name for path in made} > {"one.pcap", "folder", ".bashrc", "hostname", "homes", "another.yml"}
    assert {(path.owner(), path.group()) for path in made} == {("nobody", "nogroup")}


def test_a_power_cut_and_errors_of_the_disk(place: Trial, tmp_path: Path) -> None:
    made = _work(place)
    place.run("ssh", "one", "sync; head -c 5M /dev/urandom >.cache/unsynced")
    home = homes.file(Trial.name, "one")
    cut = tmp_path / "cut"
    subprocess.run(["cp", "--sparse=always", home, cut], check=True)  # as it is at one moment, with a journal to replay
    # What ends with the machine; records go on naming processes that were.
    for part in cgroups.parts(Trial.name):
        cgroups.Cgroup(Trial.name, part).remove()
    shutil.copy(cut, home)
    shutil.copy(cut, home.with_suffix(".partial"))
    assert _work(place) == made
    place.down()
    subprocess.run(["debugfs", "-w", "-R", "set_super_value state 3", home], check=True, capture_output=True)
    assert _work(place) == made, "errors were met, and are mended"
    place.down()
    whole = tmp_path / "whole"
    shutil.copy(home, whole)
    with home.open("r+b") as broken:
        broken.write(bytes(8 << 20))
    error = place.run("up", status=3)
    assert "the home of one can't be mounted: e2fsck: " in error
    assert f"help: e2fsck -y {home}, or a new home: ./labroom --room {place.file} reset --home one" in error
    assert not any(traces().values()), traces()
    shutil.copy(whole, home)
    for damage in ("set_super_value state 3", "zap_block -f /lost+found 0"):  # a folder that isn't missed
        subprocess.run(["debugfs", "-w", "-R", damage, home], check=True, capture_output=True)
    error = place.run("up", status=3)
    repair = error.partition("  help: ")[2].partition(", or")[0]
    assert subprocess.run(["sh", "-c", repair], capture_output=True, check=False).returncode == 1  # repaired
    assert _work(place) == made


def test_a_home_whose_file_system_has_stopped_is_repaired(place: Trial) -> None:
    made = _work(place)
    two = _pid("two")
    place.run("ssh", "one", "cp -r work .cache; sync; rm -r .cache/work")  # which may come back
    device = Path(f"/proc/{_pid('one')}/root{guest.folder(Trial.name, 'one')}/home").stat().st_dev
    disk = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    Path(f"/sys/fs/ext4/{disk}/trigger_fs_error").write_text("as on a full disk", encoding="utf-8")
    assert "Read-only file system" in place.run("ssh", "one", "touch .cache/new", status=1)
    command = f"./labroom --room {place.file} up"
    assert f"its home can only be read: {command}\n" in place.run("status")
    (line,) = [each for each in json.loads(place.run("status", "--json"))["guests"] if not each["writable"]]
    assert line["name"] == "one"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "one replaced" in done.stdout, done.stderr
    place.run("ssh", "one", "touch .cache/new; [ ! -e .cache/work ] || diff -r work .cache/work")
    assert "can only be read" not in place.run("status")
    assert _work(place) == made
    assert _pid("two") == two


def test_no_guest_is_taken_away_where_the_disk_is_full(place: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    place.up()
    two = _pid("two")
    monkeypatch.setattr(homes, "_RESERVE", 1 << 60)  # more than any disk has
    with pytest.raises(MachineError, match=r"the disk is full: .*/homes has"):
        nspawn.renew(room.load(place.file), place.file, ["two"], lambda: None)
    (guest.folder(Trial.name, "one") / "guest.json").unlink()  # as if it had ended
    with pytest.raises(MachineError, match=r"the disk is full: .*/homes has"):
        place.up()
    assert _pid("two") == two
    assert cgroups.Cgroup(Trial.name, "one").processes()


def test_a_full_disk_loses_no_home(place: Trial, tmp_path: Path) -> None:
    place.down()
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        error = place.run("backup", str(small / "work.tgz"), status=None)
        assert "work.tgz: the homes of one two" in error
        (small / "rest").write_bytes(bytes(shutil.disk_usage(small).free))
        before = (small / "work.tgz").read_bytes()
        error = place.run("backup", str(small / "work.tgz"), status=3)
        assert "No space left on device" in error
        assert (small / "work.tgz").read_bytes() == before
        assert sorted(file.name for file in small.iterdir()) == ["rest", "work.tgz"]
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_home_grows_with_its_limit(place: Trial) -> None:
    made = _work(place)
    place.file.write_text(ROOM + LIMITS.replace("home_mib: 100", "home_mib: 300"), encoding="utf-8")
    place.up()
    assert _work(place) == made
    assert int(place.run("ssh", "one", "df --output=size -m /home | tail -1")) > 250
    place.file.write_text(ROOM + LIMITS, encoding="utf-8")
    assert _work(place) == made, "it stays as large as it was"


def test_guests_of_a_version_before_are_left_alone(place: Trial) -> None:
    place.up()
    one = _pid("one")
    file = guest.folder(Trial.name, "one") / "guest.json"
    known = state.read_json(file)
    state.write_json(file, {name: value for name, value in known.items() if name != "home"} | {"digest": "another"})
    said = place.run("up")
    assert "note: a labroom that keeps no homes has started one\n" in said
    assert f"save it:         ./labroom --room {place.file} copy one: .\n" in said
    assert "no homes has started one: what is in them would be lost" in place.run("reset", "one", status=3)
    assert _pid("one") == one
    state.write_json(file, known)


def test_a_student_can_not_be_locked_out_by_the_home(place: Trial) -> None:
    place.up()
    place.run("ssh", "two", "sudo sh -c 'rm -rf /home/student; ln -s /etc /home/student; chmod 0 /home'")
    assert "all in order" in place.run("up")
    place.down()
    place.up()
    assert place.run("ssh", "two", "stat -c %a /home; whoami") == "755\nstudent\n"
    place.run("backup", str(place.file.with_name("links.tgz")), "two")
    with tarfile.open(place.file.with_name("links.tgz")) as archive:
        assert archive.getnames() == ["two", "two/student"]
    place.run("reset", "--home", "--yes", "two")


def test_purge_removes_homes(place: Trial) -> None:
    """Asked of the room itself: `down --purge` would remove this machine's images, too."""
    place.down()
    assert record.read(Trial.name) == {}
    env = {"LABROOM_STATE_DIR": str(state.root() / "for-purge")}
    kept = state.root() / "for-purge/rooms/trial/homes"
    try:
        kept.mkdir(parents=True)
        shutil.copy(homes.file(Trial.name, "one"), kept)
        assert "the work in the homes of one would be lost" in place.run("down", "--purge", env=env, status=2)
        assert kept.exists()
        assert "images, keys and homes removed" in place.run("down", "--purge", "--yes", env=env)
        assert not kept.parent.exists()
    finally:
        state.remove_tree(state.root() / "for-purge")
