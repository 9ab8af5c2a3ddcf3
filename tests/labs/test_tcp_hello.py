"""tcp_hello across hosts: one message, and what becomes of the port of a server that closes first."""

import pytest

from labroom.driver import Driver, Host, Packet, Program

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


def test_c_client(server: Host, alfa: Host, port: int) -> None:
    """A C client prints the Python server's message."""
    server.start("hello_server", port)
    server.wait_for_listening(port)
    greeted(alfa.start("hello_client.c", server.address, port))


def test_c_server(server: Host, bravo: Host, port: int) -> None:
    """A C server greets the Python client, ends, and has its port again at once."""
    for _ in range(2):
        c_server = server.start("hello_server.c", port)
        server.wait_for_listening(port)
        greeted(bravo.start("hello_client", server.address, port))
        c_server.expect_exit(0, otherwise="the C server did not end after its one client")
        server.wait_for_connections(port, "TIME_WAIT")
