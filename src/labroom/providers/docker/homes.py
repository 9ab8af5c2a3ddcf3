"""Homes of containers: what is written in /home of one is in a volume, which outlives it.

Docker fills an empty volume with what the image has in /home. Only a container reaches what is in a volume: what is
done about one is done in a container of the room's own image, which has no network and is none of the room's guests.
"""

from collections.abc import Callable, Iterable, Sequence

from labroom.errors import MachineError, RoomFault
from labroom.providers import compose, home_archive
from labroom.providers.docker import engine
from labroom.providers.home_archive import PACK, UNPACK

_VOLUME = "com.docker.compose.volume"
_HELPER = "labroom.home"  # the label of containers that work on homes; its value is the room
_IMAGES = ("guest", "gateway", "base")  # any of a room's has tar and the student's account

# For sh: prints what the image has in /home and $home has not, neither what is in a folder that is missing.
_MISSING = (
    """find . -mindepth 1 -exec test -d "$home/{}" ';' ! -exec test -L "$home/{}" ';' -o -prune """
    """! -exec test -e "$home/{}" ';' ! -exec test -L "$home/{}" ';' -printf '%P\\0'"""
)
# For sh: $1 is the guest, whose volume is below /homes; then come the words of tar. What is missing was deleted: it
# becomes a character device 0, 0, as with overlayfs, which lets nobody create such a one on itself.
_PACK = f"""
set -eu
home=/homes/$1 deleted=/dev/shm/deleted/$1; shift
mkdir -p "$deleted"
cd /home
{_MISSING} | xargs -0rn1 sh -c 'mkdir -p "$0/$(dirname "$1")" && mknod "$0/$1" c 0 0' "$deleted"
cd /dev/shm/deleted
find . -type c -printf '%P\\0' >/list
cd /homes
exec "$@" --anchored --exclude="${{home##*/}}/.restoring" "${{home##*/}}" -C /dev/shm/deleted --null --files-from=/list
"""
# The same for what is taken out of an archive, beside what is there. What the image has and the archive neither has nor
# says to be deleted comes from the image.
_UNPACK = f"""
set -eu
cd "/homes/$1"
rm -rf .restoring
mkdir -m 700 .restoring
cd .restoring
home=$PWD/$1; shift
"$@" "${{home##*/}}"
cd /home
{_MISSING} | tar --create --null --files-from=- | tar --extract --same-permissions --same-owner --directory="$home"
find "$home" -type c -delete
sync
"""
# For Python: puts what was unpacked in the place of what is there, a user's home at once (renameat2(2), with
# RENAME_EXCHANGE).
_PUT = """
import ctypes, os, shutil
rename, here, exchange = ctypes.CDLL(None, use_errno=True).renameat2, -100, 2
for guest in os.listdir("/homes"):
    os.chdir("/homes/" + guest)
    new = ".restoring/" + guest
    before, after = set(os.listdir()) - {".restoring"}, set(os.listdir(new))
    for name in after:
        pair = os.fsencode(new + "/" + name), os.fsencode(name)
        if rename(here, pair[0], here, pair[1], exchange if name in before else 0):
            raise OSError(ctypes.get_errno(), name)
    for name in before - after:
        os.rename(name, new + "/" + name)
    os.sync()
    shutil.rmtree(".restoring")
"""


def kept(room_name: str) -> list[str]:
    """The guests that have a home; none where no engine answers."""
    begin = _volume(room_name, "")
    return sorted(name.removeprefix(begin) for name in _volumes(room_name) if name.startswith(begin))


def _volumes(room_name: str) -> list[str]:
    try:
        return engine.docker("volume", "ls", "--quiet", f"--filter=label={engine.PROJECT}={room_name}").split()
    except MachineError:
        return []


def _volume(room_name: str, name: str) -> str:
    """What Compose calls the volume of a guest's home."""
    return f"{room_name}_{compose.home(name)}"


def remove(room_name: str, names: Iterable[str]) -> None:
    """Remove homes."""
    if gone := [_volume(room_name, name) for name in names]:
        end_helpers(room_name)
        engine.docker("volume", "rm", *gone)


def pack(room_name: str, name: str, take: Callable[[bytes], object]) -> bool:
    """Give away a home as a tar archive (`Provider.pack_home`)."""
    helper = _helper(room_name, [f"{_volume(room_name, name)}:/homes/{name}:ro"], "sh", "-c", _PACK, "sh", name, *PACK)
    try:
        return home_archive.pack(name, ["docker", *helper], take)
    finally:
        end_helpers(room_name)


def unpack(room_name: str, name: str, archive: Iterable[bytes]) -> None:
    """Make a home of an archive, beside the one that there is (`Provider.unpack_home`)."""
    volume = _volume(room_name, name)
    if volume not in _volumes(room_name):
        labels = (f"--label={engine.PROJECT}={room_name}", f"--label={_VOLUME}={compose.home(name)}")
        engine.docker("volume", "create", *labels, volume)
        engine.docker(*_helper(room_name, [f"{volume}:/home"], "true"))
    helper = _helper(room_name, [f"{volume}:/homes/{name}"], "sh", "-c", _UNPACK, "sh", name, *UNPACK)
    home_archive.unpack(name, ["docker", *helper], archive)


def put(room_name: str, names: Iterable[str]) -> None:
    """Put homes that were unpacked in the place of those that there were (`Provider.put_homes`)."""
    places = [f"{_volume(room_name, name)}:/homes/{name}" for name in names]
    engine.docker(*_helper(room_name, places, "python3", "-c", _PUT), timeout=600)


def remove_half(room_name: str) -> None:
    """Remove what was unpacked and not put in its place (`Provider.remove_half_homes`)."""
    if places := [f"{_volume(room_name, name)}:/homes/{name}" for name in kept(room_name)]:
        engine.docker(*_helper(room_name, places, "sh", "-c", "rm -rf /homes/*/.restoring"), timeout=600)


def end_helpers(room_name: str) -> None:
    """End what still works on homes for somebody who was interrupted."""
    if left := engine.docker("ps", "--all", "--quiet", f"--filter=label={_HELPER}={room_name}").split():
        engine.docker("rm", "--force", *left)


def _helper(room_name: str, volumes: Sequence[str], *command: str) -> list[str]:
    """The words for the client that run a command in a container with volumes.

    Raises:
        RoomFault: the room's images are gone.
    """
    end_helpers(room_name)
    there = engine.docker("image", "ls", "--format={{.Repository}}", "--filter=label=labroom").split()
    image = next((f"{room_name}-{part}" for part in _IMAGES if f"{room_name}-{part}" in there), None)
    if image is None:
        raise RoomFault(f"room {room_name} has no image any more", "labroom --room FILE up --provider docker")
    labels = {_HELPER: room_name, engine.PROJECT: ""}  # Compose v2 labels images, too
    return [
        *("run", "--rm", "--interactive", "--network=none", "--log-driver=none"),
        *(f"--label={name}={value}" for name, value in labels.items()),
        *(f"--volume={volume}" for volume in volumes),
        *(f"--entrypoint={command[0]}", image, *command[1:]),
    ]
