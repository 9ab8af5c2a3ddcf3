"""The driver: the hosts of a room, and what happens on them during a check.

A host has one SSH connection and on it one agent (`labroom.driver.agent`), through which everything on that host goes,
so the events of one host come in the order in which they happened there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labroom.driver.capture import Capture
from labroom.driver.host import Host, Resolve
from labroom.driver.values import PACE, PORTS
from labroom.driver.waiting import Shared
from labroom.endpoint import Endpoint


class Driver(Shared):
    """The hosts of a room.

    Args:
        endpoints: how to reach each host, by name.
        resolve: how a program that `Host.start` names is started; without it, there are only commands.
        patience: seconds until a wait is given up.
        pace: LAB_PACE of the programs: 1 as in the lecture.
        beat: seconds to wait before each thing done to a program, for an audience to follow.
        ports: what `Host.unused_port` chooses from; drivers that work side by side must not share any.
        as_root: have the agents be root where they can, so that programs can be confined.

    Raises:
        UsageError: LABROOM_PATIENCE in the environment is no positive number.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        resolve: Resolve | None = None,
        patience: float | None = None,
        pace: float = PACE,
        beat: float = 0,
        ports: Sequence[int] = PORTS,
        as_root: bool = False,
    ) -> None:
        super().__init__(patience=patience, pace=pace, beat=beat, ports=ports, as_root=as_root)
        self.addresses = [endpoint.address for endpoint in endpoints.values()]
        self.hosts = {name: Host(self, endpoint, resolve) for name, endpoint in endpoints.items()}

    @property
    def hosts_in_use(self) -> list[Host]:
        """The hosts on which this check has started a program or has files, in the room's order."""
        return [host for host in self.hosts.values() if host.in_use]

    @property
    def captures(self) -> list[Capture]:
        """The captures of this check, in the order in which they began."""
        return sorted((c for host in self.hosts.values() for c in host.captures), key=lambda capture: capture.began)

    def begin(self, lab: str) -> None:
        """Begin a check of a lab: an empty transcript, time 0."""
        for host in self.hosts.values():
            host.captures = []
        super().begin(lab)

    def endings(self) -> str:
        """In words, how the programs of this check that have ended did so, and what they said at last."""
        return ", ".join(words for host in self.hosts_in_use for words in host.endings())

    def idle(self) -> str:
        """In words, what the programs under check wait for, if each waits for ever; nothing while one may still act."""
        found = self.side_by_side(Host.idle, self.hosts_in_use)
        return "" if None in found else ", ".join(filter(None, found)) or "no program of this check runs any more"

    def settled(self) -> bool:
        """Whether the programs under check have done what they were going to do now."""
        return all(self.side_by_side(Host.settled, self.hosts_in_use))

    def connect(self, names: Sequence[str]) -> None:
        """Connect to several hosts side by side; raises as `Host.connect` does."""
        self.side_by_side(Host.connect, [self.hosts[name] for name in names])

    def clean(self) -> dict[str, list[str]]:
        """End a check: kill all it has started, on all hosts side by side.

        Returns:
            host -> command lines of the processes left behind by programs that had ended.
        """
        hosts = self.hosts_in_use
        left = dict(zip((host.name for host in hosts), self.side_by_side(Host.clean, hosts), strict=True))
        return {name: commands for name, commands in left.items() if commands}

    def close(self) -> None:
        """Part from all hosts; nothing that was started on them is left."""
        self.side_by_side(Host.close, list(self.hosts.values()))
