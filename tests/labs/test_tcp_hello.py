"""tcp_hello across hosts: one message, and what becomes of the port of a server that closes first."""

from labroom.driver import Host, Program

CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as server:
    print(b"".join(iter(lambda: server.recv(100), b"")))
"""


def serve_one_client(server: Host, client: Host, port: int, *options: str) -> tuple[Program, Program]:
    hello_server = server.start("hello_server", port, *options)
    server.wait_for_listening(port)
    hello_client = client.start("hello_client", server.address, port)
    hello_client.expect_exit(0)
    hello_server.expect_exit(0, otherwise="the server did not end after its one client")
    return hello_server, hello_client


def test_message(server: Host, alfa: Host, port: int) -> None:
    """The client prints the server's message, and both end with status 0."""
    _, client = serve_one_client(server, alfa, port)
    assert client.stdout == "Message from server : Hello World~\n", f"the client printed {client.stdout!r}"


def test_bytes_on_the_wire(server: Host, bravo: Host, port: int) -> None:
    """The server sends the 13 bytes of its message and closes."""
    server.start("hello_server", port)
    server.wait_for_listening(port)
    client = bravo.run("python3", "-c", CLIENT, server.address, str(port))
    assert client.stdout == "b'Hello World~\\n'\n", f"bravo received {client.stdout}{client.stderr}"


def test_nobody_listens(server: Host, alfa: Host, port: int) -> None:
    """Without a server the client is refused."""
    client = alfa.start("hello_client", server.address, port)
    client.expect("connect: Connection refused")
    client.expect_exit(1)


def test_time_wait(server: Host, alfa: Host, port: int) -> None:
    """The server closed first, so its end of the connection is in TIME_WAIT and the client's is gone."""
    serve_one_client(server, alfa, port)
    server.wait_for_connections(
        port, "TIME_WAIT", otherwise="the server's end is not in TIME_WAIT: it did not close first"
    )
    alfa.wait_for_connections(port, "TIME_WAIT", 0, otherwise="the client's end is in TIME_WAIT: it closed first")
    assert f":{port}" in server.run("ss", "-Htan", "state", "time-wait").stdout, "ss does not show TIME-WAIT"


def test_restart_without_reuse_address(server: Host, alfa: Host, port: int) -> None:
    """Started again at once without SO_REUSEADDR, the server fails: Address already in use."""
    serve_one_client(server, alfa, port, "--no-reuse-address")
    server.wait_for_connections(port, "TIME_WAIT")
    again = server.start("hello_server", port, "--no-reuse-address")
    again.expect("bind: Address already in use", otherwise="bind was not refused although the port is in TIME_WAIT")
    again.expect_exit(1)


def test_restart_with_reuse_address(server: Host, alfa: Host, port: int) -> None:
    """Started again at once with SO_REUSEADDR, the server serves, although its port is in TIME_WAIT."""
    serve_one_client(server, alfa, port)
    server.wait_for_connections(port, "TIME_WAIT")
    _, client = serve_one_client(server, alfa, port)
    assert client.saw("Hello World~"), "the server that was started again sent no message"
    server.wait_for_connections(port, "TIME_WAIT", 2)
