"""outside_access across hosts: what the NAT gateway lets through, and who the other end then seems to be."""

import re

import pytest

from labroom.driver import Driver, Host, Program

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


@pytest.mark.play
def test_in_by_a_forwarded_port(driver: Driver, server: Host, gateway: Host, outside: Host) -> None:
    """Outside reaches the server by the port that the gateway forwards, 18080, and by no other."""
    address = gateway.source_address(outside)
    with gateway.capture(f"tcp port {FORWARDED}") as wire:
        driver.note(f"A server inside. A client outside knows only the gateway, {address}.")
        select_server = start_server(server, FORWARDED)
        client = connect(outside, address, FORWARDED)
        answered(client, "hello from outside", "the gateway's port 18080 did not answer outside")
        packets = wire.wait_for(lambda packets: sum(p.flags == {"SYN"} for p in packets) == 2, "the SYN, twice")
    descriptor = select_server.expect(r"^connected client : (\d+)\n")[1]
    select_server.expect(f"^Message from client {descriptor}: hello from outside\n")
    server.wait_for_connections(
        FORWARDED, peer=outside, otherwise="the server does not see the address of the client outside"
    )
    came, went = (p for p in packets if p.flags == {"SYN"})
    replaced = [came.destination[0], went.destination[0]]
    assert replaced == [address, server.address], (
        f"the gateway should replace only the destination: {came}; then {went}"
    )
    assert came.source == went.source, f"the gateway should replace only the destination: {came}; then {went}"
    driver.note(f"Each packet was seen twice on the gateway: to {came.destination[0]}, then to {went.destination[0]}.")

    driver.note(f"Port {NOT_FORWARDED} isn't forwarded. A server listens on it, too, but outside can't reach it.")
    start_server(server, NOT_FORWARDED)
    refused = connect(outside, address, NOT_FORWARDED)
    refused.expect(REFUSED, otherwise="the gateway did not refuse a port that is not forwarded")
    refused.expect_exit(1)
    answered(client, "still here", "the forwarded port does not answer outside any more")
    server.wait_for_connections(NOT_FORWARDED, count=0, peer=outside)


@pytest.mark.play
def test_out_under_the_gateways_name(driver: Driver, server: Host, gateway: Host, outside: Host, port: int) -> None:
    """Guests reach out, and whom they reach sees the gateway's address."""
    with gateway.capture(f"tcp port {port}") as wire:
        driver.note("The other way round: a server outside, a client inside.")
        iterative_server = outside.start("../tcp_echo/iterative_server", port)
        outside.wait_for_listening(port)
        client = connect(server, outside.address, port)
        answered(client, "hello from inside", "the server inside got no answer from outside")
        packets = wire.wait_for(lambda packets: sum(p.flags == {"SYN"} for p in packets) == 2, "the SYN, twice")
    seen = iterative_server.expect(r"^connected client : ([\d.]+):")[1]
    expected = gateway.source_address(outside)
    assert seen == expected, f"outside sees {seen}, not the gateway's {expected}: the guest is not masqueraded"
    came, went = (p for p in packets if p.flags == {"SYN"})
    replaced = [came.source[0], went.source[0]]
    assert replaced == [server.address, expected], f"the gateway should replace only the source: {came}; then {went}"
    assert came.destination == went.destination, f"the gateway should replace only the source: {came}; then {went}"
    driver.note(f"The gateway has put its own address in the place of the source: {came.source[0]} became {seen}.")


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


def test_no_way_in_past_the_gateway(server: Host, gateway: Host, outside: Host) -> None:
    """From outside, the server's own address is out of reach."""
    select_server = start_server(server, FORWARDED)
    direct = connect(outside, server.address, FORWARDED)
    direct.send("let me in")
    answered(connect(outside, gateway.source_address(outside), FORWARDED), "hello", "the forwarded port did not answer")
    select_server.expect("hello")
    assert not select_server.saw("let me in"), "outside reached the server's own address, past the gateway"
    assert direct.saw(REFUSED) or outside.wait_for_connections(FORWARDED, "SYN_SENT", peer=server)
    through = {connection.remote for connection in server.wait_for_connections(FORWARDED, peer=outside)}
    assert len(through) == 1, f"outside opened a connection to the server's own address, too: {through}"


def test_client_on_the_same_guest(server: Host) -> None:
    """The client may sit on the same guest as the server."""
    start_server(server, FORWARDED)
    for address in (server.address, "127.0.0.1"):
        answered(connect(server, address, FORWARDED), "hello", f"a client on the server got no answer from {address}")


def test_c_programs(server: Host, gateway: Host, outside: Host, port: int) -> None:
    """A C client outside comes in by the forwarded port; a C server outside is reached from inside."""
    start_server(server, FORWARDED)
    client = outside.start("line_client.c", gateway.source_address(outside), FORWARDED)
    answered(client, "안녕", "the C client outside got no answer from the gateway's port 18080")
    outside.start("iterative_server.c", port)
    outside.wait_for_listening(port)
    answered(
        connect(server, outside.address, port), "안녕", "the server inside got no answer from the C server outside"
    )
