"""Which way leads where between a room's networks: of what joins them, by name; it knows no addresses.

A router forwards between all its networks. A gateway does so between those that are inside it, and lets what leaves for
its far side do so under its own address (NAT): nothing finds a way in by itself. Its far side is that of its networks
which is nearest to `outside`, where the internet is. Who sends takes the shortest way; of several that are as short,
the one by what room.yml names first.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

#: The network that leads to the internet.
OUTSIDE = "outside"


@dataclass(frozen=True)
class Joint:
    """What joins networks.

    Attributes:
        links: which.
        nat: whether it is a gateway; else it is a router.
    """

    links: tuple[str, ...]
    nat: bool


@dataclass(frozen=True)
class Hop:
    """The next one on a way: `name`, which is sent to by the network `link`."""

    name: str
    link: str


class Routes:
    """All ways of a room.

    Args:
        joints: what joins networks, by name, in the order of room.yml.

    Attributes:
        far_sides: of each gateway that has one, the network of its far side.
    """

    def __init__(self, joints: Mapping[str, Joint]) -> None:
        self._joints = joints
        self._steps: dict[str, dict[str, int]] = {}
        self.far_sides: dict[str, str] = {}
        steps = self._counted(OUTSIDE)  # as if all were routers
        found = {}
        for name, joint in joints.items():
            near = sorted((steps[link], link) for link in joint.links if link in steps)
            if joint.nat and near and all(far > near[0][0] for far, _ in near[1:]):
                found[name] = near[0][1]
        self.far_sides = found

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """Yield each gateway that can't be one, and why."""
        for name, joint in self._joints.items():
            if not joint.nat:
                continue
            if not (far := self.far_sides.get(name)):
                why = f"no way leads from it to {OUTSIDE}, or equal ones by two of its networks"
                yield name, f"which side of this gateway is the far one? {why}; part: router has no sides"
            elif past := [link for link in self._inner(name) if link in self._joined(far)]:
                yield name, f"{past[0]} and {far} are joined by routers, too, past this gateway and its NAT"

    def inside(self, gateway: str) -> list[str]:
        """The networks that are inside a gateway: its own, and what routers join to them."""
        return list(dict.fromkeys(link for own in self._inner(gateway) for link in self._joined(own)))

    def without_nat(self) -> list[str]:
        """The networks that are outside of every gateway, `outside` among them."""
        return self._joined(OUTSIDE)

    def steps(self, link: str, to: str) -> int:
        """How many joints lie on the shortest way from one network to another; 99 if no way leads there."""
        return self._steps_to(to).get(link, 99)

    def hop(self, name: str | None, links: Sequence[str], to: str) -> Hop | None:
        """Whom `name`, on these networks, sends what is for the network `to`; None if no way leads there."""
        steps = self._steps_to(to)
        found = [
            (steps[leaving], Hop(other, link))
            for other, joint in self._joints.items()
            if other != name
            for link in links
            for leaving in joint.links
            if link in joint.links and leaving in steps and self._passes(other, link, leaving)
        ]
        return min(found, key=lambda each: each[0])[1] if found else None

    def gateway(self, name: str, links: Sequence[str]) -> Hop | None:
        """The first gateway on the way from `name`, on these networks, to `outside`; None if there is none."""
        while OUTSIDE not in links and (hop := self.hop(name, links, OUTSIDE)):
            joint = self._joints[hop.name]
            if joint.nat:
                return hop
            name, links = hop.name, joint.links
        return None

    def _inner(self, gateway: str) -> list[str]:
        return [link for link in self._joints[gateway].links if link != self.far_sides.get(gateway)]

    def _passes(self, name: str, entering: str, leaving: str) -> bool:
        """Whether a joint forwards from one of its networks to another."""
        return entering != leaving and entering != self.far_sides.get(name)

    def _joined(self, link: str) -> list[str]:
        """The networks that are joined with `link` without NAT, itself first."""
        found = [link]
        for each in found:  # grows meanwhile
            for name, joint in self._joints.items():
                own = self._inner(name) if joint.nat else joint.links
                found += [other for other in own if each in own and other not in found]
        return found

    def _steps_to(self, to: str) -> dict[str, int]:
        """How many joints lie between each network and `to`, for those from which a way leads there."""
        if to not in self._steps:
            self._steps[to] = self._counted(to)
        return self._steps[to]

    def _counted(self, to: str) -> dict[str, int]:
        found = {to: 0}
        pending = deque([to])
        while pending:
            leaving = pending.popleft()
            for name, joint in self._joints.items():
                for entering in joint.links if leaving in joint.links else ():
                    if entering not in found and self._passes(name, entering, leaving):
                        found[entering] = found[leaving] + 1
                        pending.append(entering)
        return found
