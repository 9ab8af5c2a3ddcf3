"""What several labs ask of their servers, one body for each; every function raises CheckFailed where it is not so."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from labroom.checks.subjects import Server
from labroom.checks.submission import LIMITS
from labroom.driver import CheckFailed, Host, Peer, shown

SPIN_SECONDS = 0.2  # of a processor; a server that has nothing to do and takes them, is in an endless loop


def answers(server: Server, host: Host) -> None:
    """See that what a client sends comes back, and once more."""
    client = server.connect(host)
    for words in (b"hello\n", b"again\n"):
        client.exchange(words)


def returns_every_byte(server: Server, host: Host) -> None:
    """See that bytes come back unchanged, also such as are no text."""
    client = server.connect(host)
    for data in (b"zero \0 byte", bytes(range(256)), b"\xff\xfe\xc3"):
        client.exchange(data)


def returns_any_length(server: Server, host: Host) -> None:
    """See that messages come back whole, shorter and longer than any buffer."""
    client = server.connect(host)
    for length in (1, 100, 1023, 1024, 1025, 4096, 70_000):
        client.exchange((b"0123456789" * (length // 10 + 1))[:length], f"of a message of {length} bytes")


def serves_at_once(server: Server, clients: Sequence[Peer], otherwise: str) -> None:
    """See that three clients, connected, are each sent their own bytes alone, in any order."""
    for number in (2, 1, 2, 0, 1, 0):
        clients[number].exchange(b"of client %d" % number, otherwise)
    for client in clients:
        client.has_nothing("what one client has sent came to another one, too")


def serves_twelve(server: Server, host: Host) -> None:
    """See that twelve clients are served at once, and another one after them."""
    clients: list[Peer] = []
    for number in range(12):
        clients.append(server.connect(host))
        clients[-1].exchange(b"hello", f"client {number + 1} of twelve")
    for number in (7, 0, 11, 3, 10, 5, 1, 8, 2, 9, 4, 6):
        clients[number].exchange(b"of client %d" % number, f"client {number + 1} of twelve")
    for client in clients:
        client.close()
    server.still_serves(host, otherwise="after twelve clients, no other one is served")


def closes_its_end(server: Server, host: Host, otherwise: str = "the server does not close its own") -> None:
    """See that a client that has closed its direction reads to the end."""
    client = server.connect(host)
    client.exchange(b"hello")
    client.end()
    client.expect_end(f"the client has closed its direction, and {otherwise}")


def closes_descriptors(server: Server, host: Host, count: int = 3) -> None:
    """See that it has no more descriptors when so many clients have left than before they came."""
    server.still_serves(host)
    server.host.driver.settle()
    before = server.descriptors()
    for _ in range(count):
        server.still_serves(host)
    after = server.wait_for_descriptors(len(before))
    if len(after) > len(before):
        raise CheckFailed(f"{count} clients later it has {len(after)} descriptors, before {len(before)}")


def outlives_resets(server: Server, host: Host, other: Host) -> None:
    """See that a client's reset ends neither the server nor the connection of a client on the other host."""
    staying, breaking, silent = server.connect(other), server.connect(host), server.connect(host)
    for client in (staying, breaking, silent):
        client.exchange(b"hello")
    silent.reset()  # with nothing unread: read fails; after reset_by it is write that does
    staying.exchange(b"still there?", "after another client has reset its connection")
    server.reset_by(breaking)
    server.host.driver.settle()
    staying.exchange(b"still there?", "after another client has reset its connection")
    server.still_serves(host, otherwise="after a client has reset its connection, no other one is served")


def outlives_leaving(server: Server, host: Host) -> None:
    """See that it serves on when clients have left without a word, and in the midst of a line."""
    for words in (b"", b"half a li"):
        client = server.connect(host)
        if words:
            client.send(words)
        client.close()
    server.host.driver.settle()  # whatever serves them may end the server a moment later
    server.still_serves(host, otherwise="after clients have left, no other one is served")


def reset_before_accept(server: Server, host: Host) -> None:
    """Have a client reset its connection before it is accepted: with the server stopped; then it still serves."""
    processes = [process.pid for process in server.processes()]
    server.host.stop_processes(processes)
    gone = server.connect(host)
    gone.reset()
    server.host.driver.wait_until(
        lambda: all(s.remote[1] != gone.address[1] for s in server.host.sockets()), "the reset", None, "{}".format
    )
    server.host.resume_processes(processes)
    server.host.driver.settle()
    server.still_serves(host, otherwise="a client was gone before it was accepted, and no other one is served")


def turns_away(server: Server, host: Host, what: str) -> None:
    """See that it goes on where it can make no `what`, a process or a thread, for a client."""
    staying = server.connect(host)
    staying.exchange(b"hello")
    server.limit(NPROC=1)  # counts all that its user has: it can make no more
    late = server.connect(host)
    with suppress(CheckFailed):  # then it waits
        late.receive_to_end()
    staying.exchange(b"still there?", f"no {what} could be made for another client")
    server.limit(NPROC=LIMITS["NPROC"])
    server.still_serves(host, otherwise=f"a {what} can be made again, and no client is served any more")
    if not late.ended and not late.error:
        late.exchange(b"still there?", f"no {what} could be made for a client: it is neither turned away nor served")


def says_port_is_taken(server: Server) -> None:
    """See it say why it can't have a port on which another one listens, and exit with 1."""
    server.start(server.host.listen().address[1], tty=False)
    _complains(server, "Address already in use", "its port is taken")


def says_no_descriptor_is_left(server: Server, port: int, host: Host) -> None:
    """See it say that it has no descriptor for a client, and exit with 1."""
    server.serve(port, tty=False)
    server.limit(NOFILE=min(set(range(1024)) - set(server.descriptors())))
    ran, why = server.ran(), "it has no descriptor for a client"
    for _ in range(2):  # who waits in accept(2) already has a descriptor for one client
        with suppress(CheckFailed):
            server.connect(host).close()
    server.wait_until(
        lambda: server.program.status is not None or server.ran() - ran > SPIN_SECONDS,
        lambda: f"{why}, and does not end",
    )
    if server.program.status is None:
        raise CheckFailed(f"{why}, and does not end: it keeps a processor busy, as if accept() were to succeed yet")
    _complains(server, "Too many open files", why)


def _complains(server: Server, reason: str, why: str) -> None:
    """See it say a reason on stderr, and exit with 1."""
    server.program.expect_exit(1, otherwise=why)
    said = server.program.stderr
    if reason not in said:
        raise CheckFailed(f"{why}: on stderr it says {shown(said.encode())}, not {reason!r}")


def refuses_arguments(server: Server) -> None:
    """See it exit with 2 where there is no port, or one that is none."""
    for arguments in ([], ["0"], ["65536"], ["port"]):
        server.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
