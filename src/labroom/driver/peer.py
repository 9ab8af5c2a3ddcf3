"""A raw peer: a socket of the driver's own on a host, which speaks to a program under check byte by byte.

It is a client against servers and a server against clients, by TCP or UDP. What programs sent and received is what it
sees, whatever they print. It never waits for mere time: each wait names what must come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from labroom.driver.sockets import SocketHost
from labroom.driver.values import PEER_LIMIT, in_words, short
from labroom.driver.waiting import Shared
from labroom.driver.words import HINT, counted, difference, shown
from labroom.endpoint import Endpoint
from labroom.errors import CheckFailed

T = TypeVar("T")

_ERRORS = {
    "ECONNREFUSED": "nobody listens there: the connection was refused",
    "ECONNRESET": "the other side reset the connection (RST)",
    "EPIPE": "the other side had closed the connection",
    "ETIMEDOUT": "the other side did not answer",
    "EHOSTUNREACH": "there is no way to the other side",
}
_PARTIAL = (
    "recv() gives what has come so far, as much as its buffer holds, and send() may take less than all: "
    "both say how much, and are repeated until all is done"
)


class Peer:
    """A socket on a host. Created by `PeerHost.peer`, `PeerHost.listen` and `PeerHost.datagrams`.

    Attributes:
        host: where it is.
        address: its own address and port.
        received: all that it has received; of UDP the datagrams in one.
        datagrams: of UDP, each datagram and where it came from.
        ended: the other side has closed its direction (FIN).
        error: the name of the errno that ended it; empty while there is none.
        peers: of one that listens: those that have connected, in order.
    """

    def __init__(self, host: PeerHost, name: str, title: str, to: tuple[str, int] | None) -> None:
        self.host = host
        self.name = name
        self.title = title
        self.to = to
        self.address = ("", 0)
        self.received = b""
        self.datagrams: list[tuple[bytes, tuple[str, int]]] = []
        self.connected = False
        self.ended = False
        self.error = ""
        self.closed = False
        self.shut = False  # its own direction is closed
        self.peers: list[Peer] = []
        self._taken = 0
        self._driver = host.driver

    def __str__(self) -> str:
        """As messages name it: `alfa's client`."""
        return f"{self.host.name}'s {self.title}"

    # -- what is done -------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send bytes; what the other side does not take yet waits here."""
        self._event("stdin", shown(data))
        self.host.ask("peer_send", named=True, peer=self.name, text=data.decode("latin-1"), to=None)

    def send_to(self, data: bytes, to: tuple[str, int]) -> None:
        """Send a datagram."""
        if self.title.startswith("client") and to != self.to:
            self.to = to
            self.does(f"nc -u {to[0]} {to[1]}")
        self._event("stdin", shown(data))
        self.host.ask("peer_send", named=True, peer=self.name, text=data.decode("latin-1"), to=list(to))

    def send_in_pieces(self, pieces: Sequence[bytes], reader: SocketHost, otherwise: str = "") -> None:
        """Send one piece after another, each when the program on `reader` has read the one before.

        Raises:
            CheckFailed: it does not read one.
        """
        for piece in pieces[:-1]:
            self.send(piece)
            self.wait_until_read(reader, otherwise)
        self.send(pieces[-1])

    def wait_until_read(self, reader: SocketHost, otherwise: str = "") -> None:
        """Wait until the program on `reader` has read all that this peer has sent.

        Raises:
            CheckFailed: it does not.
        """
        port = self.address[1]

        def look() -> bool:
            return any(s.remote[1] == port and not s.unread for s in reader.sockets(port)) and not any(
                s.local[1] == port and s.unsent for s in self.host.sockets(port)
            )

        self._driver.wait_until(
            look,
            f"what {self} sent to be read",
            None,
            lambda within: in_words(otherwise, f"what {self} sent was not read{within}"),
            by_programs=True,
        )

    def end(self) -> None:
        """Close this direction alone (FIN): the other side reads the end, and may go on sending."""
        self.shut = True
        self._event("stdin", "(end: FIN)")
        self.host.ask("peer_shut", named=True, peer=self.name)

    def close(self) -> None:
        """Close the connection."""
        self._close(reset=False)

    def reset(self) -> None:
        """Break the connection (RST)."""
        self._close(reset=True)

    def _close(self, reset: bool) -> None:
        if not self.closed:
            self.closed = True
            self._event("stdin", "(reset: RST)" if reset else "(close)")
            self.host.ask("peer_close", peer=self.name, reset=reset)

    def stop_reading(self) -> None:
        """Read nothing from now on, as a slow reader does."""
        self._event("stdin", "(reads nothing)")
        self.host.ask("peer_read", peer=self.name, on=False)

    def read_on(self) -> None:
        """Read again."""
        self._event("stdin", "(reads again)")
        self.host.ask("peer_read", peer=self.name, on=True)

    def does(self, command: str) -> None:
        """Say what it is in the transcript: the command by which a person does the same by hand."""
        self._event("start", command)

    # -- what is awaited ----------------------------------------------------------------------------------------

    def wait_connected(self, otherwise: str = "") -> Peer:
        """Wait until the connection is there; returns this peer.

        Raises:
            CheckFailed: it is refused, or does not come.
        """

        def look() -> bool:
            if self.error:
                raise self._failed(otherwise, f"{self} can't connect: {self._why}")
            return self.connected

        self._wait(look, "to be connected", otherwise, lambda within: f"{self} was not connected{within}")
        return self

    def expect(self, wanted: bytes, otherwise: str = "") -> None:
        """Wait for exactly these bytes next.

        Raises:
            CheckFailed: others come, or none.
        """

        def look() -> bool:
            got = self.received[self._taken :]
            if got[: len(wanted)] == wanted:
                self._taken += len(wanted)
                return True
            if not wanted.startswith(got):
                raise self._failed(otherwise, difference(wanted, got))
            if self.ended or self.error:
                raise self._failed(otherwise, f"{self._why_ended}\n{difference(wanted, got)}")
            return False

        def missed(within: str) -> str:
            got = self.received[self._taken :]
            words = f"{'not all' if got else 'nothing'} came{within}\n{difference(wanted, got)}"
            return words if not got or HINT in words else f"{words}\n{HINT}{_PARTIAL}"

        self._wait(look, f"to receive {shown(wanted)}", otherwise, missed)

    def exchange(self, data: bytes, otherwise: str = "") -> None:
        """Send bytes, and wait until they come back, and no others before them.

        Raises:
            CheckFailed: others come, or none.
        """
        self.send(data)
        self.expect(data, otherwise)

    def receive(self, count: int, otherwise: str = "") -> bytes:
        """Wait for so many bytes more, and return them."""

        def look() -> bytes | None:
            got = self.received[self._taken : self._taken + count]
            if len(got) == count:
                self._taken += count
                return got
            if self.ended or self.error:
                raise self._failed(otherwise, f"{self._why_ended} after {len(got)} of {counted(count, 'byte')}")
            return None

        return self._wait(
            look,
            f"to receive {counted(count, 'byte')}",
            otherwise,
            lambda within: f"{len(self.received) - self._taken} of {counted(count, 'byte')} came{within}",
        )

    def rest(self) -> bytes:
        """What has come beyond what was waited for, once the programs wait themselves."""
        self._driver.settle()
        self.host.ping()
        got, self._taken = self.received[self._taken :], len(self.received)
        return got

    def receive_to_end(self, otherwise: str = "") -> bytes:
        """Wait until the other side closes its direction; returns what came since the last wait.

        Raises:
            CheckFailed: it does not close, or resets.
        """

        def look() -> bool:
            if self.error:
                raise self._failed(otherwise, self._why_ended)
            return self.ended

        before = f", although {self} has closed its direction" if self.shut else ""
        self._wait(look, "to see the end", otherwise, lambda within: f"the connection was not closed{before}{within}")
        got, self._taken = self.received[self._taken :], len(self.received)
        return got

    def expect_end(self, otherwise: str = "") -> None:
        """Wait until the other side closes, and nothing more may come before that."""
        if got := self.receive_to_end(otherwise):
            raise self._failed(otherwise, f"{shown(got)} came before the end")

    def accept(self, otherwise: str = "") -> Peer:
        """Of one that listens: wait for the next connection."""
        number = self._taken

        def look() -> Peer | None:
            return self.peers[number] if len(self.peers) > number else None

        found = self._wait(look, "to be connected to", otherwise, lambda within: f"nobody connected to {self}{within}")
        self._taken += 1
        return found

    def datagram(self, otherwise: str = "") -> tuple[bytes, tuple[str, int]]:
        """Of UDP: wait for the next datagram; returns it and where it came from."""
        number = self._taken

        def look() -> bool:
            return len(self.datagrams) > number

        self._wait(look, "to receive a datagram", otherwise, lambda within: f"no datagram came to {self}{within}")
        self._taken += 1
        return self.datagrams[number]

    def has_nothing(self, otherwise: str) -> None:
        """See that nothing has come that was not expected, once the programs wait themselves.

        Raises:
            CheckFailed: something came.
        """
        self._driver.settle()
        self.host.ping()
        left = self.datagrams[self._taken :] if self.datagrams else self.received[self._taken :]
        if left:
            raise self._failed(otherwise, f"{shown(left if isinstance(left, bytes) else left[0][0])} came")

    def _wait(self, look: Callable[[], T | None], what: str, otherwise: str, missed: Callable[[str], str]) -> T:
        return self._driver.wait_until(
            look, f"{self} {what}", None, lambda within: in_words(otherwise, missed(within)), by_programs=True
        )

    # -- called by the host's reader, which holds the driver's condition ----------------------------------------

    def hear(self, message: dict[str, Any]) -> None:
        """Take in what became of it."""
        event, text = message["event"], str(message["text"])
        at = (str(message["at"][0]), int(message["at"][1])) if "at" in message else ("", 0)
        if event == "connected":
            self.connected = True
            self.address = at
        elif event == "accepted":
            peer = Peer(self.host, text, f"connection {len(self.peers) + 1}", at)
            peer.connected, peer.address = True, self.address
            self.peers.append(peer)
            self.host.peers[text] = peer
            self._event("note", f"{at[0]}:{at[1]} connects")
        elif event == "data":
            data = text.encode("latin-1")
            if len(self.received) + len(data) > PEER_LIMIT:
                raise ValueError("a peer receives without end")
            self.received += data
            if at[1]:
                self.datagrams.append((data, at))
            self._event("stdout", shown(data))
        elif event == "end":
            self.ended = True
            self._event("note", "(end: FIN)")
        elif event == "error":
            self.error = text or "an error"
            self._event("note", self._why)
        else:
            raise ValueError(f"an event {short(event)} of a peer")

    @property
    def _why(self) -> str:
        return _ERRORS.get(self.error, self.error)

    @property
    def _why_ended(self) -> str:
        return self._why if self.error else "the other side closed the connection"

    def _failed(self, otherwise: str, detail: str) -> CheckFailed:
        self._driver.settle()  # a connection ends before the program does that ends
        endings = self._driver.endings()
        return CheckFailed(in_words(otherwise, f"{detail}\n{endings}" if endings else detail))

    def _event(self, stream: str, text: str) -> None:
        self._driver.record(self.host.name, self.title, stream, text)


class PeerHost(SocketHost):
    """A host, as the peers on it see it."""

    def __init__(self, driver: Shared, endpoint: Endpoint) -> None:
        super().__init__(driver, endpoint)
        self.peers: dict[str, Peer] = {}  # of the check that runs

    def ping(self) -> object:
        """Have the agent answer, after which all that happened here before is known."""
        raise NotImplementedError

    def peer(self, address: str, port: int, *, receive_buffer: int = 0) -> Peer:
        """A client on this host, which connects; see `Peer.wait_connected`. `receive_buffer`: SO_RCVBUF, in bytes."""
        return self._peer("connect", "client", (address, port), receive_buffer=receive_buffer)

    def listen(self, port: int = 0, *, receive_buffer: int = 0, late_ack: bool = False) -> Peer:
        """A server on this host, whose clients are accepted as they come; port 0: one that nobody uses, on any host.

        `late_ack`: what they send is acknowledged as late as may be (TCP_QUICKACK 0, tcp(7)).
        """
        return self._peer("listen", "server", None, port or self.unused_port(), receive_buffer, late_ack)

    def datagrams(self, port: int | None = None) -> Peer:
        """A UDP socket on this host: a client's, or a server's on a port (0: one that nobody uses, on any host)."""
        if port is None:
            return self._peer("udp", "client", None)
        return self._peer("udp", "server", None, port or self.unused_port())

    def _peer(
        self,
        kind: str,
        title: str,
        to: tuple[str, int] | None,
        port: int = 0,
        receive_buffer: int = 0,
        late_ack: bool = False,
    ) -> Peer:
        name = str(next(self.driver.numbers))
        same = sum(1 for peer in self.peers.values() if peer.title.partition("#")[0] == title)
        peer = self.peers[name] = Peer(self, name, f"{title}#{same + 1}" if same else title, to)
        peer.address = self.ask(
            "peer",
            read=lambda found: (str(found[0]), int(found[1])),
            named=True,
            peer=name,
            kind=kind,
            to=to,
            port=port,
            receive_buffer=receive_buffer,
            late_ack=late_ack,
        )
        self.driver.watched.add(peer.address[1])
        if to:
            peer.does(f"nc {to[0]} {to[1]}")
        elif title == "server":
            peer.does(f"nc {'-u ' if kind == 'udp' else ''}-l {peer.address[1]}")
        return peer
