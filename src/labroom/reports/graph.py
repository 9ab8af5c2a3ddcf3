"""The room as a picture: SVG for a page or a slide, Mermaid for what renders it (GitHub, GitLab, many wikis).

In the SVG each network is a vertical line, and each host a box with a line to every network that it is in. That stays
readable on a phone, however many hosts there are, and draws chains of routers as chains.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

from labroom.reports import data
from labroom.room import Room

Kind = Literal["guest", "gateway", "router", "machine", "internet"]


@dataclass(frozen=True)
class Host:
    """A box.

    Attributes:
        name: what it says first.
        kind: what it is.
        addresses: by network; of the internet, that of the room's router to it.
        notes: what else it says, a line each.
    """

    name: str
    kind: Kind
    addresses: dict[str, str]
    notes: list[str] = field(default_factory=list)


def hosts(room: Room) -> list[Host]:
    """What is drawn: this machine, then the guests, those with several networks between those of the networks."""
    found = [Host("this machine", "machine", {n: str(a) for n, a in data.machine(room).items()})]
    order = list(data.networks(room))

    def middle(name: str) -> float:
        places = [order.index(network) for network in room.guests[name].addresses]
        return sum(places) / len(places)

    for name in sorted(room.guests, key=middle):
        described = room.guests[name]
        at = {network: str(address) for network, address in described.addresses.items()}
        notes = [f"port {each['port']} to {each['guest']}:{each['guest_port']}" for each in _forwarded(room, name)]
        found.append(Host(name, described.part, at, notes))
    if room.internet:
        found.append(Host("internet", "internet", {"outside": str(room.networks.router)}))
    return found


def _forwarded(room: Room, gateway: str) -> list[dict[str, Any]]:
    return [each for each in data.forwarded(room) if each["gateway"] == gateway]


# -- Mermaid ----------------------------------------------------------------------------------------------------


def mermaid(room: Room) -> str:
    """The room as a flowchart of Mermaid's."""
    lines = ["flowchart LR"]
    for network, subnet in data.networks(room).items():
        lines.append(f'    network_{_word(network)}(["{network}<br>{subnet}"])')
    for host in hosts(room):
        begin, end = {"internet": ("((", "))"), "machine": ("[[", "]]"), "guest": ("[", "]")}.get(
            host.kind, ("{{", "}}")
        )
        node = _node(host)
        lines.append(f'    {node}{begin}"{host.name}"{end}')
        for network, address in host.addresses.items():
            lines.append(f'    {node} ---|"{address}"| network_{_word(network)}')
    for each in data.forwarded(room):
        ports = f"{each['port']} to {each['guest_port']}"
        lines.append(f'    host_{_word(each["gateway"])} -.->|"{ports}"| host_{_word(each["guest"])}')
    return "\n".join(lines) + "\n"


def _node(host: Host) -> str:
    return host.kind if host.kind in ("machine", "internet") else f"host_{_word(host.name)}"


def _word(name: str) -> str:
    """A name as a part of a node's: names of guests and networks have hyphens, and no underscores."""
    return name.replace("-", "_")


# -- SVG --------------------------------------------------------------------------------------------------------

_CHARACTER, _LINE = 8, 18  # px: what a character of the font takes at most, and a line
_MARGIN, _GAP, _PAD = 16, 10, 8
_TRACK = 22  # px between the networks' lines
_LINES = 6  # colours of networks, which come round
_STYLE = """
    svg { --paper: #fff; --ink: #1b1f24; --soft: #57606a; --box: #f3f5f8; --edge: #b6bfca;
          --n0: #0b62c4; --n1: #b3470a; --n2: #1a7f37; --n3: #8250df; --n4: #a40e6a; --n5: #6f6400;
          background: var(--paper); max-width: 100%; height: auto }
    @media (prefers-color-scheme: dark) {
        svg { --paper: #12161c; --ink: #e8ecf1; --soft: #a5b0bd; --box: #1e252e; --edge: #4a5563;
              --n0: #6cb0ff; --n1: #ff9a5c; --n2: #56d074; --n3: #c4a3ff; --n4: #ff8ac9; --n5: #d9c84a } }
    text { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: var(--ink) }
    .name { font-weight: bold } .soft { fill: var(--soft) }
    rect { fill: var(--box); stroke: var(--edge) } .gateway rect, .router rect { stroke-width: 2.5 }
    .machine rect, .internet rect { stroke-dasharray: 5 4 }
    line { stroke-width: 2.5 }
"""


def svg(room: Room) -> str:
    """The room as a document of SVG 1.1, which needs nothing besides."""
    networks, drawn = data.networks(room), hosts(room)
    track = {name: _MARGIN + 4 + number * _TRACK for number, name in enumerate(networks)}
    left = _MARGIN + 4 + len(networks) * _TRACK
    labels = [f"{name} {subnet}" for name, subnet in networks.items()]
    written = [max(map(len, _lines(host))) for host in drawn]
    box = max(written) * _CHARACTER + 2 * _PAD
    width = max(left + box, *(at + len(label) * _CHARACTER for at, label in zip(track.values(), labels, strict=True)))
    tops, y = [], _MARGIN + len(networks) * _LINE + _GAP
    for host in drawn:
        tops.append(y)
        y += len(_lines(host)) * _LINE + 2 * _PAD + _GAP
    parts = list(_tracks(room, drawn, tops, track))
    for host, top in zip(drawn, tops, strict=True):
        parts += _box(host, left, top, box, track)
    width, height = width + _MARGIN, y - _GAP + _MARGIN
    title = escape(f"The room {room.name}")
    body = "\n".join(f"  {part}" for part in parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{title}">\n  <title>{title}</title>\n  <style>{_STYLE}  </style>\n{body}\n</svg>\n'
    )


def _lines(host: Host) -> list[str]:
    """What a box says; its name first."""
    return [host.name, *(f"{network} {address}" for network, address in host.addresses.items()), *host.notes]


def _colour(number: int) -> str:
    return f"var(--n{number % _LINES})"


def _tracks(room: Room, drawn: list[Host], tops: list[int], track: dict[str, int]) -> Iterator[str]:
    """Each network's label, and its line down to the last host in it."""
    for number, (name, subnet) in enumerate(data.networks(room).items()):
        baseline = _MARGIN + number * _LINE + 13
        ends = [_height(host, name, top) for host, top in zip(drawn, tops, strict=True) if name in host.addresses]
        x = track[name]
        yield (
            f'<line x1="{x}" y1="{baseline + 6}" x2="{x}" y2="{max(ends, default=baseline + 6)}" '
            f'style="stroke: {_colour(number)}"/>'
        )
        yield (
            f'<text x="{x - 4}" y="{baseline}"><tspan class="name" style="fill: {_colour(number)}">{escape(name)}'
            f'</tspan> <tspan class="soft">{subnet}</tspan></text>'
        )


def _height(host: Host, network: str, top: int) -> int:
    """Where the line from a box to a network is: beside the box's own line about it."""
    return top + _PAD + _LINE * (1 + list(host.addresses).index(network)) + _LINE // 2


def _box(host: Host, left: int, top: int, width: int, track: dict[str, int]) -> Iterator[str]:
    """A host, and its lines to the networks that it is in."""
    lines = _lines(host)
    yield f'<g class="{host.kind}">'
    for number, (network, x) in enumerate(track.items()):
        if network in host.addresses:
            y = _height(host, network, top)
            yield f'<line x1="{x}" y1="{y}" x2="{left}" y2="{y}" style="stroke: {_colour(number)}"/>'
            yield f'<circle cx="{x}" cy="{y}" r="4.5" style="fill: {_colour(number)}"/>'
    yield f'<rect x="{left}" y="{top}" width="{width}" height="{len(lines) * _LINE + 2 * _PAD}" rx="6"/>'
    for number, line in enumerate(lines):
        kind = "name" if number == 0 else "soft" if number > len(host.addresses) else "address"
        y = top + _PAD + number * _LINE + 13
        yield f'<text class="{kind}" x="{left + _PAD}" y="{y}">{escape(line)}</text>'
    yield "</g>"
