"""Guests' disks: empty file systems, of which each guest gets a copy, and the users who own what is on them."""

import os
import sys
from pathlib import Path

from labroom import state
from labroom.processes import run
from labroom.providers.nspawn import launcher

#: Guests' root, as the owner of their image on disk: a user of the machine who owns nothing else, the first of the last
#: 65,536 that systemd sets apart for containers (systemd's UIDS-GIDS.md). A guest that runs has others of these for
#: itself, where the kernel can do that (`launcher`).
UID_BASE = 0x6FFF0000
UID_COUNT = 65536

#: The command of the launcher: a program of its own and of the standard library alone (-I, -S), whatever this machine's
#: Python has around it.
LAUNCHER = (sys.executable, "-I", "-S", launcher.__file__)

_JOURNAL = ("-O", "has_journal,^resize_inode", "-J", "size=4")  # MiB, the least: it is there for the power cut
_NO_JOURNAL = ("-O", "^has_journal,^resize_inode")


def empty(mib: int, files: int, *, lasting: bool = False) -> Path:
    """A file with an empty file system of this size, for so many files; it lies with the images.

    Args:
        mib: its size.
        files: how many it has room for.
        lasting: it is mounted again after a power cut, and so needs a journal; else nobody mounts it a second time.
    """
    disk = state.images() / f"{'home-' if lasting else ''}{mib}-{files}.ext4"
    if not disk.exists():
        state.prepare(disk.parent)  # a home may be brought back before there is an image
        partial = disk.with_name(f"{disk.name}.{os.getpid()}")
        partial.touch(0o600)
        os.truncate(partial, mib << 20)
        features = (*(_JOURNAL if lasting else _NO_JOURNAL), "-E", "lazy_itable_init=1,nodiscard", "-m", "0")
        run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", *features, "-N", str(files), str(partial))
        sync(partial)
        partial.replace(disk)
    return disk


def sync(path: Path) -> None:
    """See that a file, or the names in a folder, outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
