"""tcp_stages across hosts: three clients are connected at once and served one after another."""

import re
import time
from contextlib import suppress

import pytest

from labroom.checks.claims import claim
from labroom.checks.clients import Client
from labroom.checks.servers import Server
from labroom.checks.subjects import Subject
from labroom.driver import CheckFailed, Driver, Host, Peer, Program, difference, shown

PORT = 3240
WAITING = "4_Accept Start(Waiting for a client...)(Exit for Ctrl+C(SIGINT))"
SERVER_STAGES = [
    *("1_Socket Start", "1_Socket End", "2_Bind Start", "2_Bind End", "3_Listen Start", "3_Listen End"),
    *(WAITING, "4_Accept End(Connected!)", "5_Send Start", "5_Send End", "6_Recv Start", "6_Recv End", WAITING),
]
CLIENT_STAGES = [
    *("1_Socket Start", "1_Socket End", "2_Connect Start(Connecting...)", "2_Connect End(Connected!!!)"),
    *("3_Recv Start", "3_Recv End", "4_Send Start", "4_Send End"),
]


def informed(staged_server: Program, clients: list[Host]) -> None:
    """The server printed an information block on each of its clients, in this order."""
    blocks = [block.partition("5_Send")[0] for block in staged_server.stdout.split("[Connecting Information]")[1:]]
    for number, (client, block) in enumerate(zip(clients, blocks, strict=True)):
        for what, value in (
            ("listening on descriptor", 3),
            ("client's descriptor", 4),
            ("client's number", number),
            ("client's address", client.address),
        ):
            assert re.search(rf"\b{re.escape(str(value))}$", block, re.MULTILINE), (
                f"the server's information on its client {number} should say: {what} {value}; it says{block}"
            )


@pytest.mark.play
def test_three_clients_together(driver: Driver, server: Host, alfa: Host, bravo: Host, charlie: Host) -> None:
    """Three clients come together: all are connected at once, each is served when the one before it has closed."""
    guests = (alfa, bravo, charlie)
    with server.capture(f"tcp port {PORT}") as wire:
        driver.note("A server that announces each call before and after it, and pauses in between.")
        staged_server = server.start("staged_server")
        server.wait_for_listening(PORT)
        driver.note("It listens: from now on its kernel connects clients. Here are three, one right after another.")
        clients = [guest.start("staged_client", guest.name.capitalize(), "--host", server.address) for guest in guests]
        for client in clients:
            client.expect("2_Connect End", otherwise=f"{client.host.name} was not connected")
        waiting = server.wait_for_listening(PORT).unread
        driver.note(f"All three are connected, by the kernel, and {waiting} of them wait in the backlog for accept.")
        for client in clients:
            client.expect_exit(0, otherwise=f"{client.host.name} was not served")
        packets = wire.wait_for(lambda packets: sum("FIN" in p.flags for p in packets) == 6, "a FIN of each side")
        driver.note("All three have been served, in the order in which they connected. Ctrl+C ends the server.")
        staged_server.interrupt()
        staged_server.expect_exit(0)

    here = (server.address, PORT)
    guest_at = {guest.address: guest for guest in guests}
    # The third segment of each handshake: with it the kernel puts the connection into the backlog.
    connected = [guest_at[p.source[0]] for p in packets if p.flags == {"ACK"} and (p.seq, p.ack) == (1, 1)]
    turns = []
    for p in packets:
        if p.source == here and p.payload:
            turns.append(f"greeted {guest_at[p.destination[0]].name}")
        elif p.destination == here and "FIN" in p.flags:
            turns.append(f"was left by {guest_at[p.source[0]].name}")
    names = [guest.name for guest in connected]
    assert turns == [turn for guest in names for turn in (f"greeted {guest}", f"was left by {guest}")], (
        f"they connected in the order {', '.join(names)}, and should be served in it, one after another; on the wire, "
        f"the server {', '.join(turns)}"
    )
    informed(staged_server, connected)


# -- claims -----------------------------------------------------------------------------------------------------

GREETING = b"Hello, I am server."
MESSAGE = b"Hello, I am client Alfa"
SHORT = 0.001  # LAB_PACE
LONG = 30.0  # seconds, for programs that don't heed it


@pytest.fixture
def idle(idle: Server, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, with its arguments in this lab."""
    hurry(driver, monkeypatch)
    idle.starts = ("--port {port}", "{port}", "")
    return idle


@pytest.fixture
def client(client: Client, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The client, with its arguments in this lab."""
    hurry(driver, monkeypatch)
    client.starts = ("Alfa --host {host} --port {port}", "Alfa {host} {port}", "{host} {port} Alfa", "{host} {port}")
    client.starts_fixed = ("Alfa --host {host}", "Alfa {host}", "Alfa", "{host}", "")
    return client


def hurry(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the programs make short pauses, and be patient with those that make long ones all the same."""
    monkeypatch.setattr(driver, "pace", SHORT)
    monkeypatch.setattr(driver, "patience", LONG * driver.slowness)


def pauses_are_over(driver: Driver) -> None:
    """Wait until the program waits for others; one that looks again and again is taken as it is."""
    with suppress(CheckFailed):
        driver.wait_until(lambda: driver.idle() or None, "the program to wait", driver.slowness * 5, "{}".format)


def greeting(client: Peer, otherwise: str = "") -> bytes:
    """All that the server sends to a client that has sent nothing."""
    return client.receive(1, otherwise or "a client that has sent nothing waits for the greeting") + client.rest()


def leave(client: Peer) -> None:
    """Have a client that was greeted send its message and close, as the lab's client does."""
    client.send(MESSAGE)
    client.end()


@claim("lesson", "staged_server")
def test_listens(running: Server) -> None:
    """The server listens on the port that it is given."""


@claim("lesson", "staged_server", needs=["listens"])
def test_greets(running: Server, alfa: Host) -> None:
    """The server sends its greeting to a client that has sent nothing yet, and no zero byte after it."""
    sent = greeting(running.connect(alfa))
    assert b"\0" not in sent, f"the server sends a zero byte, too: {shown(sent)}"


@claim("lesson", "staged_server", needs=["greets"])
def test_receives_to_the_end(running: Server, alfa: Host, server: Host) -> None:
    """The server receives until the client closes, in however many pieces, and prints what the client says."""
    client = running.connect(alfa)
    greeting(client)
    pieces = ("Hello, I am ", "client ", "Alfa")
    otherwise = "the message came in three pieces, and the server did not wait for all of them"
    client.send_in_pieces([piece.encode() for piece in pieces], server, otherwise)
    client.end()
    for piece in pieces:
        running.program.expect_text(piece, otherwise=otherwise)


@claim("lesson", "staged_server", needs=["greets"])
def test_one_after_another(running: Server, driver: Driver, alfa: Host, bravo: Host, charlie: Host) -> None:
    """Clients that come together are all connected, and served one after another in the order in which they came."""
    first, second, third = (running.connect(guest) for guest in (alfa, bravo, charlie))
    greeting(first)
    pauses_are_over(driver)
    for waiting in (second, third):
        waiting.has_nothing("a client was greeted while the first one was still served")
    leave(first)
    greeting(second, "the second client was not greeted, although the first one had left")
    pauses_are_over(driver)
    third.has_nothing("the third client was greeted while the second one was still served")
    leave(second)
    greeting(third, "the third client was not greeted, although the second one had left")


@claim("lesson", "staged_server", needs=["receives_to_the_end", "one_after_another"])
def test_closes_descriptors(running: Server, alfa: Host) -> None:
    """The server closes each client's socket, so that the next client gets the same descriptor again."""
    counts = []
    for number in range(1, 4):
        client = running.connect(alfa)
        greeting(client, f"client {number} was not greeted")
        counts.append(len(running.descriptors()))
        leave(client)
        client.expect_end("the client has closed, and the server does not close its end")
    assert counts[-1] == counts[0], f"with its first client it has {counts[0]} descriptors, with its third {counts[-1]}"


@claim("lesson", "staged_server", needs=["greets"])
def test_says_what_it_waits_for(running: Server, driver: Driver, alfa: Host) -> None:
    """Before the server waits, for a client and for its message, it has said so."""
    pauses_are_over(driver)
    before = running.program.stdout
    assert before.strip(), "it waits for a client, and has printed nothing"
    greeting(running.connect(alfa))
    pauses_are_over(driver)
    said = running.program.stdout[len(before) :]
    assert said.strip(), f"it waits for the client's message, and has printed nothing since {before[-60:]!r}"


@claim("lesson", "staged_server", needs=["greets"])
def test_prints_who_connects(running: Server, alfa: Host) -> None:
    """The server prints the address and the port of its client, as `accept` returns them."""
    client = running.connect(alfa)
    greeting(client)
    address, port = client.address
    running.wait_until(
        lambda: running.program.saw_number(address) and running.program.saw_number(port),
        lambda: f"its client is {address}, port {port}; it printed {running.program.lines}{running.turned(port)}",
    )


@claim("robustness", "staged_server", needs=["one_after_another"])
def test_left_early(running: Server, alfa: Host, bravo: Host) -> None:
    """A client that breaks its connection, or is gone before its turn, doesn't end the server."""
    breaking, gone = running.connect(alfa), running.connect(bravo)
    greeting(breaking)
    gone.end()
    gone.reset()
    breaking.reset()
    greeting(running.connect(alfa), "one client broke its connection, one was gone before its turn; the next one waits")


@claim("robustness", "staged_server", needs=["greets"])
def test_starts_again(running: Server, alfa: Host, server: Host) -> None:
    """Ended in the midst of a client, the server can be started again at once."""
    client = running.connect(alfa)
    greeting(client)
    running.program.interrupt()
    running.program.wait()
    client.receive_to_end()
    client.close()
    server.wait_for_connections(running.port, "TIME_WAIT")
    try:
        running.serve(running.port)
    except CheckFailed as error:
        raise CheckFailed(f"its port is in TIME_WAIT, and SO_REUSEADDR is missing: {error}") from error


@claim("interface", "staged_server", needs=["receives_to_the_end"])
def test_server_s_lines(running: Server, alfa: Host) -> None:
    """The server sends the 19 bytes `Hello, I am server.`, and prints the lines of the handout."""
    client = running.connect(alfa)
    sent = greeting(client)
    assert sent == GREETING, difference(GREETING, sent)
    leave(client)
    running.program.expect_text("*** S : Client Says = Hello, I am client Alfa ***")
    running.program.expect_text("S : 4_Accept Start")
    running.host.ping()  # after which all that it has printed is there
    follow(running.program, "S", SERVER_STAGES, {"Number": 0, "Address": client.address[0], "Port": client.address[1]})


@claim("interface", "staged_server", needs=["listens"])
def test_ctrl_c(running: Server) -> None:
    """Ctrl+C ends the server with status 0."""
    running.program.interrupt()
    running.program.expect_exit(0)


@claim("lesson", "staged_client")
def test_connects(client: Client) -> None:
    """The client connects to the host and the port that it is given."""
    client.connect()


@claim("lesson", "staged_client", needs=["connects"])
def test_waits_to_be_greeted(client: Client, driver: Driver) -> None:
    """A client that is connected and not served yet waits: it sends nothing before the server has greeted it."""
    peer = client.connect()
    pauses_are_over(driver)
    peer.has_nothing("the server has not greeted the client yet")
    assert not peer.ended, "the server has not greeted the client yet, and the client has closed"


@claim("lesson", "staged_client", needs=["connects"])
def test_prints_the_greeting(client: Client) -> None:
    """The client receives the 19 bytes of the greeting, in however many pieces, and prints them."""
    peer = client.connect()
    pieces = ("Hello, ", "I am ", "server.")
    otherwise = "the greeting came in three pieces, and the client did not wait for all of them"
    peer.send_in_pieces([piece.encode() for piece in pieces], client.host, otherwise)
    for piece in pieces:
        client.shows(piece, otherwise)


@claim("lesson", "staged_client", needs=["waits_to_be_greeted"])
def test_answers_and_closes(client: Client) -> None:
    """When it was greeted, the client sends its message, with its name and no zero byte, and closes."""
    peer = client.connect()
    peer.send(GREETING)
    sent = peer.receive_to_end("the server has greeted the client, and waits for its message and for the end of that")
    assert sent, "the server has greeted the client, and the client closed without a message"
    assert b"\0" not in sent, f"the client sends a zero byte, too: {shown(sent)}"
    assert b"Alfa" in sent or sent.startswith(MESSAGE[:19]), f"its name, Alfa, is not in its message: {shown(sent)}"


@claim("lesson", "staged_client", needs=["connects"])
def test_prints_both_ends(client: Client) -> None:
    """The client prints the address and the port of both ends of its connection."""
    peer = client.connect()
    peer.send(GREETING)
    ends = both_ends(peer)
    client.wait_until(
        lambda: all(client.program.saw_number(value) for value in ends),
        lambda: (
            f"its own end is {ends[0]}, port {ends[1]}, the server's {ends[2]}, port {ends[3]}; it printed "
            f"{client.program.lines}{client.turned(ends[1], ends[3])}"
        ),
    )


@claim("robustness", "staged_client", needs=["connects"])
def test_server_leaves(client: Client) -> None:
    """A client whose server closes without a greeting doesn't wait for it for ever."""
    client.connect().end()
    client.program.wait(otherwise="the server has closed, and the client still waits to be greeted")


@claim("interface", "staged_client", needs=["answers_and_closes"])
def test_client_s_lines(client: Client) -> None:
    """The client sends `Hello, I am client NAME`, prints the lines of the handout, and exits with 0."""
    peer = client.connect()
    peer.send(GREETING)
    sent = peer.receive_to_end()
    assert sent == MESSAGE, difference(MESSAGE, sent)
    client.program.expect_exit(0)
    client.shows("*** C_Alfa : Server Says = Hello, I am server. ***")
    names = ("My Address", "My Port", "Server Address", "Server Port")
    follow(client.program, "C_Alfa", CLIENT_STAGES, dict(zip(names, both_ends(peer), strict=True)))


def both_ends(peer: Peer) -> tuple[str, int, str, int]:
    """Address and port of the client that a peer has accepted, and of the peer."""
    address, port = peer.to or ("", 0)
    return address, port, address if address.startswith("127.") else peer.host.address, peer.address[1]


def follow(program: Program, who: str, stages: list[str], values: dict[str, object]) -> None:
    """Its lines are these stages, in this order, and an information block with these values."""
    lines = [line.rstrip("\r") for line in program.lines]
    announced = [line.removeprefix(f"{who} : ") for line in lines if re.match(rf"{who} : \d_", line)]
    assert announced == stages, f"its stages should be {stages}; they were {announced}"
    text = "\n".join(lines)
    assert "*****[Connecting Information]*****" in text, f"it printed no *****[Connecting Information]*****: {lines}"
    for what, value in values.items():
        assert re.search(rf"= {re.escape(str(value))}$", text, re.MULTILINE), (
            f"no line ends with '= {value}' ({what}); it printed {lines}"
        )


PAUSES = 0.02  # LAB_PACE


@claim("interface", "staged_server", "staged_client", needs=["greets", "answers_and_closes"])
def test_pauses(
    idle: Server, client: Client, driver: Driver, alfa: Host, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It pauses before and after each call, for a second times `LAB_PACE`; the client for three before it sends."""
    monkeypatch.setattr(driver, "pace", PAUSES)
    if idle.role == "staged_server":
        idle.serve(port)
    pauses = 2 if idle.role == "staged_server" else 5  # 4_Accept End, 5_Send Start; 3_Recv End, 3 s, 4_Send Start
    for _ in range(2):  # the machine may have been busy
        peer = None if idle.role == "staged_server" else client.connect()
        began = time.monotonic()
        if peer:
            peer.send(GREETING)
            peer.receive(1)
        else:
            peer = idle.connect(alfa)
            peer.receive(1)
            leave(peer)
        took = time.monotonic() - began
        assert took >= pauses * PAUSES, f"with LAB_PACE={PAUSES}, it took {took:.3f} s, not {pauses * PAUSES:g} s"
        if took < 2:  # as long as the pauses before and after one call are without it
            return
    pytest.fail(f"with LAB_PACE={PAUSES}, it took {took:.1f} s, as if that were not set")


@claim("interface", "staged_server", "staged_client")
def test_defaults(idle: Server, client: Client, server: Host) -> None:
    """Told nothing else, a server listens on port 3240, and a client connects to that port of the host `server`."""
    if idle.role == "staged_server":
        idle.start()
        server.wait_for_listening(PORT)
        return
    if server.address not in client.host.run("getent", "ahostsv4", "server").stdout.split():
        pytest.skip("here server is another host's name, or nobody's")
    listening = server.listen(PORT)
    client.start("Alfa")
    listening.accept()


@claim("interface", "staged_server", "staged_client")
def test_names_the_call(program: Subject, server: Host) -> None:
    """A call that fails is named on stderr, as in `bind: Address already in use`; the status is 1."""
    if program.role == "staged_server":
        arguments: list[object] = ["--port", server.listen().address[1]]
        words = "bind: Address already in use"
    else:
        arguments = ["Alfa", "--host", server.address, "--port", server.unused_port()]
        words = "connect: Connection refused"
    program.names_the_call(words, *arguments)


@claim("interface", "staged_server", "staged_client")
def test_arguments(program: Subject) -> None:
    """With an option that it doesn't know, or a port that is none, it exits with 2; so does a client without a name."""
    wrong = [["--what"], ["--port", "0"], ["--port", "port"]]
    for arguments in wrong if program.role == "staged_server" else [[], *(["Alfa", *words] for words in wrong)]:
        program.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
