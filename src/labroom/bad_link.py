"""What may be bad about a guest's link, in the units of tc(8), and the script for sh that makes it so.

Loss and a cut are nftables' (nft(8)), which every kernel with nftables has; rate is that of a token bucket, tc-tbf(8);
delay and jitter are netem's, tc-netem(8), which some kernels lack. Each holds in both directions, as a cable's: what
comes in is led through a device of its own, an ifb, and what is on its way to or from the machine that asked for it is
spared, so that a bad link can always be repaired over SSH.

Whoever gives an interface another queue loses what is sent at that moment. So what is bad for one port alone leaves the
queue of the interface as it is: nftables leads the packets of that port through devices with queues of their own.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from labroom.fields import Switch, Text, closest, expects

_TIMES = {"us": 1, "ms": 1_000, "s": 1_000_000}  # microseconds
_RATES = {"bit": 1, "kbit": 1_000, "mbit": 1_000_000, "gbit": 1_000_000_000}  # bit/s
_LONGEST_US, _SLOWEST, _FASTEST = 60_000_000, 8_000, 10_000_000_000
_PACKET = 1_600  # bytes: more than any on Ethernet
_QUEUE_MS = 100  # what waits for its turn at a slow link; more is lost, as at a router
_LOSS_PARTS = 10_000  # loss in 0.01 %
_NFT = "{ command -v nft >/dev/null || lacks nftables; } && nft"


def _number(text: str, units: Mapping[str, int]) -> float:
    """A number with its unit, in the smallest unit.

    Raises:
        ValueError: it has none of these units.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([a-z%]+)", text.strip().lower())
    if not found or found[2] not in units:
        raise ValueError(f"no {' or '.join(units)}")
    return float(found[1]) * units[found[2]]


def microseconds(text: str) -> int:
    """A time such as 50ms."""
    return round(_number(text, _TIMES))


def bits(text: str) -> int:
    """A rate such as 1mbit, in bit/s."""
    return round(_number(text, _RATES))


def parts(text: str) -> int:
    """A share such as 2%, of 10,000."""
    return round(_number(text, {"%": 1}) / 100 * _LOSS_PARTS)


def _time(text: str) -> str:
    if microseconds(text) > _LONGEST_US:
        raise ValueError("longer than a minute")
    return text.strip().lower()


def _share(text: str) -> str:
    if parts(text) > _LOSS_PARTS:
        raise ValueError("more than all")
    return text.strip().lower()


def _rate(text: str) -> str:
    if not _SLOWEST <= bits(text) <= _FASTEST:
        raise ValueError("too slow, or too fast")
    return text.strip().lower()


def _guess(*units: str) -> Any:
    """Guesses what was meant by a number without one of these units, the first of them being the usual one."""

    def guess(value: object) -> str | None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(\S{0,8})", str(value).strip().lower())
        if not found:
            return None
        return f"{found[1]}{closest(found[2], units) or units[0]}"

    return guess


_Time = Annotated[Text, AfterValidator(_time), expects("a time of 60s at most, such as 50ms", _guess("ms", "us", "s"))]
_Share = Annotated[Text, AfterValidator(_share), expects("a share such as 2%", _guess("%"))]
_Rate = Annotated[
    Text, AfterValidator(_rate), expects("a rate from 8kbit to 10gbit, such as 1mbit", _guess("mbit", "kbit", "gbit"))
]


class BadLink(BaseModel):
    """What is bad about a link; nothing, by default.

    Attributes:
        delay: how much later each packet arrives, in each direction.
        jitter: by how much that varies, either way; packets overtake each other.
        loss: the share of packets that get lost, in each direction.
        rate: how much passes in each direction; what waits longer than 100 ms for its turn is lost.
        down: nothing passes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    delay: _Time | None = None
    jitter: _Time | None = None
    loss: _Share | None = None
    rate: _Rate | None = None
    down: Switch = False

    @model_validator(mode="after")
    def _possible(self) -> BadLink:
        if self.jitter and microseconds(self.jitter) > (microseconds(self.delay) if self.delay else 0):
            raise ValueError("jitter varies a delay, and can't be more than that")
        return self

    def changed(self, **fields: object) -> BadLink:
        """The same, but for these fields.

        Raises:
            ValueError: what they say can't be; the message says of each what was expected.
        """
        try:
            changed = BadLink.model_validate(self.model_dump() | fields)
        except ValidationError as error:
            said = []
            for each in error.errors(include_url=False):
                place = f"--{each['loc'][0]}: " if each["loc"] else ""
                said.append(place + each["msg"].removeprefix("Value error, "))
            raise ValueError("; ".join(said)) from None
        # What does nothing is as good as not there.
        numbers = {"delay": microseconds, "jitter": microseconds, "loss": parts}
        idle = {name: None for name, read in numbers.items() if (text := getattr(changed, name)) and not read(text)}
        return changed.model_copy(update=idle)

    def said(self) -> dict[str, str]:
        """What is bad, each by its name."""
        found = {name: value for name, value in self.model_dump(exclude={"down"}).items() if value}
        return found | ({"down": "yes"} if self.down else {})

    def __str__(self) -> str:
        """In words, as `link` shows it."""
        if self.down:
            return "down"
        return ", ".join(f"{name} {value}" for name, value in self.said().items()) or "good"


GOOD = BadLink()
#: The exit status of a script whose interface isn't there.
NO_INTERFACE = 2
_NEEDED_BY = {
    "sch_netem": "delay and jitter need (loss and rate don't)",
    "sch_tbf": "a rate needs",
    "sch_htb": "delay and rate need",
    "ifb": "delay and rate need",
    "veth": "delay and rate need",
    "nftables": "loss and a cut need",
}


def refusal(where: str, said: str) -> tuple[str, str]:
    """Why a link can't be made bad, in one line, and what repairs it.

    Args:
        where: whose kernel and tools were asked.
        said: on the standard error of the script.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it failed, and said nothing"]
    lacking = lines.pop().removeprefix("lacks ") if lines[-1].startswith("lacks ") else ""
    # What was said before tells why, unless it is just that the kernel doesn't know of it.
    if lacking not in _NEEDED_BY or (lines and not re.search("unknown|not supported|No such file", lines[-1], re.I)):
        return f"{where} refused: {lines[-1][:200] if lines else lacking}", ""
    if lacking == "nftables":
        return f"{where} has no nftables, which {_NEEDED_BY[lacking]}", "there: apt-get install nftables"
    remedy = f"there: modprobe {lacking}; on Ubuntu it may be in linux-modules-extra-$(uname -r)"
    return f"{where} has a kernel without {lacking}, which {_NEEDED_BY[lacking]}", remedy


@dataclass(frozen=True)
class Place:
    """Where a link is made bad.

    Attributes:
        name: tells it from others in the same network namespace.
        interface: a command for sh that prints the interface's name.
        spared: the IPv4 address of whom it is not bad for, or a word of sh that stands for it.
        bridged: whether the interface is a port of a bridge; else it is the host's own.
        port: of TCP and UDP, for which alone it is bad; 0: for all.
    """

    name: str
    interface: str
    spared: str = ""
    bridged: bool = False
    port: int = 0

    @classmethod
    def bridge_port(cls, interface: str, spared: str) -> Place:
        """The port of a bridge, by its name, or an alternative one (ip-link(8), property), of any length."""
        shown = f"ip -o link show dev {interface} 2>/dev/null | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/'"
        return cls(interface, shown, spared, bridged=True)

    @classmethod
    def own_interface(cls, address: str, spared: str, port: int = 0) -> Place:
        """A host's own interface, by its IPv4 address."""
        shown = f"ip -o -4 address show to {shlex.quote(address)} | sed 's/^[0-9]*: *\\([^ ]*\\).*/\\1/;q'"
        return cls("port" if port else f"own {address}", shown, spared, port=port)

    @property
    def _own(self) -> str:
        """The name of what is made for it: an interface (15 bytes, IFNAMSIZ) and a table of nftables."""
        return f"bad{hashlib.sha256(self.name.encode()).hexdigest()[:10]}"

    @property
    def _families(self) -> tuple[str, ...]:
        """Those of nftables in which it has tables."""
        return ("bridge",) if self.bridged else ("inet", "netdev")

    def script(self, link: BadLink) -> str:
        """A script for sh, for root, that makes the link as bad as that and no worse, whatever it was.

        Where that can't be done it ends with status 1, and on its standard error what refused it (`refusal`); the link
        is good then. Without the interface its status is `NO_INTERFACE`.
        """
        shaped = () if link.down or not (link.delay or link.rate) else self._shaped(link)
        steps = [*shaped, *self._lost(link)]
        return "\n".join(
            [
                f"device={self._own} nowhere={self._own}n out={self._own}o",
                f'interface=$({self.interface}) && [ -n "$interface" ] || exit {NO_INTERFACE}',
                'lacks() { echo "lacks $1" >&2; return 1; }',
                "good() {",
                # What is ours alone: the queue by its number, 0xbad, and what leads to our device.
                '    tc qdisc del dev "$interface" root handle bad: htb',
                '    if tc filter show dev "$interface" ingress | grep -q "$device"; then',
                '        tc qdisc del dev "$interface" ingress',
                "    fi",
                '    ip link del "$device"',
                '    ip link del "$nowhere"',
                '    ip link del "$out"',
                *(f"    nft delete table {family} $device" for family in self._families),
                "} >/dev/null 2>&1",
                "bad() {",
                *(f"    {step} &&" for step in steps),
                "    true",
                "}",
                "good",
                "bad || { good; exit 1; }",
                "",
            ]
        )

    def _shaped(self, link: BadLink) -> list[str]:
        """The commands for delay and rate."""
        steps = ['{ ip link add "$device" type ifb || lacks ifb; }', 'ip link set "$device" up']
        if self.port:
            return [*steps, *self._led_through_queues(link)]
        # What leaves by the interface, and what has come in by it: a bridge's port sends what the spared one has sent.
        sides = ("src", "dst") if self.bridged else ("dst", "src")
        for device, side in zip(("$interface", "$device"), sides, strict=True):
            tc = f'dev "{device}"'
            # The class in which what is to be delayed waits; what is in none goes at once (tc-htb(8)).
            steps += [
                f"{{ tc qdisc add {tc} root handle bad: htb default 2 || lacks sch_htb; }}",
                f"tc class add {tc} parent bad: classid bad:2 htb rate 100gbit quantum 60000",
                *_queues(device, "parent bad:2", link),
            ]
            if self.spared:
                steps.append(
                    f"tc filter add {tc} parent bad: protocol ip u32 match ip {side} {self.spared} flowid bad:0"
                )
        return [
            *steps,
            'tc qdisc add dev "$interface" ingress',
            'tc filter add dev "$interface" parent ffff: protocol all u32 match u32 0 0 '
            'action mirred egress redirect dev "$device"',
        ]

    def _led_through_queues(self, link: BadLink) -> list[str]:
        """The commands that lead a port's packets through queues: what comes in by an ifb, which hands it back.

        What goes out passes a pair of devices, at whose other end it is marked and sent again. An ifb would not take
        it: it would not know whose it is.
        """
        into = " ".join(f"{packets} fwd to $device;" for packets in self._of_port())
        out = " ".join(f"meta mark != 0xbad {packets} fwd to $out;" for packets in self._of_port())
        chains = (
            f"chain in {{ type filter hook ingress device $interface priority filter; {into} }};",
            f"chain out {{ type filter hook egress device $interface priority filter - 1; {out} }};",
            "chain back { type filter hook ingress device ${out}f priority filter; "
            "meta mark set 0xbad fwd to $interface; };",
        )
        return [
            '{ ip link add "$out" type veth peer name "${out}f" || lacks veth; }',
            'ip link set "$out" up',
            'ip link set "${out}f" up',
            *_queues("$device", "root", link),
            *_queues("$out", "root", link),
            f'{_NFT} "table netdev $device {{ {" ".join(chains)} }}"',
        ]

    def _of_port(self) -> list[str]:
        """The port's packets, in the words of nft(8); all, without a port."""
        if not self.port:
            return [""]
        return [f"meta l4proto {{ tcp, udp }} th {side} {self.port}" for side in ("sport", "dport")]

    def _lost(self, link: BadLink) -> list[str]:
        """The commands for loss."""
        if not (link.loss or link.down):
            return []
        share = _LOSS_PARTS if link.down or not link.loss else parts(link.loss)
        lost = f"numgen random mod {_LOSS_PARTS} < {share} " if share < _LOSS_PARTS else ""
        if self.bridged:
            incoming = self._chain("prerouting", "daddr", "iifname $interface", f"{lost}drop")
            outgoing = self._chain("postrouting", "saddr", "oifname $interface", f"{lost}drop")
            return [f'{_NFT} "table bridge $device {{ {incoming} {outgoing} }}"']
        # Who sends is not to notice: what he sends gets lost in a device that is never up, and not by a refusal.
        incoming = self._chain("prerouting", "saddr", "iifname $interface", f"{lost}drop")
        hook = "egress device $interface"
        outgoing = self._chain(hook, "daddr", "meta protocol { ip, ip6 }", f"{lost}fwd to $nowhere")
        return [
            '{ ip link add "$nowhere" type ifb || lacks ifb; }',
            f'{_NFT} "table inet $device {{ {incoming} }}; table netdev $device {{ {outgoing} }}"',
        ]

    def _chain(self, hook: str, end: str, what: str, verdict: str) -> str:
        """A chain of nftables for one direction, in which `end` is who is spared."""
        rules = [f"ip {end} {self.spared} accept"] if self.spared else []
        if self.spared and self.bridged:
            rules.append(f"arp {end} ip {self.spared} accept")
        rules += [f"{what} {packets} {verdict}" for packets in self._of_port()]
        return f"chain {hook.split()[0]} {{ type filter hook {hook} priority filter; {'; '.join(rules)}; }};"


def _queues(device: str, parent: str, link: BadLink) -> list[str]:
    """The commands that put the queues of a rate and a delay into a device, below `parent`."""
    steps = []
    if link.rate:
        burst = max(2 * _PACKET, bits(link.rate) // 8 // 100)
        steps.append(
            f'{{ tc qdisc add dev "{device}" {parent} handle bad2: tbf rate {bits(link.rate)}bit burst {burst} '
            f"latency {_QUEUE_MS}ms || lacks sch_tbf; }}"
        )
        parent = "parent bad2:1"
    if link.delay:
        jitter = f" {microseconds(link.jitter)}us" if link.jitter else ""
        steps.append(
            f'{{ tc qdisc add dev "{device}" {parent} handle bad3: netem limit 10000 delay '
            f"{microseconds(link.delay)}us{jitter} || lacks sch_netem; }}"
        )
    return steps


def as_file(places: Mapping[str, Place], links: Mapping[str, BadLink]) -> str:
    """A script that makes all links of a host as bad as that, with a first line that says so, for `from_file`.

    Its status is that of the first `Place.script` that fails.

    Args:
        places: where each is made bad, by the network that it leads to.
        links: how bad.
    """
    said = {network: link.said() for network, link in links.items()}
    steps = [f"(\n{places[network].script(link)}) || exit\n" for network, link in links.items()]
    return f"# {json.dumps(said)}\n{''.join(steps)}"


def from_file(text: str) -> dict[str, BadLink]:
    """What the first line of a script says that it makes, by network; nothing, if it is none of ours."""
    try:
        said = json.loads(text.partition("\n")[0].removeprefix("#"))
        return {
            network: GOOD.changed(**{name: True if name == "down" else value for name, value in link.items()})
            for network, link in said.items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def named(links: Mapping[str, BadLink]) -> Iterator[tuple[str, BadLink]]:
    """Yield each link of a host, and what follows the word "link": where it leads to, if the host has several."""
    yield from ((f" to {network}" if len(links) > 1 else "", link) for network, link in links.items())
