"""Packets: what is read from a capture file, as pcap-savefile(5) has it, however much of it has been written."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import dpkt

from labroom.tcpdump import whole

_FLAGS = {
    "SYN": dpkt.tcp.TH_SYN,
    "FIN": dpkt.tcp.TH_FIN,
    "RST": dpkt.tcp.TH_RST,
    "PSH": dpkt.tcp.TH_PUSH,
    "ACK": dpkt.tcp.TH_ACK,
}


@dataclass(frozen=True)
class Packet:
    """One IPv4 packet.

    Attributes:
        time: seconds, Unix time, by the clock of the host that captured it.
        protocol: `tcp`, `udp` or `icmp`.
        source: (address, port); port 0 for ICMP.
        destination: (address, port); port 0 for ICMP.
        flags: of a TCP segment: `SYN`, `FIN`, `RST`, `PSH`, `ACK` (RFC 9293, 3.1).
        seq: of a TCP segment: its sequence number, counted from the SYN of its direction, which has 0.
        ack: of a TCP segment: its acknowledgement number, counted from the SYN of the other direction.
        payload: what it carries above TCP, UDP or ICMP.
        icmp: of an ICMP message: its (type, code), such as (3, 3), port unreachable (RFC 792).
    """

    time: float
    protocol: str
    source: tuple[str, int]
    destination: tuple[str, int]
    flags: frozenset[str] = frozenset()
    seq: int = 0
    ack: int = 0
    payload: bytes = b""
    icmp: tuple[int, int] | None = None

    def __str__(self) -> str:
        """As Wireshark lists it: `192.168.74.129:40000 > 192.168.74.128:9090 FIN ACK seq 1 ack 14`."""
        if self.icmp:
            what = f"type {self.icmp[0]} code {self.icmp[1]}"
        elif self.protocol == "tcp":
            flags = " ".join(flag for flag in _FLAGS if flag in self.flags)
            what = f"{flags} seq {self.seq}" + (f" ack {self.ack}" if "ACK" in self.flags else "")
        else:
            what = "UDP"
        ends = " > ".join(f"{address}:{port}" if port else address for address, port in (self.source, self.destination))
        return f"{ends} {what}" + (f", {len(self.payload)} bytes" if self.payload else "")


def sent_once(packets: Iterable[Packet]) -> list[Packet]:
    """The packets without TCP's retransmissions (RFC 9293, 3.8.1)."""
    found, sent = [], set()
    for packet in packets:
        if packet.payload or packet.flags & {"SYN", "FIN"}:
            segment = (packet.source, packet.destination, packet.flags, packet.seq, packet.payload)
            if packet.protocol == "tcp" and segment in sent:
                continue
            sent.add(segment)
        found.append(packet)
    return found


def packets_in(file: bytes) -> Iterator[Packet]:
    """The packets in a capture file whose last record may be incomplete; other protocols are left out."""
    end, packets, _ = whole(file)
    if not packets:
        return
    first: dict[tuple[tuple[str, int], tuple[str, int]], int] = {}  # sequence number of each direction's SYN
    for time, frame in dpkt.pcap.Reader(io.BytesIO(file[:end])):
        ip = dpkt.sll2.SLL2(frame).data
        if not isinstance(ip, dpkt.ip.IP):
            continue
        transport = ip.data
        addresses = socket.inet_ntoa(ip.src), socket.inet_ntoa(ip.dst)
        if isinstance(transport, dpkt.icmp.ICMP):
            source, destination = ((address, 0) for address in addresses)
            payload = bytes(transport)[4:]
            yield Packet(time, "icmp", source, destination, payload=payload, icmp=(transport.type, transport.code))
            continue
        if not isinstance(transport, dpkt.tcp.TCP | dpkt.udp.UDP):
            continue
        source, destination = (addresses[0], transport.sport), (addresses[1], transport.dport)
        if isinstance(transport, dpkt.udp.UDP):
            yield Packet(time, "udp", source, destination, payload=bytes(transport.data))
            continue
        flags = frozenset(name for name, bit in _FLAGS.items() if transport.flags & bit)
        if "SYN" in flags:
            first[source, destination] = transport.seq
        seq = (transport.seq - first.setdefault((source, destination), transport.seq)) % 2**32
        ack = 0
        if "ACK" in flags:
            ack = (transport.ack - first.setdefault((destination, source), transport.ack)) % 2**32
        yield Packet(time, "tcp", source, destination, flags, seq, ack, bytes(transport.data))
