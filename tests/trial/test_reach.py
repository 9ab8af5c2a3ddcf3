"""What guests reach: of the machine what room.yml opens, of the world what `internet` says, and no other room."""

import contextlib
import json
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from labroom import rooms
from labroom.providers.nspawn import cgroups
from tests.helpers import labroom, wait_for
from tests.trial.room import ROOM, Trial

FAR = "  far: {outside: 198.51.100.10}\n"
GATEWAY = "  gate: {part: gateway, private: 192.168.75.2, outside: 198.51.100.2}\n"
ELSEWHERE = "198.18.0.2"  # a host beyond this machine (RFC 2544)

# Calls ports at addresses by TCP and UDP, all at once; what it says is its name and the address.
CALL = """
import socket, sys, threading
name, ports, addresses = sys.argv[1], sys.argv[2].split(), sys.argv[3:]
def call(address, port, kind):
    try:
        family, _, _, _, to = socket.getaddrinfo(address, port, type=kind)[0]
        with socket.socket(family, kind) as caller:
            caller.settimeout(1)
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            caller.connect(to)
            caller.sendall(f"{name} {address}".encode())
    except OSError:
        pass
for port in ports:
    calls = [threading.Thread(target=call, args=(address, port, kind))
             for address in addresses for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
    for each in calls:
        each.start()
    for each in calls:
        each.join()
"""

# Sends datagrams in frames of its own making: argv: address, the machine's, the router's or "", ports.
FRAMES = """
import re, socket, struct, subprocess, sys
own, machine, router, *ports = sys.argv[1:]
def hardware(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.sendto(b"", (address, 9))
    while True:
        known = subprocess.run(["ip", "neighbour", "show", address], capture_output=True, text=True).stdout
        if found := re.search(r"lladdr (\\S+)", known):
            return bytes.fromhex(found[1].replace(":", ""))
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
def ip(source, to, payload, fragment=0, protocol=17):
    head = struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(payload), 7, fragment, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(to))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
    wire.bind(("host0", 0))
    me, it = wire.getsockname()[4], hardware(machine)
    for port in ports:
        def udp(text):
            return struct.pack("!HHHH", 5555, int(port), 8 + len(text), 0) + text
        def send(to, data, kind=0x0800):
            wire.send(to + me + struct.pack("!H", kind) + data)
        tagged = struct.pack("!HH", 0, 0x0800)
        send(it, ip("198.18.0.9", machine, udp(b"by a source elsewhere")))
        send(it, tagged + ip(own, machine, udp(b"by VLAN 0")), 0x8100)
        send(it, tagged + ip(own, machine, udp(b"by VLAN 0 of a provider")), 0x88A8)
        send(b"\\xff" * 6, ip(own, machine, udp(b"to all")))
        send(b"\\xff" * 6, ip(own, "255.255.255.255", udp(b"to all, by address")))
        whole = udp(b"in two fragments")
        send(it, ip(own, machine, whole[16:], fragment=2))
        send(it, ip(own, machine, whole[:16], fragment=0x2000))
        if router:
            send(hardware(router), ip(own, machine, udp(b"by the router")))
        send(it, ip(own, machine, udp(b"last")))
"""


class Services:
    """What listens on all addresses of this machine, by TCP and UDP, IPv4 and IPv6; and what reached it.

    Attributes:
        closed: a port of it.
        opened: another.
        reached: port and text of each datagram and each connection.
    """

    def __init__(self) -> None:
        self.reached: set[tuple[int, str]] = set()
        self._sockets: list[socket.socket] = []
        self.closed, self.opened = self._listen(), self._listen()

    def _listen(self) -> int:
        port = 0
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                listener = socket.socket(family, kind)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((address, port))
                port = listener.getsockname()[1]
                self._sockets.append(listener)
                threading.Thread(target=self._take, args=(listener, port), daemon=True).start()
        return port

    def _take(self, listener: socket.socket, port: int) -> None:
        by_tcp = listener.type == socket.SOCK_STREAM
        if by_tcp:
            listener.listen()
        with contextlib.suppress(OSError):  # it was closed
            while True:
                if by_tcp:
                    connection, _ = listener.accept()
                    with connection:
                        self.reached.add((port, f"TCP {connection.recv(100).decode()}"))
                else:
                    self.reached.add((port, f"UDP {listener.recv(100).decode()}"))

    def close(self) -> None:
        """Listen no more."""
        for listener in self._sockets:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # which wakes whoever waits
            listener.close()


@pytest.fixture
def services() -> Iterator[Services]:
    """Services of this machine."""
    with closing(Services()) as services:
        yield services


def _own_addresses() -> tuple[list[str], list[str]]:
    """The addresses of this machine, and those by which all on its links are meant; not the rooms' own."""
    own, everybody = [], ["255.255.255.255", "224.0.0.1", "ff02::1%host0"]
    for link in json.loads(subprocess.run(["ip", "-json", "address"], capture_output=True, check=True).stdout):
        if not link["ifname"].endswith(("-private", "-outside")):
            for address in link["addr_info"]:
                own.append(address["local"] + "%host0" * (address["scope"] == "link"))
                if "broadcast" in address:
                    everybody.append(address["broadcast"])
    return own, everybody


@pytest.mark.parametrize("internet", [True, False])
def test_guests_reach_of_the_machine_what_is_opened_alone(trial: Trial, services: Services, *, internet: bool) -> None:
    text = ROOM.replace("internet: false", f"internet: {str(internet).lower()}\nmachine_ports: [{services.opened}]")
    trial.file.write_text(text + FAR + GATEWAY * internet)
    trial.up()
    own, everybody = _own_addresses()
    assert len(own) > 1, "this machine has no address but loopback"
    if not internet:  # the machine as its router, which a guest's root may well try
        trial.run("ssh", "one", "sudo ip route replace default via 192.168.75.1")
        trial.run("ssh", "far", "sudo ip route replace default via 198.51.100.1")
    expected = set()
    for name, machine in {"one": "192.168.75.1", "far": "198.51.100.1", "gate": "192.168.75.1"}.items():
        if name in text + FAR + GATEWAY * internet:
            others = [*own, *everybody, "192.168.75.255", "198.51.100.15", "198.51.100.14", "10.0.2.2", "10.0.2.3"]
            command = ["python3", "-c", CALL, name, f"{services.closed} {services.opened}", machine, *others]
            trial.run("ssh", name, shlex.join(command))
            reachable = [machine, *(each for each in own if "." in each and each != "127.0.0.1" and internet)]
            expected |= {(services.opened, f"{kind} {name} {each}") for kind in ("TCP", "UDP") for each in reachable}
    wait_for(lambda: expected <= services.reached, f"{expected} reach what is open, of {services.reached}", 5)
    assert {reached for reached in services.reached if reached[0] == services.closed} == set()


@pytest.mark.parametrize("internet", [True, False])
def test_frames_of_a_guests_own_making_reach_no_more(trial: Trial, services: Services, *, internet: bool) -> None:
    text = ROOM.replace("internet: false", f"internet: {str(internet).lower()}\nmachine_ports: [{services.opened}]")
    trial.file.write_text(text + FAR)
    trial.up()
    ports = [str(services.closed), str(services.opened)]
    one = ["192.168.75.10", "192.168.75.1", "", *ports]
    far = ["198.51.100.10", "198.51.100.1", "198.51.100.14" * internet, *ports]
    for name, arguments in {"one": one, "far": far}.items():
        services.reached.clear()
        trial.run("ssh", name, shlex.join(["sudo", "python3", "-c", FRAMES, *arguments]))
        wait_for(lambda: (services.opened, "UDP last") in services.reached, "the last datagram", 5)
        # The control: these frames are what they are meant to be.
        assert {(services.opened, "UDP to all"), (services.opened, "UDP in two fragments")} < services.reached
        assert not {reached for reached in services.reached if reached[0] == services.closed}
        assert not {text for _, text in services.reached if "elsewhere" in text or "by address" in text}


def test_the_machine_is_answered_whatever_it_asks_guests(trial: Trial) -> None:
    trial.up()
    echo = (
        "import socket; s = socket.create_server(('', 7007)); u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "u.bind(('', 7007)); print(flush=True); d, a = u.recvfrom(9000); u.sendto(d, a)\n"
        "c, _ = s.accept(); c.sendall(c.recv(9)); c.close()"
    )
    guest_side = trial.start("ssh", "one", shlex.join(["python3", "-c", echo]))
    assert guest_side.stdout
    guest_side.stdout.readline()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.sendto(b"x" * 5000, ("192.168.75.10", 7007))  # fragments, there and back
        assert len(asking.recv(9000)) == 5000
    with socket.create_connection(("192.168.75.10", 7007), timeout=5) as asking:
        asking.sendall(b"by TCP")
        assert asking.recv(9) == b"by TCP"
    guest_side.communicate(timeout=5)


def _answers(listener: socket.socket) -> None:
    """A name server that knows one address, whatever is asked (RFC 1035, 4.1)."""
    with contextlib.suppress(OSError):  # it was closed
        while True:
            asked, client = listener.recvfrom(512)
            if not asked:  # shut down
                return
            end = asked.index(b"\0", 12) + 5
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton("198.18.9.9")
            count = 1 if asked[end - 4 : end - 2] == b"\0\1" else 0  # of type A
            head = asked[:2] + b"\x81\x80\0\1" + bytes([0, count]) + b"\0\0\0\0"
            listener.sendto(head + asked[12:end] + answer * count, client)


@pytest.mark.parametrize("own", ["127.0.0.77", "198.18.0.1"])
def test_guests_ask_the_machines_own_name_server(trial: Trial, tmp_path: Path, elsewhere: int, own: str) -> None:
    """As systemd-resolved, or dnsmasq on an address of the machine's."""
    trial.file.write_text(ROOM.replace("internet: false", "internet: true") + FAR)
    trial.up()
    uplink = next(part for part in cgroups.parts(trial.name) if part not in ("one", "two", "far"))
    cgroups.Cgroup(trial.name, uplink).remove()
    (tmp_path / "resolv.conf").write_text(f"nameserver {own}\n")
    settle = f'mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec "$@"'
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((own, 53))
        threading.Thread(target=_answers, args=(listener,), daemon=True).start()
        trial.run("up", before=("unshare", "--mount", "sh", "-c", settle, "sh"))
        assert "198.18.9.9" in trial.run("ssh", "far", "getent ahostsv4 www.example")
        with contextlib.suppress(OSError):  # ENOTCONN; it wakes whoever waits
            listener.shutdown(socket.SHUT_RD)


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """A port of a host beyond this machine that greets every caller."""
    greeter = (
        "import socket; listener = socket.create_server(('', 0)); print(listener.getsockname()[1], flush=True)\n"
        "while True:\n connection, _ = listener.accept(); connection.sendall(b'reached'); connection.close()"
    )
    server = subprocess.Popen(["unshare", "--net", sys.executable, "-c", greeter], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        port = int(server.stdout.readline())
        there = ("nsenter", f"--net=/proc/{server.pid}/ns/net")
        for command in (
            ["ip", "link", "add", "elsewhere0", "type", "veth", "peer", "name", "near0", "netns", str(server.pid)],
            ["ip", "address", "add", "198.18.0.1/30", "dev", "elsewhere0"],
            ["ip", "link", "set", "elsewhere0", "up"],
            [*there, "ip", "address", "add", f"{ELSEWHERE}/30", "dev", "near0"],
            [*there, "ip", "link", "set", "near0", "up"],
        ):
            subprocess.run(command, check=True)
        yield port
    finally:
        server.kill()
        server.communicate()
        subprocess.run(["ip", "link", "delete", "elsewhere0"], capture_output=True, check=False)


def _reach(trial: Trial, name: str, address: str, port: int) -> str:
    return trial.run("ssh", name, f"timeout 1 bash -c 'cat < /dev/tcp/{address}/{port}' || true")


def test_internet_is_a_switch_and_the_machine_forwards_nothing(trial: Trial, elsewhere: int) -> None:
    trial.file.write_text(ROOM.replace("internet: false", "internet: true") + FAR)
    trial.up()
    assert "reached" in _reach(trial, "far", ELSEWHERE, elsewhere)
    # Not by way of the uplink into the room's own private network.
    assert "SSH" not in _reach(trial, "far", "192.168.75.10", 22)
    trial.down()
    trial.file.write_text(ROOM + FAR)
    trial.up()
    assert "reached" not in _reach(trial, "far", ELSEWHERE, elsewhere)
    # Nor with the machine as its router, which a guest's root may well try.
    trial.run("ssh", "one", "sudo ip route replace default via 192.168.75.1")
    trial.run("ssh", "far", "sudo ip route replace default via 198.51.100.1")
    assert "reached" not in _reach(trial, "one", ELSEWHERE, elsewhere)
    assert "SSH" not in _reach(trial, "far", "192.168.75.10", 22)


# Another room, beside the trial room.
OTHER = """\
name: other
networks: {private: 192.168.76.0/24, outside: 198.51.100.16/28}
guests:
  here: {private: 192.168.76.10}
  away: {outside: 198.51.100.26}
"""


def _greeting(address: str, *login: str) -> str:
    """What a guest sees that connects to sshd at `address`: its greeting, or why there is none."""
    done = labroom(*login, f"timeout 5 bash -c 'head -n 1 < /dev/tcp/{address}/22'", status=None)
    return done.stdout + done.stderr


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    """Another room, up: its file."""
    file = tmp_path / "other.yml"
    file.write_text(OTHER)
    rooms.up(file)
    yield file
    rooms.down(file)


def test_rooms_do_not_reach_each_other(trial: Trial, other: Path) -> None:
    trial.file.write_text(ROOM.replace("internet: false", "internet: true") + FAR)
    trial.up()
    # The control: what one room can't reach is there, and answers, as its own guests see it.
    assert "SSH" in _greeting("192.168.76.10", "--room", str(other), "ssh", "here")
    assert "SSH" in _greeting("198.51.100.26", "--room", str(other), "ssh", "away")
    assert "SSH" in _greeting("192.168.75.10", "--room", str(trial.file), "ssh", "two")
    assert "SSH" in _greeting("198.51.100.10", "--room", str(trial.file), "ssh", "far")
    # Refused by the room's own router: it went no further.
    for address in ("192.168.76.10", "198.51.100.26"):
        assert "Connection refused" in _greeting(address, "--room", str(trial.file), "ssh", "far")
    for address in ("192.168.75.10", "198.51.100.10"):
        assert "Connection refused" in _greeting(address, "--room", str(other), "ssh", "away")
