"""tcp_hello across hosts: one message, and what becomes of the port of a server that closes first."""

import pytest

from labroom.checks.claims import claim
from labroom.checks.clients import Client
from labroom.checks.servers import Server
from labroom.checks.subjects import Subject
from labroom.driver import CheckFailed, Driver, Host, Packet, Peer, Program, difference, shown

MESSAGE = "Message from server : Hello World~\n"
IN_USE = "bind: Address already in use"


def serve_one_client(server: Host, client: Host, port: int, *options: str) -> None:
    """Start the server and its client; both end, and the server's end of the connection is in TIME_WAIT."""
    hello_server = server.start("hello_server", port, *options)
    server.wait_for_listening(port)
    greeted(client.start("hello_client", server.address, port))
    hello_server.expect_exit(0, otherwise="the server did not end after its one client")
    server.wait_for_connections(
        port, "TIME_WAIT", otherwise="the server's end is not in TIME_WAIT: it did not close first"
    )


def greeted(client: Program) -> None:
    client.expect_exit(0, otherwise=f"{client} did not end: it has not seen the server close")
    assert client.stdout == MESSAGE, f"{client} should print {MESSAGE!r}; it printed {client.stdout!r}"


def closed_on_both_sides(packets: list[Packet]) -> bool:
    fins = [p for p in packets if "FIN" in p.flags]
    return len(fins) == 2 and packets[-1].ack == fins[-1].seq + 1


@pytest.mark.play
def test_message_and_time_wait(driver: Driver, server: Host, alfa: Host, port: int) -> None:
    """A server greets its client and ends; its port is in TIME_WAIT, and only SO_REUSEADDR can use it again at once."""
    driver.note("The smallest server: socket, bind, listen, accept, send, close.")
    serve_one_client(server, alfa, port)
    driver.note(
        "Both have ended. The server closed first, so its port stays in TIME_WAIT for a minute. Again, at once:"
    )
    again = server.start("hello_server", port, "--no-reuse-address")
    again.expect(IN_USE, otherwise="bind was not refused although the port is in TIME_WAIT")
    again.expect_exit(1)
    driver.note("No process has the port, and yet it is in use. Now with SO_REUSEADDR, as a server should:")
    serve_one_client(server, alfa, port)


def test_who_closes_first(server: Host, alfa: Host, port: int) -> None:
    """The server sends 13 bytes and the first FIN: its end is left in TIME_WAIT, the client's is gone."""
    with server.capture(f"tcp port {port}") as wire:
        serve_one_client(server, alfa, port)
        packets = wire.wait_for(closed_on_both_sides, "a FIN of each side, and the last ACK")
    sent = {side.name: b"".join(p.payload for p in packets if p.source[0] == side.address) for side in (server, alfa)}
    assert sent == {"server": b"Hello World~\n", "alfa": b""}, f"on the wire, they sent {sent}"
    first = next(p for p in packets if "FIN" in p.flags)
    assert first.source == (server.address, port), f"the server did not close first: the first FIN was {first}"
    alfa.wait_for_connections(port, "TIME_WAIT", 0, otherwise="the client's end is in TIME_WAIT: it closed first")
    listed = server.run("ss", "-Htan", f"sport = :{port}").stdout
    assert listed.startswith("TIME-WAIT"), f"ss should show the server's port in TIME-WAIT; it shows {listed!r}"


def test_nobody_listens(server: Host, alfa: Host, port: int) -> None:
    """Without a server the client's SYN is answered with RST: Connection refused."""
    with server.capture(f"tcp port {port}") as wire:
        client = alfa.start("hello_client", server.address, port)
        client.expect("connect: Connection refused", otherwise="nobody listens, and connect did not fail")
        client.expect_exit(1)
        syn, answer = wire.wait_for(lambda packets: len(packets) == 2, "a SYN and its answer")
    assert syn.flags == {"SYN"}, f"the client began with {syn}"
    assert "RST" in answer.flags, f"the SYN to a closed port was not answered with RST but with {answer}"
    assert answer.ack == 1, f"the RST should acknowledge the SYN, whose sequence number is 0; it is {answer}"


def test_restart_without_reuse_address(server: Host, alfa: Host, port: int) -> None:
    """After a server without SO_REUSEADDR, its port in TIME_WAIT is refused even to one that sets it."""
    serve_one_client(server, alfa, port, "--no-reuse-address")
    for options in ([], ["--no-reuse-address"]):
        again = server.start("hello_server", port, *options)
        again.expect(IN_USE, otherwise="bind was not refused although the socket in TIME_WAIT had no SO_REUSEADDR")
        again.expect_exit(1)


def test_one_listens_at_a_time(server: Host, port: int) -> None:
    """SO_REUSEADDR does not let a second server have a port on which one listens."""
    server.start("hello_server", port)
    server.wait_for_listening(port)
    second = server.start("hello_server", port)
    second.expect(IN_USE, otherwise="two servers listen on one port")
    second.expect_exit(1)


# -- claims: the server -----------------------------------------------------------------------------------------


def greeting(server: Server, host: Host) -> tuple[Peer, bytes]:
    """A client that has received all that the server sends, and what that was."""
    client = server.connect(host)
    return client, client.receive_to_end(otherwise="the client waits for the end of the message")


@claim("lesson", "hello_server")
def test_listens(running: Server) -> None:
    """The server listens on the port that it is given."""


@claim("lesson", "hello_server", needs=["listens"], hint="send() right after accept(): a server may speak first")
def test_greets(running: Server, alfa: Host) -> None:
    """The server sends a message to the client that connects, which need not send anything first."""
    running.connect(alfa).receive(1, otherwise="a client that sends nothing itself waits for the server's message")


@claim("lesson", "hello_server", needs=["greets"], hint="close() the client's socket when the message is sent")
def test_closes_first(running: Server, alfa: Host) -> None:
    """After its message the server closes the connection: it doesn't wait until the client does."""
    greeting(running, alfa)


@claim("lesson", "hello_server", needs=["closes_first"], hint="send strlen(message) bytes, not sizeof(message)")
def test_no_zero_byte(running: Server, alfa: Host) -> None:
    """There is no zero byte in the server's message: in C, it ends a string in memory, and is no part of the text."""
    _, message = greeting(running, alfa)
    assert b"\0" not in message, f"the server sends a zero byte, too: {shown(message)}"


@claim("lesson", "hello_server", needs=["closes_first"], hint="setsockopt(SO_REUSEADDR) between socket() and bind()")
def test_starts_again(running: Server, alfa: Host, server: Host) -> None:
    """The server can be started again at once, while its port is still in TIME_WAIT."""
    leave_in_time_wait(running, alfa, server)
    try:
        running.serve(running.port)
    except CheckFailed as error:
        raise CheckFailed(f"its port is in TIME_WAIT, and SO_REUSEADDR is missing: {error}") from error


def leave_in_time_wait(running: Server, alfa: Host, server: Host) -> None:
    """Have the server serve a client and end, by force where it would go on; its end of the connection is left."""
    client, _ = greeting(running, alfa)
    client.close()
    server.wait_for_connections(
        running.port, "TIME_WAIT", otherwise="the server's end is not in TIME_WAIT: it did not close first"
    )
    running.program.kill()
    running.program.wait()


@claim("interface", "hello_server", needs=["closes_first"])
def test_hello_world(running: Server, alfa: Host) -> None:
    """The message is the 13 bytes of `Hello World~` and a newline."""
    _, message = greeting(running, alfa)
    assert message == b"Hello World~\n", difference(b"Hello World~\n", message)


@claim("interface", "hello_server", needs=["closes_first"])
def test_ends(running: Server, alfa: Host) -> None:
    """After its one client the server exits with 0."""
    greeting(running, alfa)[0].close()
    running.program.expect_exit(0, otherwise="its client has left")


@claim("interface", "hello_server", needs=["closes_first"])
def test_no_reuse_address(running: Server, alfa: Host, server: Host) -> None:
    """With `--no-reuse-address` it leaves SO_REUSEADDR unset: `bind: Address already in use`, status 1."""
    leave_in_time_wait(running, alfa, server)
    running.names_the_call(IN_USE, running.port, "--no-reuse-address")


@claim("interface", "hello_server", needs=["listens"])
def test_ctrl_c(running: Server) -> None:
    """Ctrl+C ends a server that waits, with status 0."""
    running.program.interrupt()
    running.program.expect_exit(0)


# -- claims: the client -----------------------------------------------------------------------------------------


@claim("lesson", "hello_client")
def test_connects(client: Client) -> None:
    """The client connects to the host and the port that it is given."""
    client.connect()


@claim(
    "lesson",
    "hello_client",
    needs=["connects"],
    hint="print as many bytes as recv() returned, and call it again until it returns 0",
)
def test_prints(client: Client) -> None:
    """The client prints what the server sends before it closes."""
    peer = client.connect()
    peer.send(b"Hello World~\n")
    peer.end()
    client.shows("Hello World~")


@claim("lesson", "hello_client", needs=["prints"], hint="recv() gives what has come so far: call it until it returns 0")
def test_receives_to_the_end(client: Client) -> None:
    """The client receives until the server closes, in however many pieces the message comes."""
    peer = client.connect()
    peer.send_in_pieces(
        [b"one, ", b"two, ", b"three\n"],
        client.host,
        otherwise="the message came in three pieces, and it stopped too early",
    )
    peer.end()
    client.shows("three", otherwise="the message came in three pieces, and it stopped too early")


@claim("lesson", "hello_client", needs=["prints"], hint="recv() until it returns 0, then close(): no send()")
def test_sends_nothing(client: Client) -> None:
    """The client sends nothing, and closes when the server has closed."""
    peer = client.connect()
    peer.send(b"Hello World~\n")
    peer.end()
    peer.expect_end(otherwise="the server has sent its message and closed")


@claim(
    "robustness",
    "hello_client",
    needs=["receives_to_the_end"],
    hint="recv() gives what has come so far: call it until it returns 0",
)
def test_long_message(client: Client) -> None:
    """The client prints a message of 10,000 bytes whole."""
    peer = client.connect()
    peer.send(b"#" * 10_000)
    peer.end()
    client.program.wait()
    printed = client.program.stdout.count("#")
    assert printed == 10_000, f"of 10000 bytes it printed {printed}"


@claim("interface", "hello_client", needs=["prints"])
def test_message_from_server(client: Client) -> None:
    """The client prints `Message from server : ` once, then what it receives, and exits with 0."""
    peer = client.connect()
    peer.send(b"Hello World~\n")
    peer.end()
    client.program.expect_exit(0)
    printed = client.program.stdout.replace("\r\n", "\n")
    assert printed == MESSAGE, difference(MESSAGE.encode(), printed.encode())


# -- claims: both -----------------------------------------------------------------------------------------------


@claim("interface", "hello_server", "hello_client")
def test_names_the_call(program: Subject, server: Host) -> None:
    """A call that fails is named on stderr, as in `bind: Address already in use`; the status is 1."""
    arguments: list[object]
    if program.name.startswith("hello_server"):
        arguments, words = [server.listen().address[1]], IN_USE
    else:
        arguments, words = [server.address, server.unused_port()], "connect: Connection refused"
    program.names_the_call(words, *arguments)


@claim("interface", "hello_server", "hello_client")
def test_wrong_arguments(program: Subject, server: Host) -> None:
    """Wrong arguments, a port that is none or an address that is none, give one line on stderr and status 2."""
    wrong: list[list[object]] = [[], ["0"], ["65536"], ["port"]]
    if program.name.startswith("hello_client"):
        wrong = [[], *([server.address, *arguments] for arguments in wrong), ["1.2.3", "9090"]]
    for arguments in wrong:
        program.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
        said = program.program.stderr
        assert said.count("\n") == 1, f"with the arguments {arguments} it says {shown(said.encode())} on stderr"
