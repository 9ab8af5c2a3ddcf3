"""The lab programs on the loopback: their arguments, failing system calls, Ctrl+C, and what the first labs show."""

import contextlib
import os
import re
import select
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers import wait_for
from tests.unit.lab_program import (
    DEADLINE,
    PROGRAMS,
    TIME_WAIT,
    Program,
    connect,
    free_port,
    parameters,
    port_state,
    receive,
    send_in_pieces,
)

Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start lab programs, in a folder of the test's own, and leave none behind."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(Program(*arguments, **{"folder": tmp_path} | options))


@pytest.fixture
def port() -> int:
    """Return a port that is free now."""
    return free_port()


@pytest.fixture(autouse=True)
def _no_socket_waits_for_ever() -> Iterator[None]:
    socket.setdefaulttimeout(DEADLINE)
    yield
    socket.setdefaulttimeout(None)


# Arguments

NO_NUMBERS = ["http", "-1", "٩٠"]  # int() would take the last
RIGHT_AND_WRONG: dict[str, tuple[str, list[str]]] = {
    "ADDRESS": ("127.0.0.1", ["", "localhost", "1.2.3.256"]),
    "BYTES": ("1024", [*NO_NUMBERS, "0", "65508"]),
    "COUNT": ("100", [*NO_NUMBERS, "0", "100001"]),
    "DESCRIPTOR": ("0", [*NO_NUMBERS, "3"]),
    "FILE": ("/dev/null", []),  # one that is not there: see below
    "FLAG": ("O_RDONLY", ["", "O_NONE", "0"]),
    "HOST": ("127.0.0.1", ["", "1.2.3", "1.2.3.256"]),
    "HOW": ("close", ["", "SHUT"]),
    "LENGTH": ("20000", [*NO_NUMBERS, "0", "10000001"]),
    "LONG": ("1", [*NO_NUMBERS, "0x100000000"]),
    "MODE": ("0644", [*NO_NUMBERS, "8", "10000"]),
    "N": ("1", [*NO_NUMBERS, "0"]),
    "NAME": ("localhost", []),
    "NUMBER": ("1", [*NO_NUMBERS, "0x100000000"]),
    "OUTPUT": ("/dev/null", []),
    "PID": ("2147483647", [*NO_NUMBERS, "0", "2147483648"]),
    "PORT": ("9090", [*NO_NUMBERS, "0", "65536"]),
    "S": ("1", ["soon", "-1", "nan", "inf"]),
    "SHORT": ("1", [*NO_NUMBERS, "0x10000"]),
    "SIGNAL": ("0", [*NO_NUMBERS, "SIGNONE", "65"]),
    "SIZE": ("8192", [*NO_NUMBERS, "2147483648"]),
    "T": ("0", ["soon", "-1", "nan", "inf"]),
}


def call(name: str, **values: object) -> list[str]:
    """Return the program and its arguments: these values (PORT=9090), and what it must have or have before them."""
    words = [name]
    may_be_given = parameters(name)
    for number, parameter in enumerate(may_be_given):
        later = [] if parameter.option else [other.kind for other in may_be_given[number:] if not other.option]
        if not parameter.optional or values.keys() & {parameter.kind, *later}:
            value = values.get(parameter.kind, RIGHT_AND_WRONG[parameter.kind][0])
            words += [parameter.option, str(value)] if parameter.option else [str(value)]
    return words


def wrong_calls(name: str) -> Iterator[list[str]]:
    """Return calls that are wrong in one place each, and right in the others."""
    yield [*call(name), "--unknown"]
    may_be_given = parameters(name)
    if len(call(name)) > 1:
        yield call(name)[:-1]
    if not any(parameter.repeated for parameter in may_be_given):
        places = [parameter.kind for parameter in may_be_given if not parameter.option]
        yield [*call(name, **{kind: RIGHT_AND_WRONG[kind][0] for kind in places}), "more"]
    for parameter in may_be_given:
        if parameter.option and parameter.kind:
            yield [*call(name), parameter.option]
        for value in RIGHT_AND_WRONG[parameter.kind][1] if parameter.kind else []:
            yield call(name, **{parameter.kind: value})


@pytest.mark.parametrize("name", PROGRAMS)
def test_wrong_arguments_give_one_line_and_status_2(start: Start, name: str) -> None:
    programs = [(words, start(*words)) for words in wrong_calls(name)]
    for words, program in programs:
        status, output, errors = program.end()
        assert (status, output, errors.count(b"\n")) == (2, b"", 1), f"{words}: {errors.decode()}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_says_how_it_is_called_and_what_it_shows(start: Start, name: str) -> None:
    status, output, errors = start(name, "--help").end()
    words = output.decode().split()
    assert (status, errors, words[0].rstrip(":")) == (0, b"", f"{name}.py")
    assert "It shows" in " ".join(words)
    explained = set(re.findall(r"^  (\w+|-h|--[\w-]+)", output.decode(), re.MULTILINE))
    assert explained == {"-h", *(parameter.option or parameter.kind for parameter in parameters(name))}


@pytest.mark.parametrize("name", [name for name in PROGRAMS if "LAB_PACE" in PROGRAMS[name].read_text()])
@pytest.mark.parametrize("pace", ["fast", "-1", "nan"])
def test_a_pace_that_is_none(start: Start, name: str, pace: str) -> None:
    status, _, errors = start(*call(name, HOST="127.0.0.1"), pace=pace).end()
    assert (status, errors) == (2, b"LAB_PACE: not a number from 0 to 1000\n")


# Failing system calls

KINDS = {name: {parameter.kind for parameter in parameters(name)} for name in PROGRAMS}
SERVERS = [name for name in PROGRAMS if "PORT" in KINDS[name] and not {"HOST", "ADDRESS"} & KINDS[name]]
CLIENTS = [name for name in PROGRAMS if "HOST" in KINDS[name]]
TCP_CLIENTS = [name for name in CLIENTS if "SOCK_STREAM" in PROGRAMS[name].read_text()]


@pytest.mark.parametrize("name", SERVERS)
def test_a_port_in_use(start: Start, name: str) -> None:
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(socket.socket(type=kind)) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
        for other in others:
            other.bind(("0.0.0.0", others[0].getsockname()[1]))  # noqa: S104 - as the labs do
        status, _, errors = start(*call(name, PORT=others[0].getsockname()[1])).end()
    assert (status, errors) == (1, b"bind: Address already in use\n")


@pytest.mark.parametrize("name", TCP_CLIENTS)
def test_no_server(start: Start, name: str, port: int) -> None:
    status, _, errors = start(*call(name, HOST="127.0.0.1", PORT=port)).end()
    assert (status, errors) == (1, b"connect: Connection refused\n")


@pytest.mark.parametrize("name", CLIENTS)
def test_a_name_that_nobody_has(start: Start, name: str) -> None:
    status, _, errors = start(*call(name, HOST="a" * 64)).end()  # too long to be asked for
    assert (status, errors) == (1, b"getaddrinfo: Name or service not known\n")


NO_FILE = {  # the call that fails; file_server tries before it serves, and takes it for a wrong argument
    "file_server": (2, "file_server.py: error: argument FILE: {file}"),
    "open_flags": (1, "open"),
    "permissions": (1, "stat"),
    "standard_descriptors": (1, "open"),
}


@pytest.mark.parametrize("name", [name for name in PROGRAMS if "FILE" in KINDS[name]])
def test_a_file_that_is_not_there(start: Start, name: str, tmp_path: Path) -> None:
    file = tmp_path / "folder" / "file"
    status, says = NO_FILE[name]
    ended = start(*call(name, FILE=file)).end()
    assert ended[::2] == (status, f"{says.format(file=file)}: No such file or directory\n".encode())


def test_a_file_that_can_not_be_written(start: Start, port: int, tmp_path: Path) -> None:
    recording = start("recording_server", port, folder=Path("/proc"))
    assert recording.end() == (1, b"", b"open: No such file or directory\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = start("file_client", "127.0.0.1", listener.getsockname()[1], tmp_path)
        assert client.end()[::2] == (1, b"open: Is a directory\n")


@pytest.mark.parametrize("name", ["echo_client", "line_client"])
def test_a_server_that_leaves(start: Start, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = start(name, "127.0.0.1", listener.getsockname()[1])
        listener.accept()[0].close()
        status, _, errors = program.end(b"hello\n")
    assert status == 1
    assert errors in (b"recv: the server has closed the connection\n", b"recv: Connection reset by peer\n")


WAITS = [*SERVERS, *CLIENTS, "kill", "pipe_shared", "select_stdin", "sigint_lives"]  # or has nothing to print
ASKS = ["host_by_name", "name_by_address"]  # a name service, which this machine may not have


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in WAITS + ASKS])
def test_nobody_reads_the_output(start: Start, name: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = start(*call(name), stdout=writer)
    os.close(writer)
    status, _, errors = program.end()
    assert (status, set(errors.splitlines())) == (1, {b"write: Broken pipe"})


READERS = [name for name, file in PROGRAMS.items() if re.search(r"sys\.stdin|os\.read\(0", file.read_text())]


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-"])
@pytest.mark.parametrize("name", READERS)
def test_nobody_can_type(start: Start, name: str, closed: str) -> None:
    """Without stdin, it is not the socket, which gets its number, that is read."""
    status, output, errors = start(*call(name, HOST="127.0.0.1"), closed=closed).end()
    assert (status, output) == (1, b"")
    assert errors in (b"read: Bad file descriptor\n", b"select: Bad file descriptor\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in [*WAITS, *ASKS, "handlers"]])
def test_a_closed_descriptor_is_no_traceback(start: Start, name: str, closed: str) -> None:
    status, _, errors = start(*call(name), closed=closed).end()
    assert status in (0, 1)
    assert b"Traceback" not in errors


def test_pipe_shared_leaves_no_child_that_waits_for_its_answer(start: Start) -> None:
    program = start("pipe_shared", closed=">&-", pace="2")  # without pauses, the child may read its own question
    assert program.end()[0] == 1
    wait_for(lambda: not running(program.process.pid), "its child ends, too")
    assert program.errors == b"write: Bad file descriptor\nwrite: Bad file descriptor\n"


# Signals


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_whoever_ends_a_chat_clients_parent_ends_its_child(start: Start, port: int, number: signal.Signals) -> None:
    program = start("chat_client", "127.0.0.1", port)
    program.wait_for(lambda: (len(program.children), program.state), (1, "S"), "it has a child, and waits")
    os.kill(program.process.pid, number)
    assert program.end()[::2] == (128 + number, b"")
    assert running(program.process.pid) == []


def running(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ends just now
            state, _, its_group, *_ = stat.read_text().rpartition(")")[2].split()
            if int(its_group) == group and state not in "ZX":
                found.append(int(stat.parent.name))
    return found


# Ctrl+C


@pytest.mark.parametrize("name", SERVERS)
def test_ctrl_c_ends_a_server_that_waits(start: Start, name: str, port: int) -> None:
    program = start(*call(name, PORT=port)).listening(port)
    assert program.interrupt()[::2] == (0, b"")


@pytest.mark.parametrize("name", TCP_CLIENTS)
def test_ctrl_c_ends_a_client(start: Start, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = start(*call(name, HOST="127.0.0.1", PORT=listener.getsockname()[1]))
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
            assert program.sockets == [3, 4]
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
        program = start("staged_client", "Alfa", "--host", "127.0.0.1", "--port", listener.getsockname()[1])
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
