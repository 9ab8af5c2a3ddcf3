"""fork_server across hosts: a process for each client, what the parent owes its children, and a pipe that records."""

import shlex
import signal

import pytest

from labroom.checks.programs import argv
from labroom.driver import Driver, Host, Process, Program

WRITE = ("1", "64")  # the number of the system call, on x86-64 and on arm64

# Opens 50 connections, and leaves with all of them at once when it is told to.
CROWD = """
import socket, sys
address = sys.argv[1], int(sys.argv[2])
crowd = [socket.create_connection(address) for _ in range(50)]
for client in crowd:
    client.sendall(b"x")
print("answered", sum(client.recv(1) == b"x" for client in crowd), flush=True)
input()
"""

# Lets a pipe hold PIPE_BUF bytes only, instead of 64 KiB (F_SETPIPE_SZ, fcntl(2)).
SHRINK = """
import fcntl, sys
with open(sys.argv[1], "wb") as pipe:
    fcntl.fcntl(pipe, 1031, 4096)
"""


def start(server: Host, program: str, port: int, *options: object, tty: bool = False) -> Program:
    started = server.start(program, port, *options, tty=tty)
    server.wait_for_listening(port)
    return started


def connect(to: Program, guest: Host, port: int, *, line_client: bool = False) -> Program:
    """Start a client, nc for short, and wait until the server says that it is connected."""
    client = (
        guest.start("../tcp_echo/line_client", to.host.address, port)
        if line_client
        else guest.start_command(["nc", "-N", to.host.address, str(port)])  # -N: leaves when its input ends
    )
    to.expect(
        rf"^client {guest.address}:\d+ is connected\.\.\.\n",
        otherwise=f"the server did not say that {guest.name} is connected",
    )
    return client


def answered(client: Program, words: str, otherwise: str = "") -> None:
    client.send(words)
    client.expect(f"{words}\n", otherwise=otherwise or f"{client.host.name} got no answer")


def leave(client: Program) -> None:
    client.close_stdin()
    client.expect_exit(0)


def children(of: Program) -> list[Process]:
    """Its children, zombies too, the first one first."""
    return sorted((process for process in of.processes() if process.ppid == of.pid), key=lambda child: child.pid)


def wait_for_children(of: Program, count: int, otherwise: str, state: str = "") -> None:
    """Wait until it has so many children, in this state if one is given; none: not even a zombie."""
    of.wait_for_processes(
        lambda found: sum(p.ppid == of.pid and p.state.startswith(state) for p in found) == count,
        f"{count} children{f' in state {state}' if state else ''}",
        otherwise=otherwise,
    )


def stop(of: Program, child: int) -> None:
    """Stop one of its children, and wait until it is stopped: it may still read what comes before that."""
    of.host.run("kill", "-STOP", str(child))
    of.wait_for_processes(lambda found: (child, "T") in [(p.pid, p.state) for p in found], "a stopped child")


def show_processes(of: Program) -> str:
    """What ps shows of a program and its children."""
    return of.host.run("ps", "-o", "pid,stat,args", "--pid", str(of.pid), "--ppid", str(of.pid)).stdout


# -- fork_server ------------------------------------------------------------------------------------------------


def test_a_child_for_each_client(server: Host, alfa: Host, bravo: Host, charlie: Host, port: int) -> None:
    """Three clients from three guests are answered in any order, by a child each."""
    fork_server = start(server, "fork_server", port)
    clients = [connect(fork_server, guest, port) for guest in (alfa, bravo, charlie)]
    for client in reversed(clients):
        answered(client, "hello", f"{client.host.name} got no answer while the others were connected")
        number = client.host.connections(port)[0].local[1]
        fork_server.expect(rf"^Client\({number}\): hello\n", otherwise=f"nobody printed what Client({number}) sent")
    wait_for_children(fork_server, 3, "three clients are not served by three children")
    for client in clients:
        number = client.host.connections(port)[0].local[1]
        leave(client)
        fork_server.expect(rf"^Client\({number}\): is disconnected\n", otherwise=f"nobody saw {client} leave")
    wait_for_children(fork_server, 0, "children are left although all clients have gone")


def test_a_child_harms_nobody(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """A client whose child is stopped, and then killed, is alone in this: the others are answered."""
    fork_server = start(server, "fork_server", port)
    alfas = connect(fork_server, alfa, port)
    answered(alfas, "hello")
    wait_for_children(fork_server, 1, "alfa is served by no process of its own")
    child = children(fork_server)[0].pid
    stop(fork_server, child)
    with alfas.silence("alfa was answered although its child is stopped: another process serves it"):
        alfas.write("anybody there")
        server.wait_for_connections(port, peer=alfa, unread=len("anybody there"))
        bravos = connect(fork_server, bravo, port)
        answered(bravos, "hello", "bravo got no answer while alfa's child was stopped")
    server.run("kill", "-KILL", str(child))
    alfas.wait(otherwise="alfa's connection did not end when the child that served it was killed")
    answered(bravos, "hello again", "bravo got no answer after alfa's child had been killed")


def test_fifty_clients_leave_nothing(server: Host, alfa: Host, port: int) -> None:
    """Fifty clients leave at once: no zombie stays, though one SIGCHLD stands for many, and no descriptor."""
    fork_server = start(server, "fork_server", port)
    at_first = fork_server.descriptors()
    crowd = alfa.start_command(["python3", "-c", CROWD, server.address, str(port)], name="crowd")
    crowd.expect("answered 50\n", otherwise="not all of fifty clients were answered")
    fork_server.stop()  # signals don't queue: when it goes on, it gets one SIGCHLD for all
    crowd.send("leave")
    wait_for_children(fork_server, 50, "fifty clients left, and not all of their children ended", state="Z")
    fork_server.resume()
    wait_for_children(fork_server, 0, "zombies stay: a SIGCHLD may stand for many children, so wait for all that ended")
    now = fork_server.descriptors()
    assert now == at_first, f"the server had the descriptors {sorted(at_first)}, and after fifty clients {sorted(now)}"


@pytest.mark.play
def test_zombies(server: Host, alfa: Host, bravo: Host, port: int, driver: Driver) -> None:
    """A child that has ended is a zombie until its parent waits for it; SIGCHLD tells when."""
    driver.note("A child of the server serves each client. This server never waits for its children.")
    fork_server = start(server, "fork_server", port, "--leave-zombies")
    alfas = connect(fork_server, alfa, port, line_client=True)
    bravos = connect(fork_server, bravo, port, line_client=True)
    answered(bravos, "I am bravo")
    answered(alfas, "I am alfa")
    show_processes(fork_server)
    driver.note("Alfa leaves. Its child ends, and stays as a zombie (Z): nobody has asked how it ended.")
    alfas.send("END")
    wait_for_children(fork_server, 1, "alfa's child is no zombie, although the server does not wait for it", state="Z")
    assert "<defunct>" in show_processes(fork_server), "ps does not show the zombie as <defunct>"
    answered(bravos, "still served")
    driver.note("When the parent ends, its zombies go, too.")
    fork_server.interrupt()
    fork_server.expect_exit(0)
    fork_server.wait_for_processes(
        lambda found: not found, "no process of it", otherwise="a zombie outlived the server"
    )

    driver.note("The remedy: SIGCHLD tells the parent that a child has ended, and it calls waitpid.")
    fork_server = start(server, "fork_server", port)
    alfas = connect(fork_server, alfa, port, line_client=True)
    answered(alfas, "I am alfa")
    alfas.send("END")
    fork_server.expect("is disconnected\n")
    wait_for_children(fork_server, 0, "alfa's child has ended, and the server did not wait for it")
    show_processes(fork_server)


def test_client_left_open(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """If the parent leaves the clients' sockets open, no client reads to the end, and at last descriptors run out."""
    command = shlex.join([*argv(server, "fork_server"), str(port), "--leave-client-open"])
    at_most = "ulimit -n 6"  # 0 to 3 are in use, so there are 4 and 5
    fork_server = server.start_command(["sh", "-c", f"{at_most}; exec {command}"], name="fork_server")
    server.wait_for_listening(port)
    clients = [connect(fork_server, guest, port) for guest in (alfa, bravo)]
    for client in clients:
        answered(client, "hello")
        client.close_stdin()
        fork_server.expect("is disconnected\n", otherwise=f"the server did not see that {client} had finished")
    wait_for_children(fork_server, 0, "the children of clients that have finished don't end")
    kept = sorted(set(fork_server.descriptors()) - {0, 1, 2, 3})
    assert kept == [4, 5], f"without clients, the server should still have the descriptors 4 and 5; it has {kept}"
    server.wait_for_connections(port, "CLOSE_WAIT", 2, otherwise="sockets are closed that the parent has open")
    for client in clients:
        client.host.wait_for_connections(port, "FIN_WAIT2")
        assert client.status is None, f"{client} read to the end, although the parent has its socket open"

    late = alfa.start_command(["nc", server.address, str(port)])
    fork_server.expect(
        "^accept: Too many open files\n", otherwise="the third client got a descriptor, though 4 and 5 are kept"
    )
    fork_server.expect_exit(1)
    for client in (*clients, late):
        client.wait(otherwise=f"{client} did not read to the end even when the server was gone")


def kill_parent(fork_server: Program, alfas: Program) -> None:
    """Kill the parent alone: alfa's child lives on, and serves it."""
    answered(alfas, "hello")
    fork_server.signal(signal.SIGKILL)
    fork_server.wait()
    answered(alfas, "hello again", "alfa's child did not live on when its parent was killed")


def test_listener_left_open(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """If a child leaves the listening socket open, the port stays in use when the server is gone."""
    fork_server = start(server, "fork_server", port, "--leave-listener-open")
    alfas = connect(fork_server, alfa, port)
    kill_parent(fork_server, alfas)
    again = server.start("fork_server", port)
    again.expect("^bind: Address already in use\n", otherwise="the port was free, though a child has it in LISTEN")
    again.expect_exit(1)
    bravos = bravo.start_command(["nc", server.address, str(port)])
    with bravos.silence("bravo was answered, although the server is gone"):
        bravos.write("anybody there")
        server.wait_for_connections(port, peer=bravo, unread=len("anybody there"))
    leave(alfas)
    bravos.wait(otherwise="bravo's connection outlived the last process that had the listening socket")
    start(server, "fork_server", port)


def test_each_closes_what_it_does_not_use(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """If all is closed, clients read to the end, and the server can be started again while a child still serves."""
    fork_server = start(server, "fork_server", port)
    bravos = connect(fork_server, bravo, port)
    bravos.close_stdin()
    bravos.expect_exit(0, otherwise="bravo waits for the end: a process of the server has its socket open")
    alfas = connect(fork_server, alfa, port)
    server.driver.wait_until(
        lambda: sorted(fork_server.descriptors()) == [0, 1, 2, 3],
        "four descriptors",
        None,
        lambda within: (
            f"the server, while a child serves, has the descriptors {sorted(fork_server.descriptors())}{within}"
        ),
    )
    kill_parent(fork_server, alfas)
    again = start(server, "fork_server", port)
    bravos = connect(again, bravo, port)
    answered(bravos, "hello", "bravo got no answer from the server that was started again")
    answered(alfas, "and again", "alfa got no answer from its child any more")
    leave(alfas)


@pytest.mark.parametrize("tty", [True, False])
def test_control_c(server: Host, alfa: Host, port: int, tty: bool) -> None:
    """Ctrl+C ends the server with status 0, and its children in the midst of serving."""
    fork_server = start(server, "fork_server", port, tty=tty)  # without terminal, SIGINT goes to the parent alone
    client = connect(fork_server, alfa, port)
    answered(client, "hello")
    fork_server.interrupt()
    fork_server.expect_exit(0)
    fork_server.wait_for_processes(lambda found: not found, "nothing of it", otherwise="a child outlived the server")
    alfa.wait_for_connections(port, "CLOSE_WAIT", otherwise="alfa's connection did not end with the server")
    leave(client)


# -- recording_server -------------------------------------------------------------------------------------------


def start_recording(server: Host, port: int, *options: object, tty: bool = False) -> tuple[Program, Process]:
    """Start a recording server where it can write; answers it and its recorder, its first child."""
    recording = server.start("recording_server", port, *options, tty=tty, directory=server.scratch)
    server.wait_for_listening(port)
    return recording, children(recording)[0]


def recorded(server: Host) -> str:
    return server.read_file(f"{server.scratch}/echomsg.txt").decode()


def wait_for_record(server: Host, wanted: str, otherwise: str) -> None:
    server.driver.wait_until(
        lambda: recorded(server) == wanted,
        "the record",
        None,
        lambda within: f"{otherwise} (echomsg.txt holds {recorded(server)!r}{within})",
    )


def wait_until_read(server: Host, recorder: Process, bytes_read: int) -> None:
    """Wait until the recorder has read so many bytes from its pipe (proc_pid_io(5))."""
    server.driver.wait_until(
        lambda: f"rchar: {bytes_read}\n".encode() in server.read_file(f"/proc/{recorder.pid}/io"),
        "the recorder to read",
        None,
        lambda within: f"the recorder did not read {bytes_read} bytes from its pipe{within}",
    )


def call(host: Host, process: Process) -> str:
    """The number of the system call in which a process is blocked, or `running` (proc_pid_syscall(5))."""
    return host.read_file(f"/proc/{process.pid}/syscall").split()[0].decode()


def kill_recorder(recording: Program, recorder: Process) -> None:
    recording.host.run("kill", "-KILL", str(recorder.pid))
    recording.wait_for_processes(lambda found: recorder.pid not in [p.pid for p in found], "the recorder's end")


def test_every_message_is_recorded(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """Every message of every client is in the file at once, in the order of sending, and survives a killed recorder."""
    recording, recorder = start_recording(server, port)
    clients = [connect(recording, guest, port) for guest in (alfa, bravo)]
    messages = [f"message {number} grüße" for number in range(12)]
    for number, words in enumerate(messages):
        answered(clients[number % 2], words)
    wanted = "".join(f"{words}\n" for words in messages)
    wait_for_record(server, wanted, "not every message is in the file while the server runs")
    kill_recorder(recording, recorder)
    assert recorded(server) == wanted, "messages that were recorded are lost with the recorder"


def test_no_flush(server: Host, alfa: Host, port: int) -> None:
    """A recorder that does not flush has messages in its buffer and none in the file: killed, it loses them."""
    recording, recorder = start_recording(server, port, "--no-flush")
    client = connect(recording, alfa, port)
    for words in ("one", "two"):
        answered(client, words)
    wait_until_read(server, recorder, len("one\ntwo\n"))
    assert recorded(server) == "", f"nothing was flushed, and the file holds {recorded(server)!r}"
    kill_recorder(recording, recorder)
    assert recorded(server) == "", f"nothing was flushed, and the file holds {recorded(server)!r}"


@pytest.mark.parametrize("tty", [True, False])
def test_control_c_closes_the_record(server: Host, alfa: Host, port: int, tty: bool) -> None:
    """On Ctrl+C all children end; the recorder reads to EOF and closes its file: no message is lost."""
    recording, _ = start_recording(server, port, "--no-flush", tty=tty)
    client = connect(recording, alfa, port)
    answered(client, "not yet in the file")
    recording.interrupt()
    recording.expect_exit(0, otherwise="after Ctrl+C somebody still has the pipe open, and the recorder reads on")
    assert recorded(server) == "not yet in the file\n", f"after Ctrl+C the file holds {recorded(server)!r}"
    recording.wait_for_processes(lambda found: not found, "nothing of it", otherwise="a child outlived the server")


@pytest.mark.play
def test_the_recorder_stops(server: Host, alfa: Host, bravo: Host, port: int, driver: Driver) -> None:
    """A recorder that stops after three messages takes its writers with it: SIGPIPE or EPIPE, and no echo any more."""
    driver.note(
        "Every message goes through a pipe to one recorder, which writes echomsg.txt. This one stops after three."
    )
    recording, _ = start_recording(server, port, "--stop-after", 3)
    alfas = connect(recording, alfa, port, line_client=True)
    bravos = connect(recording, bravo, port, line_client=True)
    for client, words in ((alfas, "one"), (bravos, "two"), (alfas, "three")):
        answered(client, words)
    wait_for_children(recording, 2, "the recorder did not end after three messages, or is a zombie")
    server.run("cat", f"{server.scratch}/echomsg.txt")
    driver.note("Now the pipe has no reader. A process that writes into it gets SIGPIPE and is killed, or else EPIPE.")
    bravos.send("four")
    recording.expect("^write: Broken pipe\n", otherwise="a write into the pipe succeeded although it has no reader")
    bravos.expect_exit(1, otherwise="bravo got an answer although nobody records")
    driver.note("The server still accepts, and every later client loses its echo.")
    later = connect(recording, bravo, port, line_client=True)
    later.send("five")
    later.expect_exit(1, otherwise="a later client got an answer although nobody records")
    assert recorded(server) == "one\ntwo\nthree\n", (
        f"the file should hold three messages; it holds {recorded(server)!r}"
    )
    recording.interrupt()
    recording.expect_exit(0)

    driver.note("The remedy: the recorder reads until EOF, which comes when nobody is left who could write.")
    recording, _ = start_recording(server, port)
    alfas = connect(recording, alfa, port, line_client=True)
    for words in ("one", "two", "three", "four"):
        answered(alfas, words)
    wait_for_record(server, "one\ntwo\nthree\nfour\n", "the fourth message is not recorded")
    server.run("cat", f"{server.scratch}/echomsg.txt")


def test_messages_are_not_mixed(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """Children that write into a full pipe side by side don't mix their messages: up to PIPE_BUF, write is atomic."""
    recording, recorder = start_recording(server, port)
    write_end = next(number for number, target in recording.descriptors().items() if number > 2 and "pipe:" in target)
    server.run("python3", "-c", SHRINK, f"/proc/{recording.pid}/fd/{write_end}")
    clients = [connect(recording, guest, port) for guest in (alfa, bravo)]
    wait_for_children(recording, 3, "there are not three children: a recorder, and one for each of two clients")
    stop(recording, recorder.pid)
    for client, letter in zip(clients, "ab", strict=True):
        client.write(letter * 20000)
    server.driver.wait_until(
        lambda: all(call(server, child) in WRITE for child in children(recording) if child.pid != recorder.pid),
        "a full pipe",
        None,
        lambda within: f"nobody reads from the pipe, and yet not both writers are blocked in write{within}",
    )
    server.run("kill", "-CONT", str(recorder.pid))
    server.driver.wait_until(
        lambda: sum(recorded(server).count(letter) for letter in "ab") == 40000,
        "the record",
        None,
        lambda within: f"40000 letters were sent, and the file holds {len(recorded(server))} characters{within}",
    )
    mixed = [line for line in recorded(server).splitlines() if len(set(line)) > 1]
    assert not mixed, f"{len(mixed)} lines of the file hold messages of both clients, one in the midst of the other"


# -- C and Python -----------------------------------------------------------------------------------------------


def test_c_client(server: Host, alfa: Host, port: int) -> None:
    """A client in C is served by the server in Python."""
    fork_server = start(server, "fork_server", port)
    client = alfa.start("line_client.c", server.address, port)
    answered(client, "from C")
    client.send("END")
    client.expect_exit(0)
    fork_server.expect(r"^Client\(\d+\): from C\n(.*\n)*Client\(\d+\): is disconnected\n")


def test_c_fork_server(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """The fork server in C serves clients in Python, by a child each, and leaves no zombie."""
    fork_server = server.start("fork_server.c", port)
    server.wait_for_listening(port)
    clients = [connect(fork_server, guest, port, line_client=True) for guest in (alfa, bravo)]
    for client in reversed(clients):
        answered(client, "to C")
        fork_server.expect(r"^Client\(\d+\): to C\n")
    wait_for_children(fork_server, 2, "two clients are not served by two children")
    for client in clients:
        leave(client)
        fork_server.expect(r"^Client\(\d+\): is disconnected\n")
    wait_for_children(fork_server, 0, "children are left although all clients have gone")
    fork_server.interrupt()
    fork_server.expect_exit(0)
    assert not fork_server.stderr, f"a child, or the parent, complains: {fork_server.stderr}"


def test_c_recording_server(server: Host, alfa: Host, port: int) -> None:
    """The recording server in C records as well, and without a recorder its children are killed by SIGPIPE."""
    recording = server.start("recording_server.c", port, "--stop-after", 1, directory=server.scratch)
    server.wait_for_listening(port)
    client = connect(recording, alfa, port, line_client=True)
    answered(client, "recorded")
    wait_for_children(recording, 1, "the recorder did not end after one message")
    assert recorded(server) == "recorded\n", f"the file holds {recorded(server)!r}"
    client.send("lost")
    client.expect_exit(1, otherwise="alfa got an answer although nobody records")
    wait_for_children(recording, 0, "the child that wrote into a pipe without reader lives on")
    recording.interrupt()
    recording.expect_exit(0)
    assert not recording.stderr, f"a child, or the parent, complains: {recording.stderr}"
