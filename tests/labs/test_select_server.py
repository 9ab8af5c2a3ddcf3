"""select_server across hosts: one process answers many clients, whichever is ready, and waits for none.

The same checks for the server with select, poll, epoll, selectors and asyncio, and for the one with select in C.
"""

import pytest

from labroom.checks.programs import argv
from labroom.driver import Driver, Host, Program

SERVERS = ["select_server", "poll_server", "epoll_server", "selectors_server", "asyncio_server"]
NO_ANSWER = "got no answer: the server is busy with somebody else"

# Misbehaves in several ways, one after another; after each, says whether a client that behaves is answered.
TROUBLE = """
import os, socket, struct, sys
address = sys.argv[1], int(sys.argv[2])

def connect():
    client = socket.socket()
    client.settimeout(3)
    client.connect(address)
    return client

def receive(client, length):
    data = b""
    while len(data) < length and (piece := client.recv(length - len(data))):
        data += piece
    return data

def after(what):
    other.sendall(b"hello")
    try:
        answer = receive(other, 5)
    except OSError as error:
        answer = error
    print(f"after {what}: {answer}", flush=True)

other = connect()
silent = connect()
after("silence")

half = connect()
half.sendall(b"half a messa")
half.close()
after("half a message")

reset = connect()
reset.sendall(bytes(100_000))
reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
reset.close()
after("a reset")

slow = socket.socket()
slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
slow.connect(address)
slow.settimeout(0.1)
data = os.urandom(1 << 20) * 8
sent = 0
try:
    while sent < len(data):
        sent += slow.send(data[sent : sent + 65536])
except TimeoutError:
    after("%d bytes and no reading" % sent)
slow.settimeout(3)
print("got back what it sent:", receive(slow, sent) == data[:sent], flush=True)
"""

# Opens one connection after another, and says how many of them are answered; and when all have left, once more.
CROWD = """
import socket, sys
crowd = []

def answered():
    client = socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
    crowd.append(client)
    try:
        client.sendall(b"x")
        return client.recv(1) == b"x"
    except ConnectionError:
        return False

print("answered", sum(answered() for _ in range(12)), flush=True)
while crowd:
    crowd.pop().close()
while not answered():
    pass
print("and one more", flush=True)
"""

# Sends something over a connection, and leaves when it is told to.
SEND = 'exec 3<>"/dev/tcp/$1/$2"; printf "$3" >&3; read'

# Uses up the descriptors 3 to 1021 and lets there be 1032 in all, then becomes the server.
HIGH_DESCRIPTORS = """
ulimit -n 1032
for ((descriptor = 3; descriptor < 1022; descriptor++)); do eval "exec $descriptor</dev/null"; done
exec "$@"
"""


def connect(client: Host, server: Host, port: int) -> Program:
    return client.start("../tcp_echo/line_client", server.address, port)


def answered(client: Program, words: str, otherwise: str = "") -> None:
    client.send(words)
    client.expect(f"^Message from server : {words}\n", otherwise=otherwise or f"{client.host.name} {NO_ANSWER}")


def many_clients(driver: Driver, program: str, server: Host, guests: list[Host], port: int) -> None:
    driver.note("One server process, without fork and without threads. Three clients connect, and say nothing.")
    echo_server = server.start(program, port, "--show")
    server.wait_for_listening(port)
    clients = [connect(guest, server, port) for guest in guests]
    for _ in clients:
        echo_server.expect(r"^connected client : \d+\n", otherwise="a client has to wait for the silent ones")
    driver.note("Now they send, in any order. Each is answered at once, whoever else is silent.")
    for number, words in ((2, "three"), (0, "one"), (2, "three again"), (0, "one again"), (1, "two")):
        answered(clients[number], words)
        descriptor = echo_server.expect(rf"^Message from client (\d+): {words}\n")[1]
    running = echo_server.processes()
    assert len(running) == 1, f"the server answers by {len(running)} processes, not by one"
    driver.note("One leaves. Its descriptor is the lowest free one, so the next client gets it.")
    clients[1].send("END")
    echo_server.expect(f"^closed client : {descriptor}\n", otherwise="the server did not notice that a client left")
    clients[1] = connect(guests[1], server, port)
    echo_server.expect(f"^connected client : {descriptor}\n", otherwise="the descriptor is not used again")
    for client in clients:
        answered(client, "still there")


@pytest.mark.parametrize("program", [pytest.param(SERVERS[0], marks=pytest.mark.play), *SERVERS[1:]])
def test_many_clients(
    driver: Driver, server: Host, alfa: Host, bravo: Host, charlie: Host, port: int, program: str
) -> None:
    """Three clients from three guests are answered in any interleaving, by one process; descriptors are used again."""
    many_clients(driver, program, server, [alfa, bravo, charlie], port)


def test_many_clients_of_a_c_server(
    driver: Driver, server: Host, alfa: Host, bravo: Host, charlie: Host, port: int
) -> None:
    """A select server in C answers three Python clients in any interleaving, by one process."""
    many_clients(driver, f"{SERVERS[0]}.c", server, [alfa, bravo, charlie], port)


def test_c_clients(server: Host, alfa: Host, port: int) -> None:
    """Two C clients are answered by the Python server, the one that came later first."""
    server.start(SERVERS[0], port)
    server.wait_for_listening(port)
    first, second = (alfa.start("line_client.c", server.address, port) for _ in range(2))
    server.wait_for_connections(port, count=2)
    answered(second, "second")
    answered(first, "first")


@pytest.mark.parametrize("program", SERVERS)
def test_trouble(server: Host, alfa: Host, port: int, program: str) -> None:
    """Silence, half a message, a reset, a client that sends much and never reads: nobody else has to wait for it."""
    echo_server = server.start(program, port)
    server.wait_for_listening(port)
    before = echo_server.descriptors()
    trouble = alfa.start_command(["python3", "-c", TROUBLE, server.address, str(port)], name="trouble")
    for what in ("silence", "half a message", "a reset", r"\d+ bytes and no reading"):
        trouble.expect(f"^after {what}: b'hello'\n", otherwise=f"after {what}, another client got no answer")
        if "no reading" in what:
            trouble.expect("got back what it sent: True\n", otherwise="the slow reader did not get all its bytes back")
    trouble.expect_exit(0)
    for state in ("ESTABLISHED", "CLOSE_WAIT"):
        server.wait_for_connections(port, state, 0, otherwise="the server did not close the clients that left")
    left = sorted(echo_server.descriptors().keys() - before.keys())
    assert not left, f"all clients have left, and the server still has the descriptors {left}"


@pytest.mark.parametrize("program", SERVERS)
def test_turns(server: Host, alfa: Host, bravo: Host, port: int, program: str) -> None:
    """A client that has sent ten messages at once is not served to their end before it is another client's turn."""
    echo_server = server.start(program, port, "--show")
    server.wait_for_listening(port)
    echo_server.stop()  # so that all is there before it begins
    for client, size in ((alfa, 10 * 1024), (bravo, 5)):
        client.start_command(["bash", "-c", SEND, "bash", server.address, str(port), f"%0{size}d"], name="send")
        server.wait_for_connections(port, peer=client, unread=size)
    echo_server.resume()
    first, second = (echo_server.expect(r"^connected client : (\d+)\n")[1] for _ in range(2))
    echo_server.expect(f"^Message from client {second}: 00000\n")
    before = echo_server.stdout.partition(f"client {second}: 0")[0].count(f"client {first}: 0")
    assert before <= 2, f"bravo had to wait until {before} of alfa's 10 messages were answered"


@pytest.mark.parametrize("program", SERVERS)
def test_high_descriptors(server: Host, alfa: Host, port: int, program: str) -> None:
    """With select, descriptors from FD_SETSIZE (1024) on are refused; the others have the limit of open files only."""
    echo_server = server.start_command(
        ["bash", "-c", HIGH_DESCRIPTORS, "bash", *argv(server, program), str(port)], name=program
    )
    server.wait_for_listening(port)
    crowd = alfa.start_command(["python3", "-c", CROWD, server.address, str(port)], name="crowd")
    served = int(crowd.expect(r"answered (\d+)\n", otherwise="the server did not survive a client too many")[1])
    crowd.expect("^and one more\n", otherwise="alfa got no answer after the crowd had left")
    server.ping()  # after which all that the server has printed is there
    numbers = [int(line.split()[-1]) for line in echo_server.lines if line.startswith("connected")][:-1]
    assert len(numbers) == served, f"{len(numbers)} clients were accepted, and {served} of them answered"
    if program == "select_server":
        assert numbers == [1023], f"select can watch descriptors below 1024 only; the server has taken {numbers}"
        echo_server.expect("^refused client : 1024 is too high for FD_SETSIZE\n")
    else:
        assert numbers[-1] == 1030, f"with 1032 files, the clients' descriptors should go up to 1030: {numbers}"
        echo_server.expect("^refused client : 1031 is too high for the limit of open files\n")


def test_select_stdin(server: Host, driver: Driver) -> None:
    """A select on standard input sees what is typed, or times out, afresh at each call; end of input ends it."""
    program = server.start("select_stdin")
    program.send("hello")
    program.expect("^message from console: hello\n")
    for _ in range(3):
        program.expect("^Time-out!\n")
    program.close_stdin()
    program.expect_exit(0)
    sent, *_, timed_out = [e.time for e in driver.transcript if e.text in ("hello", "Time-out!")]
    seconds = 5 * driver.pace
    assert timed_out - sent >= 3 * seconds, (
        f"three time-outs of {seconds:g} s came within {timed_out - sent:.3f} s: they are not given afresh"
    )
