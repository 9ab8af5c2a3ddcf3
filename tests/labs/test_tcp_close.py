"""tcp_close across hosts: which call puts which segments on the wire, and who is left in TIME_WAIT."""

from collections.abc import Sequence
from contextlib import suppress

import pytest

from labroom.checks.claims import claim
from labroom.checks.clients import Client
from labroom.checks.servers import Server
from labroom.checks.subjects import Subject
from labroom.driver import Capture, CheckFailed, Driver, Host, Packet, Peer, Program, Socket, shown


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


# -- claims -----------------------------------------------------------------------------------------------------

PROGRAMS = ("closing_server", "closing_client")
Connected = tuple[Subject, Peer]


@pytest.fixture
def connected(request: pytest.FixtureRequest, subject: str, alfa: Host) -> Connected:
    """The program, and the driver's end of its connection."""
    if subject.startswith("closing_server"):
        running: Server = request.getfixturevalue("running")
        return running, accepted(running, alfa)
    client: Client = request.getfixturevalue("client")
    return client, client.connect()


def accepted(running: Server, host: Host) -> Peer:
    """A client that the server has accepted."""
    client = running.connect(host)
    running.wait_until(
        lambda: any(s.inode for s in running.host.connections(running.port)),
        lambda: "a client is connected, and the server does not accept it",
    )
    return client


def connection(program: Subject, peer: Peer) -> Socket | None:
    """The program's end of a peer's connection; None if nothing is left of it."""
    ports = peer.to and peer.to[1], peer.address[1]
    return next((s for s in program.host.sockets() if (s.local[1], s.remote[1]) == ports), None)


def arrived(program: Subject, peer: Peer, data: bytes) -> None:
    """Have bytes arrive that the program does not read, since it was not told to."""
    peer.send(data)
    program.wait_until(
        lambda: (found := connection(program, peer)) and found.unread >= len(data),
        lambda: "bytes have arrived, and the program reads them although nobody has typed recv",
    )


def call(program: Subject, line: str, *values: int | str, otherwise: str) -> None:
    """Type a line, and wait until these numbers and words have been printed, whatever stands around them."""
    running = program.program
    since = len(running.stdout)
    type_line(program, line)

    def printed(value: int | str) -> bool:
        return running.saw_number(value, since) if isinstance(value, int) else value in running.stdout[since:]

    program.wait_until(
        lambda: all(map(printed, values)),
        lambda: (
            f"{otherwise}; it should print {' and '.join(map(str, values))}, and printed "
            f"{shown(running.stdout[since:].encode()) if running.stdout[since:] else 'nothing'}"
        ),
    )


def type_line(program: Subject, line: str) -> None:
    program.program.send(line)


@claim("lesson", "closing_server")
def test_listens(running: Server) -> None:
    """The server listens on the port that it is given."""


@claim("lesson", "closing_client")
def test_connects(client: Client) -> None:
    """The client connects to the host and the port that it is given."""
    client.connect()


@claim("lesson", "closing_server", needs=["listens"])
def test_takes_one_client(running: Server, alfa: Host) -> None:
    """When it has its one client, the server closes its listening socket: who comes now is refused."""
    accepted(running, alfa)
    running.wait_until(
        lambda: not running.host.listening(running.program),
        lambda: "the server has its client, and still listens for others",
    )


@claim("lesson", *PROGRAMS, needs=["listens", "connects"])
def test_sends(connected: Connected) -> None:
    """`send TEXT` sends the text and nothing else, no newline and no zero byte, and prints how many bytes that were."""
    program, peer = connected
    for text in ("Hello", "two longer words"):
        call(program, f"send {text}", len(text), otherwise=f"'send {text}' was typed, which are {len(text)} bytes")
        peer.expect(text.encode(), otherwise=f"'send {text}' was typed")
        assert not (more := peer.rest()), f"'send {text}' was typed; after the text it sent {shown(more)}"


@claim("lesson", *PROGRAMS, needs=["listens", "connects"])
def test_receives(connected: Connected) -> None:
    """`recv` receives what is there, once, and prints how many bytes and which."""
    program, peer = connected
    for text in ("Hello", "seventeen letters"):
        peer.send(text.encode())
        call(program, "recv", len(text), text, otherwise=f"{shown(text.encode())} was sent to it, and recv typed")


@claim("lesson", *PROGRAMS, needs=["receives"])
def test_reads_when_told(connected: Connected, driver: Driver) -> None:
    """Without `recv` nothing is read: what arrives waits in the kernel."""
    program, peer = connected
    arrived(program, peer, b"Hello")
    driver.settle()
    found = connection(program, peer)
    assert found, "bytes have arrived, and the program has closed although nobody has typed close"
    read = 5 - found.unread
    assert read == 0, f"5 bytes have arrived and nobody has typed recv, and the program has read {read} of them"


@claim("lesson", *PROGRAMS, needs=["receives"])
def test_sees_the_end(connected: Connected) -> None:
    """When the other side has closed, `recv` returns 0."""
    program, peer = connected
    peer.end()
    call(program, "recv", 0, otherwise="the other side has closed, and recv was typed")


@claim("lesson", *PROGRAMS, needs=["sends", "sees_the_end"])
def test_closes_when_told(connected: Connected, driver: Driver) -> None:
    """When the other side has closed, this one stays in CLOSE_WAIT, and may still send, until `close` is typed."""
    program, peer = connected
    peer.end()
    type_line(program, "recv")
    driver.settle()
    peer.host.ping()  # after which all that it has received is known
    assert not peer.ended, "the other side has closed, and the program closes, too, although nobody has typed close"
    type_line(program, "send Hello")
    peer.expect(b"Hello", otherwise="the other side has closed its direction, and 'send Hello' was typed")
    type_line(program, "close")
    peer.expect_end("close was typed")


@claim("lesson", *PROGRAMS, needs=["listens", "connects"])
def test_closes_first(connected: Connected) -> None:
    """`close` closes the connection: a FIN, and then the program ends."""
    program, peer = connected
    type_line(program, "close")
    peer.expect_end("close was typed")
    program.program.wait(otherwise="close was typed, and the program goes on")


@claim("lesson", *PROGRAMS, needs=["reads_when_told", "closes_first"])
def test_unread_is_reset(connected: Connected) -> None:
    """`close` with bytes that were not read breaks the connection: RST, not FIN."""
    program, peer = connected
    arrived(program, peer, b"Hello")
    type_line(program, "close")
    try:
        peer.receive_to_end()
    except CheckFailed as error:
        if peer.error == "ECONNRESET":
            return
        raise CheckFailed(f"5 bytes were unread, and close was typed: {error}") from error
    raise CheckFailed("5 bytes were unread, and close was typed: a FIN came instead of a RST")


@claim("robustness", *PROGRAMS, needs=["closes_first"])
def test_end_of_input(connected: Connected) -> None:
    """The end of its input closes, too."""
    program, peer = connected
    program.program.close_stdin()
    peer.expect_end("its input has ended")


def gone(program: Subject, peer: Peer) -> None:
    """Wait until a RST has come."""
    program.wait_until(lambda: not connection(program, peer), lambda: "the connection was reset, and is still there")


@claim("robustness", *PROGRAMS, needs=["receives"])
def test_reset(connected: Connected) -> None:
    """When the other side has broken the connection, `recv` fails, and the status is 1."""
    program, peer = connected
    peer.reset()
    gone(program, peer)
    type_line(program, "recv")
    program.program.expect_exit(1, otherwise="the connection was reset, and recv was typed")


@claim("robustness", *PROGRAMS, needs=["sends"])
def test_broken_pipe(connected: Connected) -> None:
    """A `send` into a connection that is gone ends the program with status 1, not by SIGPIPE."""
    program, peer = connected
    peer.end()
    peer.reset()
    gone(program, peer)
    type_line(program, "send Hello")
    program.program.expect_exit(1, otherwise="the connection is gone, and 'send Hello' was typed")


@claim("interface", *PROGRAMS, needs=["sends", "receives", "closes_first"])
def test_lines(connected: Connected) -> None:
    """It prints `connected to `, `recv = 5 (Hello)`, `send = 5` and `close = 0`, takes no other line, exits with 0."""
    program, peer = connected
    program.program.expect_text("connected to ")
    peer.send(b"Hello")
    type_line(program, "hello")
    for line, words in (("recv", "recv = 5 (Hello)"), ("send Hello", "send = 5"), ("close", "close = 0")):
        type_line(program, line)
        program.program.expect_text(words)
    program.program.expect_exit(0)


@claim("interface", *PROGRAMS, needs=["receives"])
def test_buffer(connected: Connected) -> None:
    """`recv` has a buffer of 1024 bytes: of 1500 bytes it returns 1024, and next time 476."""
    program, peer = connected
    arrived(program, peer, b"#" * 1500)
    for size in (1024, 476):
        call(program, "recv", size, otherwise=f"of 1500 bytes that have arrived, recv should return {size} now")


@claim("interface", *PROGRAMS, needs=["closes_first"])
def test_aborts(idle: Server, client: Client, alfa: Host, port: int) -> None:
    """With `--abort`, which sets SO_LINGER to 0 s, `close` sends RST though all was read."""
    program: Subject = idle if idle.role == "closing_server" else client
    peer = accepted(idle.serve(port, "--abort"), alfa) if program is idle else client.connect("--abort")
    peer.send(b"Hello")
    call(program, "recv", "Hello", otherwise="Hello was sent to it, and recv typed")
    type_line(program, "close")
    with suppress(CheckFailed):
        peer.receive_to_end()
    assert peer.error == "ECONNRESET", "close was typed: the program was started with --abort, and no RST came"


@claim("interface", *PROGRAMS)
def test_names_the_call(program: Subject, server: Host) -> None:
    """A call that fails is named on stderr, as in `bind: Address already in use`; the status is 1."""
    if program.role == "closing_server":
        arguments, words = [str(server.listen().address[1])], "bind: Address already in use"
    else:
        arguments, words = [server.address, str(server.unused_port())], "connect: Connection refused"
    program.names_the_call(words, *arguments)


@claim("interface", *PROGRAMS)
def test_arguments(program: Subject, server: Host) -> None:
    """Without its arguments, or with a port that is none, it exits with 2."""
    host = [] if program.role == "closing_server" else [server.address]
    for arguments in ([], [*host, "0"], [*host, "port"]):
        program.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
