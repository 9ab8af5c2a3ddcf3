"""udp_chat across hosts: datagrams without a connection, what gets lost and who is told, and a chat."""

import re
import signal
from collections.abc import Callable

import pytest

from labroom.checks.claims import claim
from labroom.checks.clients import Client
from labroom.checks.servers import Server
from labroom.checks.subjects import Subject
from labroom.driver import Driver, Host, Peer, Program, Socket, difference, shown

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


# -- claims: servers --------------------------------------------------------------------------------------------

SERVERS = ("udp_echo_server", "chat_server")


@claim("lesson", *SERVERS, hint="socket(AF_INET, SOCK_DGRAM, 0), and bind() to that port")
def test_is_bound(running: Server) -> None:
    """A server has a UDP socket on the port that it is given."""


@claim(
    "lesson",
    "udp_echo_server",
    needs=["is_bound"],
    hint="sendto() the very address that recvfrom() has given, as many bytes as it has returned",
)
def test_answers_each(running: Server, alfa: Host, bravo: Host) -> None:
    """The echo server sends each datagram back to where it came from, and to nobody else."""
    first, second = running.datagrams(alfa), running.datagrams(bravo)
    for peer, words in ((first, b"hello"), (second, b"two words"), (first, b"again"), (second, b"once more")):
        comes_back(running, peer, words)
    assert (len(first.datagrams), len(second.datagrams)) == (2, 2), "a client got the other one's answers, too"


def comes_back(running: Server, peer: Peer, data: bytes, otherwise: str = "") -> None:
    peer.send_to(data, (running.address, running.port))
    got, _ = peer.datagram(otherwise or f"{shown(data)} was sent")
    assert got == data, difference(data, got)


@claim("lesson", "udp_echo_server", needs=["answers_each"], hint="sendto() as many bytes as recvfrom() returned")
def test_every_byte(running: Server, alfa: Host) -> None:
    """Every byte comes back unchanged, a zero byte and bytes that are no text too, and no more than was sent."""
    peer = running.datagrams(alfa)
    for data in (b"a longer datagram", b"zero \0 byte", b"\xff\xfe\xc3", b" a line \n", b"zero at its end\0", b"x"):
        comes_back(running, peer, data)


@claim(
    "lesson",
    "udp_echo_server",
    needs=["answers_each"],
    hint="each recvfrom() gives one datagram: answer it by one sendto()",
)
def test_stay_apart(running: Server, alfa: Host, server: Host) -> None:
    """Datagrams that wait at the server together come back one by one, not in one piece as by TCP."""
    peer = running.datagrams(alfa)
    processes = [process.pid for process in running.processes()]
    server.stop_processes(processes)
    words = (b"one", b"two", b"three")
    for word in words:
        peer.send_to(word, (running.address, running.port))
    server.resume_processes(processes)
    for word in words:
        got, _ = peer.datagram(f"{shown(word)} waited at the server, among others")
        assert got == word, difference(word, got)


@claim(
    "robustness",
    "udp_echo_server",
    needs=["answers_each"],
    hint="recvfrom() returns 0 for an empty datagram: by UDP that is not an end",
)
def test_empty_datagram(running: Server, alfa: Host) -> None:
    """An empty datagram is a datagram: it comes back, too, and doesn't end the server."""
    peer = running.datagrams(alfa)
    for data in (b"", b"after it"):
        comes_back(running, peer, data, f"{shown(data)} was sent" if data else "an empty datagram was sent")


@claim(
    "robustness",
    "udp_echo_server",
    needs=["answers_each"],
    hint="what does not fit into the buffer of recvfrom() is lost: let it hold 65507 bytes",
)
def test_longest_datagram(running: Server, alfa: Host) -> None:
    """Nothing is cut: not 1000 bytes, and not the 65507 of the longest datagram."""
    peer = running.datagrams(alfa)
    for length in (1000, 65507):
        comes_back(running, peer, b"0123456789" * (length // 10) + b"#" * (length % 10), f"{length} bytes were sent")


@claim("interface", "udp_echo_server", needs=["answers_each"])
def test_prints_messages(running: Server, alfa: Host) -> None:
    """The echo server prints `message from ADDRESS:PORT : ` and the message."""
    peer = running.datagrams(alfa)
    comes_back(running, peer, b"hello")
    running.program.expect_text(f"message from {alfa.source_address(running.host)}:{peer.address[1]} : hello")


@claim("interface", "udp_echo_server", needs=["answers_each"])
def test_buffer(idle: Server, port: int, alfa: Host) -> None:
    """With `--buffer 30` a datagram is cut to 30 bytes, and the rest is lost: the next one is whole."""
    idle.serve(port, "--buffer", "30")
    peer = idle.datagrams(alfa)
    peer.send_to(b"0123456789" * 4, (idle.address, idle.port))
    got, _ = peer.datagram()
    assert got == b"0123456789" * 3, difference(b"0123456789" * 3, got)
    comes_back(idle, peer, b"next")


def hears(member: Peer, words: bytes, otherwise: str = "") -> bytes:
    """Wait until a member of the chat is sent these words, whatever else; returns the datagram."""
    while True:
        got, _ = member.datagram(f"{otherwise or 'another member spoke'}; {member} waits for {shown(words)}")
        if words in got:
            return got


def join(running: Server, *hosts: Host) -> list[Peer]:
    """Members of the chat: each has said hello, and those before it have heard that."""
    members: list[Peer] = []
    for number, host in enumerate(hosts, start=1):
        member = running.datagrams(host)
        member.send_to(b"hello %d" % number, (running.address, running.port))
        for other in members:
            hears(other, b"hello %d" % number)
        members.append(member)
    return members


@claim(
    "lesson",
    "chat_server",
    needs=["is_bound"],
    hint="remember each address and port that recvfrom() gives, and sendto() all but the sender",
)
def test_passes_on(running: Server, alfa: Host, bravo: Host) -> None:
    """The chat server passes on what a member says to all the others: who has sent it a datagram is a member."""
    members = join(running, alfa, bravo, alfa)  # of one host two, by their ports
    for number, member in enumerate(members, start=1):
        words = b"from number %d" % number
        member.send_to(words, (running.address, running.port))
        for other in members:
            if other is not member:
                hears(other, words)


@claim("lesson", "chat_server", needs=["passes_on"], hint="compare address and port with those of the sender")
def test_not_to_oneself(running: Server, alfa: Host, bravo: Host) -> None:
    """The chat server doesn't send a member's own words back to it."""
    first, second = join(running, alfa, bravo)
    first.send_to(b"my own words", (running.address, running.port))
    hears(second, b"my own words")
    second.send_to(b"and mine", (running.address, running.port))
    hears(first, b"and mine")
    own = [data for data, _ in first.datagrams if b"my own words" in data or b"hello 1" in data]
    assert not own, f"a member hears itself: {shown(own[0])}"


@claim(
    "lesson",
    "chat_server",
    needs=["passes_on"],
    hint="each recvfrom() gives one datagram: pass it on by one sendto(), with as many bytes",
)
def test_chat_stays_apart(running: Server, alfa: Host, bravo: Host, server: Host) -> None:
    """Each message is a datagram of its own, no byte more: three that wait at the server together stay three."""
    speaker, listener = join(running, alfa, bravo)
    processes = [process.pid for process in running.processes()]
    server.stop_processes(processes)
    words = (b"the first one", b"second", b"3rd")
    for word in words:
        speaker.send_to(word, (running.address, running.port))
    server.resume_processes(processes)
    for word in words:
        got = hears(listener, word).removesuffix(b"\n")
        assert got.endswith(word), f"after the message {shown(word)} more follows: {shown(got)}"
        assert sum(other in got for other in words) == 1, f"several messages came in one: {shown(got)}"


@claim(
    "robustness",
    "chat_server",
    needs=["passes_on"],
    hint="recvfrom() or sendto() may fail for one member: go on with the others",
)
def test_member_is_gone(running: Server, alfa: Host, bravo: Host, charlie: Host) -> None:
    """A member whose socket is closed doesn't keep the others from hearing each other."""
    gone, first, second = join(running, alfa, bravo, charlie)
    gone.close()
    for words in (b"one", b"two", b"three"):
        first.send_to(words, (running.address, running.port))
        hears(second, words, "one member is gone")


@claim("robustness", "chat_server", needs=["passes_on"])
def test_eleventh_member(running: Server, alfa: Host, bravo: Host) -> None:
    """There are ten members at the most: an eleventh doesn't end the server, is not heard and hears nothing."""
    first, second, *_ = join(running, *[alfa] * 10)
    eleventh = running.datagrams(bravo)
    eleventh.send_to(b"the eleventh", (running.address, running.port))
    for words in (b"to all", b"again"):  # at the second, the first has been sent to everybody
        first.send_to(words, (running.address, running.port))
        hears(second, words, "an eleventh has spoken")
    bravo.ping()
    assert not eleventh.datagrams, f"the eleventh hears {shown(eleventh.datagrams[0][0])}"
    assert not [data for data, _ in second.datagrams if b"the eleventh" in data], "the eleventh is heard"


@claim("interface", "chat_server", needs=["passes_on"])
def test_counts_members(running: Server, alfa: Host, bravo: Host) -> None:
    """The chat server prints `nClient: N` for each new member, and sends `ADDRESS: PORT>> ` before the message."""
    first, second = join(running, alfa, bravo)
    for number in (1, 2):
        running.program.expect_text(f"nClient: {number}")
    second.send_to(b"who am I?", (running.address, running.port))
    got = hears(first, b"who am I?")
    wanted = f"{bravo.source_address(running.host)}: {second.address[1]}>> who am I?".encode()
    assert got == wanted, difference(wanted, got)


@claim("interface", *SERVERS, needs=["is_bound"])
def test_ctrl_c(running: Server) -> None:
    """Ctrl+C ends a server with status 0."""
    running.host.driver.settle()  # in Python, a signal just before it waits would not wake it
    running.program.interrupt()
    running.program.expect_exit(0)


@claim("interface", *SERVERS)
def test_port_is_taken(idle: Server, server: Host) -> None:
    """Where its port is taken, a server says `bind: Address already in use` on stderr and exits with 1."""
    idle.names_the_call("bind: Address already in use", server.datagrams().address[1])


# -- claims: clients --------------------------------------------------------------------------------------------

CLIENTS = ("udp_echo_client", "chat_client")


@claim("lesson", *CLIENTS)
def test_sends_lines(client: Client) -> None:
    """A client sends each line that is typed as one datagram: no zero byte after it, nothing of its buffer."""
    peer = client.speak("the first line")
    for line in ("the first line", "two words", "안녕", "x"):
        if line != "the first line":
            client.type(line)
        got, at = peer.datagram(f"{line!r} was typed")
        assert got in (line.encode(), line.encode() + b"\n"), f"{line!r} was typed\n{difference(line.encode(), got)}"
        peer.send_to(got, at)
        client.shows(line, f"{line!r} was sent as it was typed, and came back; but it was not printed")


@claim(
    "lesson",
    *CLIENTS,
    needs=["sends_lines"],
    hint="print as many bytes as recvfrom() returned: it puts no zero byte after them",
)
def test_prints_what_comes(client: Client) -> None:
    """A client prints what the datagram holds that comes back, and no more."""
    peer = client.speak("question")
    _, at = peer.datagram()
    peer.send_to(b"a long first answer", at)
    client.shows("a long first answer")
    client.type("next")
    peer.datagram()
    peer.send_to(b"short", at)
    client.shows("short")
    client.type("last")
    peer.datagram()
    peer.send_to(b"enough", at)
    client.shows("enough")
    printed = client.program.stdout
    assert "first answer" not in printed.partition("short")[2], (
        f"after 'short' it prints what an earlier datagram held: {shown(printed.encode())}"
    )


@claim(
    "lesson",
    "chat_client",
    needs=["sends_lines"],
    hint="one process or thread receives while another waits for the keyboard; or select() waits for both",
)
def test_listens_meanwhile(client: Client) -> None:
    """The chat client prints what comes while nothing is typed."""
    peer = client.speak("hello")
    _, at = peer.datagram()
    for words in ("one", "two", "three"):
        peer.send_to(words.encode(), at)
        client.shows(words, otherwise="nothing was typed, and others spoke")


def gone(client: Client, after: str) -> int:
    """Wait until none of a client's processes is left; returns the status of the first one."""
    status = client.program.wait(otherwise=after)
    client.program.wait_for_processes(
        lambda processes: not processes,
        "none of the client's processes",
        otherwise=f"{after}: it has ended, and left a process behind",
    )
    return status


@claim(
    "lesson",
    *CLIENTS,
    needs=["sends_lines"],
    hint="the one that reads the keyboard ends the other: kill() and wait(), or a thread that is a daemon",
)
def test_leaves(client: Client, subject: str) -> None:
    """`Q` leaves the echo client and `END` the chat client, both of its processes: none is left."""
    peer = client.speak("hello", tty=False)
    peer.send_to(*peer.datagram())
    word = "END" if subject.startswith("chat") else "Q"
    client.type(word)
    gone(client, f"{word} was typed")


@claim(
    "robustness",
    *CLIENTS,
    needs=["leaves"],
    hint="fgets() returns NULL at the end of input, input() raises EOFError: leave as by the word",
)
def test_end_of_input(client: Client) -> None:
    """The end of its input leaves a client, too; no process of it is left."""
    peer = client.speak("hello", tty=False)
    peer.send_to(*peer.datagram())
    client.program.close_stdin()
    gone(client, "its input has ended")


@claim("robustness", "chat_client", needs=["leaves"])
def test_signals(client: Client) -> None:
    """SIGINT by Ctrl+C, and SIGTERM to the parent alone, end both processes of the chat client."""
    for name, end in (("Ctrl+C was typed", Program.interrupt), ("SIGTERM was sent to its parent", terminate)):
        client.speak("hello", tty=end is Program.interrupt)
        client.host.driver.settle()  # in Python, a signal just before it waits would not wake it
        end(client.program)
        gone(client, name)


@claim("robustness", "chat_client", needs=["leaves"])
def test_harms_nobody(client: Client, server: Host) -> None:
    """Where `fork` fails, the chat client kills nobody: kill(-1, …) would be to all processes of its user."""
    if client.source and not client.host.is_root:
        pytest.skip("it would kill the driver's own processes here")
    program = client.start(server.address, server.unused_port(), tty=False, limits={"NPROC": 1})
    client.host.driver.settle()
    bystander = client.beside("sleep", "1000")
    program.close_stdin()
    status = program.wait(otherwise="its input has ended")
    assert status >= 0, f"fork failed, and {program.last_words}"
    client.host.driver.settle()
    assert bystander.status is None, f"fork failed, and another process of its user {bystander.ending}"


@claim("interface", "chat_client")
def test_no_child(client: Client, server: Host) -> None:
    """It then says `fork: Resource temporarily unavailable` on stderr, and exits with 1."""
    client.names_the_call(
        "fork: Resource temporarily unavailable", server.address, server.unused_port(), limits={"NPROC": 1}
    )


def terminate(program: Program) -> None:
    program.signal(signal.SIGTERM)


@claim("interface", "udp_echo_client", needs=["sends_lines"])
def test_empty_line(client: Client) -> None:
    """An empty line is sent as an empty datagram: lines are sent without their newline."""
    peer = client.speak("")
    got, _ = peer.datagram()
    assert not got, f"an empty line was typed, and {shown(got)} was sent"


@claim("interface", "udp_echo_client", needs=["prints_what_comes"])
def test_message_from_server(client: Client) -> None:
    """The echo client prints `Message from server : ` before the answer, and exits with 0 when it is left."""
    peer = client.speak("hello")
    _, at = peer.datagram()
    peer.send_to("안녕".encode(), at)
    client.program.expect_text("Message from server : 안녕")
    client.type("q")
    client.program.expect_exit(0)


@claim("interface", "udp_echo_client", needs=["sends_lines"])
def test_connected_socket(client: Client, server: Host) -> None:
    """With `--connect` the echo client is told that nobody has the port: `recvfrom: Connection refused`, status 1."""
    client.start(server.address, server.unused_port(), "--connect", tty=False)
    client.type("hello")
    client.program.expect_text("recvfrom: Connection refused")
    client.program.expect_exit(1)


@claim("interface", "chat_client", needs=["leaves"])
def test_statuses(client: Client) -> None:
    """The chat client sends `END`, too, with no newline; its status is 0 then, 130 after SIGINT, 143 after SIGTERM."""
    peer = client.speak("END")
    got, _ = peer.datagram()
    assert got == b"END", difference(b"END", got)
    assert (status := gone(client, "END was typed")) == 0, f"after END its status is {status}"
    for name, end, wanted in (("SIGINT", Program.interrupt, 130), ("SIGTERM", terminate, 143)):
        client.speak("hello")
        client.host.driver.settle()
        end(client.program)
        client.program.expect_exit(wanted, otherwise=f"after {name}")


@claim("interface", *SERVERS, *CLIENTS)
def test_wrong_arguments(program: Subject, server: Host) -> None:
    """Wrong arguments, such as a port that is none, give status 2."""
    wrong: list[list[object]] = [[], ["0"], ["65536"], ["port"]]
    if "client" in program.name:
        wrong = [[], *([server.address, *arguments] for arguments in wrong), ["1.2.3", "9090"]]
    for arguments in wrong:
        program.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
