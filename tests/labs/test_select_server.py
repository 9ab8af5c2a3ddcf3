"""select_server across hosts: one process answers many clients, whichever is ready, and waits for none.

The same checks for the server with select, poll, epoll, selectors and asyncio.
"""

import time
from contextlib import suppress

import pytest

from labroom.checks import servers
from labroom.checks.claims import claim
from labroom.checks.servers import Server
from labroom.checks.subjects import Subject
from labroom.driver import CheckFailed, Driver, Host, Peer, Program

SERVERS = ["select_server", "poll_server", "epoll_server", "selectors_server", "asyncio_server"]
NO_ANSWER = "got no answer: the server is busy with somebody else"

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


def test_c_clients(server: Host, alfa: Host, port: int) -> None:
    """Two C clients are answered by the Python server, the one that came later first."""
    server.start(SERVERS[0], port)
    server.wait_for_listening(port)
    first, second = (alfa.start("line_client.c", server.address, port) for _ in range(2))
    server.wait_for_connections(port, count=2)
    answered(second, "second")
    answered(first, "first")


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
        ["bash", "-c", HIGH_DESCRIPTORS, "bash", *server.launch(program).anywhere, str(port)], name=program
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


# -- claims: servers --------------------------------------------------------------------------------------------


@claim("lesson", *SERVERS)
def test_listens(running: Server) -> None:
    """A server listens on the port that it is given."""


@claim(
    "lesson",
    *SERVERS,
    needs=["listens"],
    hint="select() leaves in a set what is ready: give it a copy at each call, and the highest descriptor plus one",
)
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
    hint="bytes go back to the client whose they are; who leaves is taken out of the set or list, and nobody else",
)
def test_at_once(running: Server, alfa: Host, bravo: Host, charlie: Host) -> None:
    """Several clients are served at once: each gets its own bytes and no others, whoever says nothing."""
    clients = [running.connect(guest) for guest in (alfa, bravo, charlie)]
    servers.serves_at_once(clients, "while other clients were connected")
    clients[1].close()
    running.host.driver.settle()
    clients[1] = running.connect(bravo)  # gets the descriptor that is free again
    servers.serves_at_once(clients, "one had left and another had come, while other clients were connected")


@claim("lesson", *SERVERS, needs=["at_once"])
def test_one_process(running: Server, alfa: Host) -> None:
    """One process and one thread serve all of them."""
    before = running.threads()  # asyncio may keep one that looked up a name
    clients = [running.connect(alfa) for _ in range(3)]
    for client in clients:
        client.exchange(b"hello")
    count, threads = len(running.processes()), running.threads()
    assert count == 1, f"with three clients the server has {count} processes"
    assert threads <= min(before, 2), f"with three clients the server has {threads} threads, before the first {before}"


@claim("lesson", *SERVERS, needs=["answers"])
def test_closes(running: Server, alfa: Host) -> None:
    """When a client closes, the server closes its end too."""
    servers.closes_its_end(running, alfa)


@claim("lesson", *SERVERS, needs=["closes"])
def test_closes_descriptors(running: Server, alfa: Host) -> None:
    """It closes each client's socket: when clients have left, it has no more descriptors than before."""
    servers.closes_descriptors(running, alfa)


@claim("robustness", "select_server", needs=["at_once"])
def test_twelve(running: Server, alfa: Host) -> None:
    """Twelve clients are served at once, and a new one when all have left."""
    servers.serves_twelve(running, alfa)


@claim("robustness", "select_server", needs=["at_once"])
def test_reset(running: Server, alfa: Host, bravo: Host) -> None:
    """A client that resets its connection ends neither the server nor another client's connection."""
    servers.outlives_resets(running, alfa, bravo)


@claim("robustness", "select_server", needs=["at_once"])
def test_half_a_message(running: Server, alfa: Host) -> None:
    """A client that leaves without a word, or in the midst of a line, stops nobody."""
    servers.outlives_leaving(running, alfa)


@claim("robustness", "select_server", needs=["at_once"])
def test_gone_before(running: Server, alfa: Host, bravo: Host) -> None:
    """A client that has reset its connection before it was accepted stops nobody."""
    servers.outlives_early_reset(running, alfa, bravo)


@claim("robustness", *SERVERS, needs=["at_once"])
def test_one_too_many(idle: Server, alfa: Host, port: int, driver: Driver) -> None:
    """A client too many for its descriptors stops nobody: all others, and those who come later, are served."""
    running = idle.serve(port, limits={"NOFILE": 16})
    clients: list[Peer] = []
    while len(running.descriptors()) < 15 and len(clients) < 15:  # the last one may be kept to refuse a client
        clients.append(running.connect(alfa))
        clients[-1].exchange(b"hello")
    for _ in range(2):  # not until they are answered: a server may spin meanwhile
        running.connect(alfa)
    driver.settle()
    for client in clients:
        client.exchange(b"still there?", "no descriptor was left for another client")
    for client in clients:
        client.close()
    driver.settle()
    running.still_serves(alfa, otherwise="there are descriptors again, and no client is served any more")


@claim("robustness", "select_server", needs=["at_once"])
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


@claim("interface", "select_server", needs=["closes"])
def test_prints(running: Server, alfa: Host) -> None:
    """It prints `connected client : FD` and `closed client : FD`: the descriptor, which the next client gets again."""
    numbers = []
    for _ in range(2):
        client = running.connect(alfa)
        numbers.append(running.program.expect(r"connected client : (\d+)")[1])
        client.close()
        running.program.expect_text(f"closed client : {numbers[-1]}")
    assert numbers[0] == numbers[1], f"the first client had descriptor {numbers[0]}, the next one {numbers[1]}"


@claim("interface", "select_server", needs=["answers"])
def test_shows(idle: Server, alfa: Host, port: int) -> None:
    """With `--show` it prints `Message from client FD: ` and the message."""
    client = idle.serve(port, "--show").connect(alfa)
    client.exchange("grüße, 안녕\n".encode())
    idle.program.expect(r"Message from client \d+: grüße, 안녕")


@claim("interface", "select_server", needs=["listens"])
def test_ctrl_c(running: Server) -> None:
    """Ctrl+C ends a server with status 0."""
    running.program.interrupt()
    running.program.expect_exit(0)


@claim("interface", "select_server")
def test_port_is_taken(idle: Server) -> None:
    """Where its port is taken, a server says `bind: Address already in use` on stderr and exits with 1."""
    idle.names_the_call("Address already in use", idle.host.listen().address[1])


@claim("interface", "select_server")
def test_arguments(idle: Server) -> None:
    """Without a port, or with one that is none, a server exits with 2."""
    servers.refuses_arguments(idle)


# -- claims: select_stdin ---------------------------------------------------------------------------------------

LONG = 15.0  # seconds for a time-out of 5 s, where it does not heed LAB_PACE


def wait_for_time_outs(program: Program, count: int) -> None:
    """Wait until it prints so often, without a word from anybody."""
    for number in range(1, count + 1):
        program.expect(r"\S.*\n", LONG, otherwise=f"nothing was typed, and it did not time out {number} times")


@claim("lesson", "select_stdin")
def test_types(program: Subject) -> None:
    """What is typed is printed, line by line."""
    started = program.start(settles=False)
    for words in ("hello", "two words"):
        started.send(words)
        started.expect_text(words)


@claim("lesson", "select_stdin", needs=["types"])
def test_times_out(program: Subject, driver: Driver) -> None:
    """Where nothing is typed, it says so, again and again: the time-out is given afresh at each call."""
    began = time.monotonic()
    started = program.start(settles=False)
    started.send("hello")
    started.expect("hello.*\n")
    wait_for_time_outs(started, 2)

    def floods() -> bool:  # ten lines for each time-out that there may have been
        return len(started.lines) > 10 * (time.monotonic() - began) / (5 * driver.pace)

    with suppress(CheckFailed):
        driver.wait_until(lambda: floods() or driver.settled(), "the program to wait", 2.0, "{}".format)
    if floods():
        started.kill()
        pytest.fail(f"it printed {len(started.lines)} lines: after its first time-out, it does not wait any more")


@claim("lesson", "select_stdin", needs=["times_out"], hint="FD_SET() before each select(): a time-out empties the set")
def test_types_after_a_time_out(program: Subject) -> None:
    """After a time-out, too, what is typed is printed: the set of descriptors is given afresh at each call."""
    started = program.start(settles=False)
    wait_for_time_outs(started, 1)
    started.send("late words")
    started.expect_text("late words")


@claim(
    "robustness",
    "select_stdin",
    needs=["types"],
    hint="read(), not fgets() or scanf(): what these have read ahead waits in a buffer that select() does not see",
)
def test_lines_together(program: Subject) -> None:
    """Two lines that come together are both printed at once: none waits in a buffer that `select` doesn't see."""
    both = ["sh", "-c", """(printf 'first line\nsecond line\n'; exec cat) | exec "$@\"""", "sh"]
    started = program.start(settles=False, under=both)
    started.expect_text("first line")
    started.expect_text("second line", otherwise="two lines came together, and the first one was printed")


@claim("interface", "select_stdin", needs=["times_out"])
def test_stdin_prints(program: Subject) -> None:
    """It prints `message from console: ` and what was typed, and `Time-out!` otherwise."""
    started = program.start(settles=False)
    started.send("grüße, 안녕")
    started.expect_text("message from console: grüße, 안녕")
    started.expect_text("Time-out!")


@claim("interface", "select_stdin", needs=["types"])
def test_stdin_ends(program: Subject) -> None:
    """The end of its input ends it with status 0."""
    started = program.start(settles=False)
    started.close_stdin()
    started.expect_exit(0)
