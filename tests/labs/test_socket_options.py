"""socket_options across hosts: options got and set, and what TCP_NODELAY does to small writes on the wire.

Small writes are judged by the segments that leave the client, not by time: the server acknowledges late, so that what
Nagle's algorithm holds back is held back for long enough.
"""

import re

import pytest

from labroom.checks.claims import claim
from labroom.checks.clients import Client
from labroom.checks.servers import Server
from labroom.checks.subjects import Subject
from labroom.driver import Driver, Host, Packet, Peer, Program, shown

LINE = b"ABCDEFGHI\n"


def values(program: Program) -> dict[str, list[int]]:
    """What an option was as found, set to, and read back: name -> these three numbers."""
    program.expect_exit(0)
    lines = [line.split() for line in program.lines]
    wording = [line[3:] for line in lines]
    assert wording == [["as", "found"], ["set"], ["read", "back"]] * (len(lines) // 3), (
        f"{program} said {program.lines}"
    )
    names = list(dict.fromkeys(line[0] for line in lines))
    return {name: [int(line[2]) for line in lines if line[0] == name] for name in names}


def write_line(server: Host, client: Host, port: int, *options: str) -> list[Packet]:
    """Have the client send its line and close, while a capture runs on its guest; returns what that shows."""
    with client.capture(f"tcp port {port}") as wire:
        small_writes_client = client.start("small_writes_client", server.address, port, *options)
        small_writes_client.expect("^Message from server : 10 bytes\n", otherwise="the ten bytes did not all arrive")
        small_writes_client.expect(r"^answered after [0-9.]+ ms\n")
        small_writes_client.expect_exit(0)
        wire.wait_for(lambda packets: any("FIN" in packet.flags for packet in packets), "a FIN")
    return wire.packets


def line_of(packets: list[Packet], port: int) -> list[bytes]:
    """The client's data, segment by segment; what it repeats, as the server's ACK is late, counts once."""
    segments = {packet.seq: packet.payload for packet in packets if packet.payload and packet.destination[1] == port}
    return list(segments.values())


def in_one_line(segments: list[bytes]) -> str:
    r"""Segments as the audience of a play sees them: `A | BCDEFGHI\n`."""
    return " | ".join(repr(segment.decode(errors="backslashreplace"))[1:-1] for segment in segments)


def check_merged(packets: list[Packet], port: int) -> None:
    """Nagle's algorithm was at work: the second segment left after the first had been acknowledged, with more in it."""
    segments = line_of(packets, port)
    assert b"".join(segments) == LINE, (
        f"the client's segments were {in_one_line(segments)}: not the line, each byte once"
    )
    assert segments[0] == b"A", (
        f"the first byte should leave at once, alone; the first segment was {shown(segments[0])}"
    )
    assert len(segments) < len(LINE), "each write became a segment of its own: they did not wait for an ACK"
    assert waited(packets, port), (
        f"{shown(segments[1])} left before the server had acknowledged {shown(segments[0])}: it did not wait for an ACK"
    )


def check_not_merged(packets: list[Packet], port: int) -> None:
    """No write waited for an ACK. A slow network card may gather some all the same (tcp_autocorking, tcp(7))."""
    segments = line_of(packets, port)
    assert b"".join(segments) == LINE, (
        f"the client's segments were {in_one_line(segments)}: not the line, each byte once"
    )
    assert len(segments) > 1, "with TCP_NODELAY the first byte should leave at once; all left together"
    assert not waited(packets, port), (
        f"with TCP_NODELAY no byte should wait for an ACK; the segments were {in_one_line(segments)}"
    )


def waited(packets: list[Packet], port: int) -> bool:
    """Whether the client's second segment left after the server had acknowledged the first."""
    segments = [i for i, packet in enumerate(packets) if packet.payload and packet.destination[1] == port]
    first = packets[segments[0]]
    second = next(i for i in segments if packets[i].seq > first.seq)
    return acknowledged(packets[:second], first) is not None


def acknowledged(packets: list[Packet], segment: Packet) -> Packet | None:
    """The first packet that acknowledges a segment."""
    end = segment.seq + len(segment.payload)
    return next((p for p in packets if p.source == segment.destination and p.ack >= end), None)


@pytest.mark.play
def test_nagle(server: Host, alfa: Host, port: int, driver: Driver) -> None:
    """Of ten small writes Nagle's algorithm merges nine; with TCP_NODELAY none of them waits."""
    server.start("small_writes_server", port)
    server.wait_for_listening(port)
    driver.note("ten writes of a byte each; the server delays its ACK")
    merged = write_line(server, alfa, port)
    driver.note(f"on the wire: {in_one_line(line_of(merged, port))}   While A was not acknowledged, the others waited")
    check_merged(merged, port)

    driver.note("the same with TCP_NODELAY")
    alone = write_line(server, alfa, port, "--no-delay")
    driver.note(f"on the wire: {in_one_line(line_of(alone, port))}   Nothing waited")
    check_not_merged(alone, port)

    driver.note("and with a single write")
    segments = line_of(write_line(server, alfa, port, "--one-write"), port)
    driver.note(f"on the wire: {in_one_line(segments)}   One segment, and again nothing waited")
    assert segments == [LINE], f"one write should become one segment; they were {segments}"


# -- claims: options --------------------------------------------------------------------------------------------

OPTIONS = ("SO_KEEPALIVE", "SO_REUSEADDR", "TCP_NODELAY")


def numbers(program: Program) -> list[int]:
    """All numbers that it has printed when it has ended."""
    program.wait()
    return [int(number) for number in re.findall(r"\d+", program.stdout)]


def sysctl(host: Host, name: str) -> list[int]:
    return [int(word) for word in host.read_file(f"/proc/sys/net/{name}").split()]


@claim("lesson", "buffer_sizes")
def test_as_found(program: Subject, server: Host) -> None:
    """The sizes of a TCP socket's two buffers are printed as they are found."""
    printed = numbers(program.start())
    for name, default in (("SO_SNDBUF", "ipv4/tcp_wmem"), ("SO_RCVBUF", "ipv4/tcp_rmem")):
        size = sysctl(server, default)[1]
        assert size in printed, f"{name} of a new TCP socket is {size} here; it printed {program.program.lines}"


@claim("lesson", "buffer_sizes")
def test_read_back(program: Subject) -> None:
    """Both sizes are set to SIZE, and what is read back is printed: twice as much, for Linux doubles it."""
    count = numbers(program.start("5000")).count(10_000)
    assert count >= 2, (
        f"told to set 5000, it should print the 10000 that is read back for each of the two options; it printed "
        f"{program.program.lines}"
    )


@claim("robustness", "buffer_sizes", needs=["read_back"])
def test_limits(program: Subject, server: Host) -> None:
    """A size beyond the limits is no error: what is read back is the limit."""
    for size in (0, 2147483647):
        program.start(size).expect_exit(0, otherwise=f"it was told to set {size}")
    printed = numbers(program.program)
    for name, limit in (("SO_SNDBUF", "core/wmem_max"), ("SO_RCVBUF", "core/rmem_max")):
        most = 2 * sysctl(server, limit)[0]
        assert most in printed, (
            f"{name} can't be set to more than net.{limit.replace('/', '.')}, so that {most} is read back; it printed "
            f"{program.program.lines}"
        )


@claim("lesson", "get_set_options", hint="TCP_NODELAY is an option of IPPROTO_TCP, not of SOL_SOCKET")
def test_switched_on(program: Subject) -> None:
    """SO_KEEPALIVE, SO_REUSEADDR and TCP_NODELAY are off as they are found, and on when they were set."""
    program.start().wait()
    parts = re.split(f"({'|'.join(OPTIONS)})", program.program.stdout, flags=re.IGNORECASE)
    printed: dict[str, list[int]] = {name: [] for name in OPTIONS}
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        printed[name.upper()] += map(int, re.findall(r"(?<!\w)-?\d+(?!\w)", text))
    for name, values in printed.items():
        assert len(values) >= 2, f"of {name} it should print what it was and what it is; it printed {values}"
        assert values[0] == 0, f"{name} of a new socket is 0; as found it printed {values[0]}"
        assert values[-1] > 0, f"{name} was to be set; read back, it printed {values[-1]}"
    calls = [line for lines in program.traced("setsockopt").values() for line in lines if "setsockopt" in line]
    for name in OPTIONS:
        assert any(f", {name}, " in line for line in calls), f"it does not set {name}; the kernel saw {calls}"


@claim("interface", "get_set_options", needs=["switched_on"])
def test_udp(program: Subject) -> None:
    """With `--udp`, the socket has no TCP_NODELAY: `getsockopt` says so on stderr, and the status is 1."""
    program.start("--udp", tty=False).expect_exit(1)
    said = program.program.stderr
    assert re.search("getsockopt: (Operation not supported|Protocol not available)", said), (
        f"on stderr it says {shown(said.encode())}"
    )
    assert "SO_REUSEADDR : 1 read back" in program.program.lines, f"before that it printed {program.program.lines}"


@claim("interface", "buffer_sizes", "get_set_options", needs=["as_found", "read_back", "switched_on"])
def test_three_lines_each(program: Subject) -> None:
    """It prints `NAME : N as found`, `NAME : N set` and `NAME : N read back` for each option; SIZE is 8192."""
    found = values(program.start(tty=False))
    names, size = (OPTIONS, 1) if program.role == "get_set_options" else (("SO_SNDBUF", "SO_RCVBUF"), 8192)
    assert tuple(found) == names, f"its options were {list(found)}"
    for name, (_, wanted, read_back) in found.items():
        right = read_back == 16384 if size == 8192 else read_back != 0
        assert wanted == size, f"{name} was set to {wanted}"
        assert right, f"{name} was set to {wanted} and read back as {read_back}"


# -- claims: the server of small writes -------------------------------------------------------------------------


def line(peer: Peer, otherwise: str) -> bytes:
    """The next line that comes, without its newline."""
    found = b""
    while not found.endswith(b"\n"):
        found += peer.receive(1, otherwise)
    return found[:-1]


def greeted(running: Server, host: Host) -> Peer:
    """A client that has received the server's first line."""
    client = running.connect(host)
    line(client, "a client that has sent nothing waits for the server's `ready` and a newline")
    return client


def answered(client: Peer, size: int, otherwise: str) -> None:
    """The next line says this size."""
    said = line(client, otherwise)
    assert re.findall(rb"\d+", said) == [b"%d" % size], f"{otherwise}; it should be {size}, and is {shown(said)}"


@claim("lesson", "small_writes_server")
def test_listens(running: Server) -> None:
    """The server listens on the port that it is given."""


@claim("lesson", "small_writes_server", needs=["listens"])
def test_is_ready(running: Server, alfa: Host) -> None:
    """The server tells each client that it is ready, by a line, before that has sent anything."""
    greeted(running, alfa)


@claim("lesson", "small_writes_server", needs=["is_ready"])
def test_sizes(running: Server, alfa: Host) -> None:
    """The server answers each line with its size, newline included; lines that come at once, one by one."""
    client = greeted(running, alfa)
    client.send(LINE)
    answered(client, 10, "the answer to a line of ten bytes")
    client.send(b"a\n\nbcd\n")
    for size in (2, 1, 4):
        answered(client, size, "of three lines that come at once, of 2, 1 and 4 bytes, an answer")


@claim("lesson", "small_writes_server", needs=["is_ready"])
def test_in_pieces(running: Server, alfa: Host, server: Host) -> None:
    """A line that comes in pieces is answered once, when its newline is there."""
    client = greeted(running, alfa)
    client.send_in_pieces([b"A", b"BCDE", b"FGHI\n"], server)
    answered(client, 10, "the answer to a line of ten bytes that came in three pieces")
    client.has_nothing("a line was answered more than once")


@claim("lesson", "small_writes_server", needs=["in_pieces"])
def test_acknowledges_late(running: Server, driver: Driver, alfa: Host, server: Host) -> None:
    """The server has switched TCP_QUICKACK off: it keeps back its ACK of half a line, 40 ms long."""
    with server.capture(f"tcp port {running.port}") as wire:
        client = greeted(running, alfa)
        driver.settle()  # it may set the option after its greeting
        client.send(b"A")

        def looked(packets: list[Packet]) -> tuple[Packet, Packet] | None:
            sent = next((p for p in packets if p.payload == b"A"), None)
            answer = sent and acknowledged(packets[packets.index(sent) :], sent)
            return (sent, answer) if sent and answer else None

        found = looked(wire.wait_for(looked, "the ACK of the client's first byte"))
    assert found, "the ACK of the client's first byte is gone"
    waited = (found[1].time - found[0].time) * 1000
    assert waited > 20, f"the client's first byte was acknowledged after {waited:.1f} ms: at once, not late"


@claim("lesson", "small_writes_server", needs=["sizes"])
def test_next_client(running: Server, alfa: Host) -> None:
    """The server serves one client after another, and what one has left of a line doesn't count for the next."""
    for number in range(1, 4):
        client = greeted(running, alfa)
        client.send(b"x\nhalf a line")
        answered(client, 2, f"the answer to client {number}'s line of two bytes")
        client.end()
        client.expect_end("the client has closed, and the server does not close its end")


@claim("robustness", "small_writes_server", needs=["sizes"])
def test_long_line(running: Server, alfa: Host) -> None:
    """A line of 70,000 bytes is answered once, too."""
    client = greeted(running, alfa)
    client.send(b"#" * 69_999 + b"\n")
    answered(client, 70_000, "the answer to a line of 70000 bytes")


@claim("robustness", "small_writes_server", needs=["sizes"])
def test_zero_byte(running: Server, alfa: Host) -> None:
    """A zero byte counts as any other, and doesn't end a line."""
    client = greeted(running, alfa)
    client.send(b"a\0b\n")
    answered(client, 4, "the answer to a line of four bytes, of which the second one is zero")


@claim("robustness", "small_writes_server", needs=["next_client"])
def test_reset(running: Server, alfa: Host) -> None:
    """A client that breaks its connection in the middle of a line doesn't end the server."""
    running.reset_by(greeted(running, alfa))
    client = greeted(running, alfa)
    client.send(LINE)
    answered(client, 10, "after a client has broken its connection, the answer to another one's line of ten bytes")


@claim("interface", "small_writes_server", needs=["sizes"])
def test_server_s_words(running: Server, alfa: Host) -> None:
    """The server sends `ready` and `10 bytes`, and prints `recv = N` for each `recv`; Ctrl+C ends it with status 0."""
    client = running.connect(alfa)
    client.expect(b"ready\n")
    client.send(LINE)
    client.expect(b"10 bytes\n")
    running.program.expect_text("recv = 10")
    running.program.interrupt()
    running.program.expect_exit(0)


# -- claims: the client of small writes -------------------------------------------------------------------------


def ten_bytes(client: Client, *options: str) -> tuple[list[Packet], int]:
    """What leaves the client when it is told that the server is ready, which acknowledges late; and the port."""
    peer = client.connect(*options, late_ack=True)
    port = peer.address[1]
    with client.host.capture(f"tcp port {port}") as wire:
        peer.send(b"ready\n")
        peer.expect(LINE, "the server is ready")
        peer.send(b"10 bytes\n")
        peer.receive_to_end("the server has answered")
        return wire.wait_for(lambda packets: any("FIN" in packet.flags for packet in packets), "a FIN"), port


@claim("lesson", "small_writes_client")
def test_connects(client: Client) -> None:
    """The client connects to the host and the port that it is given."""
    client.connect()


@claim("lesson", "small_writes_client", needs=["connects"])
def test_waits_until_ready(client: Client) -> None:
    """The client sends nothing before the server is ready, and then the ten bytes of its line, and no more."""
    peer = client.connect()
    for piece in (b"rea", b"dy"):
        peer.send(piece)
        peer.wait_until_read(client.host, "the server has sent 'rea', then 'dy'")
        peer.has_nothing("the server has sent 'ready' without a newline yet, and the client does not wait for that")
    peer.send(b"\n")
    peer.expect(LINE, "the server is ready")
    assert not (more := peer.rest()), f"after its line it sent {shown(more)}"


@claim("lesson", "small_writes_client", needs=["waits_until_ready"])
def test_waits_for_the_answer(client: Client, driver: Driver) -> None:
    """The client receives its answer, in however many pieces, and prints it; it doesn't close before that."""
    peer = client.connect()
    peer.send(b"ready\n")
    peer.expect(LINE, "the server is ready")
    driver.settle()
    peer.host.ping()  # after which all that it has received is known
    assert not peer.ended, "the client has closed before its answer came"
    pieces = [b"10 by", b"t", b"es\n"]
    peer.send_in_pieces(pieces, client.host, "the answer came in three pieces, and the client did not wait for them")
    client.shows("10 bytes")
    peer.expect_end("the server has answered")


@claim("lesson", "small_writes_client", needs=["waits_for_the_answer"])
def test_small_writes_wait(client: Client) -> None:
    """By itself the client leaves Nagle's algorithm on: its first byte leaves alone, the others wait for the ACK."""
    check_merged(*ten_bytes(client))


@claim("lesson", "small_writes_client", needs=["waits_for_the_answer"])
def test_no_delay(client: Client) -> None:
    """With `--no-delay` it sets TCP_NODELAY: none of its ten writes waits for an ACK."""
    check_not_merged(*ten_bytes(client, "--no-delay"))


@claim("interface", "small_writes_client", needs=["waits_for_the_answer"])
def test_one_write(client: Client) -> None:
    """With `--one-write` all ten bytes leave in one segment."""
    segments = line_of(*ten_bytes(client, "--one-write"))
    assert segments == [LINE], f"its segments were {in_one_line(segments)}"


@claim("robustness", "small_writes_client", needs=["waits_until_ready"])
def test_server_leaves(client: Client) -> None:
    """A client whose server closes doesn't wait for it for ever: neither until it is ready, nor for the answer."""
    client.connect().end()
    client.program.wait(otherwise="the server has closed, and the client still waits for it to be ready")
    peer = client.connect()
    peer.send(b"ready\n")
    peer.expect(LINE)
    peer.end()
    client.program.wait(otherwise="the server has closed, and the client still waits for its answer")


@claim("interface", "small_writes_client", needs=["waits_for_the_answer"])
def test_client_s_words(client: Client) -> None:
    """The client prints `Message from server : ` with the answer, then `answered after N ms`, and exits with 0."""
    peer = client.connect()
    peer.send(b"ready\n")
    peer.expect(LINE)
    peer.send(b"10 bytes\n")
    for words in ("Message from server : 10 bytes", "answered after ", " ms"):
        client.shows(words)
    client.program.expect_exit(0)


# -- claims: all ------------------------------------------------------------------------------------------------

NETWORKED = ("small_writes_server", "small_writes_client")


@claim("interface", *NETWORKED)
def test_names_the_call(program: Subject, server: Host) -> None:
    """A call that fails is named on stderr, as in `bind: Address already in use`; the status is 1."""
    if program.role == "small_writes_server":
        arguments, words = [str(server.listen().address[1])], "bind: Address already in use"
    else:
        arguments, words = [server.address, str(server.unused_port())], "connect: Connection refused"
    program.names_the_call(words, *arguments)


@claim("interface", "buffer_sizes", "get_set_options", *NETWORKED)
def test_arguments(program: Subject) -> None:
    """With arguments that are none of its own it exits with 2."""
    for arguments in (["what"],) if program.role == "get_set_options" else (["what"], ["-1"]):
        program.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
