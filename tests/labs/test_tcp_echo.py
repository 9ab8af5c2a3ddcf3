"""tcp_echo across hosts: echo, and that an iterative server leaves its second client without an answer."""

import pytest

from labroom.checks import servers
from labroom.checks.claims import claim
from labroom.checks.clients import Client
from labroom.checks.servers import Server
from labroom.driver import Driver, Host, Peer, Program, difference, shown


def start(server: Host, program: str, port: int) -> Program:
    started = server.start(program, port)
    server.wait_for_listening(port)
    return started


def connect(client: Host, server: Host, port: int) -> Program:
    """Start a line client, and wait until the server's kernel has connected it."""
    line_client = client.start("line_client", server.address, port)
    server.wait_for_connections(port, peer=client, otherwise=f"{client.name} was not connected")
    return line_client


def echoed(client: Program, words: str) -> None:
    client.send(words)
    client.expect(f"^Message from server : {words}\n", otherwise=f"{client.host.name} sent {words!r} and got no echo")


@pytest.mark.play
def test_iterative_server_serves_one_at_a_time(
    driver: Driver, server: Host, alfa: Host, bravo: Host, charlie: Host, port: int
) -> None:
    """While the first client is open, the second and third are connected and may send, but get no answer."""
    driver.note("A server that serves one client after another, and its first client.")
    start(server, "iterative_server", port)
    first = alfa.start("line_client", server.address, port)
    echoed(first, "I am alfa")

    driver.note("Two more clients connect, and each sends a line.")
    second, third = (connect(guest, server, port) for guest in (bravo, charlie))
    for guest, client in ((bravo, second), (charlie, third)):
        with client.silence(
            f"{guest.name} was answered while alfa was connected: this server serves more than one client at a time"
        ):
            client.send("waiting")
            # All that it sent has arrived, seven bytes without a newline, and nobody reads it …
            server.wait_for_connections(
                port, peer=guest, unread=7, otherwise=f"what {guest.name} sent does not wait at the server unread"
            )
            driver.note(
                f"{guest.name}'s 7 bytes are at the server, and nobody reads them. alfa still gets its answers:"
            )
            echoed(first, "still here")

    driver.note("alfa leaves, and at last bravo has its answer; charlie has to wait for bravo to leave.")
    first.send("END")
    first.expect_exit(0)
    second.expect("Message from server : waiting", otherwise="bravo got no answer even after alfa had left")
    with third.silence("charlie was answered while bravo was connected"):
        server.wait_for_connections(port, peer=charlie, unread=7)
    second.send("END")
    second.expect_exit(0)
    third.expect("Message from server : waiting", otherwise="charlie got no answer even after bravo had left")


def test_waiting_bytes_are_acknowledged(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """What a waiting client sends is acknowledged by the server's kernel, although no process has its connection."""
    iterative_server = start(server, "iterative_server", port)
    connect(alfa, server, port)
    iterative_server.expect("connected client")
    with server.capture(f"tcp port {port} and host {bravo.address}") as wire:
        connect(bravo, server, port).send("waiting")
        # Sequence number 0 was the SYN's, so byte 8 is the next that the server's kernel wants.
        wire.wait_for(
            lambda packets: any(p.source[1] == port and p.ack == 8 for p in packets), "the ACK of bravo's 7 bytes"
        )
    (waiting,) = server.wait_for_connections(
        port, peer=bravo, unread=7, otherwise="bravo's bytes do not lie unread in the server's kernel: they were read"
    )
    assert waiting.inode == 0, "a process of the server has bravo's connection: it was accepted while alfa was served"


def test_backlog(server: Host, alfa: Host, bravo: Host, charlie: Host, port: int) -> None:
    """With a backlog of 2, Linux connects three clients more than are served; the next one gets no SYN+ACK."""
    iterative_server = start(server, "iterative_server", port)
    connect(alfa, server, port)
    iterative_server.expect("connected client")
    for guest in (bravo, charlie):
        connect(guest, server, port)
    alfa.start("line_client", server.address, port)
    server.wait_for_connections(port, count=4, otherwise="with a backlog of 2, not even three clients wait connected")
    bravo.start("line_client", server.address, port)
    bravo.wait_for_connections(port, "SYN_SENT", otherwise="a fifth client was connected: the backlog is not 2")
    waiting = server.wait_for_listening(port).unread
    assert waiting == 3, f"in the server's backlog {waiting} clients wait for accept, not 3"


# -- claims: servers --------------------------------------------------------------------------------------------

SERVERS = ("echo_server", "iterative_server")


@claim("lesson", *SERVERS)
def test_listens(running: Server) -> None:
    """A server listens on the port that it is given."""


@claim(
    "lesson",
    *SERVERS,
    needs=["listens"],
    hint="send back what recv() gave, again and again, until it returns 0: its client has closed",
)
def test_answers(running: Server, alfa: Host) -> None:
    """What a client sends comes back."""
    servers.answers(running, alfa)


@claim("lesson", *SERVERS, needs=["answers"])
def test_every_byte(running: Server, alfa: Host) -> None:
    """Every byte comes back unchanged, a zero byte and bytes that are no text too."""
    servers.returns_every_byte(running, alfa)


@claim("lesson", *SERVERS, needs=["answers"])
def test_any_length(running: Server, alfa: Host) -> None:
    """A message of any length comes back whole."""
    servers.returns_any_length(running, alfa)


@claim(
    "lesson",
    *SERVERS,
    needs=["answers"],
    hint="one answer to each recv(), again and again: a message may come in several pieces",
)
def test_pieces(running: Server, alfa: Host, server: Host) -> None:
    """What a client sends in pieces goes back as it comes."""
    client = running.connect(alfa)
    client.send_in_pieces([b"in ", b"three ", b"pieces\n"], server)
    client.expect(b"in three pieces\n")


@claim("lesson", *SERVERS, needs=["answers"])
def test_closes(running: Server, alfa: Host) -> None:
    """When its client closes, the server closes its end too."""
    servers.closes_its_end(running, alfa)


@claim(
    "lesson",
    "iterative_server",
    needs=["answers"],
    hint="accept() the next client in a loop around the one that serves a client",
)
def test_next_client(running: Server, alfa: Host) -> None:
    """The iterative server serves the next client when one has left."""
    for which in ("first", "second"):
        running.still_serves(alfa, which.encode(), otherwise=f"the {which} client was not served")


@claim(
    "robustness",
    "iterative_server",
    needs=["next_client"],
    hint="the loop around accept() has no end and no number of rounds",
)
def test_for_ever(running: Server, alfa: Host) -> None:
    """The iterative server goes on for ever: it serves eight clients in a row."""
    for number in range(1, 9):
        running.still_serves(alfa, b"client %d" % number, otherwise=f"client {number} of eight was not served")


@claim(
    "lesson",
    "iterative_server",
    needs=["answers"],
    hint="serve one client to its end before the next accept(): no process, thread or select()",
)
def test_one_at_a_time(running: Server, alfa: Host, bravo: Host) -> None:
    """While the iterative server serves one client, the next one is connected and waits for its answer."""
    first, second = running.connect(alfa), running.connect(bravo)
    first.send(b"first")
    first.expect(b"first")
    second.send(b"second")
    for words in (b"still", b"here"):
        first.send(words)
        first.expect(words)
    second.has_nothing("the second client was answered while the first one was there")
    first.close()
    second.expect(b"second", otherwise="the second client got no answer even after the first one had left")


@claim("lesson", "iterative_server", needs=["for_ever"])
def test_closes_descriptors(running: Server, alfa: Host) -> None:
    """The iterative server closes each client's socket: it has no more descriptors after twelve clients than before."""
    servers.closes_descriptors(running, alfa, 12)


@claim(
    "robustness",
    "iterative_server",
    needs=["next_client"],
    hint="where recv() or send() fails, as with ECONNRESET, close that client's socket and go on",
)
def test_reset(running: Server, alfa: Host) -> None:
    """A client that resets its connection doesn't end the iterative server."""
    running.reset_by(running.connect(alfa))
    running.still_serves(alfa, otherwise="after a client has reset its connection, no other one is served")


@claim(
    "robustness",
    "iterative_server",
    needs=["next_client"],
    hint="recv() may return 0 at once: close that client's socket and go on",
)
def test_without_a_word(running: Server, alfa: Host) -> None:
    """A client that leaves without a word doesn't end the iterative server."""
    for _ in range(3):
        running.connect(alfa).close()
    running.still_serves(alfa, otherwise="after a client has left without a word, no other one is served")


@claim("robustness", "iterative_server", needs=["next_client"])
def test_gone_before(running: Server, alfa: Host) -> None:
    """A client that has reset its connection before it was accepted stops nobody."""
    servers.outlives_early_reset(running, alfa)


@claim(
    "robustness",
    *SERVERS,
    needs=["closes"],
    hint="after recv() has returned 0, what was read before may still be on its way out: send() all of it first",
)
def test_half_closed(running: Server, alfa: Host) -> None:
    """A client that has closed its direction still gets all that it has sent."""
    client = running.connect(alfa)
    data = b"0123456789" * 10_000
    client.send(data)
    client.end()
    client.expect(data)
    client.expect_end()


@claim(
    "robustness",
    "iterative_server",
    needs=["next_client"],
    hint="send() may take less than it is given: it returns how much, and is called again for the rest",
)
def test_slow_reader(running: Server, alfa: Host) -> None:
    """A client that reads late gets all that it has sent."""
    client = running.peer(alfa, receive_buffer=4096).wait_connected()
    client.stop_reading()
    data = b"0123456789" * 30_000
    client.send(data)
    client.read_on()
    client.expect(data)


@claim("interface", *SERVERS, needs=["answers"])
def test_prints_messages(running: Server, alfa: Host) -> None:
    """A server prints `message from client : ` and what it has received."""
    client = running.connect(alfa)
    client.send("grüße, 안녕\n".encode())
    running.program.expect_text("message from client : grüße, 안녕")


@claim("interface", "iterative_server", needs=["next_client"])
def test_prints_clients(running: Server, alfa: Host) -> None:
    """The iterative server prints `connected client : ADDRESS:PORT` and `closed client : ADDRESS:PORT`."""
    client = running.connect(alfa)
    who = f"{client.address[0]}:{client.address[1]}"
    running.program.expect_text(f"connected client : {who}")
    client.close()
    running.program.expect_text(f"closed client : {who}")


@claim("interface", "echo_server", needs=["closes"])
def test_ends_with_its_client(running: Server, alfa: Host) -> None:
    """The echo server exits with 0 when its client has closed."""
    running.connect(alfa).close()
    running.program.expect_exit(0)


@claim("interface", *SERVERS, needs=["listens"], hint="handle SIGINT and exit(0); in Python, except KeyboardInterrupt")
def test_ctrl_c(running: Server) -> None:
    """Ctrl+C ends a server with status 0."""
    running.program.interrupt()
    running.program.expect_exit(0)


@claim("interface", *SERVERS, needs=["listens"])
def test_port_is_taken(idle: Server) -> None:
    """Where its port is taken, a server says `bind: Address already in use` on stderr and exits with 1."""
    idle.names_the_call("Address already in use", idle.host.listen().address[1])


@claim("interface", "iterative_server", needs=["next_client"])
def test_no_descriptor_left(idle: Server, alfa: Host, port: int) -> None:
    """Where no descriptor is left, a server says `accept: Too many open files` on stderr and exits with 1."""
    servers.says_no_descriptor_is_left(idle, port, alfa)


@claim("interface", *SERVERS)
def test_server_s_arguments(idle: Server) -> None:
    """Without a port, or with one that is none, a server exits with 2."""
    servers.refuses_arguments(idle)


# -- claims: clients --------------------------------------------------------------------------------------------

CLIENTS = ("echo_client", "line_client")
LEAVE = {"echo_client": "Q", "line_client": "END"}


def answer(peer: Peer, client: Client, line: str, hint: str = "") -> bytes:
    """Have the client send a line, and see that it is that line, with its newline or without; returns what it sent."""
    client.type(line)
    peer.expect(line.encode(), otherwise=f"{line!r} was typed{hint}")
    return line.encode() + peer.rest()


@claim("lesson", *CLIENTS)
def test_connects(client: Client) -> None:
    """A client connects to the host and the port that it is given."""
    client.connect()


@claim("lesson", *CLIENTS, needs=["connects"])
def test_sends_lines(client: Client) -> None:
    """A client sends each line that is typed, and nothing else: no zero byte after it, nothing of its buffer."""
    peer = client.connect()
    for line in ("hello", "two words", "안녕", "x"):
        sent = answer(peer, client, line)
        assert sent in (line.encode(), line.encode() + b"\n"), f"{line!r} was typed\n{difference(line.encode(), sent)}"
        peer.send(sent)
        client.shows(line)


@claim(
    "lesson",
    *CLIENTS,
    needs=["sends_lines"],
    hint="print what recv() gave, as many bytes as it returned, not what was sent",
)
def test_shows_answers(client: Client) -> None:
    """A client prints what the server sends back."""
    peer = client.connect()
    sent = answer(peer, client, "question", "\nhint: compare the whole line: not only Q may begin with a q")
    peer.send(b"ANSWER..\n"[: len(sent) - 1] + sent[-1:])
    client.shows("ANSWER.")


@claim(
    "lesson",
    *CLIENTS,
    needs=["shows_answers"],
    hint="recv() gives what has come so far: call it until as many bytes are back as were sent",
)
def test_answer_in_pieces(client: Client) -> None:
    """A client waits until all of the answer is back, in however many pieces it comes."""
    peer = client.connect()
    for line in ("one two three", "four five six"):
        sent = answer(peer, client, line)
        stopped = f"the answer to {line!r} came in three pieces, and the client did not wait for all of them"
        peer.send_in_pieces([sent[:4], sent[4:8], sent[8:]], client.host, otherwise=stopped)
        client.shows(line.split()[2], otherwise=stopped)


@claim(
    "lesson",
    *CLIENTS,
    needs=["connects"],
    hint="compare the line with the word before it is sent; fgets() leaves the newline in the line",
)
def test_leaves(client: Client) -> None:
    """`Q` leaves the echo client and `END` the line client: the connection is closed, and it is not sent."""
    peer = client.connect()
    client.type(LEAVE[client.role])
    peer.expect_end(otherwise=f"{LEAVE[client.role]} was typed")


@claim(
    "robustness",
    *CLIENTS,
    needs=["connects"],
    hint="fgets() returns NULL at the end of input, input() raises EOFError: close the connection then",
)
def test_end_of_input(client: Client) -> None:
    """The end of its input leaves a client, too."""
    peer = client.connect()
    client.program.close_stdin()
    peer.expect_end(otherwise="its input has ended")


@claim(
    "robustness",
    *CLIENTS,
    needs=["sends_lines"],
    hint="recv() returns 0 when the server has closed: leave the loop then",
)
def test_server_leaves(client: Client) -> None:
    """A client whose server closes doesn't wait for an answer for ever."""
    peer = client.connect()
    answer(peer, client, "hello")
    peer.end()
    client.program.wait(otherwise="the server has closed, and the client still waits for its answer")


@claim("interface", *CLIENTS, needs=["sends_lines"])
def test_newline(client: Client, subject: str) -> None:
    """The echo client sends a line with its newline; the line client without, and an empty one not at all."""
    peer = client.connect()
    if subject.startswith("line_client"):
        client.type("")
    wanted = b"hello\n" if subject.startswith("echo_client") else b"hello"
    client.type("hello")
    peer.expect(wanted)
    assert not (more := peer.rest()), f"after {shown(wanted)} it sent {shown(more)}"


@claim("interface", *CLIENTS, needs=["shows_answers"])
def test_message_from_server(client: Client) -> None:
    """A client prints `Message from server : ` before the answer."""
    peer = client.connect()
    peer.send(answer(peer, client, "안녕"))
    client.program.expect_text("Message from server : 안녕")


@claim("interface", *CLIENTS, needs=["leaves"])
def test_exits_with_0(client: Client) -> None:
    """A client that is left exits with 0."""
    client.connect()
    client.type(LEAVE[client.role])
    client.program.expect_exit(0)


@claim("interface", *CLIENTS)
def test_refused(client: Client, server: Host) -> None:
    """Where nobody listens, a client says `connect: Connection refused` on stderr and exits with 1."""
    client.names_the_call("Connection refused", server.address, server.unused_port())


@claim("interface", *CLIENTS)
def test_client_s_arguments(client: Client, server: Host) -> None:
    """Without a host and a port, or with a port that is none, a client exits with 2."""
    for arguments in ([], [server.address], [server.address, "0"], [server.address, "port"]):
        client.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
