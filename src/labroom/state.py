"""Where labroom keeps what it makes on this machine, and the locks on it."""

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from labroom import processes
from labroom.errors import MachineError


def root() -> Path:
    """The folder of all that labroom keeps. Another disk: set LABROOM_STATE_DIR."""
    if chosen := os.environ.get("LABROOM_STATE_DIR"):
        return Path(chosen).absolute()
    # Where there is no /var/lib, as on macOS, nspawn isn't either, and Docker needs no root.
    return Path("/var/lib/labroom") if Path("/var/lib").is_dir() else Path.home() / ".local/state/labroom"


def images() -> Path:
    """The folder of the images that guests are made of."""
    return root() / "images"


def rooms() -> Path:
    """The folder of the rooms: a folder each, by name, with its keys and, while it is up, its record and guests."""
    return root() / "rooms"


def lock(name: str) -> Path:
    """The lock file of this name: a room's, or that of other work that only one may do at a time."""
    return root() / "locks" / name


def prepare(directory: Path) -> None:
    """Create a folder of the state.

    Raises:
        MachineError: it can't be created, or something else is in its place.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"can't make {directory}: {os.strerror(error.errno or 0)}", "run as root, or set LABROOM_STATE_DIR"
        ) from error


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from `file`; empty when there is none or it was cut short."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(file: Path, data: dict[str, Any]) -> None:
    """Write `data` so that a reader sees the old file or the new one, never half of one.

    After a power cut it may be empty, which reads as none: what it is about has ended then, too.

    Raises:
        MachineError: it can't be written: the disk is full, say.
    """
    partial = file.with_name(file.name + ".partial")
    try:
        partial.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = f"free some space at {root()}" if full else "set LABROOM_STATE_DIR to a folder that can be written"
        raise MachineError(f"can't write {file}: {error.strerror}", remedy) from error


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it, however deep, and nothing that is mounted in it; nothing to do when there is none.

    Raises:
        MachineError: something of it can't be removed.
    """
    if os.path.lexists(path):
        processes.run("rm", "-rf", "--one-file-system", "--", str(path), timeout=600)


@contextlib.contextmanager
def locked(
    file: Path, what: str, *, wait: bool = True, tell: Callable[[str], object] = lambda text: None
) -> Iterator[bool]:
    """Hold an exclusive lock (flock(2)), which ends with this process whatever ends it.

    Whoever may open the file may hold the lock, if only for reading: it is its owner's alone.

    Args:
        file: the lock file; it names the holder for those who wait.
        what: what is done under it, for them to read.
        wait: wait for another holder; else yield False at once.
        tell: is called with a line that says whom it waits for, if it does.

    Yields:
        Whether the lock is held.

    Raises:
        PermissionError: the file is somebody else's.
        MachineError: it can't be opened, or is none.
    """
    prepare(file.parent)
    with _opened(file) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                yield False
                return
            handle.seek(0)
            holder = handle.read().strip() or "another labroom"
            tell(f"waiting for {holder}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):  # on a full disk those who wait don't know for whom
            handle.truncate(0)
            os.pwrite(handle.fileno(), f"process {os.getpid()}, which {what}".encode(), 0)
        yield True
        handle.truncate(0)


def _opened(file: Path) -> TextIO:
    """A lock file, for its owner alone, and never what a symbolic link in its place leads to."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
    except PermissionError:  # it is somebody else's, and so is what it locks
        raise
    except OSError as error:
        raise MachineError(f"can't lock {file}: {os.strerror(error.errno or 0)}", f"rm -r {file}") from error
    return os.fdopen(descriptor, "r+")


def is_locked(file: Path) -> bool:
    """Whether somebody holds the lock of this file."""
    if not file.is_file():
        return False
    with locked(file, "looks who holds it", wait=False) as free:
        return not free
