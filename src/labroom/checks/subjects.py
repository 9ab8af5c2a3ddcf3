"""The programs that claims are about: started, found where they listen or connect to, and spoken to by raw peers.

A check gets a `Server` (fixture `running`), which listens already, or a `Client` (fixture `client`), which it has
connect to a peer. Whose program it is, and what its start line is, a check does not see.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from labroom.checks.own import Source
from labroom.checks.submission import Submission, finding
from labroom.driver import CheckFailed, Host, Peer, Process, Program, Socket, shown
from labroom.driver.values import in_words

T = TypeVar("T")

_LOOPBACK = "127.0.0.1"
_EPHEMERAL = range(32768, 61000)  # ports that the kernel gives to who binds to port 0 (ip(7))


class Subject:
    """A program under a claim.

    Attributes:
        host: where it runs.
        name: for `programs.resolve`.
        remarks: what a person should know of how it was started.
        starts: its arguments as the contract has them, and then as others are common.
        folder: where it runs, and may write, once it was started.
    """

    folder = ""
    starts: Sequence[str] = ("",)

    def __init__(self, host: Host, name: str, submission: Submission | None) -> None:
        self.host = host
        self.name = name
        self.remarks: list[str] = []
        self._submission = submission
        self._program: Program | None = None
        self._moved = False

    def own_folder(self) -> str:
        """Have it run in a folder of its own, empty at first, in which it may create files; returns that."""
        if not self._moved:
            self.folder = self.host.folder(confined=True) if self._submission else self.host.scratch
            self._moved = True
        return self.folder

    def beside(self, *argv: str) -> Program:
        """Start any command in a folder of the program's own, as the user who runs it."""
        return self.host.start_command(argv, directory=self.own_folder(), confined=self._submission is not None)

    @property
    def program(self) -> Program:
        """The program, which has been started."""
        if self._program is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._program

    @property
    def source(self) -> Source | None:
        """The person's source; None of ours."""
        return self._submission.source(self.name) if self._submission else None

    @property
    def role(self) -> str:
        """The lab's name of the program that it is, whoever wrote it and however it was built: `echo_client`."""
        return re.split("[.@]", self.name)[0]

    @property
    def called(self) -> str:
        """As messages name it."""
        return self.source.main if self.source else self.name

    @property
    def finding(self) -> str:
        """What ASan or UBSan has found in it, with file and line; nothing if that is nothing."""
        if self._program is None:
            return ""
        self.host.driver.settle()
        return finding(self._program.stdout + self._program.stderr, self.called)

    @property
    def start_lines(self) -> Sequence[str]:
        """The arguments to try: ours has those of the contract, as has one that says its own (own.yml)."""
        if self.source is None:
            return self.starts[:1]
        return [self.source.start] if self.source.start else self.starts

    def start(self, *arguments: object, settles: bool = True, **options: Any) -> Program:
        """Start it, with a terminal: on a pipe most programs print nothing before they end.

        Raises:
            CheckFailed: it can't be built, or started.
        """
        launch = self.host.launch(self.name)
        self.remarks += launch.remarks
        if not self._moved:
            self.folder = launch.directory if self._submission else self.host.scratch
        program = self.host.start(self.name, *arguments, **{"tty": True, "directory": self.folder, **options})
        program.settles = settles
        self._program = program
        return program

    def _give_up_unless_decided(self, error: CheckFailed) -> None:
        """After a start that failed: end it, and go on to the next start line only if this one is certainly wrong.

        Raises:
            CheckFailed: the program goes on doing something.
        """
        decided = self.program.over or (self.program.status is None and self.host.driver.idle())
        self.program.kill()
        if not decided:
            raise error

    def file(self, name: str, data: bytes) -> str:
        """Make a file that it can read; returns its path."""
        folder = self.host.scratch if self._submission is None else self.host.folder(confined=True)
        self.host.write_file(f"{folder}/{name}", data, 0o644)
        return f"{folder}/{name}"

    def written(self) -> tuple[str, bytes]:
        """The file in its `folder` that was written last: name and content; empty if there is none."""
        found = self.host.start_command(
            ["find", self.folder, "-type", "f", "-printf", "%T@ %P\\n"],
            quiet=True,
            confined=self._submission is not None,
        )
        found.close_stdin()
        found.wait()
        names = sorted((float(line.split(" ")[0]), line.partition(" ")[2]) for line in found.lines)
        name = names[-1][1] if names else ""
        return name, self.host.read_file(f"{self.folder}/{name}") if name else b""

    def _of_first_process(self, look: Callable[[], T]) -> T:
        """What `look` finds out about its first process.

        Raises:
            CheckFailed: that has ended; the words say how.
        """
        try:
            return look()
        except CheckFailed:
            self.host.driver.settle()  # it may be ending
            if self.program.status is None:
                raise
            raise CheckFailed(self.program.last_words) from None

    def names_the_call(self, words: str, *arguments: object, **options: Any) -> None:
        """Start it so that a call fails, by its arguments or its limits, and see it say so on stderr, and exit with 1.

        Args:
            words: as perror(3) has them: `bind: Address already in use`.
            arguments: the program's.
            options: as `start` has them.

        Raises:
            CheckFailed: it does not.
        """
        self.start(*arguments, **{"tty": False, **options}).expect_exit(1)
        said = self.program.stderr
        if words not in said:
            raise CheckFailed(f"it should say {words!r} on stderr; it says {shown(said.encode())}")

    def traced(self, *calls: str) -> dict[int, list[str]]:
        """Run it to its end under strace(1); returns, by process, a line for each of these calls and for each signal.

        Descriptors have the names of their files: `read(3<pipe:[4711]>, "Who are you?", 30) = 12`.
        """
        folder = self.own_folder()
        trace = ["strace", "-ff", "-y", "-o", f"{folder}/trace", "-e", f"trace={','.join(calls)}"]
        self.start(under=trace, settles=False).wait()
        lines: dict[int, list[str]] = {}
        found = self.host.run("sh", "-c", f"grep -H ^ {folder}/trace.*").stdout
        for line in found.splitlines():
            file, _, words = line.partition(":")
            lines.setdefault(int(file.rpartition(".")[2]), []).append(words)
        return lines

    def descriptors(self) -> dict[int, str]:
        """The open descriptors of its first process."""
        return self._of_first_process(self.program.descriptors)

    def wait_for_descriptors(self, count: int) -> dict[int, str]:
        """Wait until it has no more descriptors than `count`, as long as it does something; returns what it has."""
        with suppress(CheckFailed):
            self.host.driver.wait_until(
                lambda: len(self.descriptors()) <= count,
                "descriptors to be closed",
                None,
                "{}".format,
                by_programs=True,
            )
        return self.descriptors()

    def processes(self) -> list[Process]:
        """Its processes."""
        return self.program.processes()

    def children(self) -> list[Process]:
        """The children of its first process, dead ones that it has not waited for among them."""
        return [process for process in self.processes() if process.ppid == self.program.pid]

    def signals(self, field: str) -> set[int]:
        """A set of signals of its first process, by its name in proc_pid_status(5), such as `SigIgn`; none if ended."""
        try:
            status = self.host.read_file(f"/proc/{self.program.pid}/status").decode()
        except CheckFailed:
            return set()
        mask = int(status.partition(f"{field}:")[2].split()[0], 16)
        return {number for number in range(1, 65) if mask & 1 << number - 1}

    def ran(self) -> float:
        """For how long its first process has had a processor, in seconds (the kernel's sched-stats.rst); 0 if ended."""
        with suppress(CheckFailed):
            return int(self.host.read_file(f"/proc/{self.program.pid}/schedstat").split()[0]) / 1e9
        return 0.0

    def threads(self) -> int:
        """How many threads its first process has."""
        file = f"/proc/{self.program.pid}/status"
        status = self._of_first_process(lambda: self.host.read_file(file)).decode(errors="replace")
        return int(status.partition("\nThreads:")[2].split()[0])

    def wait_until(self, look: Callable[[], object], otherwise: Callable[[], str]) -> None:
        """Wait until `look` is true, as long as it does something.

        Raises:
            CheckFailed: it never will be; in the words of `otherwise`, which may look again.
        """
        self.host.driver.wait_until(
            lambda: bool(look()),
            "what the program does",
            None,
            lambda within: f"{otherwise()}{within}",
            by_programs=True,
        )


class Server(Subject):
    """A server that listens.

    Attributes:
        address: where clients reach it.
        port: the port on which its process listens.
    """

    starts: Sequence[str] = ("{port}", "", "0.0.0.0 {port}")
    address = ""
    port = 0

    def forget_earlier_checks(self) -> None:
        """Have it find its port as a first start would, if that is always the same."""
        if self._submission and (port := self._submission.ports.get(self.name)):
            self.host.forget_time_waits(port)

    def serve(self, port: int, *options: str, tty: bool = True, limits: Mapping[str, int] | None = None) -> Server:
        """Start it on a port, and wait until it listens: on that port, or on the one that it has chosen itself.

        Without a terminal (`tty`), its children are not ended by the hang-up of that when it is killed. `limits`: as
        `Host.start_command` has them.

        Raises:
            CheckFailed: it does not.
        """
        last: CheckFailed | None = None
        for words in self._start_lines(port):
            self.start(*words, *options, tty=tty, limits=limits or {})
            for line in self.source.typed if self.source else ():
                self.program.send(line.format(port=port))
            try:
                self._found(self._wait_listening(), port)
            except CheckFailed as error:
                last = last or error
                self._give_up_unless_decided(last)
                continue
            if self._submission:
                self._submission.starts[self.name] = [word.replace(str(port), "{port}") for word in words]
            return self
        raise last or CheckFailed(f"{self.called} can't be started")

    def _start_lines(self, port: int) -> list[list[str]]:
        if self._submission and (known := self._submission.starts.get(self.name)) is not None:
            return [[word.replace("{port}", str(port)) for word in known]]
        return [shlex.split(line.format(port=port, host="0.0.0.0")) for line in self.start_lines]  # noqa: S104

    def _wait_listening(self) -> Socket:
        def look() -> Socket | None:
            over = self.program.over
            if found := self.host.listening(self.program):  # by TCP or UDP
                return found[0]
            if over:
                raise CheckFailed(f"{self.program.last_words}, and did not listen")
            return None

        return self.host.driver.wait_until(
            look,
            f"{self.program} to listen",
            None,
            lambda within: f"{self.program} does not listen on any port{within}",
            by_programs=True,
        )

    def _found(self, listening: Socket, port: int) -> None:
        self.port = listening.local[1]
        self.host.driver.watched.add(self.port)
        self.address = self.host.address
        if self.port == int.from_bytes(port.to_bytes(2, "big"), "little") != port:
            raise CheckFailed(
                f"it listens on port {self.port}, which is {port} with its two bytes exchanged: htons() is missing"
            )
        if self.port in _EPHEMERAL and self.source and not self.source.has_number(self.port):
            raise CheckFailed(
                f"it listens on port {self.port}, which the kernel chose: it was bound to port 0, or not at all, "
                f"and not to {port}"
            )
        if self.port != port:
            self.remarks.append(f"it listens on port {self.port}{self._line(str(self.port))}, whatever it is told")
            if self._submission:
                self._submission.ports[self.name] = self.port
        if listening.local[0].startswith("127."):
            self.address = _LOOPBACK
            self.remarks.append(
                f"it listens on {listening.local[0]} alone{self._line('127.0.0.1|localhost|INADDR_LOOPBACK')}: "
                "no other guest can reach it"
            )

    def _line(self, pattern: str) -> str:
        """Where its source says so."""
        found = next(self.source.lines_with(pattern), None) if self.source else None
        return f" ({self.source.main}, line {found[0]}: {found[1]})" if found and self.source else ""

    def peer(self, host: Host, **options: Any) -> Peer:
        """A client on a host that begins to connect; on the server's own where it listens on loopback alone."""
        at = self.host if self.address == _LOOPBACK else host
        return at.peer(self.address, self.port, **options)

    def connect(self, host: Host, **options: Any) -> Peer:
        """A client that is connected.

        Raises:
            CheckFailed: it is refused.
        """
        return self.peer(host, **options).wait_connected()

    def datagrams(self, host: Host) -> Peer:
        """A client's UDP socket on a host; on the server's own where it is bound to loopback alone."""
        return (self.host if self.address == _LOOPBACK else host).datagrams()

    def reset_by(self, peer: Peer) -> None:
        """Have a client reset its connection while the server has unread bytes of it: with the server stopped."""
        processes = [process.pid for process in self.processes()]
        self.host.stop_processes(processes)
        peer.send(b"x" * 20_000)
        with suppress(CheckFailed):
            self.host.driver.wait_until(
                lambda: any(s.remote[1] == peer.address[1] and s.unread for s in self.host.sockets()),
                "the bytes to arrive", 1.0, "{}".format,
            )  # fmt: skip
        peer.reset()
        self.host.resume_processes(processes)

    def still_serves(self, host: Host, words: bytes = b"still there?", otherwise: str = "") -> None:
        """See that a new client is served, by an echo.

        Raises:
            CheckFailed: it is not.
        """
        if self.program.over:
            raise CheckFailed(in_words(otherwise or "the server ended", self.program.last_words))
        try:
            client = self.connect(host)
            client.send(words)
            client.expect(words)
            client.end()
            client.receive_to_end()
            client.close()
        except CheckFailed as error:
            if self.program.over:
                raise CheckFailed(in_words(otherwise or "the server ended", self.program.last_words)) from error
            raise CheckFailed(in_words(otherwise, str(error))) from error

    def limit(self, **limits: int) -> None:
        """Change soft limits of all its processes (`Host.limit_process`)."""
        for process in self.processes():
            self.host.limit_process(process.pid, **limits)


class Client(Subject):
    """A client, which is started when a check has it connect.

    Attributes:
        peer_host: where the peer is that it connects to.
        told: the address and port that it is told, where they lead to the peer by a way of its own (a forwarded port).
        listening: the peer that it was started against, which has all its connections.
        starts_fixed: as `starts`, for one that has its server's port in the source.
    """

    starts: Sequence[str] = ("{host} {port}", "{port} {host}")
    starts_fixed: Sequence[str] = ("", "{host}")
    told: tuple[str, int] | None = None
    listening: Peer

    def __init__(self, host: Host, name: str, submission: Submission | None, peer_host: Host) -> None:
        super().__init__(host, name, submission)
        self.peer_host = peer_host

    def connect(self, *options: str, late_ack: bool = False) -> Peer:
        """Start it, and return the connection that it has made, to a peer of the driver's (`late_ack`: `Host.listen`).

        Raises:
            CheckFailed: it does not connect; of several start lines, the words are those of the first.
        """
        return self._reach(partial(Host.listen, late_ack=late_ack), self._accepted, options)

    def speak(self, line: str, *options: str, tty: bool = True) -> Peer:
        """Start one that sends datagrams, type a line, and return the driver's socket, to which one has come.

        Without a terminal (`tty`), what it leaves behind is not ended by the hang-up of that.

        Raises:
            CheckFailed: it sends none.
        """

        def spoken(peer: Peer) -> Peer:
            self.type(line)
            return self._spoken(peer)

        return self._reach(Host.datagrams, spoken, options, tty)

    def _reach(
        self,
        listen: Callable[[Host, int], Peer],
        found: Callable[[Peer], Peer],
        options: Sequence[str],
        tty: bool = True,
    ) -> Peer:
        """Start it in each way that there is, until it reaches a peer."""
        last: CheckFailed | None = None
        for at, port, words in self._ways():
            listening = self.listening = listen(at, port)
            host = self.told[0] if self.told else at.address if at is not self.host else _LOOPBACK
            arguments = [word.format(host=host, port=listening.address[1]) for word in words]
            self.start(*arguments, *options, tty=tty)
            for line in self.source.typed if self.source else ():
                self.program.send(line.format(host=host, port=listening.address[1]))
            try:
                peer = found(listening)
            except CheckFailed as error:
                last = last or error
                self._give_up_unless_decided(last)
                listening.close()
                continue
            if self._submission and not self.told:
                self._submission.starts[self.name] = [str(at is self.host), str(port), *words]
                if port:
                    self.remarks.append(f"it connects to port {port}, whatever it is told")
                if at is self.host:
                    self.remarks.append("it connects to its own host, whatever it is told")
            return peer
        raise last or CheckFailed(f"{self.called} can't be started")

    def _ways(self) -> list[tuple[Host, int, list[str]]]:
        """Where the peer listens (0: any port), and the arguments."""
        own = [(self.peer_host, self.told[1] if self.told else 0, shlex.split(line)) for line in self.start_lines]
        if self.source is None or self.source.start or self.told:
            return own
        if self._submission and (known := self._submission.starts.get(self.name)):
            here, port, *words = known
            return [(self.host if here == "True" else self.peer_host, int(port), words)]
        ports = [int(n) for n in dict.fromkeys(re.findall(r"\b(\d{4,5})\b", self.source.text)) if 1024 < int(n) < 65536]
        fixed = [
            (at, port, shlex.split(line))
            for port in ports[:3]
            for at in (self.host, self.peer_host)
            for line in self.starts_fixed
        ]
        return [*own, (self.host, 0, ["{port}"]), *fixed]

    def _accepted(self, listening: Peer) -> Peer:
        def look() -> Peer | None:
            over = self.program.over
            if listening.peers:
                return listening.peers[0]
            if over:
                raise CheckFailed(f"{self.program.last_words}, and did not connect")
            return None

        return self.host.driver.wait_until(
            look,
            f"{self.program} to connect",
            None,
            lambda within: f"{self.program} does not connect{within}",
            by_programs=True,
        )

    def _spoken(self, peer: Peer) -> Peer:
        def look() -> Peer | None:
            over = self.program.over
            if peer.datagrams:
                return peer
            if over:
                raise CheckFailed(f"{self.program.last_words}, and sent nothing")
            return None

        return self.host.driver.wait_until(
            look,
            f"{self.program} to send a datagram",
            None,
            lambda within: f"a line was typed, and {self.program} sends no datagram to its server{within}",
            by_programs=True,
        )

    def type(self, line: str) -> None:
        """Type a line."""
        self.program.send(line)

    def shows(self, payload: str, otherwise: str = "") -> None:
        """Wait until it prints this, whatever stands before and after it.

        Raises:
            CheckFailed: it does not.
        """
        self.program.expect_text(payload, otherwise=otherwise)
