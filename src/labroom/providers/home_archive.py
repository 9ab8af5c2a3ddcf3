"""How a home is put into an archive and taken out of it, whatever keeps it: by tar(1), as a stream."""

import contextlib
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from labroom.errors import RoomFault
from labroom.processes import environment

#: Files as they are: holes, times to the last digit, owners by number. Sockets are left out.
PACK = (
    *("tar", "--create", "--format=posix", "--sparse", "--acls", "--xattrs", "--numeric-owner", "--sort=name"),
    *("--pax-option=delete=atime,delete=ctime", "--one-file-system", "--blocking-factor=1"),
    "--warning=no-file-ignored",
)
UNPACK = ("tar", "--extract", "--acls", "--xattrs", "--numeric-owner", "--same-permissions", "--same-owner")

_CHANGED = 1  # tar's exit status where a file changed while it was read


def pack(name: str, argv: Sequence[str], take: Callable[[bytes], object]) -> bool:
    """Run the command that puts a home into an archive (`Provider.pack_home`).

    Args:
        name: the home's guest.
        argv: the command, which ends as `PACK` does.
        take: is called with one piece of the archive after another.

    Returns:
        Whether no file changed while it was read.

    Raises:
        RoomFault: it can't be read.
    """
    status, said = run(argv, take=take)
    if status not in (0, _CHANGED):
        raise RoomFault(f"the home of {name} can't be read: {said}")
    return status == 0


def unpack(name: str, argv: Sequence[str], archive: Iterable[bytes]) -> None:
    """Run the command that takes a home out of an archive (`Provider.unpack_home`).

    Args:
        name: the home's guest.
        argv: the command.
        archive: the pieces of the archive.

    Raises:
        RoomFault: not all of it could be written.
    """
    status, said = run(argv, give=archive)
    if status != 0:
        raise RoomFault(
            f"the home of {name} can't be restored: {said}",
            "limits.home_mib and limits.files in the room file say how much and how many files it may have",
        )


def run(
    argv: Sequence[str], *, take: Callable[[bytes], object] = lambda piece: None, give: Iterable[bytes] = ()
) -> tuple[int, str]:
    """Run a command; its exit status, and the last line of what it complained of.

    Args:
        argv: the command.
        take: is called with what it prints.
        give: what it is told; nobody takes what it prints then.
    """
    pipe = subprocess.PIPE
    complaints: deque[bytes] = deque(maxlen=4)
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=environment()) as working:
        assert working.stdin  # noqa: S101 (all three were asked for)
        assert working.stdout  # noqa: S101
        assert working.stderr  # noqa: S101
        pieces = iter(lambda: working.stderr.read(4096), b"")  # type: ignore[union-attr]
        listener = threading.Thread(target=complaints.extend, args=(pieces,))
        listener.start()
        try:
            with contextlib.suppress(BrokenPipeError), working.stdin:
                for piece in give:
                    working.stdin.write(piece)
            while piece := working.stdout.read(1 << 16):
                take(piece)
        except BaseException:
            working.kill()
            raise
        finally:
            working.stdout.close()  # a command whose reader has left ends
            listener.join()
    lines = b"".join(complaints).decode(errors="replace").strip().splitlines() or ["it says nothing"]
    telling = [line for line in lines if "previous errors" not in line] or lines
    return working.returncode, telling[-1]
