"""Guests' homes: what is written in /home of a guest outlives the guest.

Each lies in a file system of its own, in a sparse file beside the room's keys. While the guest runs, an overlay shows
it over /home of the image (`launcher`), so that the image may be another one by then; what is deleted there is a
character device 0, 0 in it (overlayfs, "whiteouts and opaque directories"). Its files have the users that a guest's
image has on disk, whichever the guest has for itself.

A home appears whole or not at all: it is made under another name first. Whoever mounts one locks its file (`launcher`).
"""

import contextlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from labroom import state
from labroom.errors import MachineError
from labroom.processes import run
from labroom.providers import home_archive
from labroom.providers.home_archive import PACK, UNPACK
from labroom.providers.nspawn import disks, launcher

_IS_WORK = ("-path", "*/.cache", "-prune", "-o", "-not", "-type", "d", "-print", "-quit")  # of find(1)

_RESERVE = 64 << 20  # byte

_SUPERBLOCK = 1024  # where it is, byte (ext4(5), "On-disk layout"); what follows is in it
_INODES, _FREE_INODES, _INCOMPATIBLE = 0x0, 0x10, 0x60
_NEEDS_RECOVERY = 0x4
_STOPPED = {"ro", "emergency_ro", "shutdown"}  # mount options of ext4; the second since Linux 6.15, for the first
_OWN_INODES = 14  # the file system's own 11, the home itself, and two folders of overlayfs's


def folder(room_name: str) -> Path:
    """Where a room's homes are kept, until `labroom down --purge`."""
    return state.rooms() / room_name / "homes"


def file(room_name: str, guest: str) -> Path:
    """The file with a guest's home, which is there once it is whole."""
    return folder(room_name) / f"{guest}.ext4"


def prepare(room_name: str, wanted: Mapping[str, tuple[int, int]]) -> None:
    """Make the homes that aren't there yet, and larger those that have become too small.

    Args:
        room_name: the room.
        wanted: for each guest, none of which runs: MiB, and number of files.

    Raises:
        MachineError: a home can't be made, or be made larger.
    """
    new = False
    for guest, (mib, files) in wanted.items():
        home = file(room_name, guest)
        if not home.exists():
            partial = _copy(disks.empty(mib, files, lasting=True), home)
            disks.sync(partial)
            partial.replace(home)
            new = True
        elif home.stat().st_size < mib << 20:
            _enlarge(home, mib)
            new = True
    if new:
        disks.sync(folder(room_name))


def require_space(room_name: str) -> None:
    """See that the disk has space for what students write: a file system loses what it writes where there is none.

    Raises:
        MachineError: it is full.
    """
    _prepare_folder(room_name)
    free = shutil.disk_usage(folder(room_name)).free
    if free < _RESERVE:
        raise MachineError(
            f"the disk is full: {folder(room_name)} has {free >> 20} MiB left for what students write",
            f"free some space there, {_RESERVE >> 20} MiB at least",
        )


def _prepare_folder(room_name: str) -> None:
    own = folder(room_name)
    state.prepare(own)
    own.chmod(0o700)  # set-user-ID programs of the guests are none of the machine's users'


def _partial(home: Path) -> Path:
    """What a home is called before it is whole; who is killed leaves one, and who comes next begins anew."""
    return home.with_suffix(".partial")


def _copy(source: Path, home: Path) -> Path:
    """Copy a file system to where a home is made."""
    partial = _partial(home)
    partial.unlink(missing_ok=True)
    try:
        launcher.copy_disk(str(source), str(partial))
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise MachineError(f"{home} can't be made: {error.strerror}", "free some space there") from error
    return partial


def _enlarge(home: Path, mib: int) -> None:
    """Make a home larger: by way of a copy, so that nothing is lost wherever that ends."""
    with home.open("rb") as held:
        launcher.lock(held.fileno(), str(home))
        partial = _copy(home, home)
        try:
            with contextlib.suppress(MachineError):  # resize2fs(8) insists on it, and says itself what is wrong
                run("e2fsck", "-f", "-p", str(partial), timeout=600)
            os.truncate(partial, mib << 20)
            run("resize2fs", str(partial), timeout=600)
            disks.sync(partial)
            partial.replace(home)
        finally:
            partial.unlink(missing_ok=True)


def kept(room_name: str) -> list[str]:
    """The guests that have a home, whether or not the room still has the guest."""
    return sorted(home.stem for home in folder(room_name).glob("*.ext4"))


def has_mounted(pid: int, room_name: str, guest: str) -> bool:
    """Whether a process has a guest's home mounted; it is one of this machine's, since a guest may have any name."""
    try:
        ours = Path(f"/proc/{pid}/ns/user").samefile("/proc/self/ns/user")
        return ours and Path(f"/proc/{pid}/root{_place(room_name, guest)}/.work").is_dir()
    except OSError:  # it has ended, or there is none
        return False


def takes_writes(pid: int, room_name: str, guest: str) -> bool:
    """Whether what is written in a home still reaches its disk: after an error, its file system stops.

    Args:
        pid: the guest's supervisor.
        room_name: the room.
        guest: the guest.
    """
    try:
        device = Path(f"/proc/{pid}/root{_place(room_name, guest)}").stat().st_dev
        mounts = Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # there is none, or the guest has just ended
        return True
    number = f"{os.major(device)}:{os.minor(device)}"
    lines = [line.split() for line in mounts]  # proc_pid_mountinfo(5): the third field, and the last
    return not any(_STOPPED & set(fields[-1].split(",")) for fields in lines if fields[2] == number)


def is_worked_in(room_name: str, guest: str, supervisor: int | None) -> bool:
    """Whether a home has a file that the image has not, but for what programs keep in `.cache`.

    Args:
        room_name: the room.
        guest: the guest.
        supervisor: the process that has the home mounted, if it is.
    """
    if not _is_used(room_name, guest, supervisor):
        return False
    found: list[bytes] = []
    looking = _command(room_name, guest, supervisor, ("find", guest, *_IS_WORK))
    looked, _ = home_archive.run(looking, take=found.append)
    return bool(found) or looked != 0  # what can't be looked at may be anything


def _is_used(room_name: str, guest: str, supervisor: int | None) -> bool:
    """Whether there is any file in a home: as its file system counts them."""
    try:
        if supervisor:
            disk = os.statvfs(f"/proc/{supervisor}/root{_place(room_name, guest)}")
            return disk.f_files - disk.f_ffree > _OWN_INODES
        with file(room_name, guest).open("rb") as home:
            block = home.read(_SUPERBLOCK + 1024)[_SUPERBLOCK:]
    except OSError:  # it is just being removed
        return False
    inodes, free, features = (struct.unpack_from("<I", block, at)[0] for at in (_INODES, _FREE_INODES, _INCOMPATIBLE))
    # Where it was not unmounted, the numbers are those of long ago.
    return bool(features & _NEEDS_RECOVERY) or inodes - free > _OWN_INODES


def remove(room_name: str, guests: Iterable[str]) -> None:
    """Remove homes."""
    for guest in guests:
        file(room_name, guest).unlink(missing_ok=True)
        _partial(file(room_name, guest)).unlink(missing_ok=True)


def pack(room_name: str, guest: str, take: Callable[[bytes], object], supervisor: int | None) -> bool:
    """Give away a home as a tar archive, whose members are below the guest's name, and which ends with 1024 zeros.

    Args:
        room_name: the room.
        guest: the guest.
        take: is called with one piece of the archive after another.
        supervisor: as for `is_worked_in`.

    Returns:
        Whether no file changed while it was read. Such a file has of both, what was there and what is.

    Raises:
        RoomFault: it can't be read.
    """
    return home_archive.pack(guest, _command(room_name, guest, supervisor, (*PACK, guest)), take)


def unpack(room_name: str, guest: str, archive: Iterable[bytes], size: tuple[int, int]) -> None:
    """Make a home of the members below the guest's name in a tar archive: whole, and not yet in its place (`put`).

    Args:
        room_name: the room.
        guest: the guest.
        archive: the pieces of the archive.
        size: as for `prepare`.

    Raises:
        RoomFault: not all of it could be written.
    """
    _prepare_folder(room_name)
    home = file(room_name, guest)
    partial = _copy(disks.empty(*size, lasting=True), home)
    try:
        home_archive.unpack(guest, _command(room_name, guest, None, (*UNPACK, guest), home=partial), archive)
        disks.sync(partial)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def put(room_name: str, guests: Iterable[str]) -> None:
    """Put homes that were unpacked in the place of those that there were; none of the guests runs."""
    for guest in guests:
        _partial(file(room_name, guest)).replace(file(room_name, guest))
    disks.sync(folder(room_name))


def remove_leftovers(room_name: str) -> None:
    """Remove what is no home, of who was killed while one was made."""
    own = folder(room_name)
    for partial in own.glob("*.partial"):
        partial.unlink()
    with contextlib.suppress(OSError):  # there are homes
        own.rmdir()


def _place(room_name: str, guest: str) -> Path:
    """Where the disk with a guest's home is mounted while the guest runs, in its own mounts (`guest.folder`)."""
    return state.rooms() / room_name / "guests" / guest / "home"


def _command(
    room_name: str, guest: str, supervisor: int | None, command: tuple[str, ...], *, home: Path | None = None
) -> list[str]:
    """The command that runs another one on a home's disk (`launcher`).

    Args:
        room_name: the room.
        guest: the guest.
        supervisor: as for `is_worked_in`.
        command: the other command.
        home: the file that the home is in, if not its own.
    """
    # Of a guest that doesn't run, over the folder of all homes, in nobody else's mounts.
    place = _place(room_name, guest) if supervisor else folder(room_name)
    what = {
        "name": guest,
        "home": str(home or file(room_name, guest)),
        "place": str(place),
        "supervisor": supervisor or 0,
        "stored": disks.UID_BASE,
        "count": disks.UID_COUNT,
        "command": command,
    }
    return [*disks.LAUNCHER, json.dumps(what)]
