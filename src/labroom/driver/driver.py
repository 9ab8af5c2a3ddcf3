"""The driver: runs programs on the hosts of a room over SSH, and waits for what they do.

Its unit is a `Program`: started on a `Host`, with a terminal or not; what it prints is expected, lines are sent to it,
it is interrupted, its end awaited. Nothing ever sleeps: each wait names a state that can be observed (a pattern
printed, a port in LISTEN, a connection in TIME_WAIT, an exit) and has a deadline. A deadline missed is a `CheckFailed`
that says what was seen instead, unless a host of the room no longer answers: that is a `RoomFault`, and no verdict
on the lab.

A host has one SSH connection and on it one agent (`labroom.driver.agent`), through which everything on that host goes,
so the events of one host come in the order in which they happened there. Sources: RFC 4251 to 4254 (SSH), sshd(8).
"""

from __future__ import annotations

import codecs
import errno
import itertools
import json
import logging
import math
import os
import posixpath
import re
import shlex
import signal as signals
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeVar, cast

import paramiko

from labroom.driver.capture import Capture
from labroom.endpoint import Endpoint
from labroom.errors import RoomFault, UsageError

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its threads' tracebacks are told as RoomFaults

T = TypeVar("T")


def _slowness() -> float:
    text = os.environ.get("LABROOM_PATIENCE", "1")
    with suppress(ValueError):
        if 0 < (number := float(text)) < math.inf:
            return number
    raise UsageError(f"LABROOM_PATIENCE={text}: not a positive number", "LABROOM_PATIENCE=3 waits three times as long")


SLOWNESS = _slowness()  # of machines under emulation, say: what multiplies every deadline
PATIENCE = 5.0 * SLOWNESS  # seconds until a wait is given up
PING_SECONDS = 1.0 * SLOWNESS  # a host that takes longer to answer its agent's ping is at fault
ANSWER_SECONDS = 5.0 * SLOWNESS  # an agent that takes longer to do what it was asked is at fault
REACH_SECONDS = 4.0  # for a TCP connection, SYN and two repetitions; kernels answer soon, even on slow machines
CONNECT_SECONDS = 15.0 * SLOWNESS  # then for each of: SSH banner, authentication, channel
POLL_SECONDS = 0.005  # between two looks at a state that tells nobody when it changes (/proc/net/tcp)
OUTPUT_LIMIT = 4 << 20  # bytes; a program that prints more is stopped and failed
LINE_LIMIT = 2000  # lines of a program in the transcript; the rest is left out of it
FULL_DISK = 1 << 20  # bytes free; with less, a guest's disk counts as full
PORTS = range(20000, 32000)  # below the ephemeral ports, 32768 and up (ip(7))
PACE = 0.02  # LAB_PACE of the programs under check: a pause of the lecture's 1 s takes 20 ms
_WHEN_SLOW = "check again when there is less to do, or with LABROOM_PATIENCE=3 in the environment"


class CheckFailed(AssertionError):
    """A lab did not do what it should; the message says in plain words what was seen instead."""


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        time: seconds since the check began, when the driver came to know.
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


class Program:
    """A program running on a host, or ended. Made by `Host.start`."""

    def __init__(self, host: Host, number: int, name: str, tty: bool, quiet: bool) -> None:
        self.host = host
        self.name = name
        self.status: int | None = None
        self.pid = 0
        self._driver = host.driver
        self._number = number
        self._tty = tty
        self._quiet = quiet
        self._text = {"stdout": "", "stderr": ""}
        self._consumed = {"stdout": 0, "stderr": 0}  # by expect
        self._reported = {"stdout": 0, "stderr": 0}  # as events
        self._decoders = {s: codecs.getincrementaldecoder("utf-8")("backslashreplace") for s in self._text}
        self._received = 0
        self._open = {"stdout"} if tty else {"stdout", "stderr"}
        self._lines = 0

    def __str__(self) -> str:
        """As messages name it: `alfa's echo_client`."""
        return f"{self.host.name}'s {self.name}"

    # -- what it printed ----------------------------------------------------------------------------------------

    @property
    def stdout(self) -> str:
        """All that it has printed on its standard output so far; with a terminal, on that."""
        return self._text["stdout"]

    @property
    def stderr(self) -> str:
        """All that it has printed on its standard error so far."""
        return self._text["stderr"]

    @property
    def lines(self) -> list[str]:
        """The whole lines that it has printed on its standard output so far."""
        return self.stdout.split("\n")[:-1]

    def saw(self, pattern: str) -> bool:
        """Whether it has printed this (regular expression) so far, expected or not."""
        return any(re.search(pattern, text, re.MULTILINE) for text in self._text.values())

    def expect(self, pattern: str, timeout: float | None = None, *, otherwise: str = "") -> re.Match[str]:
        r"""Wait until it prints `pattern`, in text that no earlier `expect` has passed.

        Standard output is looked at first, then standard error. A match may end in the middle of a line, so that
        prompts can be expected; end the pattern with `\n` where the rest of the line matters.

        Args:
            pattern: regular expression (re.MULTILINE).
            timeout: seconds; the driver's patience by default.
            otherwise: what to say in plain words if it does not come.

        Raises:
            CheckFailed: it did not come in time, or the program ended without it.
            RoomFault: a host of the room does not answer.
        """
        expression = re.compile(pattern, re.MULTILINE)
        pattern = pattern.replace("\n", "\\n")  # in messages

        def look() -> re.Match[str] | None:
            over = self.over  # before the text: what comes in between is seen at the next look
            for stream, text in self._text.items():
                if match := expression.search(text, self._consumed[stream]):
                    self._consumed[stream] = match.end()
                    return match
            if over:
                raise CheckFailed(
                    _words(otherwise, f"{self} {self._ending} and did not print '{pattern}'{self._seen()}")
                )
            return None

        return self._driver.wait_until(
            look,
            f"{self} to print '{pattern}'",
            timeout,
            lambda within: _words(otherwise, f"{self} did not print '{pattern}'{within}{self._seen()}"),
        )

    def _seen(self) -> str:
        """What it printed instead, for a message."""
        last = [
            line
            for stream, text in self._text.items()
            for line in text[self._consumed[stream] :].strip("\n").split("\n")[-3:]
            if line
        ]
        return (
            "; it printed " + " / ".join(repr(_short(line)) for line in last) if last else "; it printed nothing more"
        )

    @contextmanager
    def silence(self, otherwise: str) -> Iterator[None]:
        """The program prints nothing on its standard output while the body runs.

        The proof is an order of events, not a pause: the body waits for something that happens later than a wrong
        answer would (another client served, bytes waiting unread), and at its end all that the program has printed
        by then has been fetched from its host.

        Raises:
            CheckFailed: with the words `otherwise`, as soon as it prints something.
        """
        before = len(self.stdout)

        def check() -> None:
            if said := self.stdout[before:]:
                raise CheckFailed(_words(otherwise, f"{self} printed {_short(said)!r}"))

        self._driver.conditions.append(check)
        try:
            yield
            self.host.ping()
            check()
        finally:
            self._driver.conditions.remove(check)

    # -- what is done to it -------------------------------------------------------------------------------------

    def send(self, line: str) -> None:
        """Type a line: write it, and a newline, to its standard input."""
        self.write(line + "\n")

    def write(self, text: str) -> None:
        """Write text to its standard input as it is. What it does not read yet waits on its host.

        Raises:
            CheckFailed: it has ended.
        """
        if self.status is not None:
            raise CheckFailed(f"{_short(text)!r} can't be sent to {self}: it {self._ending}{self._seen()}")
        self._flush()
        for line in text.removesuffix("\n").split("\n"):
            self._act("stdin", line)
        self.host.ask("write", program=self._number, text=text.encode().decode("latin-1"))

    def close_stdin(self) -> None:
        """End its standard input: close it; on a terminal, ^D."""
        self._act("stdin", "(end of file)")
        self.host.ask("close", program=self._number)

    def interrupt(self) -> None:
        """Type ^C on its terminal; without one, send SIGINT to its first process."""
        if self._tty:
            self._act("signal", "^C")
            self.host.ask("write", program=self._number, text="\x03")
        else:
            self.signal(signals.SIGINT)

    def signal(self, number: int) -> None:
        """Send a signal to its first process."""
        self._act("signal", signals.Signals(number).name)
        self.host.ask("signal", program=self._number, number=int(number))

    def stop(self) -> None:
        """Stop its first process (SIGSTOP), and wait until it is stopped."""
        self.signal(signals.SIGSTOP)
        self._driver.wait_until(
            lambda: any(process.state == "T" for process in self.processes() if process.pid == self.pid),
            f"{self} to stop",
            None,
            lambda within: f"{self} did not stop{within}",
        )

    def resume(self) -> None:
        """Let it go on after `stop` (SIGCONT)."""
        self.signal(signals.SIGCONT)

    def wait(self, timeout: float | None = None, *, otherwise: str = "") -> int:
        """Wait until its first process has ended.

        Returns:
            its exit status, 0 to 255; -N if signal N killed it.

        Raises:
            CheckFailed: it did not end in time.
            RoomFault: a host of the room does not answer.
        """
        self._driver.wait_until(
            lambda: self.status is not None,
            f"{self} to end",
            timeout,
            lambda within: _words(otherwise, f"{self} did not end{within}{self._seen()}"),
        )
        return cast(int, self.status)

    def expect_exit(self, status: int = 0, timeout: float | None = None, *, otherwise: str = "") -> None:
        """Wait until it ends, which must be with this status; raises as `wait` does."""
        found = self.wait(timeout, otherwise=otherwise)
        if found != status:
            raise CheckFailed(_words(otherwise, f"{self} {self._ending}, not with status {status}{self._seen()}"))

    def kill(self) -> None:
        """Kill its whole tree (SIGKILL), also processes that have forked twice and left its session."""
        self._event("signal", "SIGKILL to all its processes")
        left = self.host.ask("kill", program=self._number)
        if left:
            raise RoomFault(f"on {self.host.name} these can't be killed: {', '.join(p['command'] for p in left)}")

    def processes(self) -> list[Process]:
        """Its processes: the first one and all that descend from it."""
        return self.host.processes(self)

    def wait_for_processes(
        self, wanted: Callable[[list[Process]], object], what: str, timeout: float | None = None, *, otherwise: str = ""
    ) -> list[Process]:
        """Wait until its processes are as `wanted` says; answers them.

        An orphan's new parent is not process 1 but the driver's agent, which is a subreaper (prctl(2)).

        Args:
            wanted: looks at the processes.
            what: the state waited for, in words: "a zombie".
            timeout: seconds; the driver's patience by default.
            otherwise: what to say in plain words if it does not come.

        Raises:
            CheckFailed: it did not come so in time.
            RoomFault: a host of the room does not answer.
        """

        def look() -> tuple[list[Process]] | None:
            found = self.processes()
            return (found,) if wanted(found) else None  # in a tuple, since an empty list would read as "not yet"

        def missed(within: str) -> str:
            there = ", ".join(f"{p.command} ({p.pid}, child of {p.ppid}, {p.state})" for p in self.processes())
            return _words(otherwise, f"not seen{within}: {what}; {self}'s processes: {there or 'none'}")

        return self._driver.wait_until(look, what, timeout, missed)[0]

    def descriptors(self) -> dict[int, str]:
        """The open descriptors of its first process: number -> target, such as `socket:[4711]`."""
        return {int(fd): target for fd, target in self.host.ask("descriptors", pid=self.pid).items()}

    # -- called by the host's reader, which holds the driver's condition ----------------------------------------

    def receive(self, stream: str, data: bytes) -> None:
        """Take in what it printed; nothing: the end of the stream."""
        self._received += len(data)
        if not data:
            self._open.discard(stream)
        if self.flooded:
            return
        self._text[stream] += self._decoders[stream].decode(data)
        if b"\n" in data:
            self._flush(whole_lines=True)

    def ended(self, status: int) -> None:
        """Take in its end."""
        self._flush()
        self.status = status
        self._event("exit", self._ending)

    @property
    def over(self) -> bool:
        """Whether it has ended and nobody is left who could print in its name."""
        return self.status is not None and not self._open

    @property
    def _ending(self) -> str:
        if self.status is None or self.status >= 0:
            return f"ended with status {self.status}"
        try:
            return f"was killed by {signals.Signals(-self.status).name}"
        except ValueError:
            return f"was killed by signal {-self.status}"

    @property
    def flooded(self) -> bool:
        """Whether it has printed more than OUTPUT_LIMIT; the rest is thrown away."""
        return self._received > OUTPUT_LIMIT

    def _flush(self, whole_lines: bool = False) -> None:
        """Turn what was printed since into events: whole lines, or also an unfinished one, such as a prompt."""
        for stream, text in self._text.items():
            start = self._reported[stream]
            end = text.rfind("\n") + 1 if whole_lines else len(text)
            if end > start:
                self._reported[stream] = end
                for line in text[start:end].removesuffix("\n").split("\n"):
                    self._lines += 1
                    if self._lines <= LINE_LIMIT:
                        self._event(stream, line)
                    elif self._lines == LINE_LIMIT + 1:
                        self._event("note", f"more than {LINE_LIMIT} lines; the rest is not shown")

    def _act(self, stream: str, text: str) -> None:
        """What is done to it now."""
        if not self._quiet:
            self._driver.take_a_beat()
        self._event(stream, text)

    def _event(self, stream: str, text: str) -> None:
        if not self._quiet:
            self._driver.record(self.host.name, self.name, stream, text)


class Host:
    """A host of the room. Connects when it is first used."""

    def __init__(self, driver: Driver, endpoint: Endpoint) -> None:
        self.driver = driver
        self.name = endpoint.name
        self.address = endpoint.address
        self.endpoint = endpoint
        self.programs: dict[int, Program] = {}  # of the check that runs
        self._client: paramiko.SSHClient | None = None
        self._proxy: subprocess.Popen[bytes] | None = None  # leads to a host that is not reached directly
        self._channel: paramiko.Channel | None = None
        self._fault: RoomFault | None = None  # why it is given up
        self._lost = False  # the connection broke during this check
        self._scratch = ""
        self._last_words = ""  # of the agent, on its standard error
        self._connecting = threading.Lock()
        self._sending = threading.Lock()
        self._answers: dict[int, dict[str, Any]] = {}

    # -- programs -----------------------------------------------------------------------------------------------

    def start(
        self,
        program: str,
        *arguments: object,
        tty: bool = False,
        pace: float | None = None,
        env: Mapping[str, str] | None = None,
        directory: str | None = None,
    ) -> Program:
        """Start a program of the lab under check.

        Args:
            program: its name without `.py`; `../tcp_echo/line_client` for one of another lab.
            arguments: its arguments; turned into text.
            tty: give it a terminal (which does not echo) instead of three pipes.
            pace: LAB_PACE, the factor of its pauses; the driver's pace by default.
            env: more environment variables.
            directory: where it runs; the lab's folder by default, in which it can't write.

        Raises:
            CheckFailed: there is no such program.
            RoomFault: the host can't be reached.
        """
        file = f"{program}.py" if "/" in program else f"./{program}.py"
        if directory:
            file = posixpath.normpath(f"{self.driver.lab_folder}/{file}")
        self.driver.take_a_beat()
        return self.start_command(
            [file, *map(str, arguments)],
            name=program.rpartition("/")[2],
            directory=directory or self.driver.lab_folder,
            env={"LAB_PACE": str(self.driver.pace if pace is None else pace), **(env or {})},
            tty=tty,
        )

    def start_command(
        self,
        argv: Sequence[str],
        *,
        name: str = "",
        directory: str | None = None,
        env: Mapping[str, str] | None = None,
        tty: bool = False,
        quiet: bool = False,
    ) -> Program:
        """Start any command, found on the host's PATH; see `start`. In the user's home unless told otherwise.

        With `quiet`, nothing of it is in the transcript.
        """
        number = next(self.driver.numbers)
        name = name or argv[0].rpartition("/")[2]
        same = sum(1 for program in self.programs.values() if program.name.partition("#")[0] == name)
        program = Program(self, number, f"{name}#{same + 1}" if same else name, tty, quiet)
        program._event("start", shlex.join("…" if "\n" in word else word for word in argv))
        self.programs[number] = program
        try:
            program.pid = self.ask(
                "start", program=number, argv=list(argv), directory=directory, environment=dict(env or {}), tty=tty
            )
        except CheckFailed as error:
            del self.programs[number]
            raise CheckFailed(f"{program} can't be started: {error}") from None
        return program

    def run(self, *argv: str, timeout: float | None = None) -> Completed:
        """Run a command to its end; its exit status is the caller's to judge."""
        program = self.start_command(argv)
        self.ask("close", program=program._number)
        status = program.wait(timeout)
        return Completed(status, program.stdout, program.stderr)

    def processes(self, program: Program | None = None) -> list[Process]:
        """The processes of one program, or of all that the driver started here."""
        found = self.ask("processes", program=program and program._number)
        return [Process(p["pid"], p["ppid"], p["state"], p["command"]) for p in found]

    # -- files and packets --------------------------------------------------------------------------------------

    @property
    def scratch(self) -> str:
        """A folder on this host for what the check's programs write: empty at first, removed at the check's end."""
        if not self._scratch:
            self._scratch = str(self.ask("scratch"))
        return self._scratch

    def read_file(self, path: str, start: int = 0) -> bytes:
        """The bytes of a file, from byte `start` on.

        Raises:
            CheckFailed: it can't be read.
        """
        return cast(str, self.ask("read", path=path, start=start)).encode("latin-1")

    def write_file(self, path: str, data: bytes) -> None:
        """Make a file hold these bytes, and no others.

        Raises:
            CheckFailed: it can't be written.
        """
        self.ask("save", path=path, text=data.decode("latin-1"))

    def capture(self, expression: str) -> Capture:
        """Capture packets on all of this host's interfaces while the body of a `with` runs.

        Args:
            expression: which ones, as pcap-filter(7) has it: `tcp port 9090`.
        """
        return Capture(self, expression)

    # -- sockets ------------------------------------------------------------------------------------------------

    def sockets(self) -> list[Socket]:
        """All TCP and UDP sockets of the host, but for sshd's own."""
        return [
            Socket(**{**found, "local": tuple(found["local"]), "remote": tuple(found["remote"])})
            for found in self.ask("sockets")
        ]

    def connections(self, port: int) -> list[Socket]:
        """The TCP connections here with this port at either end, in whatever state but LISTEN."""
        return [s for s in self.sockets() if s.protocol == "tcp" and port in (s.local[1], s.remote[1]) and s.remote[1]]

    def wait_for_listening(self, port: int, timeout: float | None = None, *, protocol: str = "tcp") -> Socket:
        """Wait until a TCP socket is in LISTEN on `port`, or (protocol `udp`) a UDP socket is bound to it.

        Raises:
            CheckFailed: none is in time, or every program started here has ended without it.
            RoomFault: a host of the room does not answer.
        """
        self.driver.watched.add(port)
        waiting = {"tcp": "LISTEN", "udp": "CLOSE"}[protocol]  # a UDP socket without a peer is in state CLOSE

        def look() -> Socket | None:
            over = self.programs and all(program.status is not None for program in self.programs.values())
            for found in self.sockets():
                if found.protocol == protocol and found.state == waiting and found.local[1] == port:
                    return found
            if over:
                last = list(self.programs.values())[-1]
                raise CheckFailed(
                    f"no program listens on {self.name}'s port {port}: {last} {last._ending}{last._seen()}"
                )
            return None

        return self.driver.wait_until(
            look,
            f"a server to listen on {self.name}'s port {port}",
            timeout,
            lambda within: (
                f"no program came to listen on {self.name}'s port {port}{within}; "
                + self._listed([s for s in self.sockets() if s.state == waiting])
            ),
        )

    def wait_for_connections(
        self,
        port: int,
        state: str = "ESTABLISHED",
        count: int = 1,
        *,
        peer: Host | None = None,
        unread: int = 0,
        timeout: float | None = None,
        otherwise: str = "",
    ) -> list[Socket]:
        """Wait until at least `count` connections with `port` at either end are in TCP state `state`.

        Args:
            port: TCP port.
            state: name of the state, such as `CLOSE_WAIT`.
            count: how many at least; 0 waits until there is none.
            peer: only those whose other end is this host.
            unread: only those in which at least so many bytes have arrived and not been read.
            timeout: seconds; the driver's patience by default.
            otherwise: what to say in plain words if it does not come.

        Raises:
            CheckFailed: it did not come so in time.
            RoomFault: a host of the room does not answer.
        """
        self.driver.watched.add(port)

        def look() -> list[Socket] | None:
            found = [
                s
                for s in self.connections(port)
                if s.state == state and s.unread >= unread and (peer is None or s.remote[0] == peer.address)
            ]
            return found if (len(found) >= count if count else not found) else None

        what = f"{count or 'no'} connection{'' if count == 1 else 's'} in {state} on {self.name}'s port {port}"
        return self.driver.wait_until(
            look,
            what,
            timeout,
            lambda within: _words(otherwise, f"not seen{within}: {what}; {self._listed(self.connections(port))}"),
        )

    def unused_port(self) -> int:
        """A port of the driver's `ports` that no socket of this host uses, not even one in TIME_WAIT."""
        used = {found.local[1] for found in self.sockets()}
        return next(port for port in self.driver.ports if port not in used)

    def source_address(self, to: Host) -> str:
        """The own address from which this host speaks to another."""
        return str(self.ask("source_address", to=to.address))

    def sockets_of_interest(self) -> list[Socket]:
        """The sockets that a person looks at when the check fails: those that are open, and of ports it waited for."""
        ports = self.driver.watched
        return [s for s in self.sockets() if s.state != "TIME_WAIT" or s.local[1] in ports or s.remote[1] in ports]

    def _listed(self, sockets: Sequence[Socket]) -> str:
        listed = ", ".join(str(s) for s in sockets[:6]) + (f" and {len(sockets) - 6} more" if len(sockets) > 6 else "")
        return f"{self.name}'s sockets: {listed or 'none'}"

    # -- connection ---------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the agent is there, as far as is known."""
        return self._channel is not None

    @property
    def in_use(self) -> bool:
        """Whether the check has started a program here, or has files here."""
        return bool(self.programs or self._scratch)

    def connect(self) -> None:
        """Connect and start the agent, unless that is done. A host that could not be reached once is given up.

        Raises:
            RoomFault: the room is down, the host can't be reached, shows another host key, or refuses our key.
        """
        with self._connecting:
            if self._fault:
                raise self._fault
            if self._lost:
                raise self._gone()
            if self._channel:
                return
            try:
                self._open()
            except RoomFault as fault:
                self._fault = fault
                self._drop()
                raise

    def _open(self) -> None:
        at = self.endpoint
        client = self._client = paramiko.SSHClient()  # rejects unknown host keys unless told otherwise
        client.set_missing_host_key_policy(_NotKnown(at))
        try:
            for file in at.known_hosts:
                client.load_system_host_keys(str(file))  # "system": only read, never written
            client.connect(
                at.ssh_host,
                at.ssh_port,
                at.user,
                key_filename=[str(file) for file in at.identity_files],  # type: ignore[arg-type]  # its stubs forget lists
                allow_agent=True,  # it may hold the key of a file that has a passphrase
                look_for_keys=not at.identity_files,
                sock=self._reach(),
                timeout=CONNECT_SECONDS,
                banner_timeout=CONNECT_SECONDS,
                auth_timeout=CONNECT_SECONDS,
                channel_timeout=CONNECT_SECONDS,
            )
            transport = cast(paramiko.Transport, client.get_transport())
            transport.set_keepalive(1)
            source = resources.files("labroom.driver").joinpath("agent.py").read_bytes()
            channel = transport.open_session(timeout=CONNECT_SECONDS)
            channel.exec_command("exec python3 -IS -c " + shlex.quote(BOOTSTRAP.replace("LENGTH", str(len(source)))))
            channel.sendall(source)
        except paramiko.BadHostKeyException as error:
            raise RoomFault(
                f"{self.name} ({at.ssh_host}) shows another host key than {_listed(at.known_hosts)} has", at.remedy
            ) from error
        except paramiko.AuthenticationException as error:
            offered = _listed(at.identity_files) or "the keys of ssh-agent and ~/.ssh"
            raise RoomFault(f"{self.name} does not let {at.user} in with {offered}: {error}") from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            why, remedy = getattr(error, "strerror", None) or str(error), at.remedy
            if why == "No existing session":  # paramiko's words if keys have not been exchanged in time
                why, remedy = f"no session within {CONNECT_SECONDS:g} s", _WHEN_SLOW
            raise RoomFault(
                f"{self.name} ({at.ssh_host} port {at.ssh_port}) can't be reached: {why}", remedy
            ) from error
        self._answers.clear()
        self._channel = channel
        threading.Thread(target=self._read, args=(channel,), name=f"read {self.name}", daemon=True).start()

    def _reach(self) -> socket.socket:
        """A TCP connection to sshd from our own address in the room, which the kernel gives up if the peer is dead."""
        at = self.endpoint
        if at.proxy_command:
            ours, theirs = socket.socketpair()
            with theirs:
                self._proxy = subprocess.Popen(
                    ["sh", "-c", f"exec {at.proxy_command}"],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                )
            return ours
        try:
            reached = socket.create_connection(
                (at.ssh_host, at.ssh_port), REACH_SECONDS, (at.bind_address, 0) if at.bind_address else None
            )
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise RoomFault(
                    f"the room is down: this machine has no address {at.bind_address}", at.remedy
                ) from error
            raise
        for level, option, value in (
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(3000 * SLOWNESS)),  # ms unacknowledged, tcp(7)
        ):
            reached.setsockopt(level, option, value)
        return reached

    def ask(self, request: str, *, within: float = ANSWER_SECONDS, **details: object) -> Any:
        """Have the agent do something, and wait for its answer.

        Raises:
            CheckFailed: the agent could not, with the system's words.
            RoomFault: the host does not answer.
        """
        self.connect()
        number = next(self.driver.numbers)
        line = json.dumps({"id": number, "do": request, **details}) + "\n"
        channel = self._channel
        if channel is None:
            raise self._gone()
        try:
            with self._sending:
                channel.sendall(line.encode())
        except OSError as error:
            raise self._gone() from error
        deadline = time.monotonic() + within
        with self.driver.changed:
            while number not in self._answers:
                if self._channel is not channel:
                    raise self._gone()
                if not self.driver.changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise self._gone()
            answer = self._answers.pop(number)
        if "error" in answer:
            raise CheckFailed(answer["error"])
        return answer["result"]

    def check(self) -> None:
        """Raise if the connection has broken (RoomFault), or a program prints without end (CheckFailed)."""
        if not self.connected:
            raise self._gone()
        for program in self.programs.values():
            if program.flooded:
                program.kill()
                raise CheckFailed(f"{program} printed more than {OUTPUT_LIMIT >> 20} MiB and was stopped")

    def ping(self) -> dict[Program, float]:
        """Have the agent answer, after which all that was printed here before has arrived.

        Returns:
            program -> seconds that it has waited for a processor; those that run.

        Raises:
            RoomFault: it does not answer within PING_SECONDS, or the guest's disk is full.
        """
        answer = self.ask("ping", within=PING_SECONDS)
        if answer["free"] < FULL_DISK:
            raise RoomFault(f"the disk of guest {self.name} is full", "./labroom down, then ./labroom up")
        waited = {int(number): seconds for number, seconds in answer["waited"].items()}
        return {program: waited[number] for number, program in self.programs.items() if number in waited}

    def clean(self) -> list[str]:
        """Kill all that runs here; answers the command lines of processes that outlived the program they came from."""
        started, self.programs = self.programs, {}
        scratch, self._scratch = self._scratch, ""
        if self._lost:
            self._lost = False  # the next check may try again
            return []
        ended = {number for number, program in started.items() if program.status is not None}
        orphans = [p["command"] for p in self.ask("processes", program=None) if p["program"] in ended | {0}]
        left = self.ask("kill", program=None)
        if left:
            raise RoomFault(f"on {self.name} these can't be killed: {', '.join(p['command'] for p in left)}")
        if scratch:
            self.ask("clear")
        return orphans

    def close(self) -> None:
        """Part from the host: its agent kills all that is left, and ends."""
        channel = self._channel
        if channel:
            with suppress(OSError, EOFError):
                channel.shutdown_write()
            with self.driver.changed:
                self.driver.changed.wait_for(lambda: self._channel is not channel, PING_SECONDS)
        self._drop()

    def _drop(self) -> None:
        client, self._client, self._channel = self._client, None, None
        proxy, self._proxy = self._proxy, None
        if client:
            client.close()
        if proxy:
            proxy.terminate()
            proxy.wait()

    def _gone(self) -> RoomFault:
        doing = f" while {self.driver.waiting}" if self.driver.waiting else ""
        said = f" ({self._last_words})" if self._last_words else ""
        self._lost = True
        self._drop()
        return RoomFault(
            f"guest {self.name} stopped answering{doing}{said}: the room's fault, not the lab's",
            f"{self.endpoint.remedy}, then check again",
        )

    def _read(self, channel: paramiko.Channel) -> None:
        """The reader's thread: take in all that the agent says, until it is gone."""
        rest = b""
        while data := _receive(channel):
            *lines, rest = (rest + data).split(b"\n") if b"\n" in data else (rest + data,)
            with self.driver.changed:
                for line in lines:
                    self._take(json.loads(line))
        with suppress(OSError):
            channel.settimeout(0)
            self._last_words = channel.recv_stderr(1 << 16).decode(errors="replace").strip().rpartition("\n")[2]
        with self.driver.changed:
            if self._channel is channel:
                self._channel = None
                self._lost = bool(self.programs)
            self.driver.happened()

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
            self.driver.changed.notify_all()
        elif program := self.programs.get(message["program"]):
            if "exit" in message:
                program.ended(message["exit"])
            else:
                program.receive(message["stream"], message["text"].encode("latin-1"))
            self.driver.happened()


class Driver:
    """The hosts of a room, and what happens on them.

    Args:
        endpoints: how to reach each host, by name.
        labs: folder of the labs on the guests.
        patience: seconds until a wait is given up.
        pace: LAB_PACE of the programs: 1 as in the lecture.
        beat: seconds to wait before each thing done to a program, for an audience to follow.
        ports: what `Host.unused_port` chooses from; drivers that work side by side must not share any.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        labs: str = "/opt/labs",
        patience: float | None = None,
        pace: float = PACE,
        beat: float = 0,
        ports: Sequence[int] = PORTS,
    ) -> None:
        self.pace = pace
        self.beat = beat
        self.hosts = {name: Host(self, endpoint) for name, endpoint in endpoints.items()}
        self.labs = labs
        self.lab = ""
        self.patience = patience or PATIENCE
        self.waiting = ""  # what for, in words
        self.transcript: list[Event] = []
        self.audience: Callable[[Event], None] = lambda event: None  # is shown each event as it happens
        self.captures: list[Capture] = []  # of this check
        self.conditions: list[Callable[[], None]] = []  # what must hold during every wait; they raise CheckFailed
        self.watched: set[int] = set()  # ports whose sockets this check has waited for
        self.changed = threading.Condition(threading.RLock())
        self.numbers = itertools.count(1)
        start = time.time_ns() // 1000 % len(ports)  # elsewhere each time: the last run left its TIME_WAITs
        self.ports = itertools.cycle([*ports[start:], *ports[:start]])
        self._began = time.monotonic()
        self._happenings = 0  # counts what programs did

    @property
    def lab_folder(self) -> str:
        """Folder of the lab under check, on the guests."""
        return f"{self.labs}/{self.lab}"

    @property
    def hosts_in_use(self) -> list[Host]:
        """The hosts on which this check has started a program or has files, in the room's order."""
        return [host for host in self.hosts.values() if host.in_use]

    def connect(self, names: Sequence[str]) -> None:
        """Connect to several hosts side by side; raises as `Host.connect` does."""
        with ThreadPoolExecutor(max(len(names), 1)) as pool:
            for done in [pool.submit(self.hosts[name].connect) for name in names]:
                done.result()

    def begin(self, lab: str) -> None:
        """Begin a check of a lab: an empty transcript, time 0."""
        self.lab = lab
        self.transcript = []
        self.captures = []
        self.watched = set()
        self._began = time.monotonic()

    def record(self, host: str, program: str, stream: str, text: str) -> None:
        """Add an event to the transcript."""
        with self.changed:
            event = Event(time.monotonic() - self._began, host, program, stream, text)
            self.transcript.append(event)
            self.audience(event)

    def note(self, words: str) -> None:
        """Explain in the transcript, and to the audience of a play, what is happening or comes next."""
        self.take_a_beat()
        self.record("", "", "note", words)

    def take_a_beat(self) -> None:
        """Before something is done in front of an audience: give it time to have read what is there."""
        if self.beat:
            time.sleep(self.beat)

    def happened(self) -> None:
        """Wake whoever waits: a program did something. The caller holds `changed`."""
        self._happenings += 1
        self.changed.notify_all()

    def wait_until(
        self, look: Callable[[], T | None], what: str, timeout: float | None, missed: Callable[[str], str]
    ) -> T:
        """Look again and again until `look` answers something (not None, not False); answers that.

        Args:
            look: looks at the state waited for. May ask hosts.
            what: the state in words, as in "waiting for …".
            timeout: seconds; the patience by default.
            missed: the words to fail with, given " within 5 s".

        Raises:
            CheckFailed: the deadline was missed and all hosts in use answer.
            RoomFault: a host in use does not.
        """
        patience = timeout or self.patience
        deadline = time.monotonic() + patience
        self.waiting = f"waiting for {what}"
        while True:
            seen = self._happenings
            found = look()
            if found is not None and found is not False:
                self.waiting = ""
                return found
            for check in (*self.conditions, *(host.check for host in self.hosts_in_use)):
                check()
            with self.changed:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self.changed.wait_for(lambda seen=seen: self._happenings != seen, min(POLL_SECONDS, left))  # type: ignore[misc]
        self.check_hosts(patience)
        self.waiting = ""
        raise CheckFailed(missed(f" within {patience:g} s"))

    def check_hosts(self, patience: float) -> None:
        """Make sure that a missed deadline is not the room's fault, asking all hosts in use side by side.

        Raises:
            RoomFault: one does not answer, or a program has waited for a processor for half of the time it had.
        """
        hosts = self.hosts_in_use
        with ThreadPoolExecutor(max(len(hosts), 1)) as pool:
            for done in [pool.submit(host.ping) for host in hosts]:
                for program, seconds in done.result().items():
                    if seconds > patience / 2:
                        raise RoomFault(
                            f"this machine is overloaded: {program} waited {seconds:.1f} s for a processor "
                            f"while {self.waiting}",
                            _WHEN_SLOW,
                        )

    def clean(self) -> dict[str, list[str]]:
        """End a check: kill all it has started, on all hosts side by side.

        Returns:
            host -> command lines of the processes left behind by programs that had ended.
        """
        hosts = self.hosts_in_use
        with ThreadPoolExecutor(max(len(hosts), 1)) as pool:
            left = dict(zip((host.name for host in hosts), pool.map(Host.clean, hosts), strict=True))
        return {name: commands for name, commands in left.items() if commands}

    def close(self) -> None:
        """Part from all hosts; nothing that was started on them is left."""
        with ThreadPoolExecutor(max(len(self.hosts), 1)) as pool:
            list(pool.map(Host.close, self.hosts.values()))


class _NotKnown(paramiko.MissingHostKeyPolicy):
    """Refuses a host whose key nobody has made known."""

    def __init__(self, at: Endpoint) -> None:
        self.at = at

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Say which command makes it known."""
        at = self.at
        port = f"-p {at.ssh_port} " if at.ssh_port != 22 else ""
        raise RoomFault(
            f"the host key of {at.name} ({at.ssh_host}) is not in {_listed(at.known_hosts)}",
            f"ssh-keyscan {port}{at.ssh_host} >>{at.known_hosts[0]}, and compare it with the machine's own",
        )


# Run by the guest's Python: read the agent's source, whose length is known, from standard input, and run it.
BOOTSTRAP = """\
import os
source = b""
while len(source) < LENGTH:
    piece = os.read(0, LENGTH - len(source))
    if not piece: raise SystemExit
    source += piece
exec(compile(source, "labroom-agent", "exec"))
"""


def _receive(channel: paramiko.Channel) -> bytes:
    try:
        return channel.recv(1 << 16)
    except OSError:
        return b""


def _listed(files: Sequence[object]) -> str:
    return ", ".join(map(str, files))


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:150] + f"… ({len(text)} characters)"


def _words(otherwise: str, detail: str) -> str:
    return f"{otherwise} ({detail})" if otherwise else detail
