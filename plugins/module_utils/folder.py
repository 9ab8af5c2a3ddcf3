"""What counts of a folder: names, contents, owners and permissions, but for hidden files and Python's caches.

Runs on Python 3.8, since a host may have no newer one.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path


def is_part(name: str) -> bool:
    """Whether a file or folder of this name counts."""
    return not name.startswith(".") and name != "__pycache__"


def describe(
    folder: Path, without: list[str], as_placed: bool = False, words: dict[str, str] | None = None
) -> list[str]:
    """Return a line for the folder and for each entry below it, in one order; none when it isn't there.

    `without` names entries of the folder itself that are left out. `as_placed`: as `pack` makes them, with `words`.
    """
    if not folder.is_dir():
        return []
    lines = []
    for entry, content in _entries(folder, without, as_placed, words):
        kind = "folder" if entry.isdir() else f"-> {entry.linkname}" if content is None else _digest(content)
        lines.append(f"{entry.name} {entry.mode & 0o7777:04o} {entry.uid}:{entry.gid} {kind}")
    return lines


def pack(folder: Path, without: list[str], words: dict[str, str] | None = None) -> bytes:
    """Return the folder as a tar archive: owned by root; permissions 0755 for folders and programs, else 0644.

    In Markdown, each of `words` is replaced by the one that it leads to.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for entry, content in _entries(folder, without, True, words):
            tar.addfile(entry, None if content is None else io.BytesIO(content))
    return archive.getvalue()


def reworded(text: str, words: dict[str, str]) -> str:
    """Replace words, such as addresses, that are no parts of longer ones: a digit more makes another address."""
    alternatives = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    whole = rf"(?<!\w)(?<!\d\.)(?:{alternatives})(?!\w)"  # Korean puts its particles right behind a word
    return re.sub(whole, lambda word: words[word[0]], text, flags=re.ASCII)


def _entries(
    folder: Path, without: list[str], as_placed: bool, words: dict[str, str] | None
) -> Iterator[tuple[tarfile.TarInfo, bytes | None]]:
    """Yield what tar(5) knows of each entry, and the content of a file. Raises OSError when something can't be read."""
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as tar:  # which sees that two names are one file
        for path in [folder, *_below(folder, without)]:
            entry = tar.gettarinfo(str(path), str(path.relative_to(folder)))
            entry.mtime = 0
            entry.uname = entry.gname = ""
            if as_placed:
                entry.uid = entry.gid = 0
                if not entry.issym():
                    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            content = path.read_bytes() if entry.isreg() else None
            if content and words and path.suffix == ".md":
                content = reworded(content.decode(), words).encode()
                entry.size = len(content)
            yield entry, content


def _below(folder: Path, without: list[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if is_part(path.name) and path.name not in without:
            yield path
            if path.is_dir() and not path.is_symlink():
                yield from _below(path, [])


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
