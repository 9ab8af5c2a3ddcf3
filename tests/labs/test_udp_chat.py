"""udp_chat across hosts: datagrams without a connection, what gets lost and who is told, and a chat."""

import re
import signal
from collections.abc import Callable

import pytest

from labroom.driver import Driver, Host, Program, Socket

# Nine members on one host: each says hello at once, the first one whatever is typed then.
CROWD = """
import socket, sys
server = sys.argv[1], int(sys.argv[2])
crowd = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(9)]
for member in crowd:
    member.sendto(b"hello", server)
for line in sys.stdin:
    crowd[0].sendto(line.rstrip().encode(), server)
"""

STRANGER = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"from a stranger", (sys.argv[1], int(sys.argv[2])))
"""


def start(server: Host, program: str, port: int, *options: object) -> Program:
    started = server.start(program, port, *options)
    server.wait_for_listening(port, protocol="udp")
    return started


def answered(client: Program, words: str) -> None:
    client.send(words)
    client.expect(f"^Message from server : {words}\n", otherwise=f"{words!r} did not come back to {client.host.name}")


def says(client: Program, words: str, *others: Program) -> None:
    """One member of a chat says something, and the others hear it, with the speaker's address and port."""
    client.send(words)
    speaker = rf"^{re.escape(client.host.address)}: \d+>> {words}\n"
    for other in others:
        other.expect(speaker, otherwise=f"{other.host.name} did not hear what {client.host.name} said")


def ended(client: Program, status: int) -> None:
    """Both of a chat client's processes end."""
    client.expect_exit(status)
    client.wait_for_processes(
        lambda processes: not processes,
        "none of the client's processes",
        otherwise=f"{client} has ended and left a process behind",
    )


def socket_of(program: Program) -> Socket:
    """The program's only socket; waits until it has one, and a port."""

    def look() -> Socket | None:
        targets = set(program.descriptors().values())
        return next((s for s in program.host.sockets() if f"socket:[{s.inode}]" in targets and s.local[1]), None)

    return program.host.driver.wait_until(
        look, f"{program} to have a port", None, lambda within: f"{program} has no socket with a port{within}"
    )


# -- echo -------------------------------------------------------------------------------------------------------


def test_echo(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """One socket answers whoever sends, in any order, and tells the senders apart; an empty datagram is one, too."""
    echo_server = start(server, "udp_echo_server", port)
    first, second = (guest.start("udp_echo_client", server.address, port) for guest in (alfa, bravo))
    for client, words in ((first, "hello"), (second, "grüße"), (first, ""), (second, "two words"), (first, "again")):
        answered(client, words)
        echo_server.expect(
            f"^message from {client.host.address}:{socket_of(client).local[1]} : {words}\n",
            otherwise=f"the server did not say that {client.host.name} had sent {words!r}",
        )
    for client, letter in ((first, "Q"), (second, "q")):
        client.send(letter)
        client.expect_exit(0, otherwise=f"{letter} did not leave the client")
    open_now = sorted(echo_server.descriptors())
    assert open_now == [0, 1, 2, 3], f"the server has the descriptors {open_now}: one socket, 3, is enough for all"


def test_small_buffer(server: Host, alfa: Host, port: int) -> None:
    """A datagram longer than the buffer is cut to it, and the rest is lost: it is not in the next one either."""
    start(server, "udp_echo_server", port, "--buffer", 30)
    client = alfa.start("udp_echo_client", server.address, port)
    client.send("0123456789" * 4)
    came_back = client.expect("^Message from server : (.*)\n")[1]
    assert came_back == "0123456789" * 3, f"40 bytes were sent to a buffer of 30, and {len(came_back)} came back"
    answered(client, "next")


def test_large_buffer(server: Host, alfa: Host, port: int) -> None:
    """With a buffer for the longest datagram nothing is cut, not even what takes two packets."""
    start(server, "udp_echo_server", port)
    client = alfa.start("udp_echo_client", server.address, port)
    client.send("0123456789" * 200)
    came_back = client.expect("^Message from server : (.*)\n")[1]
    assert came_back == "0123456789" * 200, f"2000 bytes were sent, and {len(came_back)} came back"


def test_nobody_is_told_that_a_port_is_closed(server: Host, alfa: Host, port: int) -> None:
    """A datagram to a closed port is answered by ICMP port unreachable, and yet the client waits for ever."""
    with server.capture(f"udp port {port} or (icmp[0] = 3 and icmp[30:2] = {port})") as wire:
        client = alfa.start("udp_echo_client", server.address, port)
        with client.silence("the client was answered, although nobody has the port"):
            client.send("hello")
            packets = wire.wait_for(lambda packets: len(packets) == 2, "the client's datagram and an answer to it")
            client.wait_for_processes(
                lambda processes: [process.state for process in processes] == ["S"],
                "a client that waits",
                otherwise="the client does not wait for an answer, although nothing has told it that there is none",
            )
    sent, refused = packets
    assert (sent.source[0], sent.payload) == (alfa.address, b"hello"), f"alfa's datagram on the wire was {sent}"
    assert refused.icmp == (3, 3), f"the answer on the wire was not ICMP port unreachable (type 3 code 3) but {refused}"
    assert not client.stderr, f"the client was told {client.stderr!r}"


def test_a_connected_socket_is_told_that_a_port_is_closed(server: Host, bravo: Host, port: int) -> None:
    """With --connect the kernel knows which socket the ICMP message is for: Connection refused."""
    client = bravo.start("udp_echo_client", server.address, port, "--connect")
    client.send("hello")
    client.expect("^recvfrom: Connection refused\n", otherwise="the connected client was not told that nobody is there")
    client.expect_exit(1)


def test_anybody_may_answer(server: Host, alfa: Host, bravo: Host, charlie: Host, port: int) -> None:
    """A socket takes a stranger's datagram for the server's answer; with --connect it takes the server's only."""
    echo_server = start(server, "udp_echo_server", port)
    echo_server.stop()
    unconnected = alfa.start("udp_echo_client", server.address, port)
    connected = bravo.start("udp_echo_client", server.address, port, "--connect")
    for client in (unconnected, connected):
        client.send("hello")
        address, own_port = client.host.address, socket_of(client).local[1]
        charlie.run("python3", "-c", STRANGER, address, str(own_port))
    unconnected.expect("^Message from server : from a stranger\n", otherwise="alfa did not take charlie's datagram")
    echo_server.resume()
    connected.expect("^Message from server")
    assert connected.lines == ["Message from server : hello"], f"bravo's connected client printed {connected.lines}"


# -- chat -------------------------------------------------------------------------------------------------------


@pytest.mark.play
def test_chat(driver: Driver, server: Host, alfa: Host, bravo: Host, charlie: Host, port: int) -> None:
    """Each member hears the others, with their address and port, and not itself; nobody hears before having spoken."""
    chat_server = start(server, "chat_server", port)
    first, second, third = (guest.start("chat_client", server.address, port) for guest in (alfa, bravo, charlie))
    driver.note("Nobody is connected: the server knows who has sent it a datagram, and nobody else.")
    says(first, "is anybody here?")
    chat_server.expect("^nClient: 1\n", otherwise="the server did not count alfa")
    says(second, "bravo is", first)
    chat_server.expect("^nClient: 2\n", otherwise="the server did not count bravo")
    says(third, "charlie, too", first, second)
    chat_server.expect("^nClient: 3\n", otherwise="the server did not count charlie")
    says(first, "hello, both", second, third)
    driver.note("END is sent like any other message; then the client's two processes end.")
    says(first, "END", second, third)
    first.expect_exit(0, otherwise="END did not end alfa's client")
    says(second, "alfa has left", third)

    assert chat_server.lines == [f"nClient: {n}" for n in (1, 2, 3)], f"the server printed {chat_server.lines}"
    for client, wanted in (
        (first, ["bravo is", "charlie, too"]),
        (second, ["charlie, too", "hello, both", "END"]),
        (third, ["hello, both", "END", "alfa has left"]),
    ):
        heard = [line.partition(">> ")[2] for line in client.lines]
        assert heard == wanted, f"{client.host.name} heard {heard}, not {wanted}"


def test_datagrams_stay_apart(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """Three messages that wait at the server together are still three messages, not one as with TCP."""
    chat_server = start(server, "chat_server", port)
    listener = bravo.start("chat_client", server.address, port)
    listener.send("hello")
    chat_server.expect("nClient: 1")
    chat_server.stop()
    speaker = alfa.start("chat_client", server.address, port)
    for words in ("one", "two", "three"):
        speaker.send(words)
    speaker.close_stdin()
    speaker.expect_exit(0)
    chat_server.resume()
    listener.expect("three\n")
    heard = [line.partition(">> ")[2] for line in listener.lines]
    assert heard == ["one", "two", "three"], f"alfa sent one, two, three, and bravo heard {heard}"


def test_the_eleventh(server: Host, alfa: Host, bravo: Host, charlie: Host, port: int) -> None:
    """There are ten members at the most: the eleventh is not added, is not heard and hears nothing."""
    chat_server = start(server, "chat_server", port)
    crowd = alfa.start_command(["python3", "-c", CROWD, server.address, str(port)], name="crowd")
    chat_server.expect("^nClient: 9\n")
    tenth = charlie.start("chat_client", server.address, port)
    tenth.send("the tenth")
    chat_server.expect("^nClient: 10\n", otherwise="the server did not add the tenth member")
    eleventh = bravo.start("chat_client", server.address, port)
    eleventh.send("the eleventh")
    chat_server.expect(f"^{bravo.address}: .*not added", otherwise="the server did not refuse the eleventh member")
    with eleventh.silence("bravo hears the chat, although it is the eleventh and no member"):
        for words in ("to all", "again"):  # at the second, the server has sent the first to everybody
            crowd.send(words)
            tenth.expect(f">> {words}\n", otherwise="charlie, the tenth member, did not hear the others")
    assert "eleventh" not in tenth.stdout, "charlie heard bravo, who is no member: what the eleventh says was passed on"
    assert chat_server.lines[-1] == "nClient: 10", f"the server counts {chat_server.lines[-1]}"


def test_both_processes_end(server: Host, alfa: Host, bravo: Host, charlie: Host, port: int) -> None:
    """END, end of input, Ctrl+C or SIGTERM: parent and child both end, and there is no zombie and no orphan."""
    chat_server = start(server, "chat_server", port)
    ways: list[tuple[Host, Callable[[Program], None], int]] = [
        (alfa, lambda client: client.send("END"), 0),
        (bravo, Program.close_stdin, 0),
        (charlie, Program.interrupt, 130),
        (server, lambda client: client.signal(signal.SIGTERM), 143),
    ]
    clients = [
        guest.start("chat_client", server.address, port, tty=leave is Program.interrupt) for guest, leave, _ in ways
    ]
    for number, (client, (_, leave, status)) in enumerate(zip(clients, ways, strict=True), start=1):
        client.send("hello")
        chat_server.expect(f"^nClient: {number}\n")
        parents = sorted(process.ppid == client.pid for process in client.processes())
        assert parents == [False, True], f"the client is not a parent and a child but {client.processes()}"
        leave(client)
        ended(client, status)


def test_a_killed_parent_leaves_an_orphan(server: Host, alfa: Host, port: int) -> None:
    """A parent killed by SIGKILL can't end its child: the child is left as an orphan, and still prints."""
    chat_server = start(server, "chat_server", port)
    client = alfa.start("chat_client", server.address, port)
    client.send("hello")
    chat_server.expect("nClient: 1")
    (child,) = (process.pid for process in client.processes() if process.ppid == client.pid)
    client.signal(signal.SIGKILL)
    client.wait()
    client.wait_for_processes(
        lambda processes: [(p.pid, p.ppid != client.pid) for p in processes] == [(child, True)],
        "the child, with a new parent",
        otherwise="the child did not outlive its parent",
    )
    client.kill()


def test_control_c(server: Host, port: int) -> None:
    """Ctrl+C ends both servers with status 0."""
    ports = {port: "udp_echo_server", server.unused_port(): "chat_server"}
    servers = [server.start(program, its_port, tty=True) for its_port, program in ports.items()]
    for its_port, started in zip(ports, servers, strict=True):
        server.wait_for_listening(its_port, protocol="udp")
        started.interrupt()
        started.expect_exit(0)


# -- C and Python -----------------------------------------------------------------------------------------------


def test_echo_in_c(server: Host, alfa: Host, port: int) -> None:
    """Echo client in C with the server in Python, and the reverse: the same answers, and the same errors."""
    echo_server = start(server, "udp_echo_server", port)
    in_c = alfa.start("udp_echo_client.c", server.address, port)
    for line in ("from C", "", "Q"):
        in_c.send(line)
    in_c.expect_exit(0)
    assert in_c.lines == ["Message from server : from C", "Message from server : "], f"{in_c} printed {in_c.lines}"
    echo_server.interrupt()
    echo_server.expect_exit(0)

    refused = alfa.start("udp_echo_client.c", server.address, port, "--connect")
    refused.send("hello")
    refused.expect("^recvfrom: Connection refused\n")
    refused.expect_exit(1)

    server_in_c = server.start("udp_echo_server.c", port, "--buffer", 11)
    server.wait_for_listening(port, protocol="udp")
    client = alfa.start("udp_echo_client", server.address, port, "--connect")
    for line in ("from Python", "and cut to eleven bytes", "Q"):
        client.send(line)
    client.expect_exit(0)
    wanted = ["from Python", "and cut to "]
    assert client.lines == [f"Message from server : {words}" for words in wanted], f"{client} printed {client.lines}"
    server_in_c.interrupt()
    server_in_c.expect_exit(0)
    received = [line.partition(" : ")[2] for line in server_in_c.lines]
    assert received == wanted, f"the server in C received {received}, not {wanted}"


def test_chat_in_c(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """Chat clients in C and in Python hear each other, by a server in Python and by one in C."""
    for program in ("chat_server", "chat_server.c"):
        chat_server = server.start(program, port)
        server.wait_for_listening(port, protocol="udp")
        in_c = alfa.start("chat_client.c", server.address, port)
        in_python = bravo.start("chat_client", server.address, port)
        for number, client in enumerate((in_c, in_python), start=1):
            client.send("hello")
            chat_server.expect(f"^nClient: {number}\n")
        says(in_c, "from C", in_python)
        says(in_python, "from Python", in_c)
        for client in (in_c, in_python):
            client.send("END")
            ended(client, 0)
        chat_server.interrupt()
        chat_server.expect_exit(0)
