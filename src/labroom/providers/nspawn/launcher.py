"""Starts guests: a program of its own, which `guest.start` tells of each by a line of JSON on its standard input.

Each guest gets a process that joins its control group and the room's network, mounts its disk and its layers where no
other process sees them, and becomes its supervisor: a shell that runs systemd-nspawn(1), again when the guest reboots.
When that ends, however it ends, nothing stays mounted. With an argument it runs a command in a home instead (`_work`).

It needs nothing but what Python imports in no time. It has one thread, so that it may fork, and is small, so that a
fork takes a millisecond. It mounts by system calls: starting mount(8) would take longer than all the rest, and that of
util-linux before 2.39 does not know some of them. With open_tree(2), mount_setattr(2) and move_mount(2), a guest sees
an image's files as those of its own range of users ("ID-mapped mounts" in mount_setattr(2)), where the kernel and the
file system can do that.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import signal
import struct
import sys
import time
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
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_NOATIME = 0x2, 0x4, 0x8, 0x400
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
# loop(4)
_LOOP_CTL_GET_FREE, _LOOP_CONFIGURE = 0x4C82, 0x4C0A
_LO_FLAGS_AUTOCLEAR = 4

_DISK_OPTIONS = "noinit_itable"
_FITRIM = 0xC0185879  # <linux/fs.h>
#: How what is said of a guest begins whose home can't be mounted.
HOME_FAULT = "its home: "
_EXT4_STATE, _EXT4_ERRORS = 1024 + 0x3A, 2  # where a superblock says that errors were met (ext4(5), on-disk layout)
_IN_USE_SECONDS = 60  # so long a home is waited for that somebody still has

_LONGEST_NAME = 15  # bytes of an interface's (IFNAMSIZ)
_CONSOLE_BYTES = 1 << 20  # what is kept of what a guest prints there

# A guest's supervisor: the far ends of its further interfaces, each with its bridge; the script that holds who runs it
# in a user namespace to numbers; then systemd-nspawn's command. In its folder, `link` makes its link bad (`bad_links`),
# if there is one, and ends with 2 as long as the link isn't. The command ends with 133 when the guest reboots, as
# systemd-nspawn@.service has it (RestartForceExitStatus). SIGTERM shuts it down.
_SUPERVISE = """
far_ends=$1 bounds=$2; shift 2
trap 'kill -TERM $machine' TERM
hold() {
    read -r init _ </proc/$machine/task/$machine/children
    [ -e "/proc/$init/ns/user" ] && ! [ /proc/$init/ns/user -ef /proc/$$/ns/user ] &&
        nsenter --user=/proc/$init/ns/user sh -c "$bounds"
}
ended=133
while [ $ended = 133 ]; do
    "$@" & machine=$!
    for far in $far_ends; do
        while ! ip link set "${far%:*}" master "${far#*:}" up && kill -0 $machine; do sleep .02; done
    done 2>/dev/null
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


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [os.fsencode(text) if text is not None else None for text in (source, target, kind, options)]
    _checked(_LIBC.mount(*encoded[:3], ctypes.c_ulong(flags), encoded[3]), f"mount {target}")


def _user_namespace(inside: int, outside: int, count: int) -> int:
    """A descriptor of a user namespace in which `inside` and the users after it are `outside` and those after it.

    Root is root there, too: what overlayfs creates for itself is root's.
    """
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
            _write(f"/proc/{pid}/{name}", f"{inside} {outside} {count}\n0 0 1\n")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(release)
        os.waitpid(pid, 0)


def _mount_clone(source: str, place: str, attributes: int, users: int | None) -> None:
    """Mount the folder `source` at `place` once more; its users as `users`, a user namespace, has them."""
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC
    tree = _checked(_LIBC.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), flags), source)
    wanted = _Attributes(attr_set=attributes)
    if users is not None:
        wanted = _Attributes(attr_set=attributes | _MOUNT_ATTR_IDMAP, userns_fd=users)
    size = ctypes.sizeof(wanted)
    result = _LIBC.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(wanted), size)
    _checked(result, f"mount_setattr {source}")
    os.makedirs(place, exist_ok=True)
    flags = _MOVE_MOUNT_F_EMPTY_PATH
    _checked(_LIBC.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(place), flags), place)
    os.close(tree)


def _mount_root(layers: list[str], users: int | None, first: int) -> None:
    """Mount the overlay at `root`, its layers in `layers`.

    Args:
        layers: the folders, topmost first.
        users: the user namespace that has the users on disk as the guest's own; None: they are.
        first: who is the guest's root.
    """
    for number, layer in enumerate(layers):
        _mount_clone(layer, f"layers/{number}", _MOUNT_ATTR_RDONLY, users)
    for name in ("upper", "work"):
        os.makedirs(f"disk/{name}", exist_ok=True)
    os.chown("disk/upper", first, first)
    # Relative names: none has a comma or a colon, which would end it.
    below = ":".join(f"layers/{number}" for number in range(len(layers)))
    _mount("overlay", "root", "overlay", 0, f"lowerdir={below},upperdir=disk/upper,workdir=disk/work")


def _attach(file: str) -> tuple[str, int]:
    """Attach a file to a loop device, which goes when it is open and mounted nowhere any more.

    The device keeps the descriptor by which the file is locked (flock(2)), and so the lock, until it goes: no file
    system is ever mounted twice, whoever had it before and however that ended.

    Returns:
        its path, and a descriptor of it.
    """
    backing = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    lock(backing, file)
    # struct loop_config: the file, then 0, of struct loop_info64 the flags alone, then what is reserved.
    configuration = struct.pack("=II52xI176x64x", backing, 0, _LO_FLAGS_AUTOCLEAR)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    while True:
        path = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
        device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(device, _LOOP_CONFIGURE, configuration)
        except OSError as error:
            os.close(device)
            if error.errno != errno.EBUSY:  # which means that another was quicker
                raise
        else:
            break
    os.close(control)
    os.close(backing)
    return path, device


def _mount_disk(file: str, place: str) -> None:
    """Mount a file with an ext4 file system."""
    path, device = _attach(file)
    _mount(path, place, "ext4", _MS_NOATIME, f"{_DISK_OPTIONS},discard")
    os.close(device)


def lock(descriptor: int, file: str) -> None:
    """Wait until nobody has the file system in a file, and see that nobody else gets it while it is open here."""
    deadline = time.monotonic() + _IN_USE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise OSError(errno.EBUSY, "somebody else still uses it", file) from None
            time.sleep(0.01)
        else:
            return


def _repair(device: str) -> None:
    """Look a file system through (e2fsck(8)), and repair what can be repaired without losing anything."""
    import subprocess  # takes as long as all other modules, and is hardly ever needed

    done = subprocess.run(("e2fsck", "-p", device), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode not in (0, 1):  # 1: repaired
        found, refused = (text.decode(errors="replace").strip().splitlines() for text in (done.stdout, done.stderr))
        (said,) = found[-1:] or refused[:1] or [f"exit status {done.returncode}"]
        raise OSError(f"e2fsck: {said}")


def _trim(backing: os.stat_result, place: str) -> None:
    """Give what is free on a file system back to the disk that its file is on (fstrim(8)), if the file still has it.

    The mount option `discard`, which does it at once, loses files: after an error ext4 discards what was removed last,
    though that was not written down, and it is there again after the next mount, empty. To look for what is free takes
    memory, which the guest would keep.

    Args:
        backing: the file.
        place: where the file system is mounted.
    """
    within = os.statvfs(place)
    if backing.st_blocks * 512 <= backing.st_size - within.f_bfree * within.f_frsize:
        return
    root = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    with contextlib.suppress(OSError):  # the disk below can't
        fcntl.ioctl(root, _FITRIM, struct.pack("QQQ", 0, (1 << 64) - 1, 0))
    os.close(root)


def _mount_home_disk(file: str, place: str, name: str, stored: int, flags: int = 0) -> None:
    """Mount the file system of a home; it has a journal, and is looked through once where that doesn't suffice.

    Args:
        file: the file that it is in.
        place: where it is mounted.
        name: of the guest: what it has written is in the folder of this name.
        stored: the user who is a guest's root on disk.
        flags: of mount(2).

    Raises:
        OSError: it is beyond repair without losing something, or the machine refuses it.
    """
    path, device = _attach(file)
    backing = os.stat(file)  # which may lie below `place`
    os.makedirs(place, exist_ok=True)
    wanted = path, place, "ext4", flags | _MS_NOATIME, f"{_DISK_OPTIONS},errors=remount-ro"
    if os.pread(device, 1, _EXT4_STATE)[0] & _EXT4_ERRORS:
        _repair(path)
    try:
        _mount(*wanted)
    except OSError:
        _repair(path)
        _mount(*wanted)
    os.close(device)
    _trim(backing, place)
    os.makedirs(f"{place}/.work/work", exist_ok=True)  # overlayfs's own
    files = f"{place}/{name}"
    os.makedirs(files, exist_ok=True)
    os.chown(files, stored, stored)
    os.chmod(files, 0o755)  # noqa: S103 (as /home is)


def _mount_home(name: str, layers: int, users: int | None) -> None:
    """Mount what a guest has written of its home, on the disk at `home`, over /home of its layers.

    These may be others each time: overlayfs allows that while it doesn't use these four features ("Changes to
    underlying filesystems" in its documentation).

    Args:
        name: of the guest.
        layers: how many there are.
        users: as for `_mount_root`.
    """
    disk = "home"
    if users is not None:
        disk = "mapped"
        _mount_clone("home", disk, 0, users)
    below = ":".join(place for number in range(layers) if os.path.isdir(place := f"layers/{number}/home"))
    options = f"lowerdir={below},upperdir={disk}/{name},workdir={disk}/.work"
    _mount("overlay", "root/home", "overlay", 0, f"{options},index=off,metacopy=off,redirect_dir=nofollow,xino=off")


def copy_disk(template: str, file: str) -> None:
    """Copy a file with a file system: a file that grows as that is filled and shrinks as it is emptied."""
    source = os.open(template, os.O_RDONLY)
    disk = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
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
            try:
                begin += os.copy_file_range(source, disk, end - begin, begin, begin)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                os.lseek(disk, begin, os.SEEK_SET)  # images and rooms are on file systems of two kinds
                begin += os.sendfile(disk, source, begin, end - begin)
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


def _remove_left(end: str) -> None:
    """Remove the far end of a guest's interface that a killed systemd-nspawn has left in the room's network.

    The kernel removes it with the guest's own network, as soon as it comes to that and nobody looks into it any more.
    """
    # The kernel does not find a long, alternative name by this.
    if len(end) > _LONGEST_NAME or _LIBC.if_nametoindex(end.encode()):
        os.spawnlp(os.P_WAIT, "sh", "sh", "-c", 'ip link del "$1" 2>/dev/null', "sh", end)  # noqa: S606 (a shell is meant)


def _become(guest: dict[str, Any]) -> NoReturn:
    """Become the supervisor of a guest.

    Args:
        guest: `name`; `folder`, its own, where all that follows is; `control`, the cgroup.procs of its control groups;
            `network`, the file of the room's network namespace; `port`, the name there of the far end of its first
            interface, `far_ends`, those of the further ones, each with its bridge; `disk`, a file with an empty file
            system that is as large as what it may write (None: as much as there is); `home`, the file with the file
            system of its /home (None: a folder of its disk); `layers`, topmost first; `stored`, the user who is a
            guest's root on disk, `wanted`, who is to be this guest's, `count`, how many users a guest has; `command`,
            systemd-nspawn's, without the users; `bounds`, a script for a shell in its user namespace; `environment`,
            the command's.
    """
    os.setsid()
    os.umask(0o022)
    os.chdir(guest["folder"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if guest["disk"]:
        copy_disk(guest["disk"], "disk.ext4")
    for file in guest["control"]:
        _write(file, "0")
    _keep_console()
    network = os.open(guest["network"], os.O_RDONLY | os.O_CLOEXEC)
    _checked(_LIBC.setns(network, _CLONE_NEWNET), guest["network"])
    for end in (guest["port"], *guest["far_ends"]):
        _remove_left(end)
    _checked(_LIBC.unshare(_CLONE_NEWNS), "unshare")
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    for name in ("disk", "root"):
        os.makedirs(name, exist_ok=True)
    if guest["disk"]:
        _mount_disk("disk.ext4", "disk")
    if guest["home"]:
        try:
            _mount_home_disk(guest["home"], "home", guest["name"], guest["stored"])
        except OSError as error:
            raise OSError(f"{HOME_FAULT}{error}") from error
    stored, first, count = guest["stored"], guest["wanted"], guest["count"]
    users = None
    try:
        users = _user_namespace(stored, first, count) if first != stored else None
        _mount_root(guest["layers"], users, first)
    except OSError:  # a kernel before 5.19, or a file system that can't: all guests have the users on disk
        if first == stored:
            raise
        first, users = stored, None
        _mount_root(guest["layers"], users, first)
    if guest["home"]:
        _mount_home(guest["name"], len(guest["layers"]), users)
    command = [*guest["command"], f"--private-users={first}:{count}"]
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python has ignored
        signal.signal(number, signal.SIG_DFL)
    far_ends = " ".join(f"{end}:{bridge}" for end, bridge in guest["far_ends"].items())
    supervise = ["sh", "-c", _SUPERVISE, "sh", far_ends, guest["bounds"], *command]
    os.execve("/bin/sh", supervise, guest["environment"])  # noqa: S606 (a shell is meant)


def _work(name: str, home: str, place: str, supervisor: int, stored: int, count: int, command: list[str]) -> int:
    """Run a command on a home's disk, on which the home is the folder with the guest's name.

    It is root in a user namespace that has the guest's users on disk, and no others: wherever what it meets there leads
    it, it can do on this machine what such a user can, who owns nothing else.

    Args:
        name: of the guest.
        home: the file with the home's file system.
        place: where that is mounted: by the supervisor, or else here, where no other process sees it.
        supervisor: the process of the guest that runs and has the home; 0: none does.
        stored: the user who is a guest's root on disk.
        count: how many users a guest has.
        command: what is run.

    Returns:
        the command's exit status, when the file has all that it wrote.
    """
    if supervisor:
        mounts = os.open(f"/proc/{supervisor}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        _checked(_LIBC.setns(mounts, _CLONE_NEWNS), "setns")
    else:
        _checked(_LIBC.unshare(_CLONE_NEWNS), "unshare")
        _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
        _mount_home_disk(home, place, name, stored, _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    os.chdir(place)
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(go[1])
            _checked(_LIBC.unshare(_CLONE_NEWUSER), "unshare")
            os.write(ready[1], b".")
            os.read(go[0], 1)
            os.setgroups([])
            os.setgid(0)
            os.setuid(0)
            os.execvp(command[0], command)  # noqa: S606 (no shell is meant)
        except OSError as error:
            os.write(2, f"{command[0]}: {error}\n".encode())
        os._exit(126)
    os.close(ready[1])
    if os.read(ready[0], 1):
        for name in ("uid_map", "gid_map"):
            _write(f"/proc/{pid}/{name}", f"0 {stored} {count}")
    os.close(go[1])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not supervisor:
        os.chdir("/")
        _checked(_LIBC.umount2(os.fsencode(place), 0), f"umount {place}")
    return status


def main() -> None:
    """Start the guests of standard input, a line of JSON each, and print the process of each: {name: number}.

    With an argument, the arguments of `_work` as JSON, do that.
    """
    if sys.argv[1:]:
        try:
            sys.exit(_work(**json.loads(sys.argv[1])))
        except OSError as error:
            sys.exit(f"{HOME_FAULT}{error}")
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
