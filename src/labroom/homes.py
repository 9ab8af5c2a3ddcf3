"""Work from Python: guests made anew, what students have written kept, put away in an archive and brought back.

Nothing here prints. An archive is a tar(5) in one or more members of gzip (RFC 1952), with each home's files below its
guest's name, as `tar -tzf` shows them; a character device 0, 0 is a file of the image that was deleted (overlayfs).
"""

import contextlib
import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from labroom import commands, machine, providers, rooms
from labroom.console import Progress
from labroom.errors import MachineError, RoomFault, UsageError
from labroom.providers import Provider, record
from labroom.room import Room

_LEVEL = 3  # of gzip: a third of the time of its own choice, a tenth more bytes
_TIMES = 3  # that a home is read in which a file changes meanwhile
_END = bytes(1024)  # of a tar
_PIECE = 1 << 16
_SMALL = 512  # bytes that a file takes in an archive besides what is in it, and more: names, times, attributes
_KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE)


@dataclass(frozen=True)
class Backup:
    """What `backup` has done.

    Attributes:
        guests: whose homes are in the archive.
        changing: those among them in which a file was just being changed, each time it was read.
        size: the archive's, byte.
    """

    guests: list[str]
    changing: list[str]
    size: int


@dataclass(frozen=True)
class _Home:
    """A guest's part of an archive.

    Attributes:
        begin: where it begins, byte of the tar.
        end: where it ends.
    """

    begin: int
    end: int


def worked_in(room_name: str, guests: Collection[str] | None = None) -> list[str]:
    """The guests in whose homes somebody has written something; by default of all whose homes are kept."""
    found = {name for each in _keepers(room_name) for name in each.homes_worked_in(room_name)}
    return sorted(found if guests is None else found & set(guests))


def reset(file: Path, guests: Sequence[str], *, homes: bool = False, progress: Progress | None = None) -> list[str]:
    """Make guests new, as an `up` after a `down` would, and no others.

    Args:
        file: the room file.
        guests: which; all if none is named.
        homes: remove their homes, too; those of a room that is down as well.
        progress: is told what is done.

    Returns:
        The guests that are new.

    Raises:
        UsageError: there is no such guest.
        RoomFault: the room isn't up, or a guest doesn't boot.
        MachineError: this isn't root, where the provider needs it; the room is another file's.
    """
    room = rooms.own(file, "reset", *(["--home"] if homes else []), *guests)
    kept = {name for each in _keepers(room.name) for name in each.homes_kept(room.name)}
    unknown = [name for name in guests if name not in room.guests and not (homes and name in kept)]
    if unknown:
        raise UsageError(f"there is no guest {unknown[0]!r}", f"the guests: {', '.join(room.guests)}")
    if not homes and not rooms.exists(room):
        raise RoomFault(f"room {room.name} is not up: its guests are new when it is", rooms.bring_up(room, file))
    wanted = list(dict.fromkeys(guests or room.guests))
    with rooms.locked(room.name, f"resets room {room.name}", progress):
        renewed = [name for name in wanted if name in room.guests] if rooms.exists(room) else []

        def remove() -> None:
            for each in _keepers(room.name) if homes else ():
                each.remove_homes(room.name, set(wanted).intersection(each.homes_kept(room.name)))

        if renewed:
            providers.of(room.name).renew(room, file, renewed, remove)
        else:
            remove()
    return renewed


def backup(file: Path, target: Path, guests: Sequence[str] = (), *, progress: Progress | None = None) -> Backup:
    """Write homes to an archive, which appears whole, in place of one that was there, or not at all.

    Args:
        file: the room file; the room may be up or down.
        target: the archive.
        guests: whose; of all whose homes are kept if none is named.
        progress: is told what is done.

    Raises:
        UsageError: there is no such home.
        RoomFault: there are no homes, or one can't be read.
        MachineError: this isn't root, where the provider needs it; the room is another file's.
    """
    progress = progress or Progress()
    room = rooms.own(file, "backup", str(target), *guests)
    with rooms.locked(room.name, f"puts the work in room {room.name} away", progress):
        keeper = _keeper(room.name)
        kept = keeper.homes_kept(room.name)
        if not kept:
            raise RoomFault(f"room {room.name} has no homes yet", rooms.bring_up(room, file))
        if unknown := [name for name in guests if name not in kept]:
            raise UsageError(f"{unknown[0]} has no home in room {room.name}", f"there are those of {', '.join(kept)}")
        wanted, changing = list(dict.fromkeys(guests or kept)), []
        with _appearing(target) as out:
            for name in wanted:
                with progress.phase(name):
                    if not _add(out, keeper, room.name, name):
                        changing.append(name)
            with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=_LEVEL, mtime=0) as packed:
                packed.write(_END)
            size = out.tell()
    return Backup(wanted, changing, size)


def _add(out: io.BufferedRandom, keeper: Provider, room_name: str, name: str) -> bool:
    """Write a home to an archive, again if it changed meanwhile; whether it is one as it was at some time."""
    start = out.tell()
    for _ in range(_TIMES):
        out.seek(start)
        out.truncate()
        with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=_LEVEL, mtime=0) as packed:
            held = b""

            def take(piece: bytes, packed: gzip.GzipFile = packed) -> None:
                nonlocal held
                held += piece
                packed.write(held[: -len(_END)])
                held = held[-len(_END) :]

            whole = keeper.pack_home(room_name, name, take)
        if whole:
            return True
    return False


@contextlib.contextmanager
def _appearing(target: Path) -> Iterator[io.BufferedRandom]:
    """A file that becomes `target` at the end of the `with` block, without a name until then: a kill leaves nothing."""
    try:
        descriptor = os.open(target.absolute().parent, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError as error:
        raise MachineError(
            f"can't write to {target.absolute().parent}: {os.strerror(error.errno or 0)}", "name a file on a local disk"
        ) from error
    with os.fdopen(descriptor, "w+b") as out:
        yield out
        out.flush()
        machine.hand_over(descriptor)
        os.fsync(descriptor)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        # By way of another name: link(2) replaces nothing. A folder's descriptor makes Python follow /proc's link.
        os.link(f"/proc/self/fd/{descriptor}", partial, src_dir_fd=descriptor, follow_symlinks=True)
        try:
            partial.replace(target)
        except OSError:
            partial.unlink()
            raise


def in_archive(source: Path, room: Room, file: Path, guests: Sequence[str] = ()) -> list[str]:
    """The guests whose homes `restore` would take from an archive; looks it through for what it can't be.

    Raises:
        UsageError: it can't be read, is no archive of labroom's or has been cut short; it has no home of a guest that
            is named; or none is named, and it has homes of guests that the room doesn't have.
    """
    return list(_chosen(source, room, file, guests))


def _chosen(source: Path, room: Room, file: Path, guests: Sequence[str]) -> dict[str, _Home]:
    found = _look_through(source, room)
    if missing := [name for name in guests if name not in found]:
        raise UsageError(f"{source} has no home of {missing[0]}", f"it has those of {', '.join(found)}")
    chosen = {name: home for name, home in found.items() if not guests or name in guests}
    if strangers := [name for name in chosen if name not in room.guests]:
        others = [name for name in chosen if name in room.guests]
        known = f", or name others: {commands.labroom('restore', str(source), *others, room=file)}" if others else ""
        raise UsageError(
            f"room {room.name} has no {' and no '.join(strangers)}, whose homes are in {source}",
            f"have them in {file}{known}",
        )
    return chosen


def restore(file: Path, source: Path, guests: Sequence[str] = (), *, progress: Progress | None = None) -> list[str]:
    """Put the homes in an archive in the place of those that there are: each whole or not at all.

    Guests that run are made new.

    Args:
        file: the room file; the room may be up or down.
        source: the archive.
        guests: whose; of all in the archive if none is named.
        progress: is told what is done.

    Returns:
        The guests whose homes are restored.

    Raises:
        UsageError: as `in_archive`.
        RoomFault: a home can't be restored, in which case none is; or a guest doesn't boot.
        MachineError: this isn't root, where the provider needs it; the room is another file's.
    """
    progress = progress or Progress()
    room = rooms.own(file, "restore", str(source), *guests)
    if not room.limits.home_mib:
        raise UsageError(f"room {room.name} keeps no homes", f"limits.home_mib in {file} says how large they are")
    with rooms.locked(room.name, f"brings work back to room {room.name}", progress):
        chosen = _chosen(source, room, file, guests)
        keeper = _keeper(room.name)
        try:
            for name, archive in _homes(source, chosen, progress):
                keeper.unpack_home(room, name, archive)
            if rooms.exists(room):
                providers.of(room.name).renew(room, file, chosen, lambda: keeper.put_homes(room.name, chosen))
            else:
                keeper.put_homes(room.name, chosen)
        finally:
            keeper.remove_half_homes(room.name)
    return list(chosen)


def _homes(source: Path, chosen: dict[str, _Home], progress: Progress) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each chosen home of an archive, in the order in which they lie in it: its guest, and an archive of its own."""
    with gzip.open(source) as archive:
        for name, home in sorted(chosen.items(), key=lambda item: item[1].begin):
            archive.seek(home.begin)
            with progress.phase(name):
                yield name, _pieces(archive, home.end - home.begin)


def _pieces(archive: gzip.GzipFile, left: int) -> Iterator[bytes]:
    while left and (piece := archive.read(min(_PIECE, left))):
        left -= len(piece)
        yield piece
    yield _END


def _look_through(source: Path, room: Room) -> dict[str, _Home]:
    """Where each guest's home lies in an archive.

    Raises:
        UsageError: it can't be read, or isn't what `backup` writes.
    """
    most = (room.limits.home_mib << 20) + room.limits.files * 3 * _SMALL
    begins: dict[str, int] = {}
    try:
        with source.open("rb") as packed, gzip.open(packed) as archive, tarfile.open(fileobj=archive, mode="r|") as tar:
            last = end = 0
            while member := tar.next():
                tar.members = []  # type: ignore[attr-defined]  # it would remember all
                guest = _guest_of(member)
                if begins.setdefault(guest, member.offset) < last:
                    _refuse(f"{guest} comes twice")
                last, end = begins[guest], tar.offset
                if end - last > most:
                    raise UsageError(f"{source}: the home of {guest} is larger than limits.home_mib")
            if not begins:
                _refuse("there is nothing in it")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise UsageError(f"{source}: {why}") from error
    except (EOFError, ValueError, zlib.error, tarfile.TarError) as error:
        remedy = f"what {commands.labroom('backup', 'FILE')} writes, whole and unchanged"
        raise UsageError(f"{source} is no backup: {error}", remedy) from error
    ends = [*list(begins.values())[1:], end]
    return {guest: _Home(begin, end) for (guest, begin), end in zip(begins.items(), ends, strict=True)}


def _guest_of(member: tarfile.TarInfo) -> str:
    """Whose home a member of an archive is in.

    Raises:
        TarError: it is none that a home may have.
    """
    guest, *rest = member.name.split("/")
    device = (member.devmajor, member.devminor) if member.ischr() else None
    links_to = member.linkname.split("/") if member.islnk() else [guest]
    fine = (
        (member.type in _KINDS or device == (0, 0))
        and guest.replace("-", "").isalnum()
        and (rest or member.isdir())
        and ".." not in (*rest, *links_to)
        and links_to[0] == guest
    )
    if not fine:
        _refuse(f"{member.name[:100]!r} can't be in a home")
    return guest


def _refuse(why: str) -> NoReturn:
    raise tarfile.TarError(why)


def _keepers(room_name: str) -> list[Provider]:
    """Who may keep homes of a room: what made it, or if it is down, all."""
    if record.read(room_name):
        return [providers.of(room_name)]
    return [providers.named(name) for name in providers.NAMES]


def _keeper(room_name: str) -> Provider:
    """Who keeps the homes of a room; the first provider if nobody does."""
    return next((each for each in _keepers(room_name) if each.homes_kept(room_name)), _keepers(room_name)[0])
