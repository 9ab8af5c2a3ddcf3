"""tcp_stages across hosts: three clients are connected at once and served one after another.

The programs make no pauses here (LAB_PACE 0), but for the check of the pauses: whoever must wait is stopped on purpose.
"""

import re

from labroom.driver import Driver, Host, Program

PORT = 3240
WAITING = "4_Accept Start(Waiting for a client...)(Exit for Ctrl+C(SIGINT))"


def start_server(server: Host, *, pace: float = 0, tty: bool = False) -> Program:
    staged_server = server.start("staged_server", pace=pace, tty=tty)
    server.wait_for_listening(PORT)
    return staged_server


def connect(client: Host, server: Host) -> Program:
    """Start a client named after its host, and wait until the server's kernel has connected it."""
    staged_client = client.start("staged_client", client.name.capitalize(), "--host", server.address, pace=0)
    server.wait_for_connections(
        PORT, peer=client, otherwise=f"{client.name} was not connected while the server was busy"
    )
    return staged_client


def stages(program: Program) -> list[str]:
    """What it announced: its lines that carry a number and a call, without their prefix."""
    return [line.partition(" : ")[2] for line in program.lines if re.match(r"\w+ : \d_", line)]


def blocks(staged_server: Program) -> list[str]:
    """The server's information on each client."""
    return [block.partition("5_Send")[0] for block in staged_server.stdout.split("[Connecting Information]")[1:]]


def test_every_call_is_announced(server: Host, alfa: Host) -> None:
    """Server and client announce every call before and after it, in the lecture's order."""
    staged_server = start_server(server)
    client = alfa.start("staged_client", "Alfa", "--host", server.address, pace=0)
    client.expect_exit(0)
    staged_server.expect(r"^\*\*\* S : Client Says = Hello, I am client Alfa \*\*\*\n.*4_Accept Start")
    assert stages(staged_server) == [
        *("1_Socket Start", "1_Socket End", "2_Bind Start", "2_Bind End", "3_Listen Start", "3_Listen End"),
        *(WAITING, "4_Accept End(Connected!)", "5_Send Start", "5_Send End", "6_Recv Start", "6_Recv End", WAITING),
    ], f"the server's stages were {stages(staged_server)}"
    assert stages(client) == [
        *("1_Socket Start", "1_Socket End", "2_Connect Start(Connecting...)", "2_Connect End(Connected!!!)"),
        *("3_Recv Start", "3_Recv End", "4_Send Start", "4_Send End"),
    ], f"the client's stages were {stages(client)}"
    assert client.saw(r"^\*\*\* C_Alfa : Server Says = Hello, I am server\. \*\*\*$"), "the client printed no message"


def test_a_pause_between_stages(server: Host, check: Driver) -> None:
    """Between two announcements the server pauses for one second, times LAB_PACE."""
    pace = 0.05
    start_server(server, pace=pace).expect("4_Accept Start")
    # From the start on, so that lines that come late together don't make it short.
    took = check.transcript[-1].time - check.transcript[0].time
    assert took >= 6 * pace, f"the six stages up to accept took {took:.3f} s, with pauses of {pace} s"


def test_connected_at_once_served_one_by_one(server: Host, alfa: Host, bravo: Host, charlie: Host) -> None:
    """Three clients from three guests are connected at once; while the first is served, the others wait in recv."""
    staged_server = start_server(server)
    staged_server.expect("4_Accept Start")
    staged_server.stop()  # it calls accept no more: whoever is connected now was connected by the kernel
    first, second, third = (connect(guest, server) for guest in (charlie, alfa, bravo))
    first.expect("3_Recv Start")
    first.stop()  # so that the server is busy with it for as long as we look
    staged_server.resume()
    staged_server.expect("6_Recv Start")

    for waiting in (second, third):
        waiting.expect("3_Recv Start", otherwise=f"{waiting.host.name} is not in recv: it was not connected")
    assert len(server.wait_for_connections(PORT, count=3)) == 3
    for waiting in (second, third):
        assert stages(waiting)[-1] == "3_Recv Start", (
            f"{waiting.host.name} was served while {first.host.name} was: this server does not serve one at a time"
        )

    open_now = sorted(staged_server.descriptors())
    assert open_now == [0, 1, 2, 3, 4], f"the server, serving one client, has the descriptors {open_now}, not 0 to 4"

    first.resume()
    for client in (first, second, third):
        client.expect("Server Says", otherwise=f"{client.host.name} was never served")
        client.expect_exit(0)


def test_served_in_the_order_of_connecting(server: Host, alfa: Host, bravo: Host, charlie: Host) -> None:
    """The clients are served in the order in which they connected, on descriptor 4 each, and numbered from 0."""
    staged_server = start_server(server)
    staged_server.expect("4_Accept Start")
    staged_server.stop()
    guests = (bravo, charlie, alfa)
    clients = [connect(guest, server) for guest in guests]
    staged_server.resume()
    for client in clients:
        client.expect_exit(0)
    said = [staged_server.expect(r"Client Says = Hello, I am client (\w+)")[1] for _ in clients]
    names = [guest.name.capitalize() for guest in guests]
    assert said == names, f"they connected in the order {names} and were served in the order {said}"
    for number, (guest, block) in enumerate(zip(guests, blocks(staged_server), strict=True)):
        for what, value in (
            ("listening on descriptor", 3),
            ("client's descriptor", 4),
            ("client's number", number),
            ("client's address", guest.address),
        ):
            assert re.search(rf"\b{re.escape(str(value))}$", block, re.MULTILINE), (
                f"the server's information on its client {number} should say: {what} {value}; it says{block}"
            )


def test_control_c(server: Host) -> None:
    """Ctrl+C ends the server with status 0, and its port is free."""
    staged_server = start_server(server, tty=True)
    staged_server.expect("4_Accept Start")
    staged_server.interrupt()
    staged_server.expect_exit(0)
    start_server(server).expect("4_Accept Start", otherwise="the port is not free after Ctrl+C")


def test_found_by_name(server: Host, bravo: Host) -> None:
    """A client that is told no host finds the server by its name."""
    start_server(server)
    client = bravo.start("staged_client", "Bravo", pace=0)
    client.expect("Hello, I am server", otherwise="bravo did not find the server by its name")
    client.expect_exit(0)
