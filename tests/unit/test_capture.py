"""Captures: what is read from the file of one, however much of it has been written."""

import io
import socket

import dpkt
import pytest

from labroom.driver.packets import Packet, packets_in, sent_once

ALFA, SERVER = ("192.168.74.129", 40000), ("192.168.74.128", 9090)


def frame(source: tuple[str, int], destination: tuple[str, int], protocol: int, data: dpkt.Packet) -> bytes:
    ends = socket.inet_aton(source[0]), socket.inet_aton(destination[0])
    ip = dpkt.ip.IP(src=ends[0], dst=ends[1], p=protocol, data=data, len=20 + len(data))
    return bytes(dpkt.sll2.SLL2(ethtype=dpkt.ethernet.ETH_TYPE_IP, data=ip))


def segment(
    source: tuple[str, int], destination: tuple[str, int], flags: int, seq: int, ack: int, data: bytes
) -> bytes:
    tcp = dpkt.tcp.TCP(sport=source[1], dport=destination[1], flags=flags, seq=seq, ack=ack, data=data)
    return frame(source, destination, dpkt.ip.IP_PROTO_TCP, tcp)


def saved(*frames: bytes) -> bytes:
    file = io.BytesIO()
    writer = dpkt.pcap.Writer(file, linktype=dpkt.pcap.DLT_LINUX_SLL2)
    for number, one in enumerate(frames):
        writer.writepkt(one, 1000.0 + number)
    return file.getvalue()


SYN, ACK, PSH, FIN, RST = 0x02, 0x10, 0x08, 0x01, 0x04


def test_numbers_count_from_the_syn_of_their_direction_also_across_the_wrap() -> None:
    file = saved(
        segment(ALFA, SERVER, SYN, 2**32 - 1, 0, b""),
        segment(SERVER, ALFA, SYN | ACK, 7000, 0, b""),
        segment(ALFA, SERVER, ACK | PSH, 0, 7001, b"hello"),
        segment(SERVER, ALFA, FIN | ACK, 7001, 5, b""),
    )
    found = list(packets_in(file))
    assert [(p.seq, p.ack) for p in found] == [(0, 0), (0, 1), (1, 1), (1, 6)]
    assert found[2].payload == b"hello"
    assert (found[3].source, found[3].destination, found[3].flags) == (SERVER, ALFA, frozenset({"FIN", "ACK"}))
    assert str(found[2]) == "192.168.74.129:40000 > 192.168.74.128:9090 PSH ACK seq 1 ack 1, 5 bytes"


def test_the_answer_of_a_closed_port() -> None:
    file = saved(segment(ALFA, SERVER, SYN, 500, 0, b""), segment(SERVER, ALFA, RST | ACK, 0, 501, b""))
    assert [str(p).partition("9090 ")[2] or str(p).partition("40000 ")[2] for p in packets_in(file)] == [
        "SYN seq 0",
        "> 192.168.74.129:40000 RST ACK seq 0 ack 1",
    ]


def test_datagrams_and_what_is_said_of_them() -> None:
    udp = dpkt.udp.UDP(sport=ALFA[1], dport=SERVER[1], data=b"anybody?", ulen=16)
    icmp = dpkt.icmp.ICMP(type=3, code=3, data=dpkt.icmp.ICMP.Unreach(data=b"x" * 28))
    file = saved(
        frame(ALFA, SERVER, dpkt.ip.IP_PROTO_UDP, udp),
        frame(SERVER, ALFA, dpkt.ip.IP_PROTO_ICMP, icmp),
    )
    asked, refused = packets_in(file)
    assert asked == Packet(1000.0, "udp", ALFA, SERVER, payload=b"anybody?")
    assert (refused.protocol, refused.source, refused.icmp) == ("icmp", (SERVER[0], 0), (3, 3))


@pytest.mark.parametrize("missing", range(1, 90))
def test_a_record_that_is_still_being_written_is_left_for_later(missing: int) -> None:
    whole = saved(segment(ALFA, SERVER, SYN, 1, 0, b""), segment(ALFA, SERVER, ACK, 2, 1, b"hello"))
    found = list(packets_in(whole[:-missing]))
    assert len(found) == (1 if missing <= 16 + 20 + 20 + 20 + 5 else 0)
    assert list(packets_in(b"")) == []


def test_what_tcp_sent_once_more_is_left_out() -> None:
    hello, end = (ACK | PSH, 1, 1, b"hello"), (FIN | ACK, 6, 1, b"")
    file = saved(
        segment(ALFA, SERVER, *hello),
        segment(ALFA, SERVER, *hello),
        segment(SERVER, ALFA, ACK, 1, 6, b""),
        segment(SERVER, ALFA, ACK, 1, 6, b""),
        segment(ALFA, SERVER, *end),
        segment(SERVER, ALFA, *hello),
        segment(ALFA, SERVER, *end),
    )
    assert [(p.source, p.seq, len(p.payload)) for p in sent_once(packets_in(file))] == [
        (ALFA, 0, 5),
        (SERVER, 0, 0),
        (SERVER, 0, 0),
        (ALFA, 5, 0),
        (SERVER, 0, 5),
    ]
