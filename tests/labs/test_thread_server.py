"""thread_server across hosts: a thread for each client, all in one process, and a counter that all of them write."""

import re

import pytest

from labroom.checks import servers
from labroom.checks.claims import claim
from labroom.checks.servers import Server
from labroom.driver import Driver, Host, Program

CTRL_S, CTRL_Q = "\x13", "\x11"  # stop and resume the output of a terminal: whoever prints meanwhile is blocked
# System calls by their numbers on x86-64 and on arm64.
CALLS = {"1": "write", "64": "write", "44": "sendto", "206": "sendto", "202": "futex", "98": "futex"}

# Sends 200 messages, each after the echo of the one before.
BUSY = """
import socket, sys
server = socket.create_connection((sys.argv[1], int(sys.argv[2])))
for _ in range(200):
    server.sendall(b"x")
    server.recv(1)
"""


def start(server: Host, port: int, *options: str, tty: bool = False) -> Program:
    thread_server = server.start("thread_server", port, *options, tty=tty)
    server.wait_for_listening(port)
    return thread_server


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


def wait_for_clients_threads(of: Program, count: int) -> None:
    """Wait until it has so many threads besides the main one (proc_pid_status(5))."""
    status = f"/proc/{of.pid}/status"
    of.host.driver.wait_until(
        lambda: f"\nThreads:\t{count + 1}\n" in of.host.read_file(status).decode(),
        f"{count} threads besides the main one",
        None,
        lambda within: (
            f"{count} clients are connected, and the process did not come to have {count} threads for them{within}"
        ),
    )


def serving_threads(of: Program, count: int) -> list[int]:
    """The ids of the threads that serve so many clients, in the order in which these came."""
    wait_for_clients_threads(of, count)
    return sorted(int(number) for number in of.host.run("ls", f"/proc/{of.pid}/task").stdout.split())[1:]


def call(of: Program, thread: int) -> str:
    """The system call in which a thread is blocked (proc_pid_syscall(5)), or `another` one, or none."""
    number = of.host.read_file(f"/proc/{of.pid}/task/{thread}/syscall").split()[0].decode()
    return CALLS.get(number, "another")


def wait_for_call(of: Program, thread: int, wanted: str, client: Host) -> None:
    """Wait until the thread that serves a client is blocked in a system call."""
    of.host.driver.wait_until(
        lambda: call(of, thread) == wanted,
        f"a thread in {wanted}",
        None,
        lambda within: f"{client.name}'s thread is not blocked in {wanted}{within}, but in {call(of, thread)}",
    )


def send_at_once(thread_server: Program, clients: list[Program], second_blocked_in: str, note: str) -> list[int]:
    """Have two clients send while the server's terminal is stopped; answers the numbers that their messages get.

    Args:
        thread_server: has a terminal.
        clients: two.
        second_blocked_in: where the second one's thread is blocked while the first one's is in write.
        note: what there is to say when it is so.
    """
    first, second = clients
    serving = serving_threads(thread_server, len(clients))
    sent = 0

    def blocked() -> bool:
        nonlocal sent
        if len(first.lines) == sent:  # it is answered so far: the terminal may not have come to the Ctrl+S yet
            first.send(f"I am {first.host.name}")
            sent += 1
        return call(thread_server, serving[0]) == "write"

    first.host.driver.note("Ctrl+S stops the server's terminal: whoever prints is blocked.")
    thread_server.write(CTRL_S)
    first.host.driver.wait_until(
        blocked, "a thread in write", None, lambda within: f"Ctrl+S blocks no thread in write{within}"
    )
    second.send(f"I am {second.host.name}")
    wait_for_call(thread_server, serving[1], second_blocked_in, second.host)
    first.host.driver.note(note)
    thread_server.write(CTRL_Q)
    for _ in range(sent + 1):
        thread_server.expect(r"^message \d+ from ", otherwise="a message was not printed after Ctrl+Q")
    for client in clients:
        client.expect(f"I am {client.host.name}\n", otherwise=f"{client.host.name} got no answer after Ctrl+Q")
    return [int(line.split()[1]) for line in thread_server.lines if line.startswith("message ")][-2:]


def total(thread_server: Program) -> int:
    """End the server; answers the sum that it says."""
    thread_server.interrupt()
    counted = thread_server.expect(r"^messages : (\d+)\n", otherwise="the server did not say how many it has counted")
    thread_server.expect_exit(0)
    return int(counted[1])


def test_a_thread_is_no_process(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """Kill one thread, and all are gone: what is killed is always the process."""
    thread_server = start(server, port)
    clients = [connect(thread_server, guest, port) for guest in (alfa, bravo)]
    for client in clients:
        answered(client, "hello")
    server.run("kill", "-KILL", str(serving_threads(thread_server, 2)[0]))
    status = thread_server.wait(otherwise="the server outlived one of its threads")
    assert status == -9, f"the server ended with status {status}, and not by SIGKILL"
    for client in clients:
        client.host.wait_for_connections(port, "CLOSE_WAIT", otherwise=f"{client.host.name} is still connected")


@pytest.mark.play
def test_lost_update(server: Host, alfa: Host, bravo: Host, port: int, driver: Driver) -> None:
    """Two threads read the counter before either writes it back: two messages count as one. A lock mends it."""
    driver.note("A thread reads the counter, prints the message with its number, and writes the counter back. No lock:")
    thread_server = start(server, port, "--no-lock", tty=True)
    clients = [connect(thread_server, guest, port, line_client=True) for guest in (alfa, bravo)]
    numbers = send_at_once(
        thread_server,
        clients,
        "write",
        "Both threads are blocked in write: both have read the counter, neither has written it back. Now Ctrl+Q:",
    )
    assert numbers[0] == numbers[1], f"without a lock, the two messages have the numbers {numbers}, not the same"
    count = total(thread_server)
    assert count == numbers[1], f"both messages have the number {numbers[1]}, and the server counted {count} in all"

    driver.note("The remedy: whoever reads the counter locks it before, and unlocks it when it is written back.")
    thread_server = start(server, port, tty=True)
    clients = [connect(thread_server, guest, port, line_client=True) for guest in (alfa, bravo)]
    numbers = send_at_once(
        thread_server,
        clients,
        "futex",
        "One thread is blocked in write. The other waits for the lock, and has not read the counter yet.",
    )
    assert numbers[0] + 1 == numbers[1], f"two messages have the numbers {numbers} although the counter is locked"
    count = total(thread_server)
    assert count == numbers[1], f"the last message has the number {numbers[1]}, and the server counted {count} in all"


def test_the_lock_loses_nothing(server: Host, alfa: Host, bravo: Host, charlie: Host, port: int) -> None:
    """With the lock, three busy clients lose no message: the counter is right, each number is given once."""
    thread_server = start(server, port)
    busy = [
        guest.start_command(["python3", "-c", BUSY, server.address, str(port)], name="busy")
        for guest in (alfa, bravo, charlie)
    ]
    for client in busy:
        client.expect_exit(0)
    count = total(thread_server)
    assert count == 600, f"three clients sent 200 messages each, and the server counted {count}"
    numbers = [int(line.split()[1]) for line in thread_server.lines if line.startswith("message ")]
    assert numbers == list(range(1, 601)), "the messages are not numbered from 1 to 600, each once"


def test_c_client(server: Host, alfa: Host, port: int) -> None:
    """A client in C is served by the server in Python."""
    thread_server = start(server, port)
    client = alfa.start("line_client.c", server.address, port)
    answered(client, "from C")
    client.send("END")
    client.expect_exit(0)
    thread_server.expect(r"^message 1 from Client\(\d+\): from C\n(.*\n)*Client\(\d+\): is disconnected\n")


# Has a process run on one processor alone, where no new thread interrupts it (SCHED_BATCH, sched(7)).
ONE_PROCESSOR = """
import os, sys
process = int(sys.argv[1])
os.sched_setaffinity(process, {min(os.sched_getaffinity(0))})
os.sched_setscheduler(process, os.SCHED_BATCH, os.sched_param(0))
"""

# -- claims -----------------------------------------------------------------------------------------------------

SERVERS = ("thread_server",)


@claim("lesson", *SERVERS)
def test_listens(running: Server) -> None:
    """A server listens on the port that it is given."""


@claim("lesson", *SERVERS, needs=["listens"])
def test_answers(running: Server, alfa: Host) -> None:
    """What a client sends comes back."""
    servers.answers(running, alfa)


@claim("lesson", *SERVERS, needs=["answers"], hint=servers.AS_IT_COMES)
def test_every_byte(running: Server, alfa: Host) -> None:
    """Every byte comes back unchanged, a zero byte and bytes that are no text too."""
    servers.returns_every_byte(running, alfa)


@claim("lesson", *SERVERS, needs=["answers"])
def test_any_length(running: Server, alfa: Host) -> None:
    """A message of any length comes back whole."""
    servers.returns_any_length(running, alfa)


@claim(
    "lesson",
    *SERVERS,
    needs=["answers"],
    hint="give each thread its own copy of its client's descriptor: a variable of the loop in main soon holds the next "
    "client's",
)
def test_at_once(running: Server, alfa: Host, bravo: Host, charlie: Host) -> None:
    """Several clients are served at once: each gets its own bytes and no others, whoever says nothing."""
    # All connect at the same moment, and on one processor the server accepts them all before a thread of theirs runs:
    # mostly, so that one that depends on it is seen after some rounds.
    running.beside("python3", "-c", ONE_PROCESSOR, str(running.program.pid)).expect_exit(0)
    for _ in range(5):
        running.host.stop_processes([running.program.pid])
        clients = [running.connect(guest) for guest in (alfa, bravo, charlie)]
        running.host.resume_processes([running.program.pid])
        servers.serves_at_once(clients, "three clients had connected at the same moment, and waited")
        for client in clients:
            client.close()


@claim("lesson", *SERVERS, needs=["at_once"])
def test_a_thread_for_each(running: Server, alfa: Host) -> None:
    """One process serves all of them, by a thread for each."""
    counts = []
    clients = []
    for _ in range(3):
        clients.append(running.connect(alfa))
        clients[-1].exchange(b"hello")
        counts.append(running.threads())
    count = len(running.processes())
    assert count == 1, f"with three clients the server has {count} processes"
    assert counts == [counts[0], counts[0] + 1, counts[0] + 2], (
        f"with one, two and three clients the server has {counts[0]}, {counts[1]} and {counts[2]} threads"
    )


@claim("lesson", *SERVERS, needs=["answers"])
def test_closes(running: Server, alfa: Host) -> None:
    """When a client closes, the server closes its end too."""
    servers.closes_its_end(running, alfa)


@claim("lesson", *SERVERS, needs=["closes"])
def test_closes_descriptors(running: Server, alfa: Host) -> None:
    """It closes each client's socket: when clients have left, it has no more descriptors than before."""
    servers.closes_descriptors(running, alfa)


@claim("lesson", *SERVERS, needs=["a_thread_for_each"])
def test_threads_end(running: Server, alfa: Host) -> None:
    """A thread ends with its client."""
    staying, leaving = running.connect(alfa), running.connect(alfa)
    for client in (staying, leaving):
        client.exchange(b"hello")
    count = running.threads()
    leaving.close()
    running.wait_until(
        lambda: running.threads() == count - 1,
        lambda: f"one client of two has left, and the server has {running.threads()} threads, as before",
    )
    staying.exchange(b"still there?", otherwise="after another client has left")


def numbers_in(running: Server, words: str) -> set[int]:
    """The numbers in the line that a server has printed for a message."""
    running.wait_until(
        lambda: words in running.program.stdout, lambda: f"{words!r} was sent, and the server did not print it"
    )
    line = next(line for line in running.program.stdout.splitlines() if words in line)
    return {int(number) for number in re.findall(r"\d+", line.replace(words, ""))}


@claim("lesson", *SERVERS, needs=["at_once"])
def test_counts(running: Server, alfa: Host, bravo: Host) -> None:
    """The messages of all clients are counted together: each is printed with its number, from 1 on."""
    clients = [running.connect(alfa), running.connect(bravo)]
    for number, words in enumerate(("apple", "pear", "plum", "cherry"), start=1):
        clients[number % 2].exchange(f"{words}\n".encode())
        found = numbers_in(running, words)
        assert number in found, f"message {number} was printed with {sorted(found) or 'no number'}"


@claim("lesson", *SERVERS, needs=["counts"])
def test_the_lock(running: Server, alfa: Host, bravo: Host, server: Host, driver: Driver) -> None:
    """Two messages at the same time get two numbers: the counter is locked from reading it to writing it back."""
    clients = [running.connect(alfa), running.connect(bravo)]
    for client in clients:
        client.exchange(b"hello\n")
    driver.note("Ctrl+S stops the server's terminal: whoever prints is blocked, with the counter read.")
    running.program.write(CTRL_S)
    server.ping()
    for client, words in zip(clients, (b"apple\n", b"pear\n"), strict=True):
        client.send(words)
        client.wait_until_read(server)
        driver.settle()
    running.program.write(CTRL_Q)
    for client, words in zip(clients, (b"apple\n", b"pear\n"), strict=True):
        client.expect(words, otherwise="after Ctrl+Q")
    see_numbers(running, 3, "apple", "pear")
    for first, pair in ((5, ("plum", "cherry")), (7, ("fig", "grape"))):
        running.host.stop_processes([running.program.pid])
        for client, word in zip(clients, pair, strict=True):
            client.send(f"{word}\n".encode())
        running.host.resume_processes([running.program.pid])
        for client, word in zip(clients, pair, strict=True):
            client.expect(f"{word}\n".encode(), otherwise="two messages had come at the same time")
        see_numbers(running, first, *pair)


def see_numbers(running: Server, first: int, one: str, other: str) -> None:
    """See that two messages, sent at the same time, were printed with the number `first` and the next, in any order."""
    these, those = (numbers_in(running, words) for words in (one, other))
    assert (first in these and first + 1 in those) or (first in those and first + 1 in these), (
        f"message {first} and the next one, sent at the same time, were printed with the numbers "
        f"{sorted(these)} and {sorted(those)}, not with {first} and {first + 1}"
    )


@claim("robustness", *SERVERS, needs=["at_once"])
def test_twelve(running: Server, alfa: Host) -> None:
    """Twelve clients are served at once, and a new one when all have left."""
    servers.serves_twelve(running, alfa)


@claim("robustness", *SERVERS, needs=["at_once"])
def test_reset(running: Server, alfa: Host, bravo: Host) -> None:
    """A client that resets its connection ends neither the server nor another client's connection."""
    servers.outlives_resets(running, alfa, bravo)


@claim("robustness", *SERVERS, needs=["at_once"])
def test_half_a_message(running: Server, alfa: Host) -> None:
    """A client that leaves without a word, or in the midst of a line, stops nobody."""
    servers.outlives_leaving(running, alfa)


@claim("robustness", *SERVERS, needs=["at_once"])
def test_gone_before(running: Server, alfa: Host, bravo: Host) -> None:
    """A client that has reset its connection before it was accepted stops nobody."""
    servers.outlives_early_reset(running, alfa, bravo)


@claim("robustness", *SERVERS, needs=["a_thread_for_each"])
def test_no_thread_left(running: Server, alfa: Host) -> None:
    """A client for which no thread can be created is turned away: all others, and those who come later, are served."""
    servers.turns_away(running, alfa, "thread")


@claim("robustness", *SERVERS, needs=["at_once"])
def test_slow_reader(running: Server, alfa: Host, bravo: Host, driver: Driver) -> None:
    """A client that reads nothing stops nobody else, and has all that it sent when it reads at last."""
    slow = running.peer(alfa, receive_buffer=4096).wait_connected()
    slow.stop_reading()
    data = b"0123456789" * 200_000
    slow.send(data)
    driver.settle()  # until the server can't send it any more
    other = running.connect(bravo)
    other.exchange(b"hello", otherwise="while another client reads nothing")
    slow.read_on()
    slow.expect(data)


@claim("interface", *SERVERS, needs=["at_once"])
def test_prints(running: Server, alfa: Host) -> None:
    """It prints who connects, `message N from Client(PORT): ` and the message, and `Client(PORT): is disconnected`."""
    client = running.connect(alfa)
    address, number = alfa.source_address(running.host), client.address[1]
    running.program.expect_text(f"client {address}:{number} is connected...")
    client.send("grüße, 안녕\n".encode())
    running.program.expect_text(f"message 1 from Client({number}): grüße, 안녕")
    client.close()
    running.program.expect_text(f"Client({number}): is disconnected")


@claim("interface", *SERVERS, needs=["answers"])
def test_ctrl_c(running: Server, alfa: Host) -> None:
    """Ctrl+C ends a server with status 0, whatever its threads do; it prints `messages : N` before."""
    client = running.connect(alfa)
    for words in (b"one\n", b"two\n"):
        client.exchange(words)
    running.program.interrupt()
    running.program.expect_text("messages : 2")
    running.program.expect_exit(0)


@claim("interface", *SERVERS)
def test_port_is_taken(idle: Server) -> None:
    """Where its port is taken, a server says `bind: Address already in use` on stderr and exits with 1."""
    idle.names_the_call("Address already in use", idle.host.listen().address[1])


@claim("interface", *SERVERS)
def test_arguments(idle: Server) -> None:
    """Without a port, or with one that is none, a server exits with 2."""
    servers.refuses_arguments(idle)
