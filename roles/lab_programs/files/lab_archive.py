#!/usr/bin/env python3
"""Pack a folder of labs into a tar archive whose bytes depend on names, contents, owners and permissions alone.

On the machine that runs Ansible the archive is made as it shall lie on a guest: owned by root, readable by all. On a
guest it is made of what lies there, as it lies there. The labs are in place when both have one digest.

    lab_archive.py FOLDER NAME ARCHIVE   write the archive of FOLDER, as it shall lie under NAME; print its digest
    lab_archive.py FOLDER NAME           print the digest of FOLDER as it lies there ("missing" when it doesn't)

--without=ENTRY leaves an entry of FOLDER out; may be given again. The role labroom_command packs the checkout so.

The digest is SHA-256. Runs on Python 3.8, since a guest may have no newer one.
"""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from pathlib import Path


def pack(folder: Path, name: str, without: list[str], as_it_shall_be: bool) -> bytes:
    """Return folder's archive, every path in it below name; hidden files and Python's caches are no part of a lab.

    With as_it_shall_be, owners are root and permissions 0755 (folders, programs) or 0644; without, those found.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in [folder, *sorted(folder.rglob("*"))]:
            inside = path.relative_to(folder)
            if any(part.startswith(".") or part == "__pycache__" for part in inside.parts):
                continue
            if inside.parts[:1] and inside.parts[0] in without:
                continue
            entry = tar.gettarinfo(str(path), str(name / inside))
            entry.mtime = 0
            entry.uname = entry.gname = ""
            if as_it_shall_be:
                entry.uid = entry.gid = 0
                if not entry.issym():
                    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            tar.addfile(entry, io.BytesIO(path.read_bytes()) if entry.isreg() else None)
    return archive.getvalue()


def main(folder: str, name: str, archive: str | None = None, *, without: list[str]) -> None:
    """Print the digest, and write the archive if one is named."""
    if archive is None and not Path(folder).is_dir():
        print("missing")
        return
    content = pack(Path(folder), name, without, as_it_shall_be=archive is not None)
    if archive is not None:
        Path(archive).parent.mkdir(parents=True, exist_ok=True)
        new = Path(f"{archive}.new")
        new.write_bytes(content)
        new.replace(archive)
    print(hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    words = [word.partition("--without=") for word in sys.argv[1:]]
    main(*[word for word, option, _ in words if not option], without=[entry for _, option, entry in words if option])
