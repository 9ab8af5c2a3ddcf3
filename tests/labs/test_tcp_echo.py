"""tcp_echo across hosts: echo, and that an iterative server leaves its second client without an answer."""

import pytest

from labroom.driver import Driver, Host, Program


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


def test_echo(server: Host, alfa: Host, port: int) -> None:
    """What the client sends comes back, line by line, and the server prints it."""
    echo_server = start(server, "echo_server", port)
    client = alfa.start("echo_client", server.address, port)
    for words in ("hello", "two words", "grüße", "안녕"):
        echoed(client, words)
        echo_server.expect(f"^message from client : {words}\n")


def test_q_leaves(server: Host, alfa: Host, port: int) -> None:
    """Q and q leave the client, at its prompt, and the server ends with its one client."""
    for letter in "Qq":
        echo_server = start(server, "echo_server", port)
        client = alfa.start("echo_client", server.address, port, tty=True)
        client.expect("Q.*: ", otherwise="the client does not prompt on a terminal")
        client.send(letter)
        client.expect_exit(0, otherwise=f"{letter} did not leave the client")
        echo_server.expect_exit(0, otherwise="the server did not end when its client left")


def leaves_with_end(client: Program, words: str) -> None:
    """A line client sends what is no empty line and not `END`, at which it leaves."""
    for line in ("", words, "END"):
        client.send(line)
    client.expect_exit(0, otherwise=f"END did not leave {client}")
    assert client.lines == [f"Message from server : {words}"], f"{client} printed {client.lines}"


def test_line_client_leaves_with_end(server: Host, alfa: Host, port: int) -> None:
    """END leaves the line client, an empty line is not sent, and the iterative server goes on to the next client."""
    iterative_server = start(server, "iterative_server", port)
    for words in ("one", "two"):
        leaves_with_end(alfa.start("line_client", server.address, port), words)
    assert iterative_server.status is None, "the iterative server ended with its client"


def test_c_clients(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """C clients get their echo from the Python servers, and leave with Q and END."""
    echo_server = start(server, "echo_server", port)
    client = alfa.start("echo_client.c", server.address, port)
    echoed(client, "안녕")
    client.send("Q")
    client.expect_exit(0, otherwise="Q did not leave the C client")
    echo_server.expect_exit(0, otherwise="the server did not end when its C client left")
    start(server, "iterative_server", port)
    leaves_with_end(bravo.start("line_client.c", server.address, port), "안녕")


def test_c_servers(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """C servers echo to the Python clients; the iterative one, too, leaves its second client waiting."""
    echo_server = server.start("echo_server.c", port)
    server.wait_for_listening(port)
    client = alfa.start("echo_client", server.address, port)
    echoed(client, "안녕")
    client.send("q")
    echo_server.expect_exit(0, otherwise="the C server did not end when its client left")
    server.start("iterative_server.c", port)
    server.wait_for_listening(port)
    first = alfa.start("line_client", server.address, port)
    echoed(first, "first")
    second = connect(bravo, server, port)
    with second.silence("bravo was answered while alfa was connected: the C server is not iterative"):
        second.send("second")
        server.wait_for_connections(port, peer=bravo, unread=6)
        echoed(first, "again")
    first.send("END")
    second.expect("Message from server : second", otherwise="bravo got no answer even after alfa had left")
