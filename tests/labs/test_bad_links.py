"""bad_links across hosts: what loss, delay and a low rate do to datagrams and to a stream.

The network is made bad for the check's own port alone, on the server's host: other labs notice nothing, and a
capture on the client's has all that was sent. What is
left to chance is tried again until it was seen: of many packets some get lost. No check depends on how long it takes,
but for what can't be faster: so many bytes at such a rate.
"""

import re
from collections.abc import Iterator

import pytest

from labroom.checks.claims import claim
from labroom.checks.clients import Client
from labroom.checks.servers import Server
from labroom.checks.subjects import Subject
from labroom.driver import CheckFailed, Driver, Host, Packet, Peer, Program, shown
from labroom.driver.packets import packets_in
from labroom.driver.words import HINT

MANY = 400  # datagrams, of which some get lost
LARGE = 400_000  # bytes, of which some have to be sent again
TRIES = 20  # until chance has shown what it can do


def count(server: Host, client: Host, port: int, number: int) -> tuple[list[int], int]:
    """Have a client send numbered datagrams; what the server says of them (came, of, lost …), and questions asked."""
    program = client.start("numbered_client", server.address, port, number)
    said = program.expect(r"^Message from server : (.*)\n", otherwise="the server's report did not come")
    asked = program.expect(r"^asked (\d+) times?\n")
    program.expect_exit(0)
    return [int(word) for word in re.findall(r"\d+", said[1])], int(asked[1])


def counting(server: Host, port: int) -> Program:
    program = server.start("numbered_server", port)
    server.wait_for_listening(port, protocol="udp")
    return program


def deliver(server: Host, client: Host, port: int, length: int) -> tuple[int, int, float, int]:
    """Have a client send a message: bytes and pieces that came, milliseconds, segments that were sent again."""
    program = client.start("message_client", server.address, port, length)
    patience = 10 * server.driver.patience  # TCP waits twice as long each time (RFC 6298)
    said = program.expect(r"^Message from server : (\d+) bytes in (\d+) pieces?\n", timeout=patience)
    after = program.expect(r"^answered after ([0-9.]+) ms\nsent again : (\d+)\n")
    program.expect_exit(0)
    return int(said[1]), int(said[2]), float(after[1]), int(after[2])


def receiving(server: Host, port: int) -> Program:
    program = server.start("message_server", port)
    server.wait_for_listening(port)
    return program


@pytest.mark.play
def test_loss(server: Host, alfa: Host, port: int, driver: Driver) -> None:
    """Of datagrams that get lost nobody is told; TCP sends again what gets lost, until all has come."""
    counting(server, port)
    came, of, lost, *_ = count(server, alfa, port, 100)[0]
    driver.note(f"on a good link: {came} of {of} datagrams came")
    assert (came, lost) == (100, 0), f"on a good link {lost} datagrams got lost"
    with server.bad_link(port, loss="20%"):
        (came, of, lost, *_), asked = count(server, alfa, port, MANY)
        driver.note(f"with a loss of 20%: {came} of {of} came; asked {asked} times, for questions get lost, too")
        assert came + lost == MANY
        assert lost > 0, f"of {MANY} datagrams each came, with a loss of 20%"
    tcp = server.unused_port()
    receiving(server, tcp)
    with server.bad_link(tcp, loss="5%"):
        for _ in range(TRIES):
            size, _, milliseconds, again = deliver(server, alfa, tcp, LARGE)
            assert size == LARGE, f"{size} of {LARGE} bytes came by TCP"
            if again:
                break
        assert again, f"{TRIES} messages of {LARGE} bytes, a loss of 5%, and nothing was sent again"
    driver.note(
        f"TCP with a loss of 5%: all {size} bytes came, after {milliseconds} ms; {again} segments twice or more"
    )


def test_sent_again(server: Host, alfa: Host, port: int) -> None:
    """What was lost is seen on the wire once more: the same sequence number, the same bytes."""
    receiving(server, port)
    with server.bad_link(port, loss="5%"), alfa.capture(f"tcp port {port}") as wire:
        for _ in range(TRIES):
            if deliver(server, alfa, port, LARGE)[3]:
                break
    assert repeated(packets_in(wire.file), port), "no byte that had been sent was sent again, with a loss of 5%"


def repeated(packets: Iterator[Packet], port: int) -> bool:
    """Whether some of the client's data was sent that was sent before, or a SYN or FIN."""
    ends: dict[tuple[str, int], int] = {}
    for packet in packets:
        if packet.destination[1] == port and (packet.payload or packet.flags & {"SYN", "FIN"}):
            if packet.seq < ends.get(packet.source, 0):
                return True
            length = len(packet.payload) + len(packet.flags & {"SYN", "FIN"})
            ends[packet.source] = packet.seq + length
    return False


def test_pieces(server: Host, alfa: Host, port: int) -> None:
    """On a slow link a message that was sent by one call comes in pieces, and no sooner than its bytes can pass."""
    receiving(server, port)
    with server.bad_link(port, rate="2mbit"):
        size, pieces, milliseconds, _ = deliver(server, alfa, port, 100_000)
    assert size == 100_000
    assert pieces > 1, "100000 bytes at 2mbit came in one piece"
    # The bucket's burst passes at once: at most 1/10 of the message, by far.
    assert milliseconds > 0.9 * 100_000 * 8 / 2_000, f"100000 bytes at 2mbit took {milliseconds} ms"


def test_overtaken(server: Host, alfa: Host, port: int) -> None:
    """Where the delay varies, datagrams overtake each other; TCP hands over its bytes in order all the same."""
    counting(server, port)
    with server.bad_link(port, delay="20ms", jitter="10ms"):
        came, of, lost, overtaken, _ = count(server, alfa, port, 200)[0]
    assert came + lost == of  # the question, too, may have overtaken some, which are lost as far as it can be known
    assert overtaken > 0, f"the delay of {came} datagrams varied by 10 ms, and none was overtaken"
    tcp = server.unused_port()
    receiving(server, tcp)
    with server.bad_link(tcp, delay="20ms", jitter="10ms"):
        assert deliver(server, alfa, tcp, 20_000)[0] == 20_000


def test_nagle_on_a_long_way(server: Host, alfa: Host, port: int, driver: Driver) -> None:
    """On a long way Nagle's algorithm costs a whole round trip: small writes wait for an ACK that has to travel."""
    server.start("../socket_options/small_writes_server", port)
    server.wait_for_listening(port)
    answers = []
    with server.bad_link(port, delay="100ms"):
        for options in ((), ("--no-delay",)):
            program = alfa.start("../socket_options/small_writes_client", server.address, port, *options)
            answers.append(float(program.expect(r"^answered after ([0-9.]+) ms\n")[1]))
            program.expect_exit(0)
    driver.note(f"answered after {answers[0]} ms, and after {answers[1]} ms with TCP_NODELAY")
    assert answers[0] > 390, f"two round trips of 200 ms each took {answers[0]} ms"


@pytest.mark.parametrize(("server_program", "client_program"), [("", ".c"), (".c", "")])
def test_twins(server: Host, alfa: Host, port: int, server_program: str, client_program: str) -> None:
    """A server in Python and a client in C understand each other, and the reverse."""
    server.start(f"numbered_server{server_program}", port)
    server.wait_for_listening(port, protocol="udp")
    program = alfa.start(f"numbered_client{client_program}", server.address, port, 30)
    program.expect("^Message from server : 30 of 30 came, 0 lost, 0 overtaken, 0 twice\nasked 1 time\n")
    server.start(f"message_server{server_program}", port)
    server.wait_for_listening(port)
    program = alfa.start(f"message_client{client_program}", server.address, port, 30)
    program.expect("^Message from server : 30 bytes in 1 piece\n")


# -- claims: the server that counts -----------------------------------------------------------------------------


def report(running: Server, peer: Peer, numbers: str, of: int) -> list[int]:
    """Send these numbers, a datagram each, and ask; the numbers of the answer."""
    for number in numbers.split():
        peer.send_to(number.encode(), (running.address, running.port))
    peer.send_to(f"end {of}".encode(), (running.address, running.port))
    got, _ = peer.datagram(f"the datagrams {numbers}, then `end {of}` were sent")
    return [int(number) for number in re.findall(rb"\d+", got)]


@claim("lesson", "numbered_server")
def test_counts(running: Server, alfa: Host) -> None:
    """The server answers `end N` with how many of the datagrams 1 to N came, and how many got lost."""
    of_all: set[str] = set()
    for numbers, of, wanted in (("1 2 3", 3, [3, 3, 0]), ("1 3 4 7", 8, [4, 8, 4]), ("2", 1000, [1, 1000, 999])):
        got = report(running, running.datagrams(alfa), numbers, of)[:3]
        of_all.update(numbers.split())
        others = f"\n{HINT}an earlier client's are counted, too: keep a count for each address and port"
        words = f"the datagrams {numbers}, then `end {of}`: expected {wanted}, got {got}"
        assert got == wanted, words + (others if got[:1] == [len(of_all)] else "")


@claim("lesson", "numbered_server", needs=["counts"], hint="the address that recvfrom() gives tells one from another")
def test_tells_clients_apart(running: Server, alfa: Host, bravo: Host) -> None:
    """Each client's datagrams are counted apart, wherever they come from."""
    first, second, third = running.datagrams(alfa), running.datagrams(alfa), running.datagrams(bravo)
    report(running, first, "1 2 3 4", 4)
    for peer, who in ((second, "a second client on the same host"), (third, "a client on another host")):
        got = report(running, peer, "2", 4)[:3]
        assert got == [1, 4, 3], f"{who} has sent one of four: expected [1, 4, 3], got {got}"


@claim("lesson", "numbered_server", needs=["counts"], hint="remember which numbers came, not only how many")
def test_overtaken_and_twice(running: Server, alfa: Host) -> None:
    """A datagram that comes after one with a higher number was overtaken; one that comes twice counts once."""
    for numbers, wanted in (("1 3 2 4", [4, 4, 0, 1, 0]), ("1 2 2 3", [3, 4, 1, 0, 1]), ("4 1 1 2", [3, 4, 1, 2, 1])):
        got = report(running, running.datagrams(alfa), numbers, 4)
        assert got == wanted, f"the datagrams {numbers}, then `end 4`: expected {wanted}, got {got}"


@claim("lesson", "numbered_server", needs=["counts"])
def test_asked_again(running: Server, alfa: Host) -> None:
    """A question that is repeated, since its answer got lost, is answered the same again."""
    peer = running.datagrams(alfa)
    first = report(running, peer, "1 2", 3)
    assert (again := report(running, peer, "", 3)) == first, f"first {first} was said, and asked again {again}"


@claim("robustness", "numbered_server", needs=["counts"])
def test_nonsense(running: Server, alfa: Host) -> None:
    """Datagrams that are no numbers, or none from 1 to 100000, don't count, and don't end the server."""
    peer = running.datagrams(alfa)
    for words in (b"", b"hello", b"0", b"-1", b"100001", b"9" * 400, b"\xff\0", b"end", b"end -1", b"end x"):
        peer.send_to(words, (running.address, running.port))
    got = report(running, peer, "1", 2)
    assert got[:3] == [1, 2, 1], f"nonsense, then the datagram 1, then `end 2`: expected [1, 2, 1], got {got[:3]}"


# -- claims: the client that counts -----------------------------------------------------------------------------


@claim("lesson", "numbered_client")
def test_numbers(client: Client) -> None:
    """The client sends the numbers from 1 to COUNT, a datagram each, then the question `end COUNT`."""
    peer = client.speak(None, "5")
    for wanted in (b"1", b"2", b"3", b"4", b"5", b"end 5"):
        got, _ = peer.datagram(f"{shown(wanted)} should be next")
        assert got == wanted, f"{shown(wanted)} should be next, and it sent {shown(got)}"


@claim(
    "lesson",
    "numbered_client",
    needs=["numbers"],
    hint="SO_RCVTIMEO, or select() with a time-out, ends a wait for what may never come",
)
def test_repeats(client: Client) -> None:
    """The client repeats its question until an answer comes, and prints that."""
    peer = client.speak(None, "1")
    for wanted in (b"1", b"end 1", b"end 1", b"end 1"):
        got, at = peer.datagram(f"nobody has answered, and {shown(wanted)} should be next")
        assert got == wanted, f"nobody has answered, and {shown(wanted)} should be next; it sent {shown(got)}"
    peer.send_to(b"1 of 1 came, the answer", at)
    client.shows("1 of 1 came, the answer")
    client.program.expect_exit(0)


# -- claims: the server of messages -----------------------------------------------------------------------------


@claim("lesson", "message_server", hint="recv() returns what is there: only 0 is the end")
def test_whole_message(running: Server, alfa: Host) -> None:
    """The server receives a message to its end, in however many pieces it comes, and answers with its size."""
    for pieces in ([b"x"], [b"one ", b"two ", b"three"], [b"x" * 70_000, b"y" * 70_000]):
        peer = running.connect(alfa)
        peer.send_in_pieces(pieces, running.host, f"a message in {len(pieces)} pieces")
        peer.end()
        wanted = sum(map(len, pieces))
        got = peer.receive_to_end(f"a message of {wanted} bytes in {len(pieces)} pieces")
        sizes = re.findall(rb"\d+", got)
        assert sizes, f"a message of {wanted} bytes was answered {shown(got)}"
        assert int(sizes[0]) == wanted, f"a message of {wanted} bytes in {len(pieces)} pieces was answered {shown(got)}"


@claim("lesson", "message_server", needs=["whole_message"])
def test_waits_for_the_end(running: Server, alfa: Host, driver: Driver) -> None:
    """A piece is no message: the server says nothing before the client has ended its direction."""
    peer = running.connect(alfa)
    peer.send(b"half a mess")
    peer.wait_until_read(running.host, "half a message")
    peer.has_nothing("half a message has come, and the client has not ended its direction")


@claim("robustness", "message_server", needs=["whole_message"])
def test_broken(running: Server, alfa: Host) -> None:
    """A client that breaks its connection doesn't end the server."""
    running.reset_by(running.connect(alfa))
    peer = running.connect(alfa)
    peer.send(b"12345")
    peer.end()
    assert b"5" in peer.receive_to_end("one client has broken its connection, and another has sent five bytes")


# -- claims: the client of messages -----------------------------------------------------------------------------


@claim("lesson", "message_client", hint="shutdown(SHUT_WR) ends this direction, and the answer can still come")
def test_sends_all(client: Client) -> None:
    """The client sends as many bytes as it was told, then ends its direction, and still waits for the answer."""
    peer = client.connect("500000")  # more than a buffer of the kernel holds
    got = peer.receive_to_end("the client should send 500000 bytes, and end its direction")
    part = f"\n{HINT}send() may take a part: it returns how many bytes, and the others are to be sent again"
    assert len(got) >= 500_000, f"told to send 500000 bytes, it sent {len(got)}{part}"
    assert len(got) == 500_000, f"told to send 500000 bytes, it sent {len(got)}"
    client.host.driver.settle()
    if client.program.over:
        raise CheckFailed(f"it has ended its direction, and did not wait for the answer: {client.program.last_words}")
    peer.send_in_pieces([b"500000 bytes ", b"in 3 ", b"pieces\n"], client.host, "the answer comes in three pieces")
    peer.end()
    client.shows("500000 bytes in 3 pieces")
    client.program.expect_exit(0)


# -- claims: all ------------------------------------------------------------------------------------------------

PROGRAMS = ("numbered_server", "message_server", "numbered_client", "message_client")


@claim("interface", *PROGRAMS)
def test_arguments(program: Subject) -> None:
    """With arguments that are none of its own it exits with 2."""
    for arguments in (["what"], ["-1"]):
        program.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
