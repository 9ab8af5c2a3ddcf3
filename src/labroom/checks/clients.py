"""Clients under a claim, started against a raw peer of the driver's, which has what they send."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from functools import partial

from labroom.checks.subjects import ASKED, LOOPBACK, Subject
from labroom.checks.submission import Submission, Way
from labroom.driver import CheckFailed, Host, Peer
from labroom.driver.words import HINT

_ADDRESS = r"""["'](\d+\.\d+\.\d+\.\d+|localhost)["']|INADDR_LOOPBACK"""


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

    def speak(self, line: str | None, *options: str, tty: bool = True) -> Peer:
        """Start one that sends datagrams, type a line, and return the driver's socket, to which one has come.

        Without a line, it sends them by itself. Without a terminal (`tty`), what it leaves behind is not ended by the
        hang-up of that.

        Raises:
            CheckFailed: it sends none.
        """

        def spoken(peer: Peer, *answers: str) -> Peer:
            if line is None:
                return self._spoken(peer, "")
            self.type(line)
            self._spoken(peer, "a line was typed, and ")
            if peer.datagrams[0][0] in map(str.encode, answers):  # it has asked for nothing
                raise CheckFailed("it sends the first line that is typed")
            return peer

        return self._reach(Host.datagrams, spoken, options, tty)

    def _reach(
        self,
        listen: Callable[[Host, int], Peer],
        found: Callable[..., Peer],
        options: Sequence[str],
        tty: bool = True,
    ) -> Peer:
        """Start it in each way that there is, until it reaches a peer: `found` is given that, and what to type."""
        last: CheckFailed | None = None
        for way in self._ways(asked=listen is Host.datagrams):
            at = self.host if way.here else self.peer_host
            listening = self.listening = listen(at, way.port)
            host = self.told[0] if self.told else at.address if at is not self.host else LOOPBACK
            where = {"host": host, "port": str(listening.address[1])}
            self.start(*(word.format_map(where) for word in way.words), *options, tty=tty)
            for line in way.typed:
                self.program.send(line.format_map(where))
            try:
                peer = found(listening, *where.values())
            except CheckFailed as error:
                last = last or error
                self._give_up_unless_decided(last)
                listening.close()
                continue
            if self._submission and not self.told:
                self._submission.ways[self.name] = way
                if way.typed and self.source and not self.source.typed:
                    self.remarks.append(ASKED)
                if way.port:
                    self.remarks.append(f"it connects to port {way.port}, whatever it is told")
                if at is self.host:
                    self.remarks.append("it connects to its own host, whatever it is told")
            return peer
        if last and self.told and (line := self.source_line(_ADDRESS)):
            raise CheckFailed(
                f"{last}\n{HINT}an address stands in its source{line}: connect to the one that it is given"
            ) from last
        raise last or CheckFailed(f"{self.called} can't be started")

    def _ways(self, asked: bool) -> list[Way]:
        """The ways to start it.

        Args:
            asked: whether it may ask for host and port, which isn't seen: it looks like one that waits for a line.
        """
        typed = self.source.typed if self.source else ()
        port = self.told[1] if self.told else 0
        own = [Way(False, port, shlex.split(line), typed) for line in self.start_lines]
        if self.source is None or self.source.start or self.told:
            return own
        if self._submission and (known := self._submission.ways.get(self.name)):
            return [known]
        asked = asked and not typed
        ports = [int(n) for n in dict.fromkeys(re.findall(r"\b(\d{4,5})\b", self.source.text)) if 1024 < int(n) < 65536]
        fixed = [
            Way(here, port, shlex.split(line), lines)
            for port in ports[:3]
            for here in (True, False)
            for line, lines in [*((line, typed) for line in self.starts_fixed), *([("", ("{host}",))] if asked else [])]
        ]
        if asked:
            own.append(Way(False, 0, (), ("{host}", "{port}")))
        return [*own, Way(True, 0, ["{port}"], typed), *fixed]

    def _accepted(self, listening: Peer, *answers: str) -> Peer:
        def look() -> Peer | None:
            over = self._over_and_heard()
            if listening.peers:
                return listening.peers[0]
            if over:
                raise CheckFailed(f"{self.program.last_words}, and did not connect")
            return None

        return self._when_answered(lambda: self._wait_for(look, "to connect", "does not connect"), *answers)

    def _spoken(self, peer: Peer, before: str) -> Peer:
        def look() -> Peer | None:
            over = self._over_and_heard()
            if peer.datagrams:
                return peer
            if over:
                raise CheckFailed(f"{self.program.last_words}, and sent nothing")
            return None

        return self._wait_for(look, "to send a datagram", "sends no datagram to its server", before)

    def _over_and_heard(self) -> bool:
        """Whether it is over; then all that it has sent has come, of which another guest tells."""
        if self.program.over:
            self.host.driver.settle()
            return True
        return False

    def type(self, line: str) -> None:
        """Type a line."""
        self.program.send(line)

    def shows(self, payload: str, otherwise: str = "") -> None:
        """Wait until it prints this, whatever stands before and after it.

        Raises:
            CheckFailed: it does not.
        """
        self.program.expect_text(payload, otherwise=otherwise)
