"""tcp_echo across hosts: echo, and that an iterative server leaves its second client without an answer."""

from labroom.driver import Host, Program


def start(server: Host, program: str, port: int) -> Program:
    started = server.start(program, port)
    server.wait_for_listening(port)
    return started


def connect(client: Host, server: Host, port: int) -> Program:
    """Start a line client, and wait until the server's kernel has connected it."""
    line_client = client.start("line_client", server.address, port)
    server.wait_for_connections(port, peer=client, otherwise=f"{client.name} was not connected")
    return line_client


def test_echo(server: Host, alfa: Host, port: int) -> None:
    """What the client sends comes back, line by line, and the server prints it."""
    echo_server = start(server, "echo_server", port)
    client = alfa.start("echo_client", server.address, port)
    for words in ("hello", "two words", "grüße"):
        client.send(words)
        client.expect(f"^Message from server : {words}\n", otherwise=f"{words!r} did not come back")
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


def test_iterative_server_serves_one_at_a_time(server: Host, alfa: Host, bravo: Host, charlie: Host, port: int) -> None:
    """While the first client is open, the second and third are connected and may send, but get no answer."""
    start(server, "iterative_server", port)
    first = alfa.start("line_client", server.address, port)
    first.send("first")
    first.expect("Message from server : first")

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
            # … while the first client still gets its answers.
            first.send("again")
            first.expect("Message from server : again", otherwise="alfa got no answer any more")

    first.send("END")
    first.expect_exit(0)
    second.expect("Message from server : waiting", otherwise="bravo got no answer even after alfa had left")
    with third.silence("charlie was answered while bravo was connected"):
        server.wait_for_connections(port, peer=charlie, unread=7)
    second.send("END")
    second.expect_exit(0)
    third.expect("Message from server : waiting", otherwise="charlie got no answer even after bravo had left")


def test_line_client_leaves_with_end(server: Host, alfa: Host, port: int) -> None:
    """END leaves the line client, an empty line is not sent, and the iterative server goes on to the next client."""
    iterative_server = start(server, "iterative_server", port)
    for words in ("one", "two"):
        client = alfa.start("line_client", server.address, port)
        for line in ("", words, "END"):
            client.send(line)
        client.expect_exit(0)
        assert client.lines == [f"Message from server : {words}"], f"the client printed {client.lines}"
    assert iterative_server.status is None, "the iterative server ended with its client"
