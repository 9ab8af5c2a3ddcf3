"""half_close across hosts: a file, its end, and thanks that come after it; and what becomes of them without half close.

Every capture is taken on the server.
"""

import random

import pytest

from labroom.checks.programs import argv
from labroom.driver import Driver, Host, Packet, Program


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
    source = server.read_file(argv(server, "file_server")[0])
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
    source = server.read_file(argv(server, "file_server")[0])
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


# -- C and Python -----------------------------------------------------------------------------------------------


def test_in_c(server: Host, alfa: Host, bravo: Host) -> None:
    """A client in C receives from the server in Python and thanks it, and the reverse."""
    original = random.Random(7).randbytes(1000)  # noqa: S311
    server.write_file(f"{server.scratch}/original", original)
    for of_server, of_client, guest in (("", ".c", alfa), (".c", "", bravo)):
        port = server.unused_port()
        file_server = server.start(f"file_server{of_server}", port, f"{server.scratch}/original")
        server.wait_for_listening(port)
        client = guest.start(f"file_client{of_client}", server.address, port, directory=guest.scratch)
        client.expect("^Receive file data\n")
        client.expect_exit(0)
        file_server.expect("^message from client: Thank you\n", otherwise=f"{client}'s thanks did not reach the server")
        file_server.expect_exit(0)
        copy = guest.read_file(f"{guest.scratch}/receive.dat")
        assert copy == original, f"{client} wrote {len(copy)} bytes, not the {len(original)} of the original"
