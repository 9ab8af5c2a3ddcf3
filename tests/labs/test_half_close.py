"""half_close across hosts: a file, its end, and thanks that come after it; and what becomes of them without half close.

Every capture is taken on the server.
"""

import random
from contextlib import suppress

import pytest

from labroom.checks.claims import claim
from labroom.checks.clients import Client
from labroom.checks.servers import Server
from labroom.checks.subjects import Subject
from labroom.driver import CheckFailed, Driver, Host, Packet, Peer, Program, difference, shown


def start_server(server: Host, port: int, *arguments: object) -> Program:
    file_server = server.start("file_server", port, *arguments)
    server.wait_for_listening(port)
    return file_server


def start_client(client: Host, server: Host, port: int, *output: str) -> Program:
    return client.start("file_client", server.address, port, *output, directory=client.scratch)


def first(packets: list[Packet], sender: Host, flag: str = "ACK", payload: bytes = b"") -> Packet | None:
    """The first segment from a host that has this flag and ends with these bytes."""
    return next(
        (p for p in packets if p.source[0] == sender.address and flag in p.flags and p.payload.endswith(payload)), None
    )


@pytest.mark.play
def test_thanks_after_the_end(driver: Driver, server: Host, alfa: Host, port: int) -> None:
    """The server's FIN says that the file is complete; then the client's thanks still reach it."""
    file_server = start_server(server, port)
    driver.note("A file may hold any byte. What says that it is complete is the end of the stream.")
    with server.capture(f"tcp port {port}") as wire:
        client = start_client(alfa, server, port)
        client.expect("^Receive file data\n", otherwise="the client did not come to the end of the file")
        file_server.expect("^message from client: Thank you\n", otherwise="the thanks did not reach the server")
        client.expect_exit(0)
        file_server.expect_exit(0)
        packets = wire.wait_for(lambda packets: first(packets, alfa, "FIN"), "the client's FIN")
    fin, thanks = first(packets, server, "FIN"), first(packets, alfa, payload=b"Thank you")
    assert fin, "the server sent no FIN"
    assert thanks, "the client sent no 'Thank you'"
    driver.note(f"The server's end of file, by shutdown:  {fin}")
    driver.note(f"What the client sent after it:  {thanks}")
    assert packets.index(fin) < packets.index(thanks), "the client's thanks were on the wire before the server's FIN"
    assert not first(packets, server, "RST"), "the server answered RST: its end was closed when the thanks came"
    source = server.read_file(server.launch("file_server").anywhere[0])
    assert alfa.read_file(f"{alfa.scratch}/receive.dat") == source, "receive.dat is not the server's own source"


def test_half_closed(server: Host, bravo: Host, port: int) -> None:
    """Between FIN and thanks the connection is half closed, FIN_WAIT2 and CLOSE_WAIT; the descriptor is still open."""
    file_server = start_server(server, port)
    file_server.stop()
    client = start_client(bravo, server, port)
    server.wait_for_connections(port, peer=bravo)
    client.stop()  # so that it does not thank before we have looked
    file_server.resume()
    (end,) = server.wait_for_connections(
        port, "FIN_WAIT2", otherwise="the server's end is not in FIN_WAIT2: it sent no FIN after the file"
    )
    bravo.wait_for_connections(port, "CLOSE_WAIT", otherwise="the client's end is not in CLOSE_WAIT")
    assert end.inode, "after the file no process has the server's end of the connection any more: it was closed"
    client.resume()
    file_server.expect("^message from client: Thank you\n")


def test_copies(server: Host, alfa: Host) -> None:
    """The copy is bit for bit the original: no byte, 29, 30, 31, a MiB, of whatever value."""
    sizes = [str(size) for size in (0, 29, 30, 31, 1 << 20)]
    make = 'cd "$0" && for size; do head -c "$size" /dev/urandom > "$size"; done; sha256sum "$@"'
    originals = server.run("sh", "-c", make, server.scratch, *sizes).stdout.splitlines()
    clients = []
    for size in sizes:
        port = server.unused_port()
        start_server(server, port, f"{server.scratch}/{size}")
        clients.append(start_client(alfa, server, port, size))
    for client in clients:
        client.expect_exit(0)
    copies = alfa.run("sh", "-c", 'cd "$0" && sha256sum "$@"', alfa.scratch, *sizes).stdout.splitlines()
    for size, original, copy in zip(sizes, originals, copies, strict=True):
        assert copy == original, f"of {size} bytes the copy differs from the original (SHA-256: {copy}, {original})"


# -- without half close -----------------------------------------------------------------------------------------


@pytest.mark.play
def test_close(driver: Driver, server: Host, charlie: Host, port: int) -> None:
    """With close instead of shutdown the thanks are answered RST and lost, and the client is not told."""
    file_server = start_server(server, port, "--end", "close")
    with server.capture(f"tcp port {port}") as wire:
        client = start_client(charlie, server, port)
        client.expect_exit(0)
        file_server.expect("^recv: Bad file descriptor\n", otherwise="the server could still receive after close")
        file_server.expect_exit(1)
        packets = wire.wait_for(
            lambda packets: first(packets, server, "RST"), "the server's RST in answer to the client's thanks"
        )
    thanks = first(packets, charlie, payload=b"Thank you")
    assert thanks, "the client sent no 'Thank you'"
    reset = first(packets, server, "RST")
    driver.note(f"The client thanks:  {thanks}")
    driver.note(f"Nobody has the other end any more:  {reset}")
    assert reset, "no RST"
    assert packets.index(thanks) < packets.index(reset), "the server's RST was on the wire before the client's thanks"
    assert not file_server.stdout, f"the server printed {file_server.stdout!r}, although it had closed"
    assert client.stdout == "Receive file data\n", f"the client printed {client.stdout!r}"
    assert not client.stderr, f"the client was told {client.stderr!r}"


def test_nothing(driver: Driver, server: Host, alfa: Host, port: int) -> None:
    """With neither shutdown nor close both wait for ever, the client for the end of the file, the server for thanks."""
    file_server = start_server(server, port, "--end", "nothing")
    source = server.read_file(server.launch("file_server").anywhere[0])
    alfa.write_file(f"{alfa.scratch}/receive.dat", b"")
    client = start_client(alfa, server, port)
    with client.silence("the client came to the end of the file, although the server did not say that it is complete"):
        driver.wait_until(
            lambda: alfa.read_file(f"{alfa.scratch}/receive.dat") == source,
            "the client to have written the whole file",
            None,
            lambda within: f"the client did not write the whole file{within}",
        )
        # All that was sent has been received. Now both sleep, so neither will ever be woken.
        for waiting in (client, file_server):
            waiting.wait_for_processes(
                lambda processes: [process.state for process in processes] == ["S"],
                "a program that waits",
                otherwise=f"{waiting} does not wait, although nobody has said that the file is complete",
            )
        for host in (server, alfa):
            host.wait_for_connections(port, "ESTABLISHED", otherwise=f"{host.name}'s end of the connection is not open")
    client.interrupt()
    client.expect_exit(130)
    file_server.expect("^recv: end of file, no message\n")
    file_server.expect_exit(1)


def test_the_wrong_direction(server: Host, bravo: Host, charlie: Host) -> None:
    """SHUT_RD and SHUT_RDWR end what the server receives: its recv returns nothing, before the client could thank."""
    for how, client in (("SHUT_RD", bravo), ("SHUT_RDWR", charlie)):
        port = server.unused_port()
        file_server = start_server(server, port, "--end", how)
        file_server.stop()
        waiting = start_client(client, server, port)
        server.wait_for_connections(port, peer=client)
        waiting.stop()
        file_server.resume()
        file_server.expect(
            "^recv: end of file, no message\n", otherwise=f"after {how} the server still waits for the client's thanks"
        )
        file_server.expect_exit(1)
        waiting.resume()
        waiting.expect_exit(0)


# -- claims: the server -----------------------------------------------------------------------------------------

# Nobody can mistake where in it a byte belongs; 1234 bytes are no multiple of the 30 of a piece.
TEXT = b"".join(b"line %d of the file\n" % number for number in range(100))[:1234]


def serve_file(idle: Server, port: int, data: bytes = TEXT) -> list[bytes]:
    """Start a server with a file, or without one if it takes none; returns what it may send: the file, or its own."""
    own = list(idle.source.files.values()) if idle.source else []
    if own:
        with suppress(CheckFailed):  # a FILE is required; otherwise it is known by now how the server is started
            idle.serve(port)
            idle.program.kill()
    try:
        idle.serve(port, idle.file("original", data))
    except CheckFailed:
        if not own:
            raise
        idle.serve(port)
        return own
    return [data, *own]


def received(idle: Server, host: Host, port: int, data: bytes = TEXT) -> Peer:
    """A client that has received the server's file and its end."""
    allowed = serve_file(idle, port, data)
    client = idle.connect(host)
    got = client.receive_to_end(otherwise="the client has received the file and waits for its end")
    assert got in allowed, f"the file was not sent as it is\n{difference(allowed[0], got)}"
    return client


@claim("lesson", "file_server")
def test_listens(idle: Server, port: int) -> None:
    """The server listens on the port that it is given."""
    serve_file(idle, port)


@claim(
    "lesson",
    "file_server",
    needs=["listens"],
    hint="shutdown(SHUT_WR) after the last byte: it says the end, and the other direction stays open",
)
def test_says_the_end(idle: Server, alfa: Host, port: int) -> None:
    """The server sends its file as it is, and then says that it is complete: it ends its direction (FIN)."""
    received(idle, alfa, port)


@claim(
    "lesson",
    "file_server",
    needs=["says_the_end"],
    hint="close() ends both directions; shutdown(SHUT_WR) only one's own: receive after it",
)
def test_receives_thanks(idle: Server, alfa: Host, port: int) -> None:
    """After the end of its file the server still receives what the client sends, and prints it."""
    client = received(idle, alfa, port)
    client.send(b"Thank you")
    client.end()
    idle.program.expect_text("Thank you", otherwise="the client thanked after the end of the file")


@claim(
    "lesson",
    "file_server",
    needs=["says_the_end"],
    hint="read the file by fread() or read(), and send as many bytes as it returned; strlen() ends at a zero byte",
)
def test_any_byte(idle: Server, alfa: Host, port: int) -> None:
    """A file may hold any byte: zero bytes and bytes that are no text are sent like others."""
    received(idle, alfa, port, b"\0 in front" + bytes(range(256)) + b"\xff\xfe\0")


@claim(
    "lesson",
    "file_server",
    needs=["says_the_end"],
    hint="send as many bytes as fread() or read() returned: the last piece is shorter",
)
def test_any_length(idle: Server, server: Host, alfa: Host) -> None:
    """A file may have any length: none, just one piece of 30 bytes, one byte less or more, or many pieces."""
    for length in (0, 29, 30, 31, 70_000):
        data = (b"0123456789" * (length // 10 + 1))[:length]
        client = received(idle, alfa, server.unused_port(), data)
        client.close()
        idle.program.kill()
        if client.received != data:
            break  # it takes no FILE, and has sent its own


@claim(
    "robustness",
    "file_server",
    needs=["receives_thanks"],
    hint="recv() gives what has come so far: call it until it returns 0",
)
def test_thanks_in_pieces(idle: Server, alfa: Host, server: Host, port: int) -> None:
    """The server receives until the client closes, in however many pieces the thanks come."""
    client = received(idle, alfa, port)
    client.send_in_pieces([b"Th", b"ank ", b"you"], server, otherwise="the thanks came in three pieces")
    client.end()
    idle.program.expect_text("you", otherwise="the thanks came in three pieces")


@claim("interface", "file_server", needs=["receives_thanks"])
def test_prints_thanks(idle: Server, alfa: Host, port: int) -> None:
    """The server prints `message from client: ` and what it has received, and exits with 0."""
    client = received(idle, alfa, port)
    client.send(b"Thank you")
    client.end()
    idle.program.expect_text("message from client: Thank you")
    idle.program.expect_exit(0)


@claim("interface", "file_server", needs=["says_the_end"])
def test_no_thanks(idle: Server, alfa: Host, port: int) -> None:
    """Where the client closes without a word, the server says `recv: end of file, no message` and exits with 1."""
    received(idle, alfa, port).end()
    idle.program.expect_text("recv: end of file, no message")
    idle.program.expect_exit(1)


@claim("interface", "file_server", needs=["says_the_end"])
def test_ends_as_told(idle: Server, alfa: Host, port: int) -> None:
    """With `--end close` the server can receive no thanks: `recv: Bad file descriptor`, status 1."""
    idle.serve(port, idle.file("original", TEXT), "--end", "close")
    client = idle.connect(alfa)
    client.expect(TEXT)
    client.expect_end()
    idle.program.expect_text("recv: Bad file descriptor")
    idle.program.expect_exit(1)


# -- claims: the client -----------------------------------------------------------------------------------------


def thanks(client: Client, peer: Peer, data: bytes) -> bytes:
    """Send a client its file and the end, wait until it has ended, and return what it has sent."""
    peer.send(data)
    peer.end()
    said = peer.receive_to_end(otherwise="the client has received the file and its end")
    client.program.wait()
    return said


def connected(client: Client, *output: str) -> Peer:
    """What a client has connected, in a folder of its own for what it writes."""
    client.own_folder()
    return client.connect(*output)


def wrote(client: Client, data: bytes) -> str:
    """See that a client has written its file; returns its name."""
    name, copy = client.written()
    before = (
        '\nhint: it held something before: open it with O_TRUNC, or by fopen(…, "w")' if copy.endswith(data) else ""
    )
    assert copy == data, f"the file that it wrote last, {name or 'none'}, is no copy\n{difference(data, copy)}{before}"
    return name


@claim("lesson", "file_client")
def test_connects(client: Client) -> None:
    """The client connects to the host and the port that it is given."""
    connected(client)


@claim(
    "lesson",
    "file_client",
    needs=["connects"],
    hint="receive until recv() returns 0, then send: the own direction is still open",
)
def test_thanks(client: Client) -> None:
    """The client thanks when the file has come to its end, not before: it still sends after the server's FIN."""
    peer = connected(client)
    peer.send(TEXT)
    peer.wait_until_read(client.host)
    peer.has_nothing("the file has not come to its end, and the client has sent something already")
    peer.end()
    assert peer.receive_to_end(otherwise="the file has come to its end"), "the client closed without thanks"


@claim("lesson", "file_client", needs=["thanks"], hint="send strlen(text) bytes, not sizeof(text)")
def test_no_zero_byte(client: Client) -> None:
    """There is no zero byte after the thanks: in C, it ends a string in memory, and is no part of the text."""
    said = thanks(client, connected(client), TEXT)
    assert b"\0" not in said, f"the client sends a zero byte, too: {shown(said)}"


@claim(
    "lesson",
    "file_client",
    needs=["thanks"],
    hint="write as many bytes as recv() returned, by fwrite() or write() to a file opened in binary",
)
def test_copies_whole(client: Client) -> None:
    """The client writes all that it receives, as it is, whatever bytes these are and however many."""
    for length in (0, 30, 1234, 70_000):
        data = random.Random(length).randbytes(length)  # noqa: S311
        thanks(client, connected(client), data)
        wrote(client, data)


@claim(
    "lesson",
    "file_client",
    needs=["thanks"],
    hint="only 0 from recv() is the end of the file, not a piece that is shorter than the buffer",
)
def test_file_in_pieces(client: Client) -> None:
    """In however many pieces a file comes, it is one copy, and the end of the stream alone ends it."""
    peer = connected(client)
    peer.send_in_pieces([b"one\n", b"\0two", b"three"], client.host, otherwise="the file came in three pieces")
    thanks(client, peer, b"four")
    wrote(client, b"one\n\0twothreefour")


@claim("robustness", "file_client", needs=["copies_whole"], hint='open it with O_TRUNC, or by fopen(…, "w")')
def test_empties_the_file(client: Client) -> None:
    """A file that is there already is emptied first: nothing of it is left behind a shorter one."""
    for data in (b"a longer file, which was there before\n", b"a shorter one\n"):
        thanks(client, connected(client), data)
        wrote(client, data)


@claim("interface", "file_client", needs=["copies_whole"])
def test_output(client: Client) -> None:
    """The client writes OUTPUT, or `receive.dat` if that is not given."""
    for output, wanted in (([], "receive.dat"), (["other.dat"], "other.dat")):
        data = b"for " + wanted.encode()
        thanks(client, connected(client, *output), data)
        name = wrote(client, data)
        assert name == wanted, f"it should write {wanted}; it wrote {name}"


@claim("interface", "file_client", needs=["thanks"])
def test_thank_you(client: Client) -> None:
    """The client prints `Receive file data`, sends the 9 bytes of `Thank you`, and exits with 0."""
    said = thanks(client, connected(client), TEXT)
    client.program.expect_text("Receive file data")
    assert said == b"Thank you", difference(b"Thank you", said)
    client.program.expect_exit(0)


# -- claims: both -----------------------------------------------------------------------------------------------


@claim("interface", "file_server", "file_client")
def test_names_the_call(program: Subject, server: Host) -> None:
    """A call that fails is named on stderr, as in `connect: Connection refused`; the status is 1."""
    arguments: list[object]
    if program.name.startswith("file_server"):
        arguments = [server.listen().address[1], program.file("original", TEXT)]
        words = "bind: Address already in use"
    else:
        arguments, words = [server.address, server.unused_port()], "connect: Connection refused"
    program.names_the_call(words, *arguments)


@claim("interface", "file_server", "file_client")
def test_wrong_arguments(program: Subject, server: Host, port: int) -> None:
    """Wrong arguments, such as a port that is none or a FILE that can't be opened, give status 2."""
    wrong: list[list[object]] = [[], ["0"], ["65536"], ["port"]]
    if program.name.startswith("file_client"):
        wrong = [[], *([server.address, *arguments] for arguments in wrong), ["1.2.3", "9090"]]
    else:
        wrong.append([port, "/no/such/file"])
    for arguments in wrong:
        program.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
