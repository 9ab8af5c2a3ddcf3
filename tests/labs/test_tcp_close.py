"""tcp_close across hosts: which call puts which segments on the wire, and who is left in TIME_WAIT."""

from collections.abc import Sequence

import pytest

from labroom.driver import Capture, Driver, Host, Packet, Program


class Wire:
    """A capture of one connection, looked at segment by segment."""

    def __init__(self, capture: Capture, *hosts: Host) -> None:
        self.capture = capture
        self.names = {host.address: host.name for host in hosts}
        self.passed = 0

    def expect(self, *segments: str, otherwise: str = "the wire shows something else") -> None:
        """The next segments are these, each in the words of `in_words`."""
        passed, self.passed = self.passed, self.passed + len(segments)
        packets = self.capture.wait_for(lambda packets: len(packets) >= self.passed, "; ".join(segments))
        seen = [self.in_words(packet) for packet in packets[passed : self.passed]]
        assert seen == list(segments), f"{otherwise} (it should be {'; '.join(segments)}; it was {'; '.join(seen)})"
        self.capture.host.driver.note(f"on the wire   {'; '.join(seen)}")

    def in_words(self, packet: Packet) -> str:
        """A segment, such as `alfa: FIN+ACK seq 6 ack 1`. PSH is left out: it means nothing to the connection."""
        flags = "+".join(flag for flag in ("SYN", "FIN", "RST", "ACK") if flag in packet.flags)
        numbers = f"seq {packet.seq}" + (f" ack {packet.ack}" if "ACK" in packet.flags else "")
        size = f", {len(packet.payload)} bytes" if packet.payload else ""
        return f"{self.names[packet.source[0]]}: {flags} {numbers}{size}"


def connect(server: Host, client: Host, port: int, *server_options: str) -> tuple[Program, Program]:
    """Start both programs; answers them when they are connected."""
    closing_server = server.start("closing_server", port, *server_options)
    server.wait_for_listening(port)
    closing_client = client.start("closing_client", server.address, port)
    closing_client.expect(f"^connected to {server.address}:{port}\n")
    closing_server.expect(rf"^connected to {client.address}:\d+\n")
    return closing_server, closing_client


def say_hello(sender: Program, receiver: Program) -> None:
    """One side sends 5 bytes, the other receives them."""
    sender.send("send Hello")
    sender.expect("^send = 5\n")
    receiver.send("recv")
    receiver.expect(r"^recv = 5 \(Hello\)\n", otherwise=f"{receiver} did not receive what {sender} sent")


def close(program: Program) -> None:
    program.send("close")
    program.expect("^close = 0\n")
    program.expect_exit(0)


def see_close(program: Program) -> None:
    """The program's recv returns 0: the other side has closed."""
    program.send("recv")
    program.expect("^recv = 0 .*\n", otherwise=f"{program} was not told that the other side has closed")


def see_reset(program: Program, other: Host, port: int) -> None:
    """The program's recv fails, and neither side keeps anything of the connection."""
    program.send("recv")
    program.expect("^recv: Connection reset by peer\n", otherwise=f"{program} was not told that it was reset")
    program.expect_exit(1)
    for host in (program.host, other):
        left = host.connections(port)
        assert not left, f"after a RST nothing of the connection should be left, but {host.name} has {left[0]}"


OPENING = ("alfa: SYN seq 0", "server: SYN+ACK seq 0 ack 1", "alfa: ACK seq 1 ack 1")
HELLO = ("alfa: ACK seq 1 ack 1, 5 bytes", "server: ACK seq 1 ack 6")


@pytest.mark.play
def test_one_short_exchange(server: Host, alfa: Host, port: int, driver: Driver) -> None:
    """Three segments open a connection, what is sent is acknowledged by its number, and four segments close it."""
    with server.capture(f"tcp port {port}") as capture:
        wire = Wire(capture, server, alfa)
        closing_server, closing_client = connect(server, alfa, port)
        wire.expect(*OPENING)
        driver.note("connect and accept have returned: the connection is open on both sides")

        say_hello(closing_client, closing_server)
        wire.expect(*HELLO)
        driver.note("5 bytes, numbered 1 to 5, are acknowledged by the number that is expected next: 6")
        say_hello(closing_server, closing_client)
        wire.expect("server: ACK seq 1 ack 6, 5 bytes", "alfa: ACK seq 6 ack 6")

        close(closing_client)
        wire.expect(
            "alfa: FIN+ACK seq 6 ack 6", "server: ACK seq 6 ack 7", otherwise="alfa's FIN was not acknowledged by 7"
        )
        server.wait_for_connections(port, "CLOSE_WAIT", otherwise="the server is not in CLOSE_WAIT")
        alfa.wait_for_connections(port, "FIN_WAIT2", otherwise="alfa's side is not in FIN_WAIT2")
        driver.note("alfa's FIN took the number 6: its ACK is 7. Now alfa is in FIN_WAIT2, the server in CLOSE_WAIT")

        see_close(closing_server)
        close(closing_server)
        wire.expect(
            "server: FIN+ACK seq 6 ack 7",
            "alfa: ACK seq 7 ack 7",
            otherwise="the server's FIN was not acknowledged by 7",
        )
        alfa.wait_for_connections(port, "TIME_WAIT", otherwise="alfa closed first and is not in TIME_WAIT")
        assert not server.connections(port), "the server closed second and still has a socket"
        driver.note("alfa, which closed first, is in TIME_WAIT; the server has nothing left")


def test_server_closes_first(server: Host, alfa: Host, port: int) -> None:
    """A server that has read everything and closes first sends FIN, and it is the server that ends in TIME_WAIT."""
    with server.capture(f"tcp port {port}") as capture:
        wire = Wire(capture, server, alfa)
        closing_server, closing_client = connect(server, alfa, port)
        say_hello(closing_client, closing_server)
        close(closing_server)
        wire.expect(*OPENING, *HELLO)
        wire.expect("server: FIN+ACK seq 1 ack 6", "alfa: ACK seq 6 ack 2", otherwise="the server's close sent no FIN")
        see_close(closing_client)
        close(closing_client)
        wire.expect("alfa: FIN+ACK seq 6 ack 2", "server: ACK seq 2 ack 7")
    server.wait_for_connections(port, "TIME_WAIT", otherwise="the server closed first and is not in TIME_WAIT")
    assert not alfa.connections(port), "alfa closed second and still has a socket"


def close_both_at_once(server: Host, alfa: Host, port: int) -> list[str]:
    """The client closes, and the server, which has waited for that in recv, at once too; answers what passes then."""
    with server.capture(f"tcp port {port}") as capture:
        wire = Wire(capture, server, alfa)
        closing_server, closing_client = connect(server, alfa, port)
        closing_server.write("recv\nsend Hello\nrecv\nclose\n")
        closing_client.send("send Hello")
        closing_client.send("recv")
        closing_client.expect("^recv = 5")
        close(closing_client)
        closing_server.expect_exit(0)
        packets = capture.wait_for(closed, "two FINs, and the ACK of the second one")
    begin = next(i for i, packet in enumerate(packets) if "FIN" in packet.flags)
    return [wire.in_words(packet) for packet in packets[begin:]]


def closed(packets: Sequence[Packet]) -> bool:
    return sum("FIN" in packet.flags for packet in packets) == 2 and "FIN" not in packets[-1].flags


def test_fin_with_the_ack(server: Host, alfa: Host, port: int) -> None:
    """A side that closes as soon as the other has done so sends its FIN with the ACK: three segments, not four."""
    three = ["alfa: FIN+ACK seq 6 ack 6", "server: FIN+ACK seq 6 ack 7", "alfa: ACK seq 7 ack 7"]
    for _ in range(10):  # the kernel waits with its ACK for 40 ms only: on a busy machine a program may come too late
        seen = close_both_at_once(server, alfa, port)
        if seen == three:
            return
    pytest.fail(f"the server closed at once, but ten times its FIN did not carry its ACK: {'; '.join(seen)}")


def test_a_closed_port(server: Host, alfa: Host, port: int) -> None:
    """Where nobody listens, a SYN is answered RST, and connect fails: Connection refused."""
    with server.capture(f"tcp port {port}") as capture:
        client = alfa.start("closing_client", server.address, port)
        client.expect("^connect: Connection refused\n")
        client.expect_exit(1)
        Wire(capture, server, alfa).expect(
            "alfa: SYN seq 0", "server: RST+ACK seq 0 ack 1", otherwise="the SYN was not answered RST"
        )


def test_close_with_unread_data(server: Host, alfa: Host, port: int) -> None:
    """A side that closes without having read what has arrived sends RST, and the other side's recv fails."""
    with server.capture(f"tcp port {port}") as capture:
        wire = Wire(capture, server, alfa)
        closing_server, closing_client = connect(server, alfa, port)
        closing_client.send("send Hello")
        server.wait_for_connections(port, unread=5, otherwise="what alfa sent does not wait at the server unread")
        close(closing_server)
        wire.expect(*OPENING, *HELLO)
        wire.expect(
            "server: RST+ACK seq 1 ack 6",
            otherwise="the server closed without reading what had arrived, and sent no RST",
        )
    see_reset(closing_client, server, port)


def test_abort(server: Host, alfa: Host, port: int) -> None:
    """With SO_LINGER set to 0 s close sends RST, though all has been read, and nobody is left in TIME_WAIT."""
    with server.capture(f"tcp port {port}") as capture:
        wire = Wire(capture, server, alfa)
        closing_server, closing_client = connect(server, alfa, port, "--abort")
        say_hello(closing_client, closing_server)
        close(closing_server)
        wire.expect(*OPENING, *HELLO)
        wire.expect(
            "server: RST+ACK seq 1 ack 6", otherwise="the server closed with a linger time of 0, and sent no RST"
        )
    see_reset(closing_client, server, port)


def test_send_to_a_side_that_has_closed(server: Host, alfa: Host, port: int) -> None:
    """Who sends to a side that has closed is answered RST; the next send fails: Broken pipe."""
    with server.capture(f"tcp port {port}") as capture:
        wire = Wire(capture, server, alfa)
        closing_server, closing_client = connect(server, alfa, port)
        close(closing_server)
        wire.expect(*OPENING)
        wire.expect("server: FIN+ACK seq 1 ack 1", "alfa: ACK seq 1 ack 2", otherwise="the server's close sent no FIN")
        closing_client.send("send Hello")
        closing_client.expect(
            "^send = 5\n", otherwise="the first send should succeed: it only hands data to the kernel"
        )
        wire.expect("alfa: ACK seq 1 ack 2, 5 bytes", "server: RST seq 2", otherwise="the data was not answered RST")
    closing_client.send("send Hello")
    closing_client.expect("^send: Broken pipe\n", otherwise="alfa could send into a connection that had been reset")
    closing_client.expect_exit(1)


@pytest.mark.parametrize("twin", ["server", "client"])
def test_c_and_python(server: Host, alfa: Host, port: int, twin: str) -> None:
    """A server in C and a client in Python open, talk and close alike, and so the other way round."""
    with server.capture(f"tcp port {port}") as capture:
        wire = Wire(capture, server, alfa)
        closing_server = server.start("closing_server" + (".c" if twin == "server" else ""), port)
        server.wait_for_listening(port)
        closing_client = alfa.start("closing_client" + (".c" if twin == "client" else ""), server.address, port)
        say_hello(closing_client, closing_server)
        wire.expect(*OPENING, *HELLO)
        close(closing_client)
        wire.expect("alfa: FIN+ACK seq 6 ack 1", "server: ACK seq 1 ack 7")
        see_close(closing_server)
        close(closing_server)
        wire.expect("server: FIN+ACK seq 1 ack 7", "alfa: ACK seq 7 ack 2")
