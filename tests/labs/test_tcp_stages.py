"""tcp_stages across hosts: three clients are connected at once and served one after another.

Where a check has to look at a moment, the programs make no pauses (LAB_PACE 0) and whoever must wait is stopped on
purpose; in the story, they run freely.
"""

import re

import pytest

from labroom.driver import Driver, Host, Program

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


def start_server(server: Host, *, pace: float | None = 0, tty: bool = False) -> Program:
    staged_server = server.start("staged_server", pace=pace, tty=tty)
    server.wait_for_listening(PORT)
    return staged_server


def connect(client: Host, server: Host) -> Program:
    """Start a client named after its host, and wait until the server's kernel has connected it."""
    staged_client = client.start("staged_client", name(client), "--host", server.address, pace=0)
    server.wait_for_connections(
        PORT, peer=client, otherwise=f"{client.name} was not connected while the server was busy"
    )
    return staged_client


def name(client: Host) -> str:
    return client.name.capitalize()


def skip_unless_named_server(server: Host, client: Host) -> None:
    """Skip a check of a client that is told no host, where `server` is the name of another one, as in a lab room."""
    found = client.run("getent", "ahostsv4", "server").stdout.split()
    if server.address not in found:
        pytest.skip("here server is another host's name, or nobody's")


def stages(program: Program) -> list[str]:
    """What it announced: its lines that carry a number and a call, without their prefix."""
    return [line.partition(" : ")[2] for line in program.lines if re.match(r"\w+ : \d_", line)]


def all_announced(staged_server: Program, client: Program) -> None:
    """A server and its one client, the client on its guest's name, announced every call in the lecture's order."""
    client.expect_exit(0)
    called = name(client.host)
    staged_server.expect(
        rf"^\*\*\* S : Client Says = Hello, I am client {called} \*\*\*\n.*4_Accept Start",
        otherwise="the server did not print what the client says, or did not go on to the next client",
    )
    assert stages(staged_server) == SERVER_STAGES, f"the server's stages were {stages(staged_server)}"
    assert stages(client) == CLIENT_STAGES, f"the client's stages were {stages(client)}"
    says = rf"^\*\*\* C_{called} : Server Says = Hello, I am server\. \*\*\*$"
    assert client.saw(says), f"the client printed no message of the server's, only {client.lines[-4:]}"


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
        staged_server = start_server(server, pace=None)
        driver.note("It listens: from now on its kernel connects clients. Here are three, one right after another.")
        clients = [guest.start("staged_client", name(guest), "--host", server.address) for guest in guests]
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


def test_connected_at_once_served_one_by_one(server: Host, alfa: Host, bravo: Host, charlie: Host) -> None:
    """Who is not accepted yet is connected nevertheless, and waits in recv for as long as another is served."""
    staged_server = start_server(server)
    staged_server.expect("4_Accept Start")
    staged_server.stop()  # it calls accept no more: whoever is connected now was connected by the kernel
    first, second, third = clients = [connect(guest, server) for guest in (charlie, alfa, bravo)]
    first.expect("3_Recv Start")
    first.stop()  # so that the server is busy with it for as long as we look
    staged_server.resume()
    staged_server.expect("6_Recv Start")

    for waiting in (second, third):
        waiting.expect("3_Recv Start", otherwise=f"{waiting.host.name} is not in recv: it was not connected")
    server.wait_for_connections(PORT, count=3)
    for waiting in (second, third):
        assert stages(waiting)[-1] == "3_Recv Start", (
            f"{waiting.host.name} was served while {first.host.name} was: this server does not serve one at a time"
        )

    open_now = sorted(staged_server.descriptors())
    assert open_now == [0, 1, 2, 3, 4], f"the server, serving one client, has the descriptors {open_now}, not 0 to 4"

    first.resume()
    for client in clients:
        client.expect("Server Says", otherwise=f"{client.host.name} was never served")
        client.expect_exit(0)
    said = [staged_server.expect(r"Client Says = Hello, I am client (\w+)")[1] for _ in clients]
    names = [name(client.host) for client in clients]
    assert said == names, f"they connected in the order {names} and were served in the order {said}"


def test_every_call_is_announced(driver: Driver, server: Host, alfa: Host) -> None:
    """Server and client announce every call before and after it, and pause for a second times LAB_PACE each time."""
    with alfa.capture(f"tcp port {PORT}") as wire:  # where two calls in a row leave: on the way, delays differ
        staged_server = start_server(server, pace=None)
        all_announced(staged_server, alfa.start("staged_client", "Alfa", "--host", server.address))
        packets = wire.wait_for(lambda packets: sum("FIN" in p.flags for p in packets) == 2, "a FIN of each side")
    here = (server.address, PORT)
    connected = next(p.time for p in packets if p.source != here and p.ack == 1)
    greeting = next(p.time for p in packets if p.source == here and p.payload)
    answer = next(p.time for p in packets if p.source != here and p.payload)
    left, closed = (p.time for p in packets if "FIN" in p.flags)
    for what, begin, end, pauses in (
        ("from the client's connect to the server's send", connected, greeting, 2),  # 4_Accept End, 5_Send Start
        ("from the server's send to the client's", greeting, answer, 5),  # 3_Recv End, 3 s, 4_Send Start
        ("from the client's send to its close", answer, left, 1),  # 4_Send End
        ("from the client's close to the server's", left, closed, 1),  # 6_Recv End
    ):
        took, least = end - begin, pauses * driver.pace
        assert took >= least, f"{what} it took {took:.3f} s on the wire; with the lecture's pauses {least:.3f} s"


def test_c_client(server: Host, bravo: Host) -> None:
    """A C client that is told no host finds the Python server by its name, and both announce every call."""
    skip_unless_named_server(server, bravo)
    staged_server = start_server(server)
    all_announced(staged_server, bravo.start("staged_client.c", name(bravo)))


def test_c_server(server: Host, charlie: Host) -> None:
    """A Python client that is told no host finds the C server by its name, and both announce every call."""
    skip_unless_named_server(server, charlie)
    staged_server = server.start("staged_server.c")
    server.wait_for_listening(PORT)
    all_announced(staged_server, charlie.start("staged_client", name(charlie), pace=0))
    informed(staged_server, [charlie])


def test_control_c(server: Host) -> None:
    """Ctrl+C ends the server with status 0, and its port is free."""
    staged_server = start_server(server, tty=True)
    staged_server.expect("4_Accept Start")
    staged_server.interrupt()
    staged_server.expect_exit(0)
    start_server(server).expect("4_Accept Start", otherwise="the port is not free after Ctrl+C")
