"""Is the gateway's name service what the role name_service promises? That guests ask it is in test_room.py."""

from collections.abc import Callable
from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://gateways"]


def test_answers_on_its_own_addresses_alone(gateway: dict[str, Any], listening: set[tuple[str, str, str]]) -> None:
    addresses = gateway["name_service_listen_addresses"]
    wanted = {(protocol, address, "53") for protocol in ("udp", "tcp") for address in addresses}
    assert {place for place in listening if place[2] == "53"} == wanted


def test_knows_the_names_of_the_room(gateway: dict[str, Any], check_answers: Callable[..., None]) -> None:
    for address in gateway["name_service_listen_addresses"]:
        check_answers(address)


def test_does_so_after_a_reboot_too(host: Host) -> None:
    unit = "labroom-name-service.service"
    assert host.run(f"systemctl is-enabled {unit}; systemctl is-active {unit}").stdout.split() == ["enabled", "active"]
