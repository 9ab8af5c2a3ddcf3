"""outside_access across hosts: what the NAT gateway lets through, and who the other end then seems to be."""

import re

from labroom.driver import Host, Program

FORWARDED, NOT_FORWARDED = 18080, 18081
REFUSED = "connect: (Connection refused|Connection timed out|No route to host|Network is unreachable)"


def start_server(server: Host, port: int) -> Program:
    select_server = server.start("../select_server/select_server", port, "--show")
    server.wait_for_listening(port)
    return select_server


def connect(client: Host, address: str, port: int) -> Program:
    return client.start("../tcp_echo/line_client", address, port)


def answered(client: Program, words: str, otherwise: str) -> None:
    client.send(words)
    client.expect(f"^Message from server : {words}\n", otherwise=otherwise)


def test_forwarded_port(server: Host, gateway: Host, outside: Host) -> None:
    """The gateway's port 18080 answers outside with the echo of the server inside, which prints the client."""
    select_server = start_server(server, FORWARDED)
    client = connect(outside, gateway.source_address(outside), FORWARDED)
    answered(client, "hello", "the gateway's port 18080 did not answer outside")
    descriptor = select_server.expect(r"^connected client : (\d+)\n")[1]
    select_server.expect(f"^Message from client {descriptor}: hello\n")
    server.wait_for_connections(
        FORWARDED, peer=outside, otherwise="the server does not see the address of the client outside"
    )


def test_ssh_by_forwarded_ports(
    server: Host, alfa: Host, bravo: Host, charlie: Host, gateway: Host, outside: Host
) -> None:
    """The gateway's ports 2201 to 2204 lead outside to the sshd of server, alfa, bravo and charlie."""
    address = gateway.source_address(outside)
    guests = {2201: server, 2202: alfa, 2203: bravo, 2204: charlie}
    scans = {p: outside.start_command(["ssh-keyscan", "-t", "ed25519", "-p", str(p), address]) for p in guests}
    for port, guest in guests.items():
        key = guest.run("cut", "-d ", "-f2", "/etc/ssh/ssh_host_ed25519_key.pub").stdout.strip()
        scans[port].expect(
            rf"ssh-ed25519 {re.escape(key)}\n",
            otherwise=f"the sshd behind the gateway's port {port} does not have {guest.name}'s host key",
        )


def test_port_that_is_not_forwarded(server: Host, alfa: Host, gateway: Host, outside: Host) -> None:
    """A port that is not forwarded refuses outside, although a server listens on it inside."""
    start_server(server, NOT_FORWARDED)
    answered(connect(alfa, server.address, NOT_FORWARDED), "hello", "alfa, inside, got no answer")
    client = connect(outside, gateway.source_address(outside), NOT_FORWARDED)
    client.expect(REFUSED, otherwise="the gateway did not refuse a port that is not forwarded")
    client.expect_exit(1)
    assert not server.wait_for_connections(NOT_FORWARDED, count=0, peer=outside)


def test_no_way_in_past_the_gateway(server: Host, gateway: Host, outside: Host) -> None:
    """From outside, the server's own address is out of reach."""
    select_server = start_server(server, FORWARDED)
    direct = connect(outside, server.address, FORWARDED)
    direct.send("let me in")
    answered(connect(outside, gateway.source_address(outside), FORWARDED), "hello", "the forwarded port did not answer")
    select_server.expect("hello")
    assert not select_server.saw("let me in"), "outside reached the server's own address, past the gateway"
    assert direct.saw(REFUSED) or outside.wait_for_connections(FORWARDED, "SYN_SENT", peer=server)
    through = server.wait_for_connections(FORWARDED, peer=outside)
    assert len(through) == 1, "outside opened a connection to the server's own address"


def test_masquerade(server: Host, gateway: Host, outside: Host, port: int) -> None:
    """Guests reach out, and whom they reach sees the gateway's address."""
    iterative_server = outside.start("../tcp_echo/iterative_server", port)
    outside.wait_for_listening(port)
    client = connect(server, outside.address, port)
    answered(client, "hello", "the server inside got no answer from outside")
    seen = iterative_server.expect(r"^connected client : ([\d.]+):")[1]
    expected = gateway.source_address(outside)
    assert seen == expected, f"outside sees {seen}, not the gateway's {expected}: the guest is not masqueraded"


def test_client_on_the_same_guest(server: Host) -> None:
    """The client may sit on the same guest as the server."""
    start_server(server, FORWARDED)
    for address in (server.address, "127.0.0.1"):
        answered(connect(server, address, FORWARDED), "hello", f"a client on the server got no answer from {address}")
