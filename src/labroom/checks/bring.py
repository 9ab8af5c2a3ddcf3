"""Brings the labs to a host where they aren't those of this checkout, so that a lab is checked as it is now."""

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

from labroom.driver import Host
from labroom.errors import RoomFault
from labroom.resources import LABS, module_utils

# What counts of a folder and how it is packed, as the role lab_programs has it.
_folder = module_utils("folder")

#: The labs on a host, a folder each.
PLACE = "/opt/labs"

# A line for each file of the labs named by "$@", and for each that may be run: as `_listing` has them.
_LIST = """
    files() { find "$@" -print0 | LC_ALL=C sort -z; }
    list() {
        files "$@" \\( -name '.*' -o -name __pycache__ -o -name '*.md' \\) -prune -o -type f | xargs -0r sha256sum
        files "$@" \\( -name '.*' -o -name __pycache__ -o -name '*.md' \\) -prune -o -type f -perm -100 | tr '\\0' '\\n'
    }
    is_right() { [ "$(list "$@" 2>/dev/null | sha256sum)" = "$wanted  -" ]; }
"""
# $1: the place, $2: the digest of the list, then the labs.
_LOOK = f'cd "$1" 2>/dev/null || exit 1; wanted=$2; shift 2; {_LIST} is_right "$@"'
# $1: an archive, then as above. A driver that comes second waits for the first, and finds all done.
_PLACE = f"""
    set -e
    archive=$1 place=$2 wanted=$3; shift 3
    exec 9<"$place"; flock 9; cd "$place"
    {_LIST}
    ! is_right "$@" || exit 0
    new=$(mktemp -d ./.new.XXXXXX); trap 'rm -rf "$new"' EXIT
    tar -xf "$archive" -C "$new" --no-same-owner
    for lab; do
        [ "$(list "$lab" 2>/dev/null)" != "$(cd "$new"; list "$lab")" ] || continue
        [ ! -e "$lab" ] || mv -T "$lab" "$new/$lab.old"
        mv -T "$new/$lab" "$lab"
    done
"""


@functools.cache  # of a host object, so once a driver
def bring(host: Host, labs: Path = LABS, place: str = PLACE) -> None:
    """See that the labs on a host are those of a folder here; what differs is replaced, what else is there stays.

    Handouts may differ: they are for people, with the addresses of the host's room.

    Args:
        host: where.
        labs: the folder, of a folder for each lab.
        place: where the labs lie on the host.

    Raises:
        RoomFault: they differ, and can't be replaced.
    """
    left_out = {*host.endpoint.left_out}
    names = sorted(path.name for path in labs.iterdir() if path.is_dir() and _folder.is_part(path.name))
    names = [name for name in names if name not in left_out]
    if not names:
        return
    wanted = hashlib.sha256(_listing(labs, names)).hexdigest()
    look = host.start_command(["sh", "-c", _LOOK, "sh", place, wanted, *names], name="labs", quiet=True)
    if look.wait() == 0:
        return
    archive = f"{host.scratch}/labs.tar"
    host.write_file(archive, _folder.pack(labs, [path.name for path in labs.iterdir() if path.name not in names]))
    placing = ["sudo", "-n", "sh", "-c", _PLACE, "sh", archive, place, wanted, *names]
    placed = host.start_command(placing, name="labs", quiet=True)
    if placed.wait() != 0:
        said = placed.stderr.strip().splitlines() or ["it says nothing"]
        raise RoomFault(
            f"the labs on {host.name} are not those of this checkout, and can't be replaced: {said[-1]}",
            f"{host.endpoint.provision} --tags lab_programs",
        )


def _files(labs: Path, names: list[str]) -> Iterator[Path]:
    """The files of labs that count, as paths below `labs`, in the order of their bytes."""
    found = []
    for name in names:
        for path in (labs / name).rglob("*"):
            below = path.relative_to(labs)
            right = path.is_file() and not path.is_symlink() and path.suffix != ".md"
            if right and all(map(_folder.is_part, below.parts)):
                found.append(below)
    yield from sorted(found, key=lambda path: str(path).encode())


def _may_be_run(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o100)


def _listing(labs: Path, names: list[str]) -> bytes:
    """What the shell's `list` prints where the labs are these."""
    files = list(_files(labs, names))
    lines = [f"{hashlib.sha256((labs / file).read_bytes()).hexdigest()}  {file}\n" for file in files]
    return "".join([*lines, *(f"{file}\n" for file in files if _may_be_run(labs / file))]).encode()
