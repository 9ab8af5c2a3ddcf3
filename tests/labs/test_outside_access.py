"""outside_access across hosts: what the NAT gateway lets through, and who the other end then seems to be."""

import re

import pytest

from labroom.checks.claims import claim
from labroom.checks.clients import Client
from labroom.checks.servers import Server
from labroom.checks.subjects import Subject
from labroom.driver import Driver, Host, Peer, Program

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


# -- claims -----------------------------------------------------------------------------------------------------


@pytest.fixture
def idle(idle: Server, request: pytest.FixtureRequest) -> Server:
    """The server: select_server runs inside, iterative_server outside."""
    if idle.role == "iterative_server":
        idle.host = request.getfixturevalue("outside")
    return idle


@pytest.fixture
def running(idle: Server, server: Host) -> Server:
    """The server, inside on a port that the gateway forwards."""
    return idle.serve(forwarded(server) if idle.role == "select_server" else idle.host.unused_port())


def forwarded(server: Host) -> int:
    """The forwarded port, without what earlier checks have left of it on the server."""
    server.forget_time_waits(FORWARDED)
    return FORWARDED


def through(gateway: Host, outside: Host, port: int) -> Peer:
    """A client outside that is connected by a forwarded port."""
    if port != FORWARDED:
        pytest.skip(f"the server listens on port {port}, whatever it is told, and the gateway does not forward that")
    address = gateway.source_address(outside)
    return outside.peer(address, port).wait_connected(f"a client outside connects to {address}, port {port}")


@claim("lesson", "select_server")
def test_listens_to_all(running: Server) -> None:
    """The server inside listens on all interfaces, not on 127.0.0.1 alone."""
    assert running.address != "127.0.0.1", "it listens on 127.0.0.1 alone: neither gateway nor guest can reach it"


@claim("lesson", "select_server", needs=["listens_to_all"])
def test_answers_guests(running: Server, server: Host, alfa: Host) -> None:
    """Clients on another guest and on the server's own guest are answered at the same time."""
    clients = {
        "another guest": alfa.peer(server.address, running.port),
        "its own guest": server.peer(server.address, running.port),
        "its own guest, by 127.0.0.1": server.peer("127.0.0.1", running.port),
    }
    for _ in range(2):
        for where, client in clients.items():
            client.wait_connected(f"a client on {where}")
            client.exchange(b"hello", f"a client on {where}, while others are connected")


@claim("lesson", "select_server", needs=["listens_to_all"])
def test_answers_outside(running: Server, gateway: Host, outside: Host) -> None:
    """A client outside is answered through the gateway's forwarded port."""
    client = through(gateway, outside, running.port)
    for words in (b"hello", b"again"):
        client.exchange(words, "a client outside has sent it to the gateway's forwarded port")


@claim("robustness", "select_server", needs=["answers_outside"])
def test_much_from_outside(running: Server, gateway: Host, outside: Host) -> None:
    """Through the gateway, too, 200,000 bytes come back whole, and a reset ends nobody but its client."""
    client = through(gateway, outside, running.port)
    client.exchange(b"0123456789" * 20_000)
    running.reset_by(client)
    through(gateway, outside, running.port).exchange(b"still there?", "after a client outside has sent a reset")


@claim("lesson", "iterative_server")
def test_answers_inside(running: Server, server: Host, outside: Host) -> None:
    """A client inside is answered by the server outside, and so is the next one."""
    for which in ("a client inside", "the next client inside"):
        client = server.peer(outside.address, running.port).wait_connected(which)
        client.exchange(b"hello from inside", which)
        client.end()
        client.expect_end(f"{which} has closed, and the server outside does not close its end")


@claim("lesson", "iterative_server", needs=["answers_inside"])
def test_sees_the_gateway(running: Server, server: Host, outside: Host) -> None:
    """The server outside prints the address and port that `accept` returns: the gateway's, not those of the guest."""
    server.peer(outside.address, running.port).wait_connected().exchange(b"hello from inside")
    address, port = outside.wait_for_connections(running.port)[0].remote
    running.wait_until(
        lambda: running.program.saw_number(address) and running.program.saw_number(port),
        lambda: (
            f"accept has returned {address}, port {port}, the gateway's; it printed {running.program.lines}"
            f"{running.turned(port)}"
        ),
    )
    assert not running.program.saw_number(server.address), f"it says {server.address}, which accept did not return"


@pytest.fixture
def client(client: Client, request: pytest.FixtureRequest, server: Host, gateway: Host) -> Client:
    """The client, outside; its peer is inside, behind a forwarded port."""
    client.host = request.getfixturevalue("outside")
    client.told = (gateway.source_address(client.host), forwarded(server))
    return client


@claim("lesson", "line_client")
def test_connects_inside(client: Client) -> None:
    """The client outside connects to the address that it is given, the gateway's, and so to the server inside."""
    address, _ = client.connect().to or ("", 0)
    assert address == client.host.address, f"the server inside was connected to by {address}, not {client.host.address}"


@claim("lesson", "line_client", needs=["connects_inside"])
def test_is_answered(client: Client) -> None:
    """What is typed outside comes to the server inside, and its answer is printed outside."""
    peer = client.connect()
    for line in ("hello from outside", "안녕"):
        client.type(line)
        peer.expect(line.encode(), f"{line!r} was typed outside")
        peer.send(line.encode() + peer.rest())
        client.shows(line)


@claim("interface", "line_client", needs=["connects_inside"])
def test_takes_a_name(client: Client, alfa: Host, server: Host) -> None:
    """The client takes a name in place of an address."""
    if server.address not in alfa.run("getent", "ahostsv4", "server").stdout.split():
        pytest.skip("here server is another host's name, or nobody's")
    client.host, client.told = alfa, ("server", 0)
    client.connect()


@claim("interface", "line_client")
def test_refused(client: Client, gateway: Host, outside: Host) -> None:
    """By a port that is not forwarded it comes to nobody: `connect: Connection refused` on stderr, and status 1."""
    client.start(gateway.source_address(outside), NOT_FORWARDED, tty=False).expect_exit(1)
    assert "connect: Connection refused" in client.program.stderr, f"on stderr: {client.program.stderr!r}"


@claim(
    "interface",
    *("select_server", "iterative_server", "line_client"),
    needs=["listens_to_all", "answers_inside", "connects_inside"],
)
def test_arguments(program: Subject) -> None:
    """Without a port, or with one that is none, it exits with 2."""
    host = ["127.0.0.1"] if program.role == "line_client" else []
    for arguments in (host, [*host, "0"]):
        program.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
