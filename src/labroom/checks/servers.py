"""Servers under a claim, found where they listen; and what several labs ask of theirs, each by a function."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from labroom.checks.subjects import LOOPBACK, Subject
from labroom.checks.submission import LIMITS
from labroom.driver import CheckFailed, Host, Peer, Socket
from labroom.driver.values import in_words
from labroom.driver.words import HINT

_EPHEMERAL = range(32768, 61000)  # ports that the kernel gives to who binds to port 0 (ip(7))
SPIN_SECONDS = 0.2  # of a processor: a server that takes them and has nothing to do is in an endless loop

#: A hint of claims that a server which waits for a newline, or decodes, fails.
AS_IT_COMES = "send back what recv() gave, as many bytes: a message need not end with a newline, nor be text"


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
                self._found(self._when_answered(self._wait_listening, str(port)), port)
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

        return self._wait_for(look, "to listen", "does not listen on any port")

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
            self.remarks.append(
                f"it listens on port {self.port}{self.source_line(str(self.port))}, whatever it is told"
            )
            if self._submission:
                self._submission.ports[self.name] = self.port
        if listening.local[0].startswith("127."):
            self.address = LOOPBACK
            self.remarks.append(
                f"it listens on {listening.local[0]} alone{self.source_line('127.0.0.1|localhost|INADDR_LOOPBACK')}: "
                "no other guest can reach it"
            )

    def peer(self, host: Host, **options: Any) -> Peer:
        """A client on a host that begins to connect; on the server's own where it listens on loopback alone."""
        at = self.host if self.address == LOOPBACK else host
        return at.peer(self.address, self.port, **options)

    def connect(self, host: Host, **options: Any) -> Peer:
        """A client that is connected.

        Raises:
            CheckFailed: it is refused.
        """
        try:
            return self.peer(host, **options).wait_connected()
        except CheckFailed as error:
            if any(found.local[0] == "::" for found in self.host.listening(self.program)):
                words = f"{error}\n{HINT}it listens by IPv6 alone: switch IPV6_V6ONLY off, or listen by AF_INET"
                raise CheckFailed(words) from error
            raise

    def datagrams(self, host: Host) -> Peer:
        """A client's UDP socket on a host; on the server's own where it is bound to loopback alone."""
        return (self.host if self.address == LOOPBACK else host).datagrams()

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


# -- what several labs ask; each raises CheckFailed where it is not so --------------------------------------------


def answers(server: Server, host: Host) -> None:
    """See that what a client sends comes back, and once more."""
    client = server.connect(host)
    for words in (b"hello\n", b"again\n"):
        client.exchange(words)


def returns_every_byte(server: Server, host: Host) -> None:
    """See that bytes come back unchanged, also such as are no text."""
    client = server.connect(host)
    for data in (b"zero \0 byte", bytes(range(256)), b"\xff\xfe\xc3"):
        client.exchange(data)


def returns_any_length(server: Server, host: Host) -> None:
    """See that messages come back whole, shorter and longer than any buffer."""
    client = server.connect(host)
    for length in (1, 100, 1023, 1024, 1025, 4096, 70_000):
        client.exchange((b"0123456789" * (length // 10 + 1))[:length], f"of a message of {length} bytes")


def serves_at_once(clients: Sequence[Peer], otherwise: str) -> None:
    """See that three clients, connected, are each sent their own bytes alone, in any order."""
    for number in (2, 1, 2, 0, 1, 0):
        clients[number].exchange(b"of client %d" % number, otherwise)
    for client in clients:
        client.has_nothing("what one client has sent came to another one, too")


def serves_twelve(server: Server, host: Host) -> None:
    """See that twelve clients are served at once, and another one after them."""
    clients: list[Peer] = []
    for number in range(12):
        clients.append(server.connect(host))
        clients[-1].exchange(b"hello", f"client {number + 1} of twelve")
    for number in (7, 0, 11, 3, 10, 5, 1, 8, 2, 9, 4, 6):
        clients[number].exchange(b"of client %d" % number, f"client {number + 1} of twelve")
    for client in clients:
        client.close()
    server.still_serves(host, otherwise="after twelve clients, no other one is served")


def closes_its_end(server: Server, host: Host, otherwise: str = "the server does not close its own") -> None:
    """See that a client that has closed its direction reads to the end."""
    client = server.connect(host)
    client.exchange(b"hello")
    client.end()
    client.expect_end(f"the client has closed its direction, and {otherwise}")


def closes_descriptors(server: Server, host: Host, count: int = 3) -> None:
    """See that it has no more descriptors when so many clients have left than before they came."""
    server.still_serves(host)
    server.host.driver.settle()
    before = server.descriptors()
    for _ in range(count):
        server.still_serves(host)
    after = server.wait_for_descriptors(len(before))
    if len(after) > len(before):
        raise CheckFailed(f"{count} clients later it has {len(after)} descriptors, before {len(before)}")


def outlives_resets(server: Server, host: Host, other: Host) -> None:
    """See that a client's reset ends neither the server nor the connection of a client on the other host."""
    staying, breaking, silent = server.connect(other), server.connect(host), server.connect(host)
    for client in (staying, breaking, silent):
        client.exchange(b"hello")
    silent.reset()  # with nothing unread: read fails; after reset_by it is write that does
    staying.exchange(b"still there?", "after another client has reset its connection")
    server.reset_by(breaking)
    server.host.driver.settle()
    staying.exchange(b"still there?", "after another client has reset its connection")
    server.still_serves(host, otherwise="after a client has reset its connection, no other one is served")


def outlives_leaving(server: Server, host: Host) -> None:
    """See that it serves on when clients have left without a word, and in the midst of a line."""
    for words in (b"", b"half a li"):
        client = server.connect(host)
        if words:
            client.send(words)
        client.close()
    server.host.driver.settle()  # whatever serves them may end the server a moment later
    server.still_serves(host, otherwise="after clients have left, no other one is served")


def outlives_early_reset(server: Server, host: Host, other: Host | None = None) -> None:
    """See that a reset before accept, with the server stopped, ends neither it nor the connection of the other host."""
    staying = [server.connect(other)] if other else []
    for client in staying:
        client.exchange(b"hello")
    processes = [process.pid for process in server.processes()]
    server.host.stop_processes(processes)
    gone = server.connect(host)
    gone.reset()
    server.host.driver.wait_until(
        lambda: all(s.remote[1] != gone.address[1] for s in server.host.sockets()), "the reset", None, "{}".format
    )
    server.host.resume_processes(processes)
    server.host.driver.settle()
    server.still_serves(host, otherwise="a client was gone before it was accepted, and no other one is served")
    for client in staying:
        client.exchange(b"still there?", "after another client was gone before it was accepted")


def turns_away(server: Server, host: Host, what: str) -> None:
    """See that it goes on where it can create no `what`, a process or a thread, for a client."""
    staying = server.connect(host)
    staying.exchange(b"hello")
    server.limit(NPROC=1)  # counts all that its user has: there can be no more
    late = server.connect(host)
    with suppress(CheckFailed):  # then it waits
        late.receive_to_end()
    staying.exchange(b"still there?", f"no {what} could be created for another client")
    server.limit(NPROC=LIMITS["NPROC"])
    server.still_serves(host, otherwise=f"a {what} can be created again, and no client is served any more")
    if not late.ended and not late.error:
        late.exchange(b"still there?", f"no {what} could be created for a client: it is neither turned away nor served")


def says_no_descriptor_is_left(server: Server, port: int, host: Host) -> None:
    """See it say that it has no descriptor for a client, and exit with 1."""
    server.serve(port, tty=False)
    server.limit(NOFILE=min(set(range(1024)) - set(server.descriptors())))
    before, why = server.processor_seconds(), "it has no descriptor for a client"
    for _ in range(2):  # who waits in accept(2) already has a descriptor for one client
        with suppress(CheckFailed):
            server.connect(host).close()
    server.wait_until(
        lambda: server.program.status is not None or server.processor_seconds() - before > SPIN_SECONDS,
        lambda: f"{why}, and does not end",
    )
    if server.program.status is None:
        raise CheckFailed(f"{why}, and does not end: it keeps a processor busy, as if accept() were to succeed yet")
    server.ends_saying("Too many open files", why)


def refuses_arguments(server: Server) -> None:
    """See it exit with 2 where there is no port, or one that is none."""
    for arguments in ([], ["0"], ["65536"], ["port"]):
        server.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
