"""What the lab programs do on the loopback: arguments, failing system calls, and clients that misbehave."""

import contextlib
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LABS = Path(__file__).parents[2] / "labs"
PROGRAMS = {program.stem: program for program in LABS.glob("*/*.py")}
DEADLINE = 20.0  # seconds until a state that doesn't come is a failure
LISTEN, TIME_WAIT = "0A", "06"  # in /proc/net/tcp

Start = Callable[..., "Program"]


class Program:
    """A lab program that runs, and what it has printed so far."""

    def __init__(self, name: str, *arguments: object, pace: str = "0", stdout: int = subprocess.PIPE) -> None:
        self.name = name
        self.output = b""
        self.process = subprocess.Popen(
            [sys.executable, PROGRAMS[name], *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "LAB_PACE": pace},
        )

    def expect(self, text: bytes) -> None:
        """Read what the program prints until the text is in it."""
        assert self.process.stdout is not None
        while text not in self.output:
            ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE)
            piece = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert piece, f"{self.name} never printed {text!r}, only {self.output[-500:]!r}"
            self.output += piece

    def listening(self, port: int) -> "Program":
        """Wait until the program listens on the port."""
        wait_until(lambda: port_state(port, LISTEN), self.process)
        return self

    def type(self, text: bytes) -> None:
        """Type into the program's stdin, and leave it open."""
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def end(self, typed: bytes | None = None) -> tuple[int, bytes, bytes]:
        """Wait for the end; return the exit status, the rest of stdout, and stderr."""
        output, errors = self.process.communicate(typed, timeout=DEADLINE)
        return self.process.returncode, output or b"", errors

    def interrupt(self) -> tuple[int, bytes, bytes]:
        """Press Ctrl+C; return what end() returns."""
        self.process.send_signal(signal.SIGINT)
        return self.end()


@pytest.fixture(autouse=True)
def _no_socket_waits_for_ever() -> Iterator[None]:
    socket.setdefaulttimeout(DEADLINE)
    yield
    socket.setdefaulttimeout(None)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start lab programs, and leave none behind."""
    with contextlib.ExitStack() as stack:

        def start_one(name: str, *arguments: object, **options: object) -> Program:
            program = Program(name, *arguments, **options)  # type: ignore[arg-type]
            stack.enter_context(program.process)
            stack.callback(program.process.kill)
            return program

        yield start_one


@pytest.fixture
def port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_state(port: int, state: str) -> bool:
    """Tell whether a TCP socket with this local port is in this state."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(row[1].endswith(f":{port:04X}") and row[3] == state for row in rows)


def wait_until(seen: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Look again and again until it is seen; a process that ends before is a failure."""
    deadline = time.monotonic() + DEADLINE
    while not seen():
        assert time.monotonic() < deadline, "not seen in time"
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"ended with {process.wait(0.01)}: {process.stderr and process.stderr.read()!r}")


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port))


def reset(client: socket.socket) -> None:
    """Break the connection: close() sends RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def send_in_pieces(client: socket.socket, data: bytes) -> None:
    """Send each byte in a segment of its own."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in data:
        client.send(bytes([byte]))


def receive(client: socket.socket, length: int) -> bytes:
    """Receive this many bytes, or fewer if the server closes."""
    data = b""
    while len(data) < length and (piece := client.recv(length - len(data))):
        data += piece
    return data


# Arguments

PORT = [[], ["0"], ["65536"], ["http"], ["-1"], ["9090", "more"]]
HOST_PORT = [[], ["localhost"], ["localhost", "0"], ["localhost", "ninety"], ["1.2.3", "9090"], ["1.2.3.256", "9090"]]
WRONG = {
    "hello_server": [*PORT, ["9090", "--reuse"]],
    "hello_client": HOST_PORT,
    "staged_server": [["--port", "0"], ["--port"], ["9090"]],
    "staged_client": [[], ["Alfa", "--port", "65536"], ["Alfa", "--host", "1.2.3"]],
    "echo_server": PORT,
    "echo_client": HOST_PORT,
    "iterative_server": PORT,
    "line_client": HOST_PORT,
    "select_stdin": [["9090"]],
    "select_server": [*PORT, ["9090", "--shown"]],
}


def test_every_program_has_its_wrong_arguments() -> None:
    assert set(WRONG) == set(PROGRAMS)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_give_one_line_and_status_2(start: Start, name: str) -> None:
    programs = {" ".join(arguments): start(name, *arguments) for arguments in WRONG[name]}
    for arguments, program in programs.items():
        status, output, errors = program.end()
        assert (status, output, errors.count(b"\n")) == (2, b"", 1), f"{name} {arguments}: {errors!r}"
        assert errors.startswith(f"{name}.py: error: ".encode())


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_says_how_it_is_called_and_what_it_shows(start: Start, name: str) -> None:
    status, output, errors = start(name, "--help").end()
    assert (status, errors) == (0, b"")
    assert output.startswith(f"{name}.py".encode())
    assert b"It shows" in output.replace(b"\n", b" ")


@pytest.mark.parametrize("name", ["staged_server", "staged_client", "select_stdin"])
@pytest.mark.parametrize("pace", ["fast", "-1", "nan", "inf"])
def test_a_pace_that_is_none(start: Start, name: str, pace: str) -> None:
    arguments = {"staged_client": ["Alfa", "--host", "127.0.0.1"]}.get(name, [])
    status, _, errors = start(name, *arguments, pace=pace).end()
    assert (status, errors) == (2, b"LAB_PACE: not a number from 0 to 1000\n")


# Failing system calls

SERVERS = ["hello_server", "staged_server", "echo_server", "iterative_server", "select_server"]
CLIENTS = ["hello_client", "staged_client", "echo_client", "line_client"]


def server(name: str, port: int) -> list[object]:
    return [name, "--port", port] if name == "staged_server" else [name, port]


def client(name: str, host: str, port: int) -> list[object]:
    return [name, "Alfa", "--host", host, "--port", port] if name == "staged_client" else [name, host, port]


@pytest.mark.parametrize("name", SERVERS)
def test_a_port_in_use(start: Start, name: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:  # noqa: S104 - as the labs do
        status, _, errors = start(*server(name, other.getsockname()[1])).end()
    assert (status, errors) == (1, b"bind: Address already in use\n")


@pytest.mark.parametrize("name", CLIENTS)
def test_no_server(start: Start, name: str, port: int) -> None:
    status, _, errors = start(*client(name, "127.0.0.1", port)).end()
    assert (status, errors) == (1, b"connect: Connection refused\n")


@pytest.mark.parametrize("name", CLIENTS)
def test_a_name_that_nobody_has(start: Start, name: str) -> None:
    status, _, errors = start(*client(name, "a" * 64, 9090)).end()  # too long to be asked for
    assert (status, errors) == (1, b"getaddrinfo: Name or service not known\n")


@pytest.mark.parametrize("name", ["echo_client", "line_client"])
def test_a_server_that_leaves(start: Start, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = start(name, "127.0.0.1", listener.getsockname()[1])
        listener.accept()[0].close()
        status, _, errors = program.end(b"hello\n")
    assert status == 1
    assert errors in (b"recv: the server has closed the connection\n", b"recv: Connection reset by peer\n")


@pytest.mark.parametrize("name", ["staged_server", "iterative_server", "select_server"])
def test_nobody_reads_the_output(start: Start, name: str, port: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = start(*server(name, port), stdout=writer)
    os.close(writer)
    if name != "staged_server":  # it prints before it listens
        program.listening(port)
        connect(port).close()
    assert program.end() == (1, b"", b"write: Broken pipe\n")


# Ctrl+C


@pytest.mark.parametrize("name", SERVERS)
def test_ctrl_c_ends_a_server_that_waits(start: Start, name: str, port: int) -> None:
    program = start(*server(name, port)).listening(port)
    assert program.interrupt()[::2] == (0, b"")


@pytest.mark.parametrize("name", ["staged_server", "echo_server", "iterative_server", "select_server"])
def test_ctrl_c_ends_a_server_with_a_client_and_frees_its_port(start: Start, name: str, port: int) -> None:
    program = start(*server(name, port)).listening(port)
    with connect(port):
        wait_until(lambda: sockets(program) == [3, 4], program.process)
        assert program.interrupt()[::2] == (0, b"")
        start(*server(name, port)).listening(port)


def sockets(program: Program) -> list[int]:
    """Return the descriptors of the program that are sockets."""
    folder = Path(f"/proc/{program.process.pid}/fd")
    return sorted(int(entry.name) for entry in folder.iterdir() if str(entry.readlink()).startswith("socket:"))


@pytest.mark.parametrize("name", CLIENTS)
def test_ctrl_c_ends_a_client(start: Start, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = start(*client(name, "127.0.0.1", listener.getsockname()[1]))
        with listener.accept()[0]:
            assert program.interrupt()[::2] == (130, b"")


def test_ctrl_c_ends_select_stdin(start: Start) -> None:
    program = start("select_stdin", pace="0.001")
    program.expect(b"Time-out!")
    assert program.interrupt()[::2] == (130, b"")


# What each lab shows


def test_hello(start: Start, port: int) -> None:
    program = start("hello_server", port).listening(port)
    assert start("hello_client", "127.0.0.1", port).end() == (0, b"Message from server : Hello World~\n", b"")
    assert program.end() == (0, b"", b"")


def test_the_port_stays_in_time_wait(start: Start, port: int) -> None:
    program = start("hello_server", port).listening(port)
    start("hello_client", "127.0.0.1", port).end()
    program.end()
    assert port_state(port, TIME_WAIT)
    again = start("hello_server", port, "--no-reuse-address")
    assert again.end() == (1, b"", b"bind: Address already in use\n")
    start("hello_server", port).listening(port)


def test_stages(start: Start, port: int) -> None:
    program = start("staged_server", "--port", port).listening(port)
    for number, name in enumerate(["Alfa", "브라보"]):
        with connect(port) as peer:  # sends nothing yet: the server waits for it
            assert receive(peer, 19) == b"Hello, I am server."
            program.expect(b"S : 6_Recv Start\n")
            assert sockets(program) == [3, 4]
            send_in_pieces(peer, f"Hello, I am client {name}".encode())
        program.expect(f"*** S : Client Says = Hello, I am client {name} ***\n".encode())
        block = f"S : Listening Descriptor = 3\nS : Client Descriptor = 4\nS : Client Number = {number}\n"
        assert b"*****[Connecting Information]*****\n" + block.encode() in program.output
        assert program.output.startswith(
            b"S : 1_Socket Start\nS : 1_Socket End\nS : 2_Bind Start\n" if not number else b""
        )
        program.output = b""


def test_staged_client_takes_the_greeting_in_pieces(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = start(*client("staged_client", "127.0.0.1", listener.getsockname()[1]))
        peer, _ = listener.accept()
        with peer:
            program.expect(b"C_Alfa : 3_Recv Start\n")
            send_in_pieces(peer, b"Hello, I am server.")
            assert receive(peer, 1024) == b"Hello, I am client Alfa"
        program.expect(
            b"*** C_Alfa : Server Says = Hello, I am server. ***\nC_Alfa : 4_Send Start\nC_Alfa : 4_Send End\n"
        )
        assert program.end()[::2] == (0, b"")


def test_echo(start: Start, port: int) -> None:
    program = start("echo_server", port).listening(port)
    typed = "hello\n안녕\n\n".encode() + b"\xff\xfe\nq\nnot sent\n"
    answers = "".join(f"Message from server : {text}\n" for text in ("hello", "안녕", "")).encode()
    assert start("echo_client", "127.0.0.1", port).end(typed) == (0, answers + b"Message from server : \xff\xfe\n", b"")
    assert program.end() == (
        0,
        answers.replace(b"Message from server", b"message from client") + b"message from client : \xff\xfe\n",
        b"",
    )


def test_an_echo_that_comes_in_pieces(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = start("line_client", "127.0.0.1", listener.getsockname()[1])
        peer, _ = listener.accept()
        with peer:
            program.type(b"hello\n\nEND\nnot sent\n")
            send_in_pieces(peer, receive(peer, 5))
            assert program.end() == (0, b"Message from server : hello\n", b"")
            assert receive(peer, 1) == b""


def test_the_iterative_server_answers_one_at_a_time(start: Start, port: int) -> None:
    start("iterative_server", port).listening(port)
    with connect(port) as first, connect(port) as second:
        second.sendall(b"second")
        first.sendall(b"first")
        assert receive(first, 5) == b"first"  # sent later, answered: the second has to wait
        assert not select.select([second], [], [], 0.1)[0]
        first.close()
        assert receive(second, 6) == b"second"


def test_select_stdin(start: Start) -> None:
    program = start("select_stdin", pace="0.001")
    program.expect(b"Time-out!\nTime-out!\n")
    program.type(b"hello\n")
    program.expect(b"message from console: hello\nTime-out!\n")
    assert program.end(b"")[::2] == (0, b"")


def test_select_server_answers_in_any_order(start: Start, port: int) -> None:
    program = start("select_server", port, "--show").listening(port)
    with connect(port) as first, connect(port) as second, connect(port) as third:
        for number, peer in [(6, third), (4, first), (5, second), (4, first)]:
            peer.sendall(b"hello")
            assert receive(peer, 5) == b"hello"
            program.expect(b"Message from client %d: hello\n" % number)
        second.close()
        program.expect(b"closed client : 5\n")
    assert program.output.startswith(b"connected client : 4\nconnected client : 5\nconnected client : 6\n")


# Clients that misbehave


def half_a_message(peer: socket.socket) -> None:
    peer.sendall(b"Hello, I a")
    peer.close()


def reset_in_mid_reply(peer: socket.socket) -> None:
    with contextlib.suppress(ConnectionError):  # hello_server may have ended already
        peer.sendall(bytes(100_000))
    reset(peer)


MISBEHAVIOUR = [socket.socket.close, reset, half_a_message, reset_in_mid_reply]


@pytest.mark.parametrize("name", ["staged_server", "iterative_server", "select_server"])
def test_a_server_survives_its_clients(start: Start, name: str, port: int) -> None:
    program = start(*server(name, port), stdout=subprocess.DEVNULL).listening(port)
    for misbehave in MISBEHAVIOUR:
        misbehave(connect(port))
        with connect(port) as peer:
            peer.sendall(b"\xff\xfe")
            peer.shutdown(socket.SHUT_WR)
            assert receive(peer, 1024) == (b"Hello, I am server." if name == "staged_server" else b"\xff\xfe")
    assert b"Traceback" not in program.interrupt()[2]


@pytest.mark.parametrize("name", ["hello_server", "echo_server"])
@pytest.mark.parametrize("misbehave", MISBEHAVIOUR)
def test_a_server_of_one_client_ends_with_it(
    start: Start, name: str, misbehave: Callable[[socket.socket], None], port: int
) -> None:
    program = start(name, port, stdout=subprocess.DEVNULL).listening(port)
    misbehave(connect(port))
    status, _, errors = program.end()
    assert (status, errors) in [
        (0, b""),
        (1, b"recv: Connection reset by peer\n"),
        (1, b"send: Connection reset by peer\n"),
        (1, b"send: Broken pipe\n"),
    ]


@pytest.mark.parametrize("name", ["echo_server", "iterative_server", "select_server"])
def test_a_mebibyte_without_newline_comes_back(start: Start, name: str, port: int) -> None:
    start(name, port, stdout=subprocess.DEVNULL).listening(port)
    message = os.urandom(1 << 20)
    with connect(port) as peer:
        sender = threading.Thread(target=peer.sendall, args=[message])
        sender.start()
        assert receive(peer, len(message)) == message
        sender.join()


@pytest.mark.parametrize("name", ["echo_client", "line_client"])
def test_a_long_line_is_sent_as_fast_as_it_comes_back(start: Start, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = start(name, "127.0.0.1", listener.getsockname()[1])
        program.type(b"x" * 2049)
        peer, _ = listener.accept()
        with peer:
            for _ in range(2):
                assert receive(peer, 1024) == b"x" * 1024
                assert not select.select([peer], [], [], 0.05)[0]  # or both would wait for the other to receive
                peer.sendall(b"x" * 1024)
            program.expect(b"Message from server : " + b"x" * 1024)


def test_a_client_that_never_reads_stops_only_itself(start: Start, port: int) -> None:
    start("select_server", port).listening(port)
    with connect(port) as slow, connect(port) as other:
        slow.setblocking(False)
        sent = 0
        while select.select([], [slow], [], 0.2)[1]:
            sent += slow.send(bytes(65536))
            assert sent < 1 << 26, "the server goes on reading from a client that takes nothing"
        other.sendall(b"hello")
        assert receive(other, 5) == b"hello"


def test_select_server_sends_what_it_owes_to_a_client_that_has_sent_all(start: Start, port: int) -> None:
    start("select_server", port).listening(port)
    with connect(port) as peer:
        peer.sendall(bytes(200_000))
        peer.shutdown(socket.SHUT_WR)
        assert receive(peer, 300_000) == bytes(200_000)


def test_more_descriptors_than_select_can_watch(start: Start, port: int) -> None:
    with descriptors(1024):  # the usual limit, which the server has to raise itself
        program = start("select_server", port).listening(port)
    with descriptors(4096), contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connect(port)) for _ in range(1020)]  # 4 to 1023
        program.expect(b"connected client : 1023\n")
        assert stack.enter_context(connect(port)).recv(1) == b""
        peers[-1].sendall(b"hello")
        assert receive(peers[-1], 5) == b"hello"
        peers[0].close()
        program.expect(b"closed client : 4\n")
        stack.enter_context(connect(port))
        program.expect(b"closed client : 4\nconnected client : 4\n")
        assert program.interrupt()[::2] == (0, b"refused client : 1024 is too high for FD_SETSIZE\n")


@contextlib.contextmanager
def descriptors(limit: int) -> Iterator[None]:
    """Let this process, and those that it starts, have so many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
