"""The sockets of a host: what /proc/net shows of them, and waiting until they are in a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from labroom.driver.connection import Connection
from labroom.driver.values import WATCH_SECONDS, Socket, in_words
from labroom.errors import CheckFailed


class SocketHost(Connection):
    """A host, as its sockets show it."""

    def sockets(self, port: int = 0) -> list[Socket]:
        """All TCP and UDP sockets of the host, or those with this port at either end, but for sshd's own."""
        return self.ask("sockets", read=read_sockets, port=port, waiting=False)

    def connections(self, port: int) -> list[Socket]:
        """The TCP connections here with this port at either end, in whatever state but LISTEN."""
        return [s for s in self.sockets(port) if s.protocol == "tcp" and s.remote[1]]

    def wait_for_listening(self, port: int, timeout: float | None = None, *, protocol: str = "tcp") -> Socket:
        """Wait until a TCP socket is in LISTEN on `port`, or (protocol `udp`) a UDP socket is bound to it.

        Raises:
            CheckFailed: none is in time, or every program started here has ended without it.
            RoomFault: a host of the room does not answer.
        """
        self.driver.watched.add(port)
        waiting = {"tcp": "LISTEN", "udp": "CLOSE"}[protocol]  # a UDP socket without a peer is in state CLOSE

        def look() -> Socket | None:
            over = self.all_ended
            for found in self.ask("sockets", read=read_sockets, port=port, waiting=True, wait=WATCH_SECONDS):
                if found.protocol == protocol and found.state == waiting and found.local[1] == port:
                    return found
            if over:
                raise CheckFailed(f"no program listens on {self.name}'s port {port}: {over}")
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
        peer: SocketHost | None = None,
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
            lambda within: in_words(otherwise, f"not seen{within}: {what}; {self._listed(self.connections(port))}"),
        )

    def unused_port(self) -> int:
        """A port of the driver's `ports` that no socket of this host uses, not even one in TIME_WAIT."""
        return next(port for port in self.driver.ports if self.ask("is_free", read=bool, port=port))

    def forget_time_waits(self, port: int) -> None:
        """End the connections of a port that are in TIME_WAIT, so that a program can be bound to it; if we may."""
        self.ask("forget", port=port)

    def source_address(self, to: SocketHost) -> str:
        """The own address from which this host speaks to another."""
        return self.ask("source_address", read=str, to=to.address)

    def sockets_of_check(self) -> list[Socket]:
        """The sockets that the check's programs and peers here hold, and those of the ports that it is about."""
        ports = self.driver.watched - {0}
        held = self.ask("held", read=set[int])
        return [s for s in self.sockets() if s.inode in held or s.local[1] in ports or s.remote[1] in ports]

    @property
    def all_ended(self) -> str:
        """How the last program here ended, if none of those that the check started runs any more; else nothing."""
        return ""

    def _listed(self, sockets: Sequence[Socket]) -> str:
        listed = ", ".join(str(s) for s in sockets[:6]) + (f" and {len(sockets) - 6} more" if len(sockets) > 6 else "")
        return f"{self.name}'s sockets: {listed or 'none'}"


def read_sockets(found: Sequence[dict[str, Any]]) -> list[Socket]:
    """The sockets of an agent's answer."""
    return [Socket(**{**each, "local": tuple(each["local"]), "remote": tuple(each["remote"])}) for each in found]
