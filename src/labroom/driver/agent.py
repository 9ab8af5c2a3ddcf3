"""The agent: the driver's hands on a guest. It starts programs, relays what they print, and looks into /proc.

One agent runs on a guest for one driver. The driver sends this file over SSH, which is why it is one file, and runs it
as the lab's own user, so nothing of it is installed, and it needs no more than Python 3.8 and its standard library. It
speaks one JSON object per line. On its standard input, requests:

    {"id": 7, "do": "start", "program": 1, "argv": ["./echo_server.py", "9090"], ...}
    {"id": 8, "do": "listening", "program": 1, "wait": 0.05}   an empty answer may wait for so long

on its standard output, an answer to each (`result` or `error`), and between them what the programs do:

    {"time": 1.5, "id": 7, "result": 4711}
    {"id": 7, "error": {"name": "ENOENT", ...}}             see `Agent.explain`; whose fault it is, the driver decides
    {"program": 1, "stream": "stdout", "text": "..."}       bytes, as the characters U+0000 to U+00FF; "": its end
    {"program": 1, "exit": 0}                               status; -9 if killed by signal 9
    {"program": 1, "exit": -9, "memory": 0.8}               killed since the guest ran out of memory: its share of that
    {"peer": "1", "event": "data", "text": "..."}           what became of a socket of our own: see `Peer`

each with the `time` at which it was said, in seconds of CLOCK_MONOTONIC (clock_gettime(2)), by which events of several
guests are put in order.

The agent is the *subreaper* (prctl(2), PR_SET_CHILD_SUBREAPER) of all that it starts: a process that forks twice and
calls setsid becomes the agent's child, not init's. So the processes of a driver are exactly the agent's descendants,
and they are all killed when its standard input reaches end of file: whatever ended the driver, nothing of it stays.

One file, however long: it is sent as it is.
"""

# os and open, as in the labs: pathlib would only make the agent start later.
# ruff: noqa: PTH101, PTH108, PTH111, PTH112, PTH113, PTH114, PTH115, PTH116, PTH118, PTH120, PTH123, PTH208
from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import pty
import pwd
import resource
import select
import selectors
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 65536  # bytes read at once
FULL = 1 << 20  # bytes free; with less, a disk counts as full
PEER_LIMIT = 64 << 20  # bytes that a peer receives; then it reads no more
FILE_PIECE = 2 << 20  # bytes of a file in one answer; the files of /proc/sys refuse to be read by 4 MiB (ENOMEM)
COMMAND = 1000  # characters of a command line; there may be two million (execve(2))
MARK = "LABROOM_PROGRAM"  # environment variable that says which program a process belongs to
FLUSH_SECONDS = 2.0  # how long the kernel may take with terminals
KILL_SECONDS = 3.0  # how long killed processes may take to go
ENDING_SECONDS = 1.0  # how long one that runs may take to end by itself before it counts as left behind
LOOK_SECONDS = 0.005  # between two looks at what tells nobody when it changes
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>

# Index: the number of a state (<net/tcp_states.h>).
STATES = ["?", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT"]
STATES += ["LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"]

# States as a bit each, by protocol: of sockets that wait for somebody, of the others that a process has, and of all.
WAITING = {"tcp": 1 << STATES.index("LISTEN"), "udp": 1 << STATES.index("CLOSE")}
OF_NOBODY = 1 << STATES.index("TIME_WAIT")
CONNECTED = {protocol: 0x1FFE & ~states & ~OF_NOBODY for protocol, states in WAITING.items()}
ANY_STATE = dict.fromkeys(WAITING, 0x1FFE)

CONFINES = os.getuid() == 0 and "SUDO_UID" in os.environ  # the driver has had us become root
USER = int(os.environ.get("SUDO_UID", os.getuid()))  # who has logged in
CONFINED = 61843  # a user that nobody is: above those of people, below those of services (systemd's UIDS-GIDS.md)
PREFERENCE = 618  # of the rules that keep that user in the room, before that of all others, 32766 (ip-rule(8))
ROOM = os.environ.pop("LABROOM_ROOM", "").split()  # the addresses of the room's hosts
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108
TEMPORARY_OPTIONS = b"size=256m,nr_inodes=20000,mode=1777"  # of each, tmpfs(5)
CLONE_NEWNS, MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = (
    0x20000,
    2,
    4,
    0x4000,
    1 << 18,
)  # <linux/sched.h>, <linux/mount.h>
SOMAXCONN = 4096  # listen(2)
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, SOCK_DESTROY = 4, 20, 21  # <linux/netlink.h>, <linux/sock_diag.h>
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLMSG_ERROR, NLMSG_DONE = 1, 4, 0x300, 2, 3  # <linux/netlink.h>
# Calls that wait, and which argument (1 to 6) is their time-out, 0 if they have none: <asm/unistd.h>.
_CALLS = {
    "x86_64": "read 0 0;readv 19 0;write 1 0;accept 43 0;accept4 288 0;recvfrom 45 0;recvmsg 47 0;sendto 44 0;"
    "sendmsg 46 0;poll 7 3;ppoll 271 3;select 23 5;pselect6 270 5;epoll_wait 232 4;epoll_pwait 281 4;"
    "epoll_pwait2 441 4;wait4 61 0;waitid 247 0;futex 202 4;pause 34 0;rt_sigsuspend 130 0",
    "aarch64": "read 63 0;readv 65 0;write 64 0;accept 202 0;accept4 242 0;recvfrom 207 0;recvmsg 212 0;sendto 206 0;"
    "sendmsg 211 0;ppoll 73 3;pselect6 72 5;epoll_pwait 22 4;epoll_pwait2 441 4;wait4 260 0;waitid 95 0;futex 98 4;"
    "rt_sigsuspend 133 0",
}
ENDLESS = {
    int(number): (name, int(timeout))
    for name, number, timeout in map(str.split, filter(None, _CALLS.get(os.uname().machine, "").split(";")))
}
ON_DESCRIPTOR = ("read", "write", "accept", "recv", "send")  # calls whose first argument is one begin so

prctl = ctypes.CDLL(None, use_errno=True).prctl


class Program:
    """One program that the agent started, and the descriptors that lead to it."""

    def __init__(self, number: int, popen: subprocess.Popen[bytes], terminal: int | None, others: set[int]) -> None:
        self.number = number
        self.popen = popen
        self.others = others  # inodes of sockets that waited for somebody before it was started
        self.terminal = terminal  # our end of its terminal, if it has one
        self.outputs: dict[int, str] = {}  # descriptor -> stream
        self.unwritten = b""  # what it has not read yet of its standard input
        self.closing = False  # its standard input is to be closed once that is written
        self.input: int | None = None
        if terminal is not None:
            self.input = terminal
            self.outputs[terminal] = "stdout"
        elif popen.stdin and popen.stdout and popen.stderr:
            self.input = popen.stdin.fileno()
            self.outputs[popen.stdout.fileno()] = "stdout"
            self.outputs[popen.stderr.fileno()] = "stderr"

    @property
    def running(self) -> bool:
        """Whether the program's first process has not ended yet."""
        return self.popen.returncode is None


class Peer:
    """A socket of ours that speaks to a program under check, as a client or as a server ("raw peer").

    Its events: `connected`; `accepted`, by a listening one, `text` being the new peer's name; `data`, of UDP one a
    datagram; `end` (the other side has closed its direction); `error`, `text` being the errno's name. Those of UDP,
    and `accepted`, have the other end's address as `at`, `connected` has our own.
    """

    def __init__(
        self, name: str, own: socket.socket, state: str, to: tuple[str, int] = ("", 0), late_ack: bool = False
    ) -> None:
        self.name = name
        self.socket = own
        self.to = to  # where it is to connect
        self.state = state  # connecting, listening, open, datagrams, failed
        self.unsent = b""
        self.shutting = False  # its direction is to end once that is sent
        self.reading = True
        self.taken = 0  # bytes received
        self.accepted = 0  # connections so far
        self.late_ack = late_ack  # of those

    @property
    def events(self) -> int:
        """What it waits for."""
        if self.state == "connecting":
            return selectors.EVENT_WRITE
        reads = selectors.EVENT_READ if self.reading and self.taken < PEER_LIMIT else 0
        return reads | (selectors.EVENT_WRITE if self.unsent else 0)


class Agent:
    """Serves one driver: reads requests on `requests`, writes answers and events to `replies` (descriptors)."""

    def __init__(self, requests: int, replies: int) -> None:
        self.requests = requests
        self.replies = replies
        self.unparsed = b""
        self.over = False
        self.told = 0  # of what programs and peers did
        self.unanswered: list[tuple[dict[str, Any], float, int]] = []  # see `answer`
        self.programs: dict[int, Program] = {}
        self.peers: dict[str, Peer] = {}
        self.scratch: list[str] = []  # folders for the programs' files
        self.kept: list[str] = []  # folders that stay until the agent ends
        self.free: dict[object, int] = {}  # filesystem -> bytes free when the check began
        self.terminal: tuple[int, int] | None = None  # of our own: see `flush_terminals`
        self.killed: set[int] = set()  # programs' first processes that were sent SIGKILL from here
        self.out_of_memory = kills_for_memory()  # when a program was started last
        self.selector = selectors.DefaultSelector()
        self.selector.register(requests, selectors.EVENT_READ)
        # A dead child writes a byte to this pipe, so that waiting for descriptors is waiting for children, too.
        self.wakeup, woken = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(woken, False)
        self.selector.register(self.wakeup, selectors.EVENT_READ)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.end)  # a handler, not SIG_IGN, which programs would inherit
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        os.umask(0o022)  # a program under check is not judged by what the machine's own is
        if CONFINES:
            own_temporary_folders()
            keep_in_room(ROOM)

    def end(self, *_: object) -> None:
        """Let the main loop end (also a signal handler)."""
        self.over = True

    def serve(self) -> None:
        """Serve until the driver is gone; then kill all that was started."""
        try:
            while not self.over:
                ready = self.selector.select(LOOK_SECONDS if self.unanswered else None)
                self.take_turn(ready)
                if any(key.fd == self.requests for key, _ in ready):
                    self.read_requests()
                unanswered, self.unanswered = self.unanswered, []
                for request, until, told in unanswered:
                    self.answer(request, until, told)
        finally:
            self.over = True
            self.kill(None)
            self.scratch += self.kept
            self.clear()
            if CONFINES:
                keep_in_room([])

    def take_turn(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        """Relay what the descriptors in `ready` hold, apart from requests."""
        for key, events in ready:
            program = key.data
            if isinstance(program, Peer):
                self.turn_of_peer(program, events)
                continue
            if program is not None and events & selectors.EVENT_READ and key.fd in program.outputs:
                self.relay(program, key.fd)
            if program is not None and events & selectors.EVENT_WRITE:
                self.feed(program)
            if key.fd == self.wakeup:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wakeup, PIECE)
                self.reap()

    def tell(self, message: dict[str, Any]) -> None:
        """Send one line to the driver; if it is gone, let the main loop end."""
        self.told += "id" not in message
        data = json.dumps({"time": time.monotonic(), **message}, separators=(",", ":")).encode() + b"\n"
        try:
            while data and not self.over:
                data = data[os.write(self.replies, data) :]
        except OSError:
            self.over = True

    # -- requests -----------------------------------------------------------------------------------------------

    def read_requests(self) -> None:
        """Answer every whole line that has come."""
        data = os.read(self.requests, PIECE)
        if not data:
            self.over = True
        *lines, self.unparsed = (self.unparsed + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            self.answer(request, time.monotonic() + request.pop("wait", 0), self.told)

    def answer(self, request: dict[str, Any], until: float, told: int) -> None:
        """Answer a request: with nothing only when something else was told since `told`, or at `until`, in seconds."""
        details = {name: value for name, value in request.items() if name not in ("id", "do")}
        try:
            result = getattr(self, "do_" + request["do"])(**details)
            if not result and told == self.told and time.monotonic() < until:
                self.unanswered.append((request, until, told))
            else:
                self.tell({"id": request["id"], "result": result})
        except MemoryError:
            error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            self.tell({"id": request["id"], "error": self.explain(details, error)})
        except OSError as error:
            self.tell({"id": request["id"], "error": self.explain(details, error)})

    def explain(self, request: dict[str, Any], error: OSError) -> dict[str, Any]:
        """What went wrong, and what the driver needs to know in order to say whose fault it is.

        Answers:
            name: of the errno; numbers differ between architectures.
            why: the system's words for it.
            file: which file it is about, if any.
            named: whether that is the request's own: the program to start, the file to read, not the folder it is in.
            share: of what ran out (disk, processes, memory), how much this driver's programs and their files hold.
        """
        file = error.filename if isinstance(error.filename, str) else ""
        share = 0.0
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            share = self.share_of_disk(os.path.dirname(file) or temporary())
        elif error.errno == errno.EAGAIN:
            share = self.share_of_processes()
        elif error.errno == errno.ENOMEM:
            share = self.share_of_memory()
        return {
            "name": errno.errorcode.get(error.errno or 0, ""),
            "why": error.strerror or str(error),
            "file": file,
            "named": not file or file != request.get("directory"),
            "share": share,
        }

    def do_ping(self) -> dict[str, Any]:
        """Answer, after relaying all that was printed before the question.

        Answers:
            lacks: what the guest has no more of, by the errno that says so -> the share of it that this driver's
                programs and their files hold.
            processor: program -> how long it has run, and how long it has waited for a processor, in seconds: of its
                processes the one that has waited longest (the kernel's sched-stats.rst).
        """
        for program in list(self.programs.values()):
            self.drain(program)
        processor: dict[int, list[float]] = {}
        for process in self.descendants(None):
            with contextlib.suppress(OSError), open(f"/proc/{process['pid']}/schedstat", encoding="utf-8") as file:
                ran, waited = (int(word) / 1e9 for word in file.read().split()[:2])
                number = process["program"]
                processor[number] = max([ran, waited], processor.get(number, [0, 0]), key=lambda both: both[1])
        lacks = {}
        free, folder = min((free_bytes(folder), folder) for folder in disks())
        if free < FULL:
            lacks["ENOSPC"] = self.share_of_disk(folder)
        try:
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)  # at once, or it counts as left behind
        except OSError as error:
            why = self.explain({}, error)
            lacks[why["name"]] = why["share"]
        return {"lacks": lacks, "processor": processor}

    def do_start(
        self,
        program: int,
        argv: list[str],
        directory: str | None,
        environment: dict[str, str],
        tty: bool,
        confined: bool,
        limits: dict[str, int],
    ) -> int:
        """Start a program (`~` is the home folder) in a session of its own; answers its process id.

        Args:
            program: its number.
            argv: its command.
            directory: where it runs.
            environment: more variables.
            tty: give it a terminal.
            confined: as a user of its own (`CONFINED`), if we are root; else as the user that logged in.
            limits: name of the resource, as in RLIMIT_NAME of getrlimit(2) -> the most of it.
        """
        self.note_beginning()
        terminal, end = self.open_terminal() if tty else (None, None)
        user = USER if not confined else CONFINED
        if terminal is not None and end is not None and CONFINES:
            os.fchown(end, user, -1)

        def in_child() -> None:
            if end is not None:
                fcntl.ioctl(end, termios.TIOCSCTTY, 0)
            become(user)
            for name, most in limits.items():  # now, or execve(2) fails where the user has more processes already
                resource.setrlimit(getattr(resource, "RLIMIT_" + name), (most, most))
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # should the agent itself be killed; setuid(2) clears it

        others = {found["inode"] for found in sockets(WAITING)}
        channel = subprocess.PIPE if end is None else end
        try:
            popen = subprocess.Popen(
                [os.path.expanduser(argv[0]), *argv[1:]],
                bufsize=0,
                stdin=channel,
                stdout=channel,
                stderr=channel,
                cwd=directory,
                env={**os.environ, **environment, MARK: str(program)},
                start_new_session=True,
                preexec_fn=in_child,
            )
        except OSError:
            if terminal is not None:
                os.close(terminal)
            raise
        finally:
            if end is not None:
                os.close(end)
        started = self.programs[program] = Program(program, popen, terminal, others)
        for descriptor in started.outputs:
            os.set_blocking(descriptor, False)
            self.selector.register(descriptor, selectors.EVENT_READ, started)
        if terminal is None and started.input is not None:
            os.set_blocking(started.input, False)
        return popen.pid

    @staticmethod
    def open_terminal() -> tuple[int, int]:
        """A terminal, 24 by 80, that neither echoes nor rewrites output: what comes from it, the program wrote."""
        ours, theirs = pty.openpty()
        mode = termios.tcgetattr(theirs)
        mode[1] &= ~termios.OPOST
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, mode)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        return ours, theirs

    def do_write(self, program: int, text: str) -> None:
        """Give bytes (U+0000 to U+00FF) to a program's standard input; they wait here until it reads."""
        self.programs[program].unwritten += text.encode("latin-1")
        self.feed(self.programs[program])

    def do_close(self, program: int) -> None:
        """Close a program's standard input, after what was written before (a terminal: ^D)."""
        target = self.programs[program]
        if target.terminal is not None:
            target.unwritten += b"\x04"
        else:
            target.closing = True
        self.feed(target)

    def do_signal(self, program: int, number: int) -> None:
        """Send a signal to a program's first process; none if it has ended."""
        if self.programs[program].running:
            if number == signal.SIGKILL:
                self.killed.add(self.programs[program].popen.pid)
            send_signal(self.programs[program].popen.pid, number)

    def do_signal_process(self, pid: int, number: int) -> None:
        """Send a signal to a process of a program's; none if it has ended."""
        if any(process["pid"] == pid for process in self.descendants(None)):
            send_signal(pid, number)

    def do_limit(self, pid: int, limits: dict[str, int]) -> None:
        """Change soft limits of a process of a program's, as `do_start` has them (prlimit(2)); none if it has ended."""
        if any(process["pid"] == pid for process in self.descendants(None)):
            for name, most in limits.items():
                number = getattr(resource, "RLIMIT_" + name)
                resource.prlimit(pid, number, (most, resource.prlimit(pid, number)[1]))

    def do_kill(self, program: int) -> list[dict[str, Any]]:
        """Kill the whole tree of a program; answers what could not be killed."""
        return self.kill(program)

    def do_end(self, ended: list[int]) -> dict[str, Any]:
        """End a check: kill all processes, close all peers, remove the files.

        Args:
            ended: programs that had ended.

        Answers:
            behind: the processes that these had left behind, or that are of none we know.
            unkilled: what could not be killed.
        """
        behind = [with_command(process) for process in self.left_by(ended)]
        for name in list(self.peers):
            self.do_peer_close(name, reset=True)
        unkilled = self.kill(None)
        for program in self.programs.values():
            program.unwritten, program.closing = b"", True
            self.feed(program)
        self.programs, self.unanswered = {}, []
        self.free = {}
        self.clear()
        return {"behind": behind, "unkilled": unkilled}

    def do_processes(self, program: int | None) -> list[dict[str, Any]]:
        """The processes of one program, or (None) of all."""
        self.reap()
        return [with_command(process) for process in self.descendants(program)]

    def do_descriptors(self, pid: int) -> dict[str, str]:
        """The open descriptors of a process: number -> target (proc_pid_fd(5))."""
        folder = f"/proc/{pid}/fd"
        targets = {}
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed in between
                targets[name] = os.readlink(folder + "/" + name)
        return targets

    def do_scratch(self, keep: bool = False, confined: bool = False) -> str:
        """Answers a new, empty folder, which goes with `do_end`, or (`keep`) with the agent."""
        self.note_beginning()
        folder = tempfile.mkdtemp(prefix="labroom-", dir=temporary())
        (self.kept if keep else self.scratch).append(folder)
        if CONFINES:
            os.chown(folder, CONFINED if confined else USER, -1)
            os.chmod(folder, 0o755)  # noqa: S103
        return folder

    def do_root(self) -> bool:
        """Whether we are root, so that programs can be confined."""
        return CONFINES

    def do_listening(self, program: int) -> list[dict[str, Any]]:
        """The sockets of a program in LISTEN, and its UDP sockets without a peer."""
        others = self.programs[program].others
        waiting = [found for found in sockets(WAITING) if found["inode"] not in others]
        if not waiting:  # that is soon seen
            return []
        own = {inode for process in self.descendants(program) for inode in socket_inodes(process["pid"])}
        return [s for s in waiting if s["inode"] in own]

    def do_forget(self, port: int) -> None:
        """End the TIME_WAITs of a TCP port, if the kernel lets us: to bind to it is possible again."""
        for family in (socket.AF_INET, socket.AF_INET6):
            header = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, OF_NOBODY)
            for message in list(ask_kernel(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, header + bytes(48))):
                identity = message[4:52]  # struct inet_diag_sockid
                if int.from_bytes(identity[:2], "big") == port:
                    with contextlib.suppress(OSError):  # EPERM; EOPNOTSUPP without CONFIG_INET_DIAG_DESTROY
                        list(ask_kernel(SOCK_DESTROY, NLM_F_ACK, header + identity))

    def do_held(self) -> list[int]:
        """The inodes of the sockets that the programs and the peers here hold."""
        pids = [os.getpid(), *(process["pid"] for process in self.descendants(None))]
        return sorted({inode for pid in pids for inode in socket_inodes(pid)})

    def clear(self) -> None:
        """Remove the folders that `do_scratch` has made, and what confined programs have left elsewhere."""
        while self.scratch:
            shutil.rmtree(self.scratch.pop(), ignore_errors=True)
        for path in left_by_confined():
            if path not in self.kept:
                with contextlib.suppress(OSError):
                    shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)

    def do_read(self, path: str, start: int) -> str:
        """At most FILE_PIECE bytes of a file, as U+0000 to U+00FF, from byte `start` on."""
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(FILE_PIECE).decode("latin-1")

    def do_save(self, path: str, text: str, mode: int = 0) -> None:
        """Write bytes (U+0000 to U+00FF) to a file, in place of what it held; it gets the owner of its folder."""
        data = text.encode("latin-1")
        try:
            with open(path, "wb") as file:
                file.write(data)
            if mode:
                os.chmod(path, mode)
            if CONFINES:
                os.chown(path, os.stat(os.path.dirname(path)).st_uid, -1)
        except OSError as error:  # write(2) knows no name
            raise OSError(error.errno, error.strerror, path) from error

    def do_sockets(self, port: int, waiting: bool) -> list[dict[str, Any]]:
        """All TCP and UDP sockets of this guest but for our own sshd's.

        Args:
            port: only those with this port at either end; 0: all.
            waiting: only those in LISTEN, and UDP sockets without a peer.
        """
        sshd = int(os.environ["SSH_CONNECTION"].split()[3])  # ssh(1), ENVIRONMENT: the server's port
        return [found for found in sockets(WAITING if waiting else ANY_STATE, port) if found["local"][1] != sshd]

    def do_is_free(self, port: int) -> bool:
        """Whether a server could listen on a port, by TCP and by UDP, without SO_REUSEADDR (ip(7), socket(7))."""
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                try:
                    probe.bind(("", port))
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        return False
                    raise
        return True

    def do_source_address(self, to: str) -> str:
        """The address from which this guest would speak to `to`; nothing is sent."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((to, 9))
            return str(probe.getsockname()[0])

    # -- peers --------------------------------------------------------------------------------------------------

    def do_peer(self, peer: str, kind: str, to: Any, port: int, receive_buffer: int, late_ack: bool) -> list[Any]:
        """Create a socket of ours; answers its own address. Nothing is waited for.

        Args:
            peer: its name.
            kind: `connect` (to `to`), `listen` (on `port`; 0: any) or `udp` (bound to `port`).
            to: address and port.
            port: of our own; 0: any.
            receive_buffer: SO_RCVBUF, socket(7), in bytes; 0: the system's.
            late_ack: of those accepted, acknowledge late: TCP_QUICKACK 0, tcp(7).
        """
        kinds = {"connect": socket.SOCK_STREAM, "listen": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
        own = socket.socket(socket.AF_INET, kinds[kind])
        to = (to[0], to[1]) if to else ("", 0)
        try:
            own.setblocking(False)
            if receive_buffer:
                own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            state = {"connect": "connecting", "listen": "listening", "udp": "datagrams"}[kind]
            if kind == "listen":
                own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port or kind != "connect":
                own.bind(("", port))
            if kind == "listen":
                own.listen(SOMAXCONN)
            if kind == "connect":
                own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with contextlib.suppress(BlockingIOError):
                    own.connect(to)
        except OSError:
            own.close()
            raise
        self.add_peer(Peer(peer, own, state, to, late_ack))
        return list(own.getsockname())

    def add_peer(self, peer: Peer) -> None:
        """Have the main loop serve a peer."""
        self.peers[peer.name] = peer
        self.selector.register(peer.socket, peer.events, peer)

    def do_peer_send(self, peer: str, text: str, to: list[Any] | None) -> None:
        """Send bytes (U+0000 to U+00FF) as soon as the other side takes them; by UDP one datagram, at once."""
        data = text.encode("latin-1")
        if to:
            self.peers[peer].socket.sendto(data, (to[0], to[1]))
        else:
            self.peers[peer].unsent += data
            self.turn_of_peer(self.peers[peer], selectors.EVENT_WRITE)

    def do_peer_shut(self, peer: str) -> None:
        """End our direction (shutdown(2), SHUT_WR), after what was to be sent before."""
        self.peers[peer].shutting = True
        self.turn_of_peer(self.peers[peer], selectors.EVENT_WRITE)

    def do_peer_read(self, peer: str, on: bool) -> None:
        """Read from now on, or read nothing from now on."""
        self.peers[peer].reading = on
        self.watch(self.peers[peer])

    def do_peer_close(self, peer: str, reset: bool) -> None:
        """Close a peer; with `reset` by RST (SO_LINGER, socket(7)), which also throws away what was not sent."""
        found = self.peers.pop(peer)
        if found.socket.fileno() in self.selector.get_map():
            self.selector.unregister(found.socket)
        if reset and found.state == "open":
            found.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        found.socket.close()

    def turn_of_peer(self, peer: Peer, events: int) -> None:
        """Do what a peer's socket is ready for, and say what came of it."""
        try:
            if peer.state == "connecting":
                peer.socket.connect(peer.to)  # connect(2), once more: in progress, done, or why it failed
                peer.state = "open"
                self.tell_of_peer(peer, "connected", at=peer.socket.getsockname())
            elif peer.state == "listening":
                self.accept(peer)
            elif peer.state == "datagrams" and events & selectors.EVENT_READ:
                data, at = peer.socket.recvfrom(PIECE)
                self.tell_of_peer(peer, "data", data.decode("latin-1"), at)
            elif peer.state == "open":
                self.turn_of_connection(peer, events)
            self.watch(peer)
        except BlockingIOError:
            self.watch(peer)
        except OSError as error:
            peer.state, peer.unsent, peer.reading = "failed", b"", False
            self.watch(peer)
            self.tell_of_peer(peer, "error", errno.errorcode.get(error.errno or 0, ""))

    def accept(self, listening: Peer) -> None:
        """Take a connection that has come; it is a peer of its own."""
        own, at = listening.socket.accept()
        own.setblocking(False)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if listening.late_ack:
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        listening.accepted += 1
        peer = Peer(f"{listening.name}.{listening.accepted}", own, "open")
        self.add_peer(peer)
        self.tell_of_peer(listening, "accepted", peer.name, at)

    def turn_of_connection(self, peer: Peer, events: int) -> None:
        """Send and receive what goes now."""
        if peer.unsent and events & selectors.EVENT_WRITE:
            peer.unsent = peer.unsent[peer.socket.send(peer.unsent) :]
        if peer.shutting and not peer.unsent:
            peer.shutting = False
            peer.socket.shutdown(socket.SHUT_WR)
        if events & selectors.EVENT_READ and peer.reading:
            data = peer.socket.recv(PIECE)
            peer.taken += len(data)
            peer.reading = bool(data)
            self.tell_of_peer(peer, "data" if data else "end", data.decode("latin-1"))

    def watch(self, peer: Peer) -> None:
        """Have the main loop wait for what a peer waits for."""
        known = peer.socket.fileno() in self.selector.get_map()
        if not peer.events:
            if known:
                self.selector.unregister(peer.socket)
        elif known:
            self.selector.modify(peer.socket, peer.events, peer)
        else:
            self.selector.register(peer.socket, peer.events, peer)

    def tell_of_peer(self, peer: Peer, event: str, text: str = "", at: Any = None) -> None:
        """Tell the driver what became of a peer."""
        self.tell({"peer": peer.name, "event": event, "text": text, **({"at": list(at)} if at else {})})

    # -- is anything going to happen? ---------------------------------------------------------------------------

    def do_blocked(self) -> dict[str, Any]:
        """Whether the programs here wait for something that only others can bring about.

        Answers:
            busy: one of them runs, or bytes are on their way: to a program's standard input, from a peer,
                unacknowledged, or unread by one that wakes up by itself.
            waits: if not busy: program -> the system calls without a time-out in which its threads are blocked
                (proc_pid_syscall(5)); none if one of them has a time-out, or can't be looked at.
        """
        self.reap()
        busy: dict[str, Any] = {"busy": True, "waits": {}}
        if any(program.terminal is not None for program in self.programs.values()):
            self.flush_terminals()
        if any(key.fd != self.requests for key, _ in self.selector.select(0)):  # for us to relay
            return busy
        if any(program.unwritten for program in self.programs.values() if program.running):
            return busy
        if any(peer.unsent or peer.state == "connecting" for peer in self.peers.values()):
            return busy
        if any(awake(program.popen.pid) for program in self.programs.values() if program.running):  # soon seen
            return busy
        waits: dict[int, list[str]] = {}
        ours = {os.fstat(peer.socket.fileno()).st_ino for peer in self.peers.values()}
        timed: set[int] = set()  # sockets of those that wait in another way
        for process in self.descendants(None):
            number = process["program"]
            own = socket_inodes(process["pid"])
            ours |= own
            calls = blocked_in(process["pid"]) if process["state"] != "Z" else set()
            if calls is None:
                if awake(process["pid"]):
                    return busy
                timed |= own
            if calls is None or waits.get(number) == [] or number == 0:
                waits[number] = []
            elif calls:
                waits[number] = sorted({*waits.get(number, []), *calls})
        for found in sockets(CONNECTED) if ours else ():
            if found["inode"] in ours and (found["unsent"] or found["state"] == "SYN_SENT"):
                return busy
            if found["inode"] in timed and found["unread"]:
                return busy
        return {"busy": False, "waits": {str(number): calls for number, calls in waits.items()}}

    def flush_terminals(self) -> None:
        """Wait until what was written to terminals, and by programs on them, is at their other ends.

        A worker of the kernel takes it there, in the order in which it was written, and on a busy machine it may be
        late: until then, who was typed to waits as if for ever. So what we write to one of our own comes after it.
        """
        if self.terminal is None:
            self.terminal = self.open_terminal()
        ours, theirs = self.terminal
        os.write(ours, b"\n")
        if select.select([theirs], [], [], FLUSH_SECONDS)[0]:
            os.read(theirs, PIECE)

    # -- who has used up what ran out -----------------------------------------------------------------------------

    def note_beginning(self) -> None:
        """Before the first thing that a check does here: remember how much its disks have left."""
        self.out_of_memory = kills_for_memory()
        if not self.free:
            self.free = {filesystem(folder): free_bytes(folder) for folder in disks()}

    def share_of_disk(self, folder: str) -> float:
        """Of the bytes of a folder's disk that went since the check began, the share that its files hold."""
        try:
            disk = filesystem(folder)
            gone = self.free.get(disk, 0) - free_bytes(folder)
        except OSError:
            return 0.0
        if self.free.get(disk, 0) < FULL or gone <= 0:  # it was full already
            return 0.0
        return min(1.0, self.bytes_of_files({disk}) / gone)

    def share_of_processes(self) -> float:
        """Of the processes and threads that count for the limit that was hit, the share of our programs'."""
        own: int = sum(process["threads"] for process in self.descendants(None))
        everybody = list(processes())
        ours = [process for process in everybody if owner(process["pid"]) == os.getuid()]
        limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        of_user: int = sum(process["threads"] for process in ours)
        of_all: int = sum(process["threads"] for process in everybody)
        return own / (of_user if limit != resource.RLIM_INFINITY and of_user >= limit - 1 else of_all)

    def share_of_memory(self, dead: int = 0) -> float:
        """Of what processes, and files in memory, hold here, the share of our programs; one that died held `dead`."""
        page = os.sysconf("SC_PAGE_SIZE")
        own: int = sum(process["resident"] for process in self.descendants(None)) * page + dead
        everybody: int = sum(process["resident"] for process in processes()) * page + dead
        in_memory = {}
        with open("/proc/mounts", encoding="utf-8", errors="replace") as file:
            for line in file:
                _, folder, kind = line.split()[:3]
                if kind == "tmpfs":
                    with contextlib.suppress(OSError):  # hidden below another mount, or not for us
                        disk = os.statvfs(folder)
                        in_memory[filesystem(folder)] = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        return (own + self.bytes_of_files(set(in_memory))) / (everybody + sum(in_memory.values()))

    def bytes_of_files(self, disks: set[object]) -> int:
        """What the scratch folders, and other files that our programs hold open, take on these filesystems."""
        tops = [*self.scratch, *self.kept, *left_by_confined()]
        paths = [path for path in tops if os.path.isfile(path)]
        paths += [os.path.join(at, name) for top in tops for at, _, names in os.walk(top) for name in names]
        for process in self.descendants(None):
            with contextlib.suppress(OSError):
                folder = f"/proc/{process['pid']}/fd"
                paths += [folder + "/" + name for name in os.listdir(folder)]
        found = {}
        for path in paths:
            with contextlib.suppress(OSError):  # gone in between
                status = os.stat(path)
                if stat.S_ISREG(status.st_mode) and filesystem(path) in disks:
                    found[status.st_dev, status.st_ino] = status.st_blocks * 512  # stat(2)
        return sum(found.values())

    # -- what programs do ---------------------------------------------------------------------------------------

    def relay(self, program: Program, descriptor: int) -> bool:
        """Send one piece of what a program printed to the driver; False if there is none now."""
        try:
            data = os.read(descriptor, PIECE)
        except BlockingIOError:
            return False
        except OSError:  # EIO: nobody holds the terminal any more
            data = b""
        if not data:
            self.selector.unregister(descriptor)
            stream = program.outputs.pop(descriptor)
            if descriptor == program.terminal:
                program.input = program.terminal = None
                os.close(descriptor)
            else:
                (program.popen.stdout if stream == "stdout" else program.popen.stderr).close()  # type: ignore[union-attr]
            self.tell({"program": program.number, "stream": stream, "text": ""})
            return False
        self.tell({"program": program.number, "stream": program.outputs[descriptor], "text": data.decode("latin-1")})
        return True

    def drain(self, program: Program) -> None:
        """Relay what a program has printed by now: as much as a pipe (64 KiB) or a terminal (4 KiB a read) holds."""
        for descriptor in list(program.outputs):
            for _ in range(16):
                if not self.relay(program, descriptor):
                    break

    def feed(self, program: Program) -> None:
        """Write what a program's standard input takes now; keep the rest for later."""
        if program.input is None:
            return
        if program.unwritten:
            try:
                program.unwritten = program.unwritten[os.write(program.input, program.unwritten) :]
            except BlockingIOError:
                pass
            except OSError:  # EPIPE: it reads no more
                program.unwritten = b""
                program.closing = True
        wanted = selectors.EVENT_WRITE if program.unwritten else 0
        if program.input in program.outputs:
            self.selector.modify(program.input, selectors.EVENT_READ | wanted, program)
        elif wanted and program.input not in self.selector.get_map():
            self.selector.register(program.input, wanted, program)
        elif not wanted:
            if program.input in self.selector.get_map():
                self.selector.unregister(program.input)
            if program.closing:
                program.popen.stdin.close()  # type: ignore[union-attr]
                program.input = None

    def reap(self) -> None:
        """Collect dead children, ours and adopted ones; tell the driver which programs have ended."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for program in self.programs.values():
                if program.popen.pid == pid and program.running:
                    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                    program.popen.returncode = code
                    self.drain(program)  # what it printed comes before its end
                    message: dict[str, Any] = {"program": program.number, "exit": code}
                    if code == -signal.SIGKILL and pid not in self.killed and kills_for_memory() > self.out_of_memory:
                        message["memory"] = self.share_of_memory(usage.ru_maxrss << 10)
                    self.killed.discard(pid)
                    self.tell(message)

    def descendants(self, wanted: int | None) -> list[dict[str, Any]]:
        """Processes that descend from the agent and belong to program `wanted` (None: to any); 0: to none we know."""
        roots = {program.popen.pid: program.number for program in self.programs.values() if program.running}
        owners: dict[int, int] = {}
        found = []
        for process in family(os.getpid()):
            pid, parent = process["pid"], process["ppid"]
            if pid in roots:
                number = roots[pid]
            elif parent == os.getpid():  # adopted
                number = marked(pid) or next(
                    (p.number for p in self.programs.values() if p.popen.pid == process["session"]), 0
                )
            else:
                number = owners.get(parent, 0)
            owners[pid] = process["program"] = number
            if wanted in (None, number):
                found.append(process)
        return found

    def left_by(self, ended: list[int]) -> list[dict[str, Any]]:
        """The processes of programs that have ended, or of none we know, when those about to end have had the time."""
        deadline = time.monotonic() + ENDING_SECONDS
        while True:
            self.reap()
            left = [process for process in self.descendants(None) if process["program"] in (0, *ended)]
            if time.monotonic() > deadline or not any(awake(process["pid"]) for process in left):
                return left
            self.wait_for_a_death()

    def kill(self, wanted: int | None) -> list[dict[str, Any]]:
        """Kill all processes of program `wanted` (None: of all); answers those that live on after KILL_SECONDS."""
        deadline = time.monotonic() + KILL_SECONDS
        while True:
            self.reap()
            left = self.descendants(wanted)  # of a dead one, children may have come to us just after we looked
            alive = [process for process in left if process["state"] != "Z"]
            if not left or time.monotonic() > deadline:
                return [with_command(process) for process in alive]
            for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none forks meanwhile
                for process in alive:
                    self.killed.add(process["pid"])
                    send_signal(process["pid"], number)
            self.wait_for_a_death()

    def wait_for_a_death(self) -> None:
        """Wait for a child's end, of which SIGCHLD tells; those of others are not told of, so not for long."""
        if select.select([self.wakeup], [], [], LOOK_SECONDS)[0]:
            os.read(self.wakeup, PIECE)


def send_signal(pid: int, number: int) -> None:
    """Signal a process; one that runs as root (a lab's `sudo tcpdump`) by way of sudo."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        subprocess.run(
            ["sudo", "-n", "kill", f"-{number}", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )


def own_temporary_folders() -> None:
    """Have folders for temporary files that are nobody else's, of bounded size, and that go with us (unshare(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        return  # a container without that right
    for folder in TEMPORARY:
        if os.path.isdir(folder):
            libc.mount(b"tmpfs", folder.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, TEMPORARY_OPTIONS)


def keep_in_room(room: list[str]) -> None:
    """Let confined programs reach these addresses, the host's own networks and its name servers, and nothing else.

    By routing rules for their user, in place of earlier ones; without addresses there are none (ip-rule(8)). Where we
    may not have them, nothing is changed.
    """
    reached = [f"to {address} table main" for address in [*room, *name_servers()]]
    rules = ["table main suppress_prefixlength 0", *reached, "unreachable"] if room else []
    lines = "".join(f"rule add pref {PREFERENCE} uidrange {CONFINED}-{CONFINED} {rule}\n" for rule in rules)
    for family in ("-4", "-6"):  # each passes over the other's addresses
        delete = f"while ip {family} rule del pref {PREFERENCE}; do :; done; exec ip {family} -force -batch -"
        subprocess.run(["sh", "-c", delete], input=lines.encode(), stderr=subprocess.DEVNULL, check=False)


def name_servers() -> list[str]:
    """The addresses of the host's name servers (resolv.conf(5))."""
    with contextlib.suppress(OSError), open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
        return [words[1] for words in map(str.split, file) if words[:1] == ["nameserver"] and len(words) > 1]
    return []


def left_by_confined() -> list[str]:
    """What confined programs have in the folders for temporary files; nothing where they can't be told from others."""
    found = []
    for folder in TEMPORARY if CONFINES else ():
        with contextlib.suppress(OSError):
            paths = [os.path.join(folder, name) for name in os.listdir(folder)]
            found += [path for path in paths if os.lstat(path).st_uid == CONFINED]
    return found


def become(user: int) -> None:
    """In a child of ours: be this user, if we are root."""
    if not CONFINES or user == 0:
        return
    try:
        entry = pwd.getpwuid(user)
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    except KeyError:
        os.setgroups([])
        os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def socket_inodes(pid: int) -> set[int]:
    """The inodes of a process's sockets; none if it can't be looked at."""
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{name}")
                if target.startswith("socket:["):
                    found.add(int(target[8:-1]))
    return found


def awake(pid: int) -> bool:
    """Whether a thread of a process runs, or is about to (proc_pid_stat(5))."""
    with contextlib.suppress(OSError):  # gone
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:
                if file.read().rpartition(b")")[2].split()[0] not in b"STtZ":
                    return True
    return False


def blocked_in(pid: int) -> set[str] | None:
    """The calls in which the threads of a process wait for ever, such as `read(0)`: on which descriptor.

    None if a thread does not wait so, or can't be looked at.
    """
    found = set()
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/syscall", encoding="utf-8") as file:
                words = file.read().split()
            if not words[0].isdigit():  # "running"; -1: not in a call
                return None
            name, timeout = ENDLESS.get(int(words[0]), ("", 0))
            argument = int(words[timeout], 16) if timeout else 0  # a pointer, or milliseconds, of which -1 is for ever
            if not name or (argument and argument & 0xFFFFFFFF != 0xFFFFFFFF):
                return None
            found.add(f"{name}({int(words[1], 16) if name.startswith(ON_DESCRIPTOR) else ''})")
    except (OSError, IndexError, ValueError):
        return None
    return found


def temporary() -> str:
    """The folder for temporary files: not tempfile's, which looks elsewhere if that one is full."""
    return os.environ.get("TMPDIR") or "/tmp"  # noqa: S108


def disks() -> list[str]:
    """The folders whose disks programs write to, as far as we can see them."""
    return [folder for folder in ("/", temporary(), os.path.expanduser("~")) if os.access(folder, os.X_OK)]


def free_bytes(folder: str) -> int:
    """What an ordinary user may still write to the disk of a folder."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def filesystem(path: str) -> object:
    """What files of the same filesystem have in common; st_dev is not that on an overlay."""
    disk = os.statvfs(path)
    return disk.f_fsid, disk.f_blocks


def owner(pid: int) -> int:
    """The user whose process it is; -1 if it is gone."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def kills_for_memory() -> int:
    """How many processes the kernel has killed for want of memory, on the whole machine (/proc/vmstat)."""
    with contextlib.suppress(OSError), open("/proc/vmstat", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return 0


def marked(pid: int) -> int | None:
    """The program that a process's environment names (proc_pid_environ(5)), if it can be read."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        for variable in file.read().split(b"\0"):
            name, _, value = variable.partition(b"=")
            if name == MARK.encode() and value.isdigit():
                return int(value)
    return None


def processes() -> Iterator[dict[str, Any]]:
    """All processes."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield from process(int(name))


def process(pid: int) -> Iterator[dict[str, Any]]:
    """A process: pid, ppid, session, state (one letter), threads, pages and name (proc_pid_stat(5)); none if gone."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/stat", "rb") as file:
            head, _, rest = file.read().decode(errors="replace").rpartition(")")
        fields = rest.split()
        yield {
            "pid": pid,
            "ppid": int(fields[1]),
            "session": int(fields[3]),
            "state": fields[0],
            "threads": int(fields[17]),
            "resident": int(fields[21]),  # pages
            "name": head.partition("(")[2],
        }


def family(ancestor: int) -> Iterator[dict[str, Any]]:
    """All processes that descend from one, parents first."""
    left = [ancestor]
    while left:
        for child in children(left.pop()):
            left.append(child)
            yield from process(child)


def children(parent: int) -> list[int]:
    """The children of a process (proc_tid_children(5), which a kernel may lack)."""
    if not os.access(f"/proc/self/task/{os.getpid()}/children", os.R_OK):
        return [found["pid"] for found in processes() if found["ppid"] == parent]
    found = []
    with contextlib.suppress(OSError):  # gone
        for thread in os.listdir(f"/proc/{parent}/task"):
            with open(f"/proc/{parent}/task/{thread}/children", encoding="utf-8") as file:
                found += [int(child) for child in file.read().split()]
    return found


def with_command(process: dict[str, Any]) -> dict[str, Any]:
    """A process with its command line; without one, as of a zombie, its name in brackets."""
    return {**process, "command": command_line(process["pid"]) or f"[{process['name']}]"}


def command_line(pid: int) -> str:
    """The command line of a process, as far as a message needs it; of a zombie nothing."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")[:COMMAND]
    return ""


def sockets(states: dict[str, int] = ANY_STATE, port: int = 0) -> Iterator[dict[str, Any]]:
    """TCP and UDP sockets in these states (with this port at either end), IPv4 ones of an IPv6 socket as IPv4."""
    seen = set()  # the kernel lists one twice if others come while it is read
    for protocol, wanted in states.items():
        for family in (socket.AF_INET, socket.AF_INET6):
            for found in diagnosed(protocol, family, wanted, port):
                socket_id = (found["protocol"], found["local"], found["remote"], found["inode"])
                if socket_id not in seen:
                    seen.add(socket_id)
                    yield found


def diagnosed(protocol: str, family: int, states: int, wanted: int) -> Iterator[dict[str, Any]]:
    """The sockets of one protocol and family, by sock_diag(7); `wanted`: those with this port at either end, 0: all.

    /proc/net/tcp has the same, but the kernel needs ten times as long to write it.
    """
    number = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}[protocol]
    request = struct.pack("=BBBBI48x", family, number, 0, 0, states)  # struct inet_diag_req_v2
    in_message = wanted.to_bytes(2, "big")
    for message in ask_kernel(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, request):
        if wanted and in_message not in (message[4:6], message[6:8]):
            continue
        # struct inet_diag_msg, from its second byte on: state, ports, addresses, queues, inode
        fields = struct.unpack_from("=B2x2s2s16s16s12x4x2I4xI", message, 1)
        state, own_port, port, own, remote, unread, unsent, inode = fields
        yield {
            "protocol": protocol,
            "local": (address(own, family), int.from_bytes(own_port, "big")),
            "remote": (address(remote, family), int.from_bytes(port, "big")),
            "state": STATES[state],
            "unsent": unsent if STATES[state] != "LISTEN" else 0,  # bytes sent and not acknowledged yet
            "unread": unread,  # bytes received and not read yet; LISTEN: connections not accepted yet
            "inode": inode,
        }


def ask_kernel(kind: int, flags: int, request: bytes) -> Iterator[bytes]:
    """The messages with which the kernel answers a request about sockets (netlink(7))."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(request), kind, NLM_F_REQUEST | flags, 0, 0) + request)
        while True:
            data = kernel.recv(PIECE)
            while data:
                length, answered = struct.unpack_from("=IH", data)
                if answered == NLMSG_DONE:
                    return
                if answered == NLMSG_ERROR:
                    number = -struct.unpack_from("=i", data, 16)[0]
                    if not number:  # the acknowledgement
                        return
                    raise OSError(number, os.strerror(number))
                yield data[16:length]
                data = data[length + 3 & ~3 :]


def address(data: bytes, family: int) -> str:
    """An address of sock_diag(7), which gives sixteen bytes to each family, in words."""
    if family == socket.AF_INET:
        return socket.inet_ntop(family, data[:4])
    if data[:12] == b"\0" * 10 + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, data[12:])
    return socket.inet_ntop(family, data)


if __name__ == "__main__":
    Agent(sys.stdin.fileno(), sys.stdout.fileno()).serve()
