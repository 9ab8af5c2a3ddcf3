#!/usr/bin/env python3
"""Pack a folder of labs into a tar archive whose bytes depend on names, contents, owners and permissions alone.

On the machine that runs Ansible the archive is made as it shall lie on a guest: owned by root, readable by all. On a guest
it is made of what lies there, as it lies there. The labs are in place when both have one digest. Runs on Python 3.8.

    lab_archive.py FOLDER NAME ARCHIVE   write the archive of FOLDER, as it shall lie under NAME; print its digest
    lab_archive.py FOLDER NAME           print the digest of FOLDER as it lies there ("missing" when it doesn't)
"""

import hashlib
import io
import os
import sys
import tarfile


def lab_files(folder):
    """Return the paths below folder, relative, sorted; hidden files and Python's caches are no part of a lab."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        found += [os.path.relpath(os.path.join(root, name), folder) for name in folders + files if name[0] != "."]
    return sorted(found)


def pack(folder, name, as_it_shall_be):
    """Return the bytes of folder's archive, every path below name.

    With as_it_shall_be, owners are root and permissions 0755 (folders, programs) or 0644; without, those found.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in [".", *lab_files(folder)]:
            full = os.path.join(folder, path)
            entry = tar.gettarinfo(full, os.path.normpath(os.path.join(name, path)))
            entry.mtime = 0
            entry.uname = entry.gname = ""
            if as_it_shall_be:
                entry.uid = entry.gid = 0
                entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            if entry.isreg():
                with open(full, "rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)
    return archive.getvalue()


def main(folder, name, archive=None):
    """Write the archive, if one is named, and print its digest."""
    if archive is None and not os.path.isdir(folder):
        print("missing")
        return
    content = pack(folder, name, as_it_shall_be=archive is not None)
    if archive is not None:
        os.makedirs(os.path.dirname(archive), exist_ok=True)
        with open(archive + ".new", "wb") as file:
            file.write(content)
        os.replace(archive + ".new", archive)
    print(hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main(*sys.argv[1:])
