"""Starts guests: a program of its own, which `guest.start` tells of each by a line of JSON on its standard input.

Each guest gets a process that joins its control group and the room's network, mounts its disk and its layers where no
other process sees them, and becomes its supervisor: a shell that runs systemd-nspawn(1), again when the guest reboots.
When that ends, however it ends, nothing stays mounted.

It needs nothing but what Python imports in no time. It has one thread, so that it may fork, and is small, so that a
fork takes a millisecond. It uses system calls that mount(8) of util-linux before 2.39 does not know: with open_tree(2),
mount_setattr(2) and move_mount(2), a guest sees an image's files as those of its own range of users ("ID-mapped mounts"
in mount_setattr(2)), where the kernel and the file system can do that.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from typing import Any, NoReturn

_LIBC = ctypes.CDLL(None, use_errno=True)
# Without wrappers in glibc before 2.36; the numbers are those of every architecture.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_RDONLY = 0x1
_MOUNT_ATTR_IDMAP = 0x100000
_CLONE_NEWNS = 0x20000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000

_CONSOLE_BYTES = 1 << 20  # what is kept of what a guest prints there

# A guest's supervisor: the far end of its second interface, if it has one, then the script that holds who runs it in a
# user namespace to numbers, then systemd-nspawn's command. In its folder, `link` makes its link bad (`bad_links`), if
# there is one, and ends with 2 as long as the link isn't. The command ends with 133 when the guest reboots, as
# systemd-nspawn@.service has it (RestartForceExitStatus). SIGTERM shuts it down.
_SUPERVISE = """
far=$1 bounds=$2; shift 2
trap 'kill -TERM $machine' TERM
hold() {
    read -r init _ </proc/$machine/task/$machine/children
    [ -e "/proc/$init/ns/user" ] && ! [ /proc/$init/ns/user -ef /proc/$$/ns/user ] &&
        nsenter --user=/proc/$init/ns/user sh -c "$bounds"
}
ended=133
while [ $ended = 133 ]; do
    "$@" & machine=$!
    while [ "$far" ] && ! ip link set "$far" master outside up && kill -0 $machine; do sleep .02; done 2>/dev/null
    while [ -e link ] && { sh ./link; [ $? = 2 ]; } && kill -0 $machine; do sleep .02; done >/dev/null 2>&1
    while sleep .2; ! hold && kill -0 $machine; do :; done 2>/dev/null
    while wait $machine; ended=$?; kill -0 $machine; do :; done 2>/dev/null
done
exit $ended
"""


class _Attributes(ctypes.Structure):
    """`struct mount_attr` of mount_setattr(2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _write(file: str, text: str) -> None:
    with open(file, "w", encoding="ascii") as opened:
        opened.write(text)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{argv[0]}: {done.stderr.decode(errors='replace').strip()}")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [os.fsencode(text) if text is not None else None for text in (source, target, kind, options)]
    _checked(_LIBC.mount(*encoded[:3], ctypes.c_ulong(flags), encoded[3]), f"mount {target}")


def _user_namespace(inside: int, outside: int, count: int) -> int:
    """A descriptor of a user namespace in which `inside` and the users after it are `outside` and those after it."""
    created, tell_created = os.pipe()
    hold, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(release)
        if _LIBC.unshare(_CLONE_NEWUSER) == 0:
            os.write(tell_created, b".")
            os.read(hold, 1)
        os._exit(0)
    os.close(tell_created)
    try:
        if not os.read(created, 1):
            raise PermissionError("no user namespace can be created")
        for name in ("uid_map", "gid_map"):
            _write(f"/proc/{pid}/{name}", f"{inside} {outside} {count}")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(release)
        os.waitpid(pid, 0)


def _clone(layer: str, users: int | None) -> int:
    """A descriptor of a detached mount of a layer, read-only; its users as `users`, a user namespace, has them."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC
    tree = _checked(_LIBC.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(layer), flags), layer)
    attributes = _Attributes(attr_set=_MOUNT_ATTR_RDONLY)
    if users is not None:
        attributes = _Attributes(attr_set=_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_IDMAP, userns_fd=users)
    size = ctypes.sizeof(attributes)
    result = _LIBC.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(attributes), size)
    _checked(result, f"mount_setattr {layer}")
    return tree


def _mount_root(layers: list[str], stored: int, first: int, count: int) -> None:
    """Mount the overlay at `root`, its layers in `layers`.

    Args:
        layers: the folders, topmost first.
        stored: the user who is a guest's root on disk.
        first: who is this guest's root.
        count: how many users a guest has.
    """
    users = _user_namespace(stored, first, count) if first != stored else None
    for number, layer in enumerate(layers):
        tree = _clone(layer, users)
        place = f"layers/{number}"
        os.makedirs(place, exist_ok=True)
        flags = _MOVE_MOUNT_F_EMPTY_PATH
        _checked(_LIBC.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(place), flags), place)
    for name in ("upper", "work"):
        os.makedirs(f"disk/{name}", exist_ok=True)
    os.chown("disk/upper", first, first)
    # Relative names: none has a comma or a colon, which would end it.
    below = ":".join(f"layers/{number}" for number in range(len(layers)))
    _mount("overlay", "root", "overlay", 0, f"lowerdir={below},upperdir=disk/upper,workdir=disk/work")


def _copy_disk(template: str) -> None:
    """Have a file system of its own in `disk.ext4`, a file that grows as it is filled and shrinks as it is emptied."""
    source = os.open(template, os.O_RDONLY)
    disk = os.open("disk.ext4", os.O_WRONLY | os.O_CREAT, 0o600)
    size = os.fstat(source).st_size
    os.truncate(disk, size)
    end = 0
    while end < size:
        try:
            begin = os.lseek(source, end, os.SEEK_DATA)
        except OSError:  # there is no more
            break
        end = os.lseek(source, begin, os.SEEK_HOLE)
        while begin < end:
            begin += os.copy_file_range(source, disk, end - begin, begin, begin)
    os.close(source)
    os.close(disk)


def _keep_console() -> None:
    """Have what this process prints kept in `console.log`, its beginning alone: a guest may write without end."""
    reading, writing = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        if os.fork():  # nobody's child: a supervisor has no other than systemd-nspawn
            os._exit(0)
        kept = os.open("console.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor, standard in ((reading, 0), (nowhere, 1), (nowhere, 2)):
            os.dup2(descriptor, standard)
        os.close(writing)
        # tee(1) goes on without a file that takes no more: Python has SIGXFSZ ignored.
        resource.setrlimit(resource.RLIMIT_FSIZE, (_CONSOLE_BYTES, _CONSOLE_BYTES))
        os.set_inheritable(kept, True)
        os.execvp("tee", ["tee", "-a", f"/dev/fd/{kept}"])  # noqa: S606 (no shell is meant)
    os.waitpid(keeper, 0)
    for standard in (1, 2):
        os.dup2(writing, standard)
    os.close(reading)


def _become(guest: dict[str, Any]) -> NoReturn:
    """Become the supervisor of a guest.

    Args:
        guest: `name`; `folder`, its own, where all that follows is; `control`, the cgroup.procs of its control groups;
            `network`, the file of its network namespace; `disk`, a file with an empty file system that is as large as
            what it may write (None: as much as there is); `layers`, `stored`, `wanted`, `count`, as for `_mount_root`;
            `command`, systemd-nspawn's, without the users; `far_end` of its second interface, or ""; `bounds`, a script
            for a shell in its user namespace; `environment`, the command's.
    """
    os.setsid()
    os.umask(0o022)
    os.chdir(guest["folder"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if guest["disk"]:
        _copy_disk(guest["disk"])
    for file in guest["control"]:
        _write(file, "0")
    _keep_console()
    network = os.open(guest["network"], os.O_RDONLY | os.O_CLOEXEC)
    _checked(_LIBC.setns(network, _CLONE_NEWNET), guest["network"])
    _checked(_LIBC.unshare(_CLONE_NEWNS), "unshare")
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    for name in ("disk", "root"):
        os.makedirs(name, exist_ok=True)
    if guest["disk"]:
        _run("mount", "-t", "ext4", "-o", "loop,discard,noatime,noinit_itable", "disk.ext4", "disk")
    stored, first, count = guest["stored"], guest["wanted"], guest["count"]
    try:
        _mount_root(guest["layers"], stored, first, count)
    except OSError:  # a kernel before 5.19, or a file system that can't: all guests have the users on disk
        if first == stored:
            raise
        first = stored
        _mount_root(guest["layers"], stored, first, count)
    command = [*guest["command"], f"--private-users={first}:{count}"]
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python has ignored
        signal.signal(number, signal.SIG_DFL)
    supervise = ["sh", "-c", _SUPERVISE, "sh", guest["far_end"], guest["bounds"], *command]
    os.execve("/bin/sh", supervise, guest["environment"])  # noqa: S606 (a shell is meant)


def main() -> None:
    """Start the guests of standard input, a line of JSON each, and print the process of each: {name: number}."""
    started = {}
    for line in sys.stdin:
        if not line.endswith("\n"):  # who wants guests was interrupted
            break
        guest = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                _become(guest)
            except BaseException as error:  # noqa: BLE001 (nothing above it may go on in this process)
                with open(f"{guest['folder']}/console.log", "a", encoding="utf-8", errors="backslashreplace") as log:
                    log.write(f"labroom: {error}\n")
                os._exit(1)
        started[guest["name"]] = pid
    with contextlib.suppress(BrokenPipeError):  # interrupted by now
        os.write(1, json.dumps(started).encode())


if __name__ == "__main__":
    main()
