"""Raw peers against programs on loopback, by way of a real sshd: what they see of a program, and how it is said."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from labroom.driver import CheckFailed, Driver, Host, Program

LONG = 60  # s, of which nothing may be waited
ECHO = """
import socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listening.accept()
    while data := client.recv(1024):
        client.sendall(eval(sys.argv[2])(data))
    client.close()
"""
CLIENT = """
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.sendall(b"a line")
print(client.recv(1024), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def driver(sshd: Any) -> Iterator[Driver]:
    driver = Driver({"alfa": sshd.endpoint}, patience=LONG)
    yield driver
    driver.close()


@pytest.fixture
def alfa(driver: Driver) -> Iterator[Host]:
    driver.begin("lab")
    yield driver.hosts["alfa"]
    driver.clean()


def start(alfa: Host, source: str, *arguments: object) -> Program:
    program = alfa.start_command([sys.executable, "-c", source, *map(str, arguments)], name="program")
    program.settles = True
    return program


@pytest.fixture
def port(alfa: Host) -> int:
    return alfa.unused_port()


def serve(alfa: Host, port: int, does: str = "lambda data: data") -> Program:
    program = start(alfa, ECHO, port, does)
    alfa.wait_for_listening(port)
    return program


@pytest.mark.parametrize("data", [b"hello", b"zero \0 byte", b"\xff\xfe", bytes(range(256)) * 4096], ids=len)
def test_what_is_sent_comes_back(alfa: Host, port: int, data: bytes) -> None:
    serve(alfa, port)
    peer = alfa.peer("127.0.0.1", port).wait_connected()
    peer.send(data)
    peer.expect(data)
    peer.end()
    peer.expect_end()


def test_pieces_come_one_by_one(alfa: Host, port: int) -> None:
    serve(alfa, port, "lambda data: b'<%d>' % len(data)")
    peer = alfa.peer("127.0.0.1", port).wait_connected()
    peer.send_in_pieces([b"a", b"bc", b"def"], alfa)
    peer.expect(b"<1><2><3>")


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("lambda data: data.upper()", "expected  'hello'\ngot       'HELLO'\n           ^ they differ from byte 1 on"),
        ("lambda data: data[:3]", "not all came, and that will not change: alfa's program waits in recvfrom("),
        ("lambda data: data[:3]", "3 came, of 5 bytes\nhint: recv() gives what has come so far"),
        ("lambda data: b''", "nothing came, and that will not change: alfa's program waits in recvfrom("),
        ("lambda data: client.close() or b''", "closed the connection"),
    ],
)
def test_what_is_wrong_is_said_as_soon_as_it_is_certain(alfa: Host, port: int, does: str, words: str) -> None:
    serve(alfa, port, does)
    peer = alfa.peer("127.0.0.1", port).wait_connected()
    began = time.monotonic()
    peer.send(b"hello")
    with pytest.raises(CheckFailed) as failed:
        peer.expect(b"hello")
    assert words in str(failed.value)
    assert time.monotonic() - began < LONG


def test_nobody_listens(alfa: Host, port: int) -> None:
    with pytest.raises(CheckFailed, match="alfa's client can't connect: nobody listens there"):
        alfa.peer("127.0.0.1", port).wait_connected()
    alfa.ping()
    refused = [event for event in alfa.driver.transcript if "refused" in event.text]
    assert len(refused) == 1, "it tries again and again"


def test_a_program_that_still_runs_is_waited_for(alfa: Host, port: int) -> None:
    serve(alfa, port, "lambda data: sum(range(30_000_000)) and data")  # a second of work
    peer = alfa.peer("127.0.0.1", port).wait_connected()
    peer.send(b"hello")
    peer.expect(b"hello")


def test_a_reset_is_seen(alfa: Host, port: int) -> None:
    server = serve(alfa, port)
    peer = alfa.peer("127.0.0.1", port).wait_connected()
    server.stop()
    peer.send(b"x" * 20_000)
    peer.wait_connected().reset()
    server.resume()
    assert server.wait() == 1
    assert "ConnectionResetError" in server.stderr or "BrokenPipeError" in server.stderr


def test_a_server_of_our_own(alfa: Host) -> None:
    listening = alfa.listen()
    client = start(alfa, CLIENT, listening.address[1])
    peer = listening.accept()
    peer.expect(b"a line")
    peer.send(b"an answer")
    client.expect("b'an answer'")
    with pytest.raises(CheckFailed, match="was not closed, and that will not change: alfa's program waits in read"):
        peer.receive_to_end()


def test_a_slow_reader(alfa: Host, port: int) -> None:
    serve(alfa, port, "lambda data: data * 1024")
    peer = alfa.peer("127.0.0.1", port, receive_buffer=4096).wait_connected()
    peer.stop_reading()
    peer.send(b"x" * 1024)
    alfa.driver.wait_until(
        lambda: any(s.unsent > 1024 for s in alfa.connections(port)), "the server to be stuck", None, "{}".format
    )
    assert peer.received == b""
    peer.read_on()
    assert peer.receive(1 << 20) == b"x" * (1 << 20)


def test_datagrams(alfa: Host) -> None:
    one, other = alfa.datagrams(), alfa.datagrams()
    for data in (b"hello", b"", b"x" * 60_000):
        one.send_to(data, ("127.0.0.1", other.address[1]))
        assert other.datagram() == (data, ("127.0.0.1", one.address[1]))


def test_an_end_of_the_check_is_one_of_its_peers(driver: Driver, alfa: Host, port: int) -> None:
    listening = alfa.listen(port)
    alfa.peer("127.0.0.1", port).wait_connected()
    listening.accept()
    driver.clean()
    driver.begin("lab")
    assert not alfa.connections(port)
    with closing(alfa.listen(port)):
        pass


def test_what_a_peer_does_can_be_typed_by_hand(driver: Driver, alfa: Host, port: int) -> None:
    serve(alfa, port)
    alfa.peer("127.0.0.1", port).wait_connected()
    listening, datagrams = alfa.listen(), alfa.datagrams(0)
    alfa.datagrams().send_to(b"hello", ("127.0.0.1", datagrams.address[1]))
    datagrams.datagram()
    assert [event.text for event in driver.transcript if event.stream == "start"][1:] == [
        f"nc 127.0.0.1 {port}",
        f"nc -l {listening.address[1]}",
        f"nc -u -l {datagrams.address[1]}",
        f"nc -u 127.0.0.1 {datagrams.address[1]}",
    ]


def test_sockets_of_other_checks_are_not_told(alfa: Host, port: int) -> None:
    others = Driver({"alfa": alfa.endpoint})
    with closing(others):
        others.begin("lab")
        other = others.hosts["alfa"].listen()
        silent = start(alfa, "import socket, sys\ns = socket.create_server(('127.0.0.1', 0))\nsys.stdin.read()")
        mine = alfa.listen()
        alfa.driver.wait_until(lambda: bool(alfa.listening(silent)), "the server to listen", None, str)
        ports = {socket.local[1] for socket in alfa.sockets_of_check()}
        assert ports == {mine.address[1], alfa.listening(silent)[0].local[1]}
        assert other.address[1] not in ports
