"""socket_options across hosts: options got and set, and what TCP_NODELAY does to small writes on the wire.

Small writes are judged by the segments that leave the client, not by time: the server acknowledges late, so that what
Nagle's algorithm holds back is held back for long enough.
"""

import pytest

from labroom.driver import Driver, Host, Packet, Program

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


def write_line(
    server: Host, client: Host, port: int, *options: str, program: str = "small_writes_client"
) -> list[Packet]:
    """Have the client send its line and close, while a capture runs on its guest; answers what that shows."""
    with client.capture(f"tcp port {port}") as wire:
        small_writes_client = client.start(program, server.address, port, *options)
        small_writes_client.expect("^Message from server : 10 bytes\n", otherwise="the ten bytes did not all arrive")
        small_writes_client.expect(r"^answered after [0-9.]+ ms\n")
        small_writes_client.expect_exit(0)
        wire.wait_for(lambda packets: any("FIN" in packet.flags for packet in packets), "a FIN")
    return wire.packets


def line_of(packets: list[Packet], port: int) -> list[bytes]:
    """The client's data, segment by segment; what it repeats, as the server's ACK is late, counts once."""
    segments = {packet.seq: packet.payload for packet in packets if packet.payload and packet.destination[1] == port}
    return list(segments.values())


def shown(segments: list[bytes]) -> str:
    r"""Segments as the audience of a play sees them: `A | BCDEFGHI\n`."""
    return " | ".join(repr(segment.decode())[1:-1] for segment in segments)


def check_merged(packets: list[Packet], port: int) -> None:
    """Nagle's algorithm was at work: the second segment left after the first had been acknowledged, with more in it."""
    segments = line_of(packets, port)
    assert b"".join(segments) == LINE, f"the client's segments were {segments}: not the line, each byte once"
    assert segments[0] == b"A", f"the first byte should leave at once, alone; the first segment was {segments[0]!r}"
    assert len(segments) < len(LINE), "each write became a segment of its own: none waited for an ACK"
    assert waited(packets, port), (
        f"{segments[1]!r} left before the server had acknowledged {segments[0]!r}: it did not wait"
    )


def check_not_merged(packets: list[Packet], port: int) -> None:
    """No write waited for an ACK. A slow network card may gather some all the same (tcp_autocorking, tcp(7))."""
    segments = line_of(packets, port)
    assert b"".join(segments) == LINE, f"the client's segments were {segments}: not the line, each byte once"
    assert len(segments) > 1, "with TCP_NODELAY the first byte should leave at once; all left together"
    assert not waited(packets, port), f"with TCP_NODELAY no byte should wait for an ACK; the segments were {segments}"


def waited(packets: list[Packet], port: int) -> bool:
    """Whether the client's second segment left after the server had acknowledged the first."""
    second = next(i for i, packet in enumerate(packets) if packet.payload == line_of(packets, port)[1])
    return any(packet.source[1] == port and packet.ack == 2 for packet in packets[:second])


def start_server(server: Host, port: int, program: str = "small_writes_server") -> Program:
    small_writes_server = server.start(program, port)
    server.wait_for_listening(port)
    return small_writes_server


def test_buffer_sizes(server: Host) -> None:
    """SO_RCVBUF set to 8192 is read back as 16384, and so is SO_SNDBUF: Linux doubles what is set."""
    sizes = values(server.start("buffer_sizes"))
    assert sorted(sizes) == ["SO_RCVBUF", "SO_SNDBUF"]
    for name, (found, wanted, read_back) in sizes.items():
        assert found > 0, f"{name} is said to be {found} at first"
        assert (wanted, read_back) == (8192, 16384), f"{name} was set to {wanted} and read back as {read_back}"


def test_limits_of_buffer_sizes(server: Host) -> None:
    """A size beyond the limits is no error: what is read back is the limit."""
    smallest, largest = (values(server.start("buffer_sizes", size)) for size in (0, 2**31 - 1))
    for name, sysctl in (("SO_SNDBUF", "wmem_max"), ("SO_RCVBUF", "rmem_max")):
        limit = 2 * int(server.read_file(f"/proc/sys/net/core/{sysctl}"))
        assert largest[name][2] == limit, f"{name} is {largest[name][2]}, twice net.core.{sysctl} is {limit}"
        assert 0 < smallest[name][2] < 8192, f"{name} set to 0 was read back as {smallest[name][2]}"


def test_options_got_and_set(server: Host) -> None:
    """SO_KEEPALIVE, SO_REUSEADDR and TCP_NODELAY are off at first, and on once they are set."""
    options = values(server.start("get_set_options"))
    assert list(options) == ["SO_KEEPALIVE", "SO_REUSEADDR", "TCP_NODELAY"], f"the options were {list(options)}"
    for name, (found, wanted, read_back) in options.items():
        assert (found, wanted) == (0, 1), f"{name} was {found} as found and set to {wanted}"
        assert read_back != 0, f"{name} was set, and read back as {read_back}"


def test_options_of_a_udp_socket(server: Host) -> None:
    """A UDP socket has the options of SOL_SOCKET; to ask it for TCP_NODELAY fails."""
    program = server.start("get_set_options", "--udp")
    program.expect("^SO_REUSEADDR : 1 read back\n")
    program.expect("^getsockopt: (Operation not supported|Protocol not available)\n")
    program.expect_exit(1)
    assert "TCP_NODELAY" not in program.stdout, "a UDP socket is said to have a TCP_NODELAY"


@pytest.mark.play
def test_nagle(server: Host, alfa: Host, port: int, driver: Driver) -> None:
    """Of ten small writes Nagle's algorithm merges nine; with TCP_NODELAY none of them waits."""
    start_server(server, port)
    driver.note("ten writes of a byte each; the server delays its ACK")
    merged = write_line(server, alfa, port)
    driver.note(f"on the wire: {shown(line_of(merged, port))}   While A was not acknowledged, the others waited")
    check_merged(merged, port)

    driver.note("the same with TCP_NODELAY")
    alone = write_line(server, alfa, port, "--no-delay")
    driver.note(f"on the wire: {shown(line_of(alone, port))}   Nothing waited")
    check_not_merged(alone, port)

    driver.note("and with a single write")
    segments = line_of(write_line(server, alfa, port, "--one-write"), port)
    driver.note(f"on the wire: {shown(segments)}   One segment, and again nothing waited")
    assert segments == [LINE], f"one write should become one segment; they were {segments}"


def test_server_survives_a_reset(server: Host, alfa: Host, port: int) -> None:
    """A client that breaks its connection in the middle of a line doesn't end the server."""
    small_writes_server = start_server(server, port)
    reset = alfa.start("../tcp_close/closing_client", server.address, port, "--abort")
    reset.send("send half a line")
    reset.send("close")
    reset.expect_exit(0)
    small_writes_server.expect("^closed client")
    client = alfa.start("small_writes_client", server.address, port)
    client.expect("^Message from server : 10 bytes\n", otherwise="the server counts what another client has sent")


@pytest.mark.parametrize("twin", ["server", "client"])
def test_c_and_python(server: Host, alfa: Host, port: int, twin: str) -> None:
    """A server in C and a client in Python put the same on the wire, and so the other way round."""
    start_server(server, port, "small_writes_server" + (".c" if twin == "server" else ""))
    client = "small_writes_client" + (".c" if twin == "client" else "")
    check_merged(write_line(server, alfa, port, program=client), port)
    check_not_merged(write_line(server, alfa, port, "--no-delay", program=client), port)
