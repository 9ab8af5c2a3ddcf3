"""Is the gateway what the role nat_gateway promises? What it does for the guests is in test_room.py."""

from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://gateways"]


def test_forwards_and_translates_by_one_table(host: Host, gateway: dict[str, Any]) -> None:
    loaded = {line.strip() for line in host.check_output("nft list table ip labroom_nat").splitlines()}
    inside, outside_address = gateway["nat_gateway_inside"], gateway["nat_gateway_outside_address"]
    forwarded = {
        f"ip daddr {outside_address} {forward.get('protocol', 'tcp')} dport {forward['port']} "
        f"dnat to {forward['to']}:{forward.get('to_port', forward['port'])}"
        for forward in gateway["nat_gateway_forwarded_ports"]
    }
    assert {rule for rule in loaded if " dnat to " in rule} == forwarded
    assert {rule for rule in loaded if "masquerade" in rule} == {
        f"ip saddr {inside} ip daddr != {inside} masquerade",
        f"ip saddr {inside} ip daddr {inside} ct status dnat masquerade",
    }
    assert host.check_output("cat /proc/sys/net/ipv4/ip_forward") == "1"


def test_does_so_after_a_reboot_too(host: Host) -> None:
    state = host.run("systemctl is-enabled labroom-nat.service; systemctl is-active labroom-nat.service")
    assert state.stdout.split() == ["enabled", "active"]
