"""Are the guests a room? What the roles promise together, on every guest and across them."""

import ipaddress
from collections.abc import Callable
from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://guests"]

# Connects to one port of many addresses at once and prints those that answered within two seconds.
CONNECT = """
import select, socket, sys, time
port, addresses = int(sys.argv[1]), sys.argv[2:]
waiting = {}
for address in addresses:
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex((address, port))
    waiting[connection] = address
answered, deadline = [], time.monotonic() + 2
while waiting and time.monotonic() < deadline:
    for connection in select.select([], waiting, [], deadline - time.monotonic())[1]:
        address = waiting.pop(connection)
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            answered.append(address)
print(*[address for address in addresses if address in answered])
"""


def test_booted_without_a_failed_unit(host: Host) -> None:
    state = host.run("timeout 30 systemctl is-system-running --wait; systemctl --failed --plain --no-legend")
    assert state.stdout == "running\n"


def test_listens_where_it_should_and_nowhere_else(
    variables: dict[str, Any], listening: set[tuple[str, str, str]]
) -> None:
    wanted = {("tcp", "any", str(variables["ssh_server_port"]))}
    if "gateways" in variables["group_names"]:
        addresses = variables["name_service_listen_addresses"]
        wanted |= {(protocol, address, "53") for protocol in ("udp", "tcp") for address in addresses}
    assert listening == wanted


def test_nobody_has_a_password_that_was_not_asked_for(host: Host, variables: dict[str, Any]) -> None:
    fields = [line.split(":")[:2] for line in host.check_output("getent shadow").splitlines()]
    with_password = {name: crypt for name, crypt in fields if not crypt.startswith(("!", "*"))}
    asked_for = variables["student_account_password_hash"]
    assert with_password == ({} if asked_for == "*" else {variables["student_account_name"]: asked_for})


def test_asks_the_name_service_of_the_room_when_inside(
    host: Host, gateway: dict[str, Any], is_inside: bool, check_answers: Callable[..., None]
) -> None:
    lines = [line.split() for line in host.file("/etc/resolv.conf").content_string.splitlines()]
    servers = {line[1] for line in lines if line[:1] == ["nameserver"]}
    assert bool(servers & set(gateway["name_service_listen_addresses"])) is is_inside
    if is_inside:
        check_answers()


def test_forwarded_ports_lead_to_the_right_guest(
    host: Host, gateway: dict[str, Any], host_keys: dict[str, str]
) -> None:
    """From the far side, from inside and from the gateway itself; a guest is known by its host key."""
    outside_address = gateway["nat_gateway_outside_address"]
    wanted = {
        f"[{outside_address}]:{forward['port']}": host_keys[forward["to"]]
        for forward in gateway["nat_gateway_forwarded_ports"]
        if forward.get("to_port", forward["port"]) == gateway["ssh_server_port"]
    }
    assert wanted, "no forwarded port leads to an sshd"
    ports = " ".join(name.rpartition(":")[2] for name in wanted)
    scan = f"for port in {ports}; do ssh-keyscan -t ed25519 -p $port {outside_address} 2>&1 | grep -v '^#'; done"
    assert dict(line.split(" ", 1) for line in host.run(scan).stdout.splitlines()) == wanted


def test_inside_is_reached_from_inside_alone(
    host: Host, gateway: dict[str, Any], is_inside: bool, host_keys: dict[str, str]
) -> None:
    """Even a host on the far side that sends packets for the private network to the gateway reaches nobody there."""
    inside = ipaddress.ip_network(gateway["nat_gateway_inside"])
    targets = [address for address in host_keys if ipaddress.ip_address(address) in inside]
    connect = f"python3 -c %s {gateway['ssh_server_port']} {' '.join(targets)}"
    if not is_inside:
        route = f"ip route replace {inside} via {gateway['nat_gateway_outside_address']}"
        connect = f"{route} && trap 'ip route del {inside}' EXIT && {connect}"
    assert host.check_output(connect, CONNECT).split() == (targets if is_inside else [])
