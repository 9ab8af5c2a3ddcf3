"""What the driver hands to checks, and the limits that it works within: values only, nothing that acts."""

from __future__ import annotations

import math
import os
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labroom.errors import UsageError

# Deadlines, in seconds. All but REACH_SECONDS are multiplied by what `slowness` says.
PATIENCE = 5.0  # until a wait for what programs do is given up
PING_SECONDS = 4.0  # a host that takes longer to answer its agent's ping is at fault
ANSWER_SECONDS = 10.0  # an agent that takes longer to do what it was asked is at fault
CONNECT_SECONDS = 15.0  # for each of: SSH banner, authentication, channel
REACH_SECONDS = 4.0  # for a TCP connection, SYN and two repetitions; kernels answer soon, even on slow machines
POLL_SECONDS = 0.01  # between two looks at a state that tells nobody when it changes (/proc/net/tcp)
WATCH_SECONDS = 0.05  # in which an agent looks for itself for what was asked for, until that is there
IDLE_SECONDS = 0.2  # programs that were seen to wait for ever twice, so far apart, do
SETTLE_SECONDS = 1.0  # until programs that only ever wait with a time-out are taken as they are
STALL_SECONDS = 0.1  # programs that have waited less for a processor since the last look were not held up
STALL_LIMIT = 4  # times the patience that a program waits for a processor; then the machine is overloaded
PEER_LIMIT = 256 << 20  # bytes that the driver takes of a raw peer
LONGEST_POLL_SECONDS = 0.025  # as that, of a state that has not come for a while
WINDOW_BYTES = 128 << 10  # what may be on its way from an agent: about a second's work where it is all short lines
OUTPUT_LIMIT = 4 << 20  # bytes; a program that prints more is stopped and failed
BUSY_PROCESSES = 16  # of one program that run: more, and it is the program itself that takes the processors
LINE_LIMIT = 2000  # lines of a program in the transcript; the rest is left out of it
# Below the ephemeral ports, 32768 and up (ip(7)); and such as with their bytes exchanged are other ones, not
# privileged: a program that forgets htons() listens there.
PORTS = [port for port in range(20000, 32000) if port & 0xFF not in (0, 1, 2, 3, port >> 8)]
# A driver begins at the port that the clock points to, which goes round once in this time: slower than TIME_WAIT ends
# (60 s), and faster than checks use ports; so no driver meets connections of one before it, on any host.
PORTS_SECONDS = 120
PACE = 0.02  # LAB_PACE of the programs under check: a pause of the lecture's 1 s takes 20 ms
WHEN_SLOW = "check again when there is less to do, or with LABROOM_PATIENCE=3 in the environment"


def slowness() -> float:
    """What multiplies every deadline, for machines under emulation, say: LABROOM_PATIENCE of the environment, or 1.

    Raises:
        UsageError: it is not a positive number.
    """
    text = os.environ.get("LABROOM_PATIENCE", "1")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if 0 < number < math.inf:
        return number
    raise UsageError(f"LABROOM_PATIENCE={text}: not a positive number", "LABROOM_PATIENCE=3 waits three times as long")


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        time: seconds since the check began, when its host said so: see `Connection._set_clock`.
        host: name of the host.
        program: name of the program, numbered if the check started several of one name on one host.
        stream: `stdout` or `stderr` (a line printed), `stdin` (a line sent), `start`, `signal`, `exit`, or `note`.
        text: the line without its newline; for the others, a few words.
    """

    time: float
    host: str
    program: str
    stream: str
    text: str


@dataclass(frozen=True)
class Socket:
    """A TCP or UDP socket of a host, as /proc/net/tcp shows it.

    Attributes:
        protocol: `tcp` or `udp`.
        local: own (address, port).
        remote: the other end's (address, port); port 0 if there is none.
        state: name of its TCP state (RFC 9293, 3.3.2), such as `LISTEN`.
        unsent: bytes sent and not acknowledged yet.
        unread: bytes received and not read yet by the program; in LISTEN: connections not accepted yet.
        inode: number that /proc/PID/fd shows for it; 0 once no process holds it.
    """

    protocol: str
    local: tuple[str, int]
    remote: tuple[str, int]
    state: str
    unsent: int
    unread: int
    inode: int

    def __str__(self) -> str:
        """As in `ss`: state, local end, remote end."""
        ends = f"{self.local[0]}:{self.local[1]}"
        if self.remote[1]:
            ends += f" with {self.remote[0]}:{self.remote[1]}"
        waiting = f", {self.unread} {'not accepted' if self.state == 'LISTEN' else 'unread'}" if self.unread else ""
        return f"{self.protocol} {self.state} {ends}{waiting}"


@dataclass(frozen=True)
class Process:
    """A process of a program: ids, state as one letter (`R`, `S`, `Z` …, proc_pid_stat(5)) and command line."""

    pid: int
    ppid: int
    state: str
    command: str


@dataclass(frozen=True)
class Completed:
    """A command that has ended: its exit status (-N: killed by signal N) and all that it printed."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Launch:
    """How a program that a check names is started.

    Attributes:
        argv: the command, to which the check's arguments are added. Its last word is the program's file: if that is a
            relative path, one from `directory`.
        directory: where it runs unless the check says otherwise, as an absolute path.
        name: what events and messages call it.
        env: more environment variables.
        confined: it runs as a user of its own who may do nothing else there.
        limits: by getrlimit(2), such as {"FSIZE": 1 << 20}.
        remarks: what a person should know of it.
    """

    argv: tuple[str, ...]
    directory: str
    name: str
    env: Mapping[str, str] = field(default_factory=dict)
    confined: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    @property
    def anywhere(self) -> tuple[str, ...]:
        """The command as it is in any folder: for a shell, strace or sudo to run, too."""
        return (*self.argv[:-1], posixpath.normpath(posixpath.join(self.directory, self.argv[-1])))


def short(text: str) -> str:
    """Text for a message: what is long is cut, and its length told."""
    return text if len(text) <= 200 else text[:150] + f"… ({len(text)} characters)"


def in_words(otherwise: str, detail: str) -> str:
    """A message: a check's own words, and the detail on a line of its own; or the detail alone."""
    return f"{otherwise}\n{detail}" if otherwise else detail
