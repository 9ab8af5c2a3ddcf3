"""What clients can do to the lab servers, on the loopback: whatever it is, a server goes on and leaves nothing behind.

Most of it is said as properties: hypothesis invents what the clients do, and shows the shortest case that fails.
"""

import contextlib
import errno
import os
import re
import resource
import select
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.unit.lab_program import DEADLINE, PROGRAMS, Program, connect, free_port, parameters, receive, reset

CONCURRENT = [  # many clients at once
    "fork_server",
    "recording_server",
    "select_server",
    "poll_server",
    "epoll_server",
    "selectors_server",
    "asyncio_server",
    "thread_server",
]
ITERATIVE = ["iterative_server"]  # one client after another
ECHO = CONCURRENT + ITERATIVE
IN_TURN = ["staged_server", "small_writes_server"]  # so, too, but they don't echo
ONE_CLIENT = ["hello_server", "echo_server", "file_server"]
OTHERS = ["closing_server", "message_server", "udp_echo_server", "numbered_server", "chat_server"]
OWN_REASONS = ["end of file, no message", "type send TEXT, recv or close", "there are 10 members"]

SOON = 5.0  # seconds for what follows at once

# The same cases in each run, and time enough for each: these are real processes.
always = settings(derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
few, many = (settings(always, max_examples=count) for count in (10, 60))


def test_every_server_is_tested_here() -> None:
    kinds = {name: {parameter.kind for parameter in parameters(name)} for name in PROGRAMS}
    servers = {name for name in PROGRAMS if "PORT" in kinds[name] and not {"HOST", "ADDRESS"} & kinds[name]}
    assert servers == {*ECHO, *IN_TURN, *ONE_CLIENT, *OTHERS}


class Server:
    """A server for many clients, and what it holds while there are none."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.start(free_port())

    def start(self, port: int) -> None:
        """Start it on this port."""
        self.port = port
        options = {parameter.option for parameter in parameters(self.name)}
        arguments = [*(["--port"] if "--port" in options else []), port, *(["--show"] if "--show" in options else [])]
        self.program = Program(self.name, *arguments, stdout=subprocess.DEVNULL, folder=self.folder).listening(port)
        self._at_first = self._held()

    def _held(self) -> dict[str, object]:
        program = self.program
        return {"descriptors": program.descriptors, "children": program.children, "threads": program.threads}

    @contextlib.contextmanager
    def unharmed(self) -> Iterator[int]:
        """Lend the server's port; then see that it holds what it held at first, and complains of nothing but clients.

        A server that is harmed is replaced, so that the next case, by which hypothesis looks for a shorter one, can
        tell something.
        """
        try:
            yield self.port
            self.program.wait_for(self._held, self._at_first, "what it holds after its clients", SOON)
            assert not surprises(self.program.errors)
        except BaseException:
            self.end()
            self.start(free_port())
            raise

    def end(self) -> None:
        """End it, if it still runs, and its children."""
        self.program.__exit__()


def surprises(errors: bytes) -> list[str]:
    """Return the lines of stderr that are not of the form `call: strerror`."""
    reasons = {*map(os.strerror, errno.errorcode), *OWN_REASONS}
    return [line for line in errors.decode().splitlines() if line.rpartition(": ")[2] not in reasons]


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of this name, the same one for all tests of this module."""
    server = Server(request.param, tmp_path_factory.mktemp(request.param))
    yield server
    server.end()


echo_servers = pytest.mark.parametrize("server", ECHO, indirect=True)
concurrent_servers = pytest.mark.parametrize("server", CONCURRENT, indirect=True)
iterative_servers = pytest.mark.parametrize("server", ITERATIVE, indirect=True)


# Servers that echo, for ever


class Act(Enum):
    """What a client does besides sending."""

    WAIT = "until all that it has sent has come back"
    FINISH = "say that this was all, read to the end, close"
    CLOSE = "whatever may still come"
    RESET = "break the connection"


class Peer:
    """A client of an echo server: what it has sent, and what of it has come back."""

    def __init__(self, port: int) -> None:
        self.socket = connect(port)
        self.sent, self.received = bytearray(), bytearray()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def has_left(self) -> bool:
        """Tell whether it has closed its socket."""
        return self.socket.fileno() == -1

    def send(self, message: bytes) -> None:
        """Send all of it, and take what comes back meanwhile."""
        self.sent += message
        while message:
            events = ready(self.socket, select.POLLIN | select.POLLOUT, DEADLINE)
            assert events, f"the server takes no more, with {len(message)} bytes still to be sent"
            if events & ~select.POLLOUT:  # POLLHUP or POLLERR, too: recv() tells
                assert self.receive(), "the server has closed the connection"
            if events & select.POLLOUT:
                message = message[self.socket.send(message) :]

    def receive(self) -> bytes:
        """Take what has come back, which must be what was sent."""
        piece = self.socket.recv(65536)
        self.received += piece
        assert self.sent.startswith(self.received), f"{bytes(self.sent)!r} came back as {bytes(self.received)!r}"
        return piece

    def do(self, act: Act) -> None:
        """Wait, or leave in one of the ways."""
        if act is Act.RESET:
            reset(self.socket)
        if act is Act.FINISH:
            self.socket.shutdown(socket.SHUT_WR)
        if act in (Act.WAIT, Act.FINISH):
            while len(self.received) < len(self.sent):
                assert self.receive(), f"of {bytes(self.sent)!r} only {bytes(self.received)!r} came back"
        if act is Act.FINISH:
            assert not self.receive()
        if act is not Act.WAIT:
            self.socket.close()


def ready(client: socket.socket, events: int, seconds: float) -> int:
    """Wait until one of these events of poll() is there; return those that are."""
    poll = select.poll()
    poll.register(client, events)
    return sum(events for _, events in poll.poll(seconds * 1000))


def see_echo(port: int, message: bytes = b"still there?") -> None:
    """Be a client as servers wish them."""
    with Peer(port) as peer:
        peer.send(message)
        peer.do(Act.FINISH)


typed = st.sampled_from([b"hello\n", b"\n", b"END", b"q\r\n", "안녕\n".encode()])
short_pieces = typed | st.binary(min_size=1, max_size=20)
pieces = short_pieces | st.builds(bytes.__mul__, short_pieces, st.integers(1, 500))


@echo_servers
@many
@given(script=st.lists(st.tuples(st.integers(0, 4), pieces | st.sampled_from(Act)), max_size=30))
@example([(0, Act.RESET), (1, b"hello")])
@example([(0, bytes(100_000)), (0, Act.RESET), (1, b"hello")])
@example([(0, bytes(100_000)), (0, Act.FINISH)])
@example([(client, b"from %d" % client) for client in (0, 1, 2, 1, 0)])
def test_each_client_gets_back_what_it_sent_whatever_the_others_do(
    server: Server, script: list[tuple[int, bytes | Act]]
) -> None:
    with server.unharmed() as port, contextlib.ExitStack() as stack:
        peers: dict[int, Peer] = {}  # in the order in which they connect
        for client, act in script:
            if server.name in ITERATIVE and client >= 3:
                continue  # no more than that can wait before its door
            if client not in peers:
                peers[client] = stack.enter_context(Peer(port))
            peer = peers[client]
            if peer.has_left:
                continue
            if isinstance(act, bytes):
                peer.send(act)
            elif server.name in CONCURRENT or act in (Act.CLOSE, Act.RESET) or peer is first_of(peers):
                peer.do(act)
        for peer in peers.values():
            if not peer.has_left:
                peer.do(Act.FINISH)
        see_echo(port)


def first_of(peers: dict[int, Peer]) -> Peer:
    """Return the one whom an iterative server serves: of those who are there, the one who came first."""
    return next(peer for peer in peers.values() if not peer.has_left)


@echo_servers
def test_a_mebibyte_without_newline_comes_back(server: Server) -> None:
    with server.unharmed() as port:
        see_echo(port, bytes(range(128, 256)) * 8192)


@concurrent_servers
def test_clients_that_never_read_stop_only_themselves(server: Server) -> None:
    with server.unharmed() as port, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(port)) for _ in range(3)]
        for peer in peers:
            fill(peer)
        see_echo(port)
        for peer, act in zip(peers, (Act.CLOSE, Act.RESET, Act.FINISH), strict=True):  # the last reads, at last
            peer.do(act)
            see_echo(port)


@iterative_servers
@pytest.mark.parametrize("act", [Act.CLOSE, Act.RESET, Act.FINISH])
def test_a_client_that_never_reads_stops_the_others_until_it_leaves(server: Server, act: Act) -> None:
    with server.unharmed() as port, Peer(port) as peer:
        fill(peer)
        peer.do(act)
        see_echo(port)


def fill(peer: Peer) -> None:
    """Send until the server takes no more, since nobody reads what it sends back."""
    while ready(peer.socket, select.POLLOUT, 0.1):
        message = b"%d " % len(peer.sent) * 10_000
        peer.sent += message[: peer.socket.send(message)]
        assert len(peer.sent) < 1 << 26, "the server goes on reading from a client that takes nothing"


@concurrent_servers
def test_200_clients_at_once(server: Server) -> None:
    with server.unharmed() as port, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(port)) for _ in range(200)]
        for number, peer in enumerate(peers):
            peer.send(b"I am number %d" % number)
        for act in (Act.WAIT, Act.FINISH):
            for peer in peers:
                peer.do(act)


@iterative_servers
def test_200_clients_one_after_another(server: Server) -> None:
    with server.unharmed() as port:
        for number in range(200):
            see_echo(port, b"I am number %d" % number)


@pytest.mark.parametrize("name", CONCURRENT)
def test_more_clients_than_descriptors_are_served_or_refused(name: str, tmp_path: Path) -> None:
    port = free_port()
    program = Program(name, port, stdout=subprocess.DEVNULL, folder=tmp_path, descriptor_limit=20)
    with program.listening(port):
        at_first = program.descriptors
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(connect(port)) for _ in range(30)]
            for client in clients:
                client.sendall(b"hello")
            assert [closed_by_server(client) for client in clients[:10]] == [False] * 10
            for client in clients[10:]:
                closed_by_server(client)
        program.wait_for(lambda: program.descriptors, at_first, "its descriptors after its clients", SOON)
        see_echo(port)
        assert program.interrupt()[0] == 0
        assert not surprises(program.errors)


def test_more_descriptors_than_select_can_watch() -> None:
    port = free_port()
    program = Program("select_server", port, descriptor_limit=1024)  # the usual one: it has to raise it itself
    with program.listening(port), descriptors(4096), contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(port)) for _ in range(1020)]  # 4 to 1023
        program.expect(b"connected client : 1023\n")
        assert closed_by_server(stack.enter_context(connect(port)))
        peers[-1].send(b"hello")
        peers[-1].do(Act.WAIT)
        peers[0].do(Act.CLOSE)
        program.expect(b"closed client : 4\n")
        stack.enter_context(connect(port))
        program.expect(b"closed client : 4\nconnected client : 4\n")
        assert program.interrupt()[::2] == (0, b"refused client : 1024 is too high for FD_SETSIZE\n")


@pytest.mark.parametrize("name", ["poll_server", "epoll_server", "selectors_server", "asyncio_server"])
def test_more_descriptors_than_select_could_watch(name: str) -> None:
    port = free_port()
    program = Program(name, port, stdout=subprocess.DEVNULL, descriptor_limit=1024)
    with program.listening(port), descriptors(4096), contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(port)) for _ in range(1100)]
        for act in (Act.WAIT, Act.FINISH):
            for number, peer in enumerate(peers):
                peer.send(b"I am number %d" % number)
                peer.do(act)
        assert program.interrupt()[::2] == (0, b"")


@contextlib.contextmanager
def descriptors(count: int) -> Iterator[None]:
    """Let this process have at least so many descriptors meanwhile. ValueError: more than its hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_recorder_writes_every_message(tmp_path: Path) -> None:
    port = free_port()
    with Program("recording_server", port, stdout=subprocess.DEVNULL, folder=tmp_path).listening(port) as program:
        messages = {b"message %d from client %d" % (number, client) for number in range(5) for client in range(20)}
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(Peer(port)) for _ in range(20)]
            for number in range(5):
                for client, peer in enumerate(peers):
                    peer.send(b"message %d from client %d" % (number, client))
                for peer in peers:
                    peer.do(Act.WAIT)
        record = tmp_path / "echomsg.txt"
        program.wait_for(lambda: sorted(record.read_bytes().splitlines()), sorted(messages), "the record")
        assert program.interrupt()[::2] == (0, b"")


@echo_servers
@pytest.mark.parametrize("alone", [False, True], ids=["with its children", "alone"])
def test_ctrl_c_ends_a_server_with_clients_and_frees_its_port(server: Server, alone: bool) -> None:
    with connect(server.port) as busy, connect(server.port) as idle:
        busy.sendall(b"half a mess")
        assert receive(busy, 11) == b"half a mess"
        status, _, errors = server.program.interrupt(alone=alone)
        assert (status, surprises(errors)) == (0, [])
        assert closed_by_server(busy)
        assert closed_by_server(idle)
        server.end()
        server.start(server.port)


def closed_by_server(client: socket.socket) -> bool:
    try:
        return not client.recv(1)
    except ConnectionResetError:
        return True


# Servers with an answer of their own, to one client after another or to only one

ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "echo_server": lambda sent: sent,
    "file_server": lambda _: PROGRAMS["file_server"].read_bytes(),
    "hello_server": lambda _: b"Hello World~\n",
    "small_writes_server": lambda sent: b"ready\n" + b"".join(b"%d bytes\n" % len(line) for line in lines(sent)),
    "staged_server": lambda _: b"Hello, I am server.",
}


def lines(text: bytes) -> list[bytes]:
    return re.findall(rb"[^\n]*\n", text)


@dataclass(frozen=True)
class Client:
    """What a client of such a server does."""

    pieces: list[bytes]  # it sends these,
    taken: int  # receives so many bytes, if there are so many,
    leaves: Act  # and leaves

    @property
    def sent(self) -> bytes:
        """All that it sends."""
        return b"".join(self.pieces)

    def converse(self, port: int, answer: bytes) -> None:
        """Do it, with a server that should give this answer."""
        received = b""
        with connect(port) as client:
            with contextlib.suppress(OSError):  # the server may end, or be through with this client, before it has all
                for piece in self.pieces:
                    client.sendall(piece)
                if self.leaves is Act.FINISH:
                    client.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):  # after its answer
                received = receive(client, min(self.taken, len(answer)))
                while self.leaves is Act.FINISH and (piece := client.recv(65536)):
                    received += piece
            if self.leaves is Act.RESET:
                reset(client)
        assert received == answer if self.leaves is Act.FINISH else answer.startswith(received)


conversations = st.builds(
    Client,
    pieces=st.lists(short_pieces, max_size=30),
    taken=st.sampled_from([0, 1, 10000]),
    leaves=st.sampled_from([Act.FINISH, Act.CLOSE, Act.RESET]),
)


@pytest.mark.parametrize("server", [*ECHO, *IN_TURN], indirect=True)
def test_clients_that_have_left_before_the_server_comes_to_them(server: Server) -> None:
    with server.unharmed() as port:
        with server.program.stopped():
            for leave in (reset, socket.socket.close, reset):
                client = connect(port)
                client.sendall(b"hello\n")
                leave(client)
        last = Client([b"still ", b"there?\n"], 0, Act.FINISH)
        last.converse(port, ANSWERS.get(server.name, ANSWERS["echo_server"])(last.sent))


@pytest.mark.parametrize("name", ONE_CLIENT)
def test_a_client_that_has_left_before_the_server_comes_to_it(name: str) -> None:
    port = free_port()
    with Program(name, port).listening(port) as program:
        with program.stopped():
            reset(connect(port))
        status, _, errors = program.end()
        assert (status, len(errors.splitlines()), surprises(errors)) == (1, 1, [])


@pytest.mark.parametrize("server", IN_TURN, indirect=True)
@many
@given(clients=st.lists(conversations, max_size=4))
def test_each_client_gets_its_answer_in_turn(server: Server, clients: list[Client]) -> None:
    with server.unharmed() as port:
        for client in [*clients, Client([b"still ", b"there?\n"], 0, Act.FINISH)]:
            client.converse(port, ANSWERS[server.name](client.sent))


@pytest.mark.parametrize("name", ONE_CLIENT)
@few
@given(client=conversations)
@example(Client([], 10000, Act.RESET))
def test_a_server_of_one_client_ends_with_it(name: str, client: Client) -> None:
    port = free_port()
    with Program(name, port, stdout=subprocess.DEVNULL).listening(port) as program:
        client.converse(port, ANSWERS[name](client.sent))
        status, _, errors = program.end()
        assert (status, len(errors.splitlines()), surprises(errors)) in [(0, 0, []), (1, 1, [])]
        if client.leaves is Act.FINISH:
            assert status == 0 or errors == b"recv: end of file, no message\n"


def test_a_mebibyte_without_newline_comes_back_from_echo_server() -> None:
    port = free_port()
    with Program("echo_server", port, stdout=subprocess.DEVNULL).listening(port) as program:
        see_echo(port, bytes(range(128, 256)) * 8192)
        assert program.end()[::2] == (0, b"")


calls = st.builds(b"send ".__add__, (typed | st.binary(max_size=100)).map(lambda text: text.replace(b"\n", b" ")))


@few
@given(
    client=conversations.filter(lambda client: client.leaves is Act.FINISH or not client.taken),  # or each may wait
    calls=st.lists(calls | st.sampled_from([b"recv", b"listen", b"close"])),
)
def test_closing_server_makes_the_calls_that_are_typed(client: Client, calls: list[bytes]) -> None:
    port = free_port()
    made = calls[: calls.index(b"close")] if b"close" in calls else calls
    with Program("closing_server", port).listening(port) as program:
        program.type(b"".join(call + b"\n" for call in calls) + b"close\n")
        client.converse(port, b"".join(call.removeprefix(b"send ") for call in made if call.startswith(b"send ")))
        status, output, errors = program.end()
        assert not surprises(errors)
        assert client.leaves is not Act.FINISH or (status, output.splitlines()[-1]) == (0, b"close = 0")


@pytest.mark.parametrize("server", ["message_server"], indirect=True)
@few
@given(pieces=st.lists(st.binary(min_size=1, max_size=20000), max_size=10))
def test_message_server_counts_what_comes_whoever_left_before(server: Server, pieces: list[bytes]) -> None:
    with server.unharmed() as port:
        with server.program.stopped():
            for leave in (reset, socket.socket.close, reset):
                client = connect(port)
                client.sendall(b"hello\n")
                leave(client)
        with connect(port) as client:
            for piece in pieces:
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
            said = re.fullmatch(rb"(\d+) bytes in (\d+) pieces?\n", receive(client, 100))
        assert said
        size, came = map(int, said.groups())
        assert size == sum(map(len, pieces))
        assert bool(size) <= came <= size


# Datagrams


class Speaker:
    """A client of a UDP server, with an address of its own."""

    def __init__(self, number: int, program: Program, port: int) -> None:
        self.program = program
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((f"127.0.0.{number + 1}", 0))
        self.socket.connect(("127.0.0.1", port))
        self.address, self.port = self.socket.getsockname()
        self.expected: deque[bytes] = deque()

    def hear(self) -> None:
        """Receive all that is expected, and nothing else."""
        while self.expected:
            self.program.wait_for(lambda: bool(ready(self.socket, select.POLLIN, 0.1)), True, "a datagram comes", SOON)
            assert self.socket.recv(65536) == self.expected.popleft()


@contextlib.contextmanager
def speakers(count: int, program: Program, port: int) -> Iterator[list[Speaker]]:
    """Speakers who have heard, at the end, all that they should, and nothing else."""
    with contextlib.ExitStack() as stack:
        speakers = [Speaker(number, program, port) for number in range(count)]
        for speaker in speakers:
            stack.enter_context(speaker.socket)
        yield speakers
        for speaker in speakers:
            speaker.hear()
            assert not ready(speaker.socket, select.POLLIN, 0), "somebody hears what isn't for them"


LONGEST = 65507  # bytes in a datagram
datagrams = st.binary(max_size=20) | st.builds(
    bytes.__mul__, st.binary(min_size=1, max_size=1), st.integers(0, LONGEST)
)


udp_echo_server = pytest.mark.parametrize("server", ["udp_echo_server"], indirect=True)


@udp_echo_server
@many
@given(script=st.lists(st.tuples(st.integers(0, 4), datagrams), max_size=30))
@example([(0, b""), (1, bytes(LONGEST)), (0, b"hello")])
def test_each_datagram_comes_back_to_where_it_came_from(server: Server, script: list[tuple[int, bytes]]) -> None:
    with server.unharmed() as port, speakers(5, server.program, port) as clients:
        under_way = 0
        for number, datagram in script:
            under_way += len(datagram)
            if under_way > LONGEST:  # more might not find room in the server's buffer, and be lost
                for client in clients:
                    client.hear()
                under_way = len(datagram)
            clients[number].socket.send(datagram)
            clients[number].expected.append(datagram)


@udp_echo_server
def test_datagrams_from_200_addresses(server: Server) -> None:
    with server.unharmed() as port, speakers(200, server.program, port) as clients:
        for first in range(0, 200, 50):  # so many find room in the server's buffer
            for number in range(first, first + 50):
                clients[number].expected.append(b"I am number %d" % number)
                clients[number].socket.send(b"I am number %d" % number)
            for client in clients:
                client.hear()


@udp_echo_server
def test_a_flood_of_datagrams_from_one_who_has_left(server: Server) -> None:
    with server.unharmed() as port:
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            for _ in range(1000):
                client.sendto(bytes(1000), ("127.0.0.1", port))
        with socket.socket(type=socket.SOCK_DGRAM) as client:

            def answered() -> bool:
                client.sendto(b"still there?", ("127.0.0.1", port))  # is lost, too, while the server's buffer is full
                return bool(ready(client, select.POLLIN, 0.1))

            server.program.wait_for(answered, True, "answers")
            assert client.recv(65536) == b"still there?"


@few
@given(size=st.integers(1, 100), message=st.binary(max_size=200))
def test_a_datagram_longer_than_the_buffer_is_cut(size: int, message: bytes) -> None:
    port = free_port()
    program = Program("udp_echo_server", port, "--buffer", size).listening(port)
    with program, speakers(1, program, port) as (client,):
        for datagram in (message, b"", b"hello"):
            client.socket.send(datagram)
            client.expected.append(datagram[:size])


NUMBERS = 9
no_numbers = st.sampled_from([b"", b"0", b"-1", b"end", b"end 0", b"1 2", b"\xff", bytes(LONGEST)])
numbered = st.integers(1, NUMBERS) | no_numbers


@pytest.mark.parametrize("server", ["numbered_server"], indirect=True)
@many
@given(script=st.lists(st.tuples(st.integers(0, 2), numbered), max_size=30))
def test_numbered_server_counts_each_client_apart(server: Server, script: list[tuple[int, int | bytes]]) -> None:
    """And takes no notice of what is no number."""
    with server.unharmed() as port, speakers(3, server.program, port) as clients:
        for who, client in enumerate(clients):
            sent = [number for speaker, number in script if speaker == who]
            for number in sent:
                client.socket.send(b"%d" % number if isinstance(number, int) else number)
            seen: list[int] = []
            twice = overtaken = 0
            for number in (number for number in sent if isinstance(number, int)):
                twice += number in seen
                overtaken += number not in seen and number < max(seen, default=0)
                seen.append(number)
            came = len(set(seen))
            client.socket.send(b"end %d" % NUMBERS)
            report = f"{came} of {NUMBERS} came, {NUMBERS - came} lost, {overtaken} overtaken, {twice} twice"
            client.expected.append(report.encode())
            client.hear()


MEMBERS = 10


@few
@given(script=st.lists(st.tuples(st.integers(0, MEMBERS + 1), datagrams), max_size=50))
@example([(number, b"hello from %d" % number) for number in range(MEMBERS + 2)])
@example([(0, b""), (1, bytes(LONGEST))])
def test_each_member_of_the_chat_hears_all_the_others(script: list[tuple[int, bytes]]) -> None:
    port = free_port()
    program = Program("chat_server", port).listening(port)
    with program, speakers(MEMBERS + 2, program, port) as clients:
        members: list[Speaker] = []

        def say(speaker: Speaker, message: bytes) -> None:
            if speaker not in members and len(members) < MEMBERS:
                members.append(speaker)
            speaker.socket.send(message)
            if speaker in members:
                prefix = b"%s: %d>> " % (speaker.address.encode(), speaker.port)
                for member in members:
                    if member is not speaker:
                        member.expected.append(prefix + message[: LONGEST - len("255.255.255.255: 65535>> ")])
                        member.hear()

        for number, message in script:
            say(clients[number], message)
        for speaker in members[:2]:  # when both are heard, the server is through with all that was said before
            say(speaker, b"the end")
        if members:
            program.expect(b"nClient: %d\n" % len(members))
        status, output, errors = program.interrupt()
        assert (status, surprises(errors)) == (0, [])
        assert program.output + output == b"".join(b"nClient: %d\n" % (n + 1) for n in range(len(members)))
