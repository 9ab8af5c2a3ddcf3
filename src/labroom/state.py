"""Where labroom keeps what it makes on this machine, and the locks on it."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
        MachineError: it can't be created.
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
    """Write `data` so that a reader sees the old file or the new one, never half of one."""
    partial = file.with_name(file.name + ".partial")
    partial.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    partial.replace(file)


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it; nothing to do when there is none."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


@contextlib.contextmanager
def locked(
    file: Path, what: str, *, wait: bool = True, tell: Callable[[str], object] = lambda text: None
) -> Iterator[bool]:
    """Hold an exclusive lock (flock(2)), which ends with this process whatever ends it.

    Args:
        file: the lock file; it names the holder for those who wait.
        what: what is done under it, for them to read.
        wait: wait for another holder; else yield False at once.
        tell: is called with a line that says whom it waits for, if it does.

    Yields:
        Whether the lock is held.
    """
    prepare(file.parent)
    with file.open("a+", encoding="utf-8") as handle:
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
        handle.truncate(0)
        handle.write(f"process {os.getpid()}, which {what}")
        handle.flush()
        yield True
        handle.truncate(0)
