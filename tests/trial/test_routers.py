"""A room of more networks than two: a chain of routers, and a home behind a home, each with NAT of its own."""

import shlex
from collections.abc import Iterator

import pytest

from labroom.providers import nspawn
from tests.trial.room import ROOM, Trial, traces

# pc - box - (private) - r1 - r2 - r3 - isp - outside; box and isp are gateways.
ROUTERS = """\
name: trial
networks:
  home: 192.168.75.0/27
  private: 192.168.75.32/27
  middle: 192.168.75.64/27
  far: 192.168.75.96/27
  near: 192.168.75.128/27
  outside: 198.51.100.0/28
internet: false
guests:
  pc: {home: .10}
  box: {part: gateway, home: .2, private: .34}
  server: {private: .42}
  r1: {part: router, private: .35, middle: .66}
  r2: {part: router, middle: .67, far: .98}
  r3: {part: router, far: .99, near: .130}
  isp: {part: gateway, near: .131, outside: .2}
  outside: {outside: .10}
forwarded_ports:
  - {port: 2222, gateway: isp, guest: server, guest_port: 22}
  - {port: 2222, gateway: box, guest: pc, guest_port: 22}
"""
# Prints who answers a datagram to $1 that may go 1, 2, 3 … hops far, by its ICMP errors (IP_RECVERR in ip(7)).
TRACE = """
import select, socket, struct, sys
for hops in range(1, 10):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.IPPROTO_IP, 11, 1)
        probe.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
        probe.connect((sys.argv[1], 33434 + hops))
        probe.send(b"?")
        poll = select.poll()
        poll.register(probe, select.POLLERR)
        if not poll.poll(5000):
            sys.exit(f"nobody answers at {hops}")
        [(_, _, error)] = probe.recvmsg(100, 1000, 0x2000)[1]
    print(socket.inet_ntoa(error[20:24]))
    if error[5] == 3:
        break
"""
# Serves one client: sends it the address that it comes from.
TELL = """
import socket
with socket.create_server(("", 5000)) as server:
    print("ready", flush=True)
    client, (address, _) = server.accept()
    client.sendall(address.encode())
    client.close()
"""
# What it is told by a server at $1, port $2.
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as client:
    print(client.recv(100).decode())
"""


@pytest.fixture(scope="module")
def routers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """The room, up."""
    nspawn.down(Trial.name)  # what a test run that was killed may have left
    trial = Trial(tmp_path_factory.mktemp("routers") / "trial.yml")
    trial.file.write_text(ROUTERS)
    trial.up()
    yield trial
    trial.file.write_text(ROOM)
    trial.down()
    assert not any(traces().values()), traces()


def _python(trial: Trial, guest: str, program: str, *arguments: str) -> list[str]:
    return trial.run("ssh", guest, shlex.join(["python3", "-c", program, *arguments])).split()


def test_every_hop_of_a_chain_of_routers_answers(routers: Trial) -> None:
    to_isp = ["192.168.75.35", "192.168.75.67", "192.168.75.99", "192.168.75.131"]
    assert _python(routers, "server", TRACE, "198.51.100.10") == [*to_isp, "198.51.100.10"]
    assert _python(routers, "pc", TRACE, "198.51.100.10") == ["192.168.75.2", *to_isp, "198.51.100.10"]
    back = ["192.168.75.130", "192.168.75.98", "192.168.75.66", "192.168.75.42"]
    assert _python(routers, "isp", TRACE, "192.168.75.42") == back


def test_a_router_has_a_link_to_each_of_its_networks(routers: Trial) -> None:
    def goes_through(guest: str, address: str) -> bool:
        return "1 received" in routers.run("exec", guest, "--", f"ping -c 1 -W 1 {address}; true")

    assert routers.run("link", "r1", "--network", "middle", "--down") == "r1 to private good\nr1 to middle down\n"
    assert goes_through("server", "192.168.75.35")
    assert not goes_through("r2", "192.168.75.66")
    assert routers.run("link", "r1", "--loss", "100%", "--up") == "r1 to private loss 100%\nr1 to middle loss 100%\n"
    assert not goes_through("server", "192.168.75.35")
    assert routers.run("link", "r1", "--clear") == "r1 to private good\nr1 to middle good\n"
    assert goes_through("r2", "192.168.75.42")


@pytest.mark.parametrize(
    ("client", "server", "address", "seen"),
    [
        ("pc", "server", "192.168.75.42", "192.168.75.34"),
        ("pc", "outside", "198.51.100.10", "198.51.100.2"),  # translated twice
        ("server", "outside", "198.51.100.10", "198.51.100.2"),
        ("isp", "server", "192.168.75.42", "192.168.75.131"),
    ],
)
def test_each_gateway_translates_what_is_inside_it(
    routers: Trial, client: str, server: str, address: str, seen: str
) -> None:
    with routers.start("ssh", server, shlex.join(["python3", "-c", TELL])) as telling:
        assert telling.stdout
        assert telling.stdout.readline() == "ready\n"
        assert _python(routers, client, ASK, address, "5000") == [seen]


def test_a_port_is_forwarded_by_the_gateway_that_is_named(routers: Trial) -> None:
    for client, address in (("outside", "198.51.100.2"), ("r3", "192.168.75.34")):
        assert "SSH-2.0" in _python(routers, client, ASK, address, "2222")[0]
    assert "forwarded by box, 192.168.75.34:\n   2222 -> pc:22" in routers.run("status")


def test_names_are_asked_of_a_gateway_on_the_way(routers: Trial) -> None:
    for guest in ("pc", "server", "r2"):
        assert routers.run("ssh", guest, "getent hosts outside").split() == ["198.51.100.10", "outside.lab.test"]


def test_another_up_finds_all_in_order(routers: Trial) -> None:
    assert "all in order" in routers.run("up")
