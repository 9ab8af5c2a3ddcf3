"""select_server across hosts: one process answers many clients, whichever is ready, and waits for none."""

import itertools

from labroom.driver import Driver, Host, Program

# Sends until the server takes no more, then waits for a line before it reads all back. Prints how much went each way.
SLOW_READER = """
import select, socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
server.connect((sys.argv[1], int(sys.argv[2])))
server.setblocking(False)
sent = 0
while select.select([], [server], [], 0.1)[1]:
    sent += server.send(b"x" * 65536)
print("stuck after", sent, flush=True)
input()
server.setblocking(True)
received = 0
while received < sent:
    received += len(server.recv(1 << 20))
print("received", received, flush=True)
"""

# Opens more connections than select() can watch, and says how many of the last 40 are served.
CROWD = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (1200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
address = sys.argv[1], int(sys.argv[2])
crowd = [socket.create_connection(address) for _ in range(1040)]
answered = 0
for client in crowd[-40:]:
    try:
        client.sendall(b"x")
        answered += client.recv(1) == b"x"
    except ConnectionError:
        pass
print("answered", answered, flush=True)
input()
"""


def start_server(server: Host, port: int, *options: str) -> Program:
    select_server = server.start("select_server", port, *options)
    server.wait_for_listening(port)
    return select_server


def connect(client: Host, server: Host, port: int) -> Program:
    return client.start("../tcp_echo/line_client", server.address, port)


def answered(client: Program, words: str, otherwise: str = "") -> None:
    client.send(words)
    client.expect(
        f"^Message from server : {words}\n",
        otherwise=otherwise or f"{client.host.name} got no answer: the server is busy with somebody else",
    )


def test_any_interleaving(server: Host, alfa: Host, bravo: Host, charlie: Host, port: int) -> None:
    """Three clients from three guests are answered in any interleaving, by one process."""
    select_server = start_server(server, port)
    clients = [connect(guest, server, port) for guest in (alfa, bravo, charlie)]
    for round_number, order in enumerate(itertools.permutations(clients)):
        for client in order:
            answered(client, f"round {round_number}")
    running = select_server.processes()
    assert len(running) == 1, f"the server answers by {len(running)} processes, not by one"


def test_a_silent_client_stops_nobody(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """A client that connects and says nothing does not stop the others."""
    select_server = start_server(server, port)
    connect(alfa, server, port)
    select_server.expect("connected client")
    answered(connect(bravo, server, port), "hello", "bravo got no answer while alfa was connected and said nothing")


def test_a_slow_reader_stops_nobody(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """A client that sends much and reads nothing does not stop the others, and loses nothing."""
    start_server(server, port)
    slow = alfa.start_command(["python3", "-c", SLOW_READER, server.address, str(port)], name="slow_reader")
    sent = slow.expect(r"stuck after (\d+)\n")[1]
    answered(connect(bravo, server, port), "hello", "bravo got no answer while alfa did not read: its send blocks")
    slow.send("now read")
    slow.expect(f"received {sent}\n", otherwise=f"the slow reader sent {sent} bytes and did not get them all back")


def test_coming_and_going(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """The server says which descriptor comes and goes, and uses it again."""
    select_server = start_server(server, port)
    first = connect(alfa, server, port)
    descriptor = select_server.expect(r"^connected client : (\d+)\n")[1]
    first.send("END")
    select_server.expect(f"^closed client : {descriptor}\n", otherwise="the server did not notice that alfa left")
    connect(bravo, server, port)
    select_server.expect(f"^connected client : {descriptor}\n", otherwise="alfa's descriptor is not used again")
    targets = select_server.descriptors()
    assert targets[int(descriptor)].startswith("socket:"), f"descriptor {descriptor} is {targets[int(descriptor)]}"


def test_a_reset_stops_nobody(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """A client that is killed in the middle is closed, and the others are still answered."""
    select_server = start_server(server, port)
    other = connect(bravo, server, port)
    answered(other, "before")
    client = connect(alfa, server, port)
    answered(client, "hello")
    client.kill()
    select_server.expect("closed client", otherwise="the server did not notice that alfa was killed")
    answered(other, "after", "bravo got no answer after alfa was killed")


def test_show(server: Host, alfa: Host, port: int) -> None:
    """With --show the server prints each message, and from which descriptor."""
    select_server = start_server(server, port, "--show")
    client = connect(alfa, server, port)
    descriptor = select_server.expect(r"^connected client : (\d+)\n")[1]
    answered(client, "look at me")
    select_server.expect(f"^Message from client {descriptor}: look at me\n")


def test_more_than_fd_setsize(server: Host, alfa: Host, bravo: Host, port: int) -> None:
    """A descriptor of FD_SETSIZE (1024) or above is refused with a message; all others are served."""
    select_server = start_server(server, port)
    crowd = alfa.start_command(["python3", "-c", CROWD, server.address, str(port)], name="crowd")
    served = int(crowd.expect(r"answered (\d+)\n", otherwise="the server did not survive 1040 clients")[1])
    assert 0 < served < 24, (
        f"1024 descriptors are no more than 1023 clients; of 1040 clients {1000 + served} were served"
    )
    select_server.expect("1024", otherwise="the server did not say that descriptor 1024 is refused")
    crowd.send("leave")
    crowd.expect_exit(0)
    for state in ("ESTABLISHED", "CLOSE_WAIT"):  # until it has closed them all, bravo could be one too many itself
        server.wait_for_connections(port, state, 0, otherwise="the server did not close the clients that left")
    answered(connect(bravo, server, port), "hello", "bravo got no answer after the crowd had left")


def test_select_stdin(server: Host, check: Driver) -> None:
    """A select on standard input sees what is typed, or times out, afresh at each call; end of input ends it."""
    pace = 0.02
    program = server.start("select_stdin", pace=pace)
    for _ in range(3):
        program.expect("^Time-out!\n")
    program.send("hello")
    program.expect("^message from console: hello\n")
    program.close_stdin()
    program.expect_exit(0)
    times = [event.time for event in check.transcript if event.stream == "start" or event.text == "Time-out!"]
    took = times[3] - times[0]  # from the start, so that lines that come late together don't make it short
    assert took >= 3 * 5 * pace, f"three time-outs of {5 * pace:g} s took {took:.3f} s: they are not given afresh"
