"""A capture: tcpdump(8) running on a host, which says packet by packet what it sees, and the file for Wireshark."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from labroom import tcpdump
from labroom.driver.packets import Packet, packets_in, sent_once
from labroom.driver.waiting import Shared
from labroom.errors import RoomFault


class _Tcpdump(Protocol):
    """Of a program, what a capture needs."""

    status: int | None

    @property
    def stderr(self) -> str: ...

    def expect(self, pattern: str) -> object: ...

    def interrupt(self) -> None: ...

    def wait(self) -> int: ...


class _Host(Protocol):
    """Of a host, what a capture needs: `Host` is above this module, for it hands out captures."""

    name: str
    driver: Shared
    captures: list[Capture]

    @property
    def scratch(self) -> str: ...

    def start_command(self, argv: Sequence[str], *, name: str, quiet: bool) -> _Tcpdump: ...

    def read_file(self, path: str, start: int) -> bytes: ...


class Capture:
    """A running capture on a host; created by `Host.capture`, and ended at the end of its `with` block.

    Attributes:
        expression: which packets, as pcap-filter(7) has it.
        began: when it saw its first packet at the earliest; of this process's monotonic clock, in seconds.
        file: the capture as pcap-savefile(5) has it, as far as it was fetched.
    """

    def __init__(self, host: _Host, expression: str) -> None:
        self.host = host
        self.expression = expression
        self.file = b""
        self.began = 0.0

    def __enter__(self) -> Self:
        """Start it, and wait until it sees packets."""
        self._path = f"{self.host.scratch}/capture{len(self.host.captures) + 1}.pcap"
        self._tcpdump = self.host.start_command(
            ["sudo", *tcpdump.command(self._path), self.expression],
            name="tcpdump",
            quiet=True,
        )
        self.host.driver.record(self.host.name, "tcpdump", "note", f"captures {self.expression}")
        self._tcpdump.expect("listening on")
        self.began = time.monotonic()
        self.host.captures.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, and fetch the rest of it.

        Raises:
            RoomFault: packets were lost, so that nothing can be judged by it.
        """
        self._tcpdump.interrupt()
        self._tcpdump.wait()
        self._fetch()
        lost = re.search(r"^(\d+) packets dropped by kernel", self._tcpdump.stderr, re.MULTILINE)
        if lost and int(lost[1]):
            raise RoomFault(f"the capture on {self.host.name} lost {lost[1]} packets: this machine is overloaded")

    @property
    def packets(self) -> list[Packet]:
        """All packets that it has seen so far, in order, without those that a slow machine's TCP sent once more."""
        if self._tcpdump.status is None:
            self._fetch()
        return sent_once(packets_in(self.file))

    def wait_for(self, seen: Callable[[list[Packet]], object], what: str) -> list[Packet]:
        """Wait until the capture shows something, and return all packets until then.

        Args:
            seen: looks at the packets so far.
            what: what is waited for, in words.

        Raises:
            CheckFailed: it did not come in time; says which packets came.
            RoomFault: a host of the room does not answer.
        """

        def look() -> list[Packet] | None:
            packets = self.packets
            return packets if seen(packets) else None

        return self.host.driver.wait_until(
            look,
            f"{what} on {self.host.name}'s wire",
            None,
            lambda within: (
                f"not seen on {self.host.name}'s wire{within}: {what}; "
                f"seen: {'; '.join(map(str, self.packets[-10:])) or 'nothing'}"
            ),
        )

    def _fetch(self) -> None:
        self.file += self.host.read_file(self._path, len(self.file))
