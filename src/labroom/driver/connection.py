"""How one host is reached: its SSH connection, the agent on it, and what can be asked of that without any program.

Sources: RFC 4251 to 4254 (SSH), sshd(8), ssh_config(5).
"""

from __future__ import annotations

import errno
import json
import logging
import math
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeVar, cast

import paramiko

from labroom.console import harmless
from labroom.driver import known_hosts
from labroom.driver.values import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    PING_SECONDS,
    REACH_SECONDS,
    WHEN_SLOW,
    WINDOW_BYTES,
)
from labroom.driver.waiting import Shared
from labroom.endpoint import Endpoint
from labroom.errors import CheckFailed, RoomFault, fault_of
from labroom.processes import environment

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its threads' tracebacks are told as RoomFaults

T = TypeVar("T")

LINE_BYTES = 32 << 20  # the longest line of an agent: a piece of a file (agent.FILE_PIECE), six characters a byte
WORDS = 300  # characters of what a guest says that a message quotes
# Requests in words; what others are called says it.
_DOING = {
    "start": "start a program",
    "scratch": "create a folder",
    "read": "read a file",
    "save": "write a file",
    "processes": "list processes",
    "sockets": "list sockets",
}
# What comes of data of another shape than expected.
OTHER_SHAPE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)


def quoted(text: object) -> str:
    """What a guest said, as a message may quote it: one line of bounded length, harmless to a terminal."""
    words = harmless(str(text))
    return words if len(words) <= WORDS else words[:WORDS] + "…"


@dataclass(frozen=True)
class Refusal:
    """Why an agent could not do something.

    Attributes:
        name: of the errno, such as `ENOENT`.
        why: the system's words for it.
        file: which file it is about, if any.
        named: it is about the very file or process of the request.
        share: of what the guest ran out of, how much the check's own processes and files hold: 0 to 1.
    """

    name: str
    why: str
    file: str
    named: bool
    share: float


class Connection:
    """The connection to one host, made when it is first used, and the agent there.

    A subclass hears what programs do: `hear`.
    """

    def __init__(self, driver: Shared, endpoint: Endpoint) -> None:
        self.driver = driver
        self.name = endpoint.name
        self.address = endpoint.address
        self.endpoint = endpoint
        self._client: paramiko.SSHClient | None = None
        self._proxy: subprocess.Popen[bytes] | None = None  # leads to a host that is not reached directly
        self._channel: paramiko.Channel | None = None
        self._fault: RoomFault | None = None  # why it is given up
        self._lost = False  # the connection broke during this check
        self.agents = 0  # how many have been started here: with each, its folders are gone
        self._scratch = ""
        self._last_words = ""  # of the agent, on its standard error
        self._strange = ""  # what the host sent that no agent of ours sends
        self._connecting = threading.Lock()
        self._sending = threading.Lock()
        self._asked: dict[int, float] = {}  # requests that are not answered yet, and when they were sent
        self._answers: dict[int, dict[str, Any]] = {}
        self._round_trip = math.inf  # seconds, of the fastest answer so far
        self._clock = 0.0  # our clock minus the host's, by that answer
        self._latest = 0.0  # when the last event was, by our clock

    # -- files --------------------------------------------------------------------------------------------------

    @property
    def scratch(self) -> str:
        """A folder on this host for what the check's programs write: empty at first, removed at the check's end."""
        if not self._scratch:
            self._scratch = self.ask("scratch", read=str)
        return self._scratch

    @property
    def is_root(self) -> bool:
        """Whether the agent is root, and so can confine programs."""
        return self.ask("root", read=bool)

    def folder(self, *, confined: bool) -> str:
        """A new folder on this host, which stays until the driver parts from it; `confined`: for confined programs."""
        return self.ask("scratch", read=str, keep=True, confined=confined)

    def read_file(self, path: str, start: int = 0) -> bytes:
        """The bytes of a file, from byte `start` on.

        Raises:
            CheckFailed: it can't be read.
            RoomFault: the guest can't read any file, or does not answer.
        """
        data = b""
        while True:  # piece by piece, since an agent's line is of bounded length
            piece = self.ask("read", read=_bytes, named=True, path=path, start=start + len(data))
            if not piece:
                return data
            data += piece

    def write_file(self, path: str, data: bytes, mode: int = 0) -> None:
        """Make a file hold these bytes, and no others. `mode`: its permissions, if not those that a new file has.

        Raises:
            CheckFailed: it can't be written.
            RoomFault: the guest can't write any file, or does not answer.
        """
        self.ask("save", named=True, path=path, text=data.decode("latin-1"), mode=mode)

    # -- connection ---------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the agent is there, as far as is known."""
        return self._channel is not None

    @property
    def in_use(self) -> bool:
        """Whether the check has files here, or has lost the connection."""
        return bool(self._scratch) or self._lost

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
        seconds = CONNECT_SECONDS * self.driver.slowness
        client = self._client = paramiko.SSHClient()
        try:
            host_keys = known_hosts.of(at)
            identities = [str(file) for file in at.identity_files if file.is_file()]  # OpenSSH, too, skips the others
            client.set_missing_host_key_policy(_Checked(at, host_keys))  # all are missing to it: it checks itself
            client.connect(
                at.ssh_host,
                at.ssh_port,
                at.user,
                key_filename=identities,  # type: ignore[arg-type]  # its stubs forget lists
                allow_agent=True,  # it may hold the key of a file that has a passphrase
                look_for_keys=not at.identity_files,
                sock=self._reach(),
                timeout=seconds,
                banner_timeout=seconds,
                auth_timeout=seconds,
                channel_timeout=seconds,
                transport_factory=host_keys.transport,
            )
            transport = cast(paramiko.Transport, client.get_transport())
            transport.set_keepalive(1)
            source = resources.files("labroom.driver").joinpath("agent.py").read_bytes()
            channel = transport.open_session(window_size=WINDOW_BYTES, timeout=seconds)
            command = "exec python3 -IS -c " + shlex.quote(BOOTSTRAP.replace("LENGTH", str(len(source))))
            if self.driver.as_root:
                room = shlex.quote(" ".join(self.driver.addresses))
                command = AS_ROOT.format(shlex.quote(command), command, room)
            channel.exec_command(command)
            channel.sendall(source)
        except paramiko.AuthenticationException as error:
            offered = _listed(at.identity_files) or "the keys of ssh-agent and ~/.ssh"
            raise RoomFault(f"{self.name} does not let {at.user} in with {offered}: {quoted(error)}") from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            why, remedy = getattr(error, "strerror", None) or str(error), at.remedy
            if file := getattr(error, "filename", None):
                why = f"{why}: {file}"
            if why == "No existing session":  # paramiko's words if keys have not been exchanged in time
                why, remedy = f"no session within {seconds:g} s", WHEN_SLOW
            raise RoomFault(
                f"{self.name} ({at.ssh_host} port {at.ssh_port}) can't be reached: {quoted(why)}", remedy
            ) from error
        self._asked.clear()
        self._answers.clear()
        self._round_trip, self._latest = math.inf, 0.0
        self._last_words = self._strange = ""
        self._channel = channel
        self.agents += 1
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
                    env=environment(),
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
        unacknowledged = int(3000 * self.driver.slowness)  # ms, tcp(7)
        reached.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reached.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unacknowledged)
        return reached

    def ask(
        self,
        request: str,
        *,
        within: float = ANSWER_SECONDS,
        read: Callable[[Any], T] = lambda result: result,
        named: bool = False,
        **details: object,
    ) -> T:
        """Have the agent do something, and wait for its answer.

        Args:
            request: what, by the agent's name for it.
            within: seconds, times the driver's slowness, until the host is at fault.
            read: makes what the caller wants of the answer's result, which may be anything: a guest sent it.
            named: an error about a missing file or process is the program's fault, not the room's.
            details: of the request.

        Raises:
            CheckFailed: the agent could not, by the program's fault (`fault_of`), with the system's words.
            RoomFault: the agent could not, by the room's fault; or the host does not answer.
        """
        self.connect()
        number = next(self.driver.numbers)
        line = json.dumps({"id": number, "do": request, **details}) + "\n"
        channel = self._channel
        if channel is None:
            raise self._gone()
        self._asked[number] = time.monotonic()
        try:
            with self._sending:
                channel.sendall(line.encode())
        except OSError as error:
            raise self._gone() from error
        deadline = time.monotonic() + within * self.driver.slowness
        with self.driver.changed:
            while number not in self._answers:
                if self._channel is not channel:
                    raise self._gone()
                if not self.driver.changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise self._gone()
            answer = self._answers.pop(number)
        try:
            if "error" in answer:
                raise self._refused(request, Refusal(**answer["error"]), named)
            return read(answer["result"])
        except OTHER_SHAPE:
            self._strange = f"an answer to '{request}' of another shape"
        raise self._gone()

    def _refused(self, request: str, error: Refusal, named: bool) -> CheckFailed | RoomFault:
        words = ": ".join(quoted(word) for word in (error.file, error.why) if word)
        if fault_of(error.name, named=named and error.named, share=float(error.share)) is RoomFault:
            return RoomFault(
                f"guest {self.name} can't {_DOING.get(request, request)}: {words}: the room's fault, not the lab's",
                f"{self.endpoint.remedy}, then check again",
            )
        return CheckFailed(words)

    def _set_clock(self, sent: float, answered: float, came: float) -> None:
        """Learn from an answer by how much the host's clock is off: of the fastest, half way, as NTP does (RFC 5905).

        Where both may be one clock, as a machine and its guests have it, they are taken to be.
        """
        if came - sent < self._round_trip:
            self._round_trip = came - sent
            low, high = sent - answered, came - answered
            self._clock = 0.0 if low <= 0 <= high else (low + high) / 2

    def check(self) -> None:
        """Raise RoomFault if the connection has broken."""
        if not self.connected:
            raise self._gone()

    def close(self) -> None:
        """Part from the host: its agent kills all that is left, and ends."""
        channel = self._channel
        if channel:
            with suppress(OSError, EOFError):
                channel.shutdown_write()
            with self.driver.changed:
                self.driver.changed.wait_for(lambda: self._channel is not channel, PING_SECONDS * self.driver.slowness)
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
        happened = f"sent what no agent of ours sends: {self._strange}" if self._strange else "stopped answering"
        self._lost = True
        self._drop()
        return RoomFault(
            f"guest {self.name} {happened}{doing}{said}: the room's fault, not the lab's",
            f"{self.endpoint.remedy}, then check again",
        )

    def _read(self, channel: paramiko.Channel) -> None:
        """The reader's thread: take in all that the agent says, until it is gone or is no agent of ours."""
        rest = bytearray()
        try:
            while data := _receive(channel):
                rest += data
                if b"\n" in data:
                    *lines, rest = rest.split(b"\n")
                    with self.driver.changed:
                        for line in lines:
                            self._take(json.loads(line))
                elif len(rest) > LINE_BYTES:
                    raise ValueError(f"a line of more than {LINE_BYTES >> 20} MiB")
        except OTHER_SHAPE as error:
            self._strange = quoted(f"{type(error).__name__}: {error}")
            channel.close()
        with suppress(OSError):
            channel.settimeout(0)
            self._last_words = quoted(channel.recv_stderr(1 << 16).decode(errors="replace").strip().rpartition("\n")[2])
        with self.driver.changed:
            if self._channel is channel:
                self._channel = None
                self._lost = self.in_use
            self.driver.happened()

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._set_clock(self._asked.pop(message["id"]), _seconds(message["time"]), time.monotonic())
            self._answers[message["id"]] = message
            self.driver.changed.notify_all()
        else:
            self._latest = max(self._latest, _seconds(message["time"]) + self._clock)
            with self.driver.events_at(self._latest):
                self.hear(message)
            self.driver.happened()

    def hear(self, message: dict[str, Any]) -> None:
        """Take in what a program did. Called by the reader, which holds the driver's condition.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: no agent of ours says such a thing.
        """
        raise ValueError("a message of a program")


class _Checked(paramiko.MissingHostKeyPolicy):
    """Takes a host for itself if it shows a key that is known."""

    def __init__(self, at: Endpoint, expected: known_hosts.HostKeys) -> None:
        self.at = at
        self.expected = expected

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Raise RoomFault unless the key is known, with the command that makes it known."""
        at, shown = self.at, key.asbytes()
        host, files = f"{at.name} ({at.ssh_host})", _listed(at.known_hosts)
        if shown in self.expected.revoked:
            raise RoomFault(
                f"{host} shows a host key that is revoked in {files}",
                "on it: sudo rm /etc/ssh/ssh_host_*; sudo ssh-keygen -A; then make the new one known",
            )
        if shown in [known for _, known in self.expected.known]:
            return
        if self.expected.known:
            raise RoomFault(f"{host} shows another host key than {files} has", at.remedy)
        file = next((file for file in at.known_hosts if file.name not in ("null", "none")), None)
        port = f"-p {at.ssh_port} " if at.ssh_port != 22 else ""
        if not file:
            remedy = "have your ssh configuration name a file for them: UserKnownHostsFile"
        elif at.proxy_command:
            remedy = f"log in by ssh once and compare the key, or write it into {shlex.quote(str(file))}"
        else:
            scan = f"ssh-keyscan {port}{shlex.quote(at.ssh_host)} >>{shlex.quote(str(file))}"
            remedy = f"{scan}, and compare it with the machine's own"
        only = ", which has but a certificate authority's" if self.expected.certified else ""
        raise RoomFault(f"the host key of {host} is not in {files}{only}", remedy)


# Has the agent run as root where the user may use sudo without a password; else as the user.
AS_ROOT = (
    "if sudo -n true 2>/dev/null; "
    'then exec sudo -n env SSH_CONNECTION="$SSH_CONNECTION" HOME="$HOME" LABROOM_ROOM={2} sh -c {0}; else {1}; fi'
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


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def _seconds(number: object) -> float:
    if not isinstance(number, float):
        raise TypeError(f"a time of {type(number).__name__}")
    return number
