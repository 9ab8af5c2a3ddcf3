"""thread_server across hosts: a thread for each client, all in one process, and a counter that all of them write."""

import itertools

import pytest

from labroom.driver import Driver, Host, Program

CTRL_S, CTRL_Q = "\x13", "\x11"  # stop and resume the output of a terminal: whoever prints meanwhile is blocked
# System calls by their numbers on x86-64 and on arm64.
CALLS = {"1": "write", "64": "write", "44": "sendto", "206": "sendto", "202": "futex", "98": "futex"}

# Sends much and reads nothing, into a receive buffer of 4 KiB.
SLOW_READER = """
import socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
server.connect((sys.argv[1], int(sys.argv[2])))
server.sendall(b"x" * (16 << 20))
"""

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


def leave(client: Program) -> None:
    client.close_stdin()
    client.expect_exit(0)


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


def test_a_thread_for_each_client(server: Host, alfa: Host, bravo: Host, charlie: Host, port: int) -> None:
    """Three clients from three guests are answered in any interleaving, by one process with a thread for each."""
    thread_server = start(server, port)
    clients = [connect(thread_server, guest, port) for guest in (alfa, bravo, charlie)]
    for number, client in enumerate(itertools.chain(*itertools.permutations(clients)), start=1):
        answered(client, "hello", f"{client.host.name} got no answer while the others were connected")
        its_port = client.host.connections(port)[0].local[1]
        thread_server.expect(
            rf"^message {number} from Client\({its_port}\): hello\n",
            otherwise=f"the server did not count {client.host.name}'s message as number {number}",
        )
    assert len(thread_server.processes()) == 1, "more than one process serves the clients"
    wait_for_clients_threads(thread_server, 3)
    for client in clients:
        its_port = client.host.connections(port)[0].local[1]
        leave(client)
        thread_server.expect(rf"^Client\({its_port}\): is disconnected\n", otherwise=f"nobody saw {client} leave")
    count = total(thread_server)
    assert count == 18, f"three clients sent six messages each, and the server counted {count}"


def test_nothing_is_left(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """When a client has left, its thread and its descriptor are gone; those of the others stay."""
    thread_server = start(server, port)
    clients = [connect(thread_server, guest, port) for guest in (alfa, bravo)]
    for client in clients:
        answered(client, "hello")
    leave(clients[0])
    thread_server.expect("is disconnected\n")
    wait_for_clients_threads(thread_server, 1)
    now = sorted(thread_server.descriptors())
    assert now == [0, 1, 2, 3, 5], f"alfa has left, bravo is there, and the open descriptors are {now}"


def test_a_slow_client_stops_nobody(server: Host, alfa: Host, bravo: Host, charlie: Host, port: int) -> None:
    """A client that says nothing, and one that never reads its echo, block their own threads and nobody else."""
    thread_server = start(server, port)
    connect(thread_server, alfa, port)
    bravo.start_command(["python3", "-c", SLOW_READER, server.address, str(port)], name="slow_reader")
    server.wait_for_connections(port, peer=bravo, unread=30000, otherwise="the slow reader's thread reads without end")
    wait_for_call(thread_server, serving_threads(thread_server, 2)[1], "sendto", bravo)
    charlies = connect(thread_server, charlie, port)
    answered(charlies, "hello", "charlie got no answer: the server waits for a client that does not read")


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


def test_c_server(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """The server in C, with pthreads, serves clients in Python at once, and its mutex keeps the counter right."""
    thread_server = server.start("thread_server.c", port, tty=True)
    server.wait_for_listening(port)
    clients = [connect(thread_server, guest, port, line_client=True) for guest in (alfa, bravo)]
    numbers = send_at_once(thread_server, clients, "futex", "One thread waits for the mutex.")
    assert numbers[0] + 1 == numbers[1], f"two messages have the numbers {numbers} although the server in C has a mutex"
    count = total(thread_server)
    assert count == numbers[1], f"the last message has the number {numbers[1]}, and the server in C counted {count}"
