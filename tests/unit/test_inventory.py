"""room.yml as Ansible's own command reads it."""

import json
import subprocess
from typing import Any

from labroom.machine import tool
from labroom.resources import ROOT


def _inventory() -> dict[str, Any]:
    done = subprocess.run(
        [tool("ansible-inventory"), "-i", "room.yml", "--list"], cwd=ROOT, capture_output=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_ansible_reads_the_room_as_its_inventory() -> None:
    inventory = _inventory()
    assert inventory["guests"]["hosts"] == ["gateway", "server", "alfa", "bravo", "charlie", "outside"]
    assert inventory["gateways"]["hosts"] == ["gateway"]
    server = inventory["_meta"]["hostvars"]["server"]
    assert server["ansible_host"] == "192.168.74.128"
    assert "StrictHostKeyChecking=yes" in server["ansible_ssh_common_args"]
    gateway = inventory["_meta"]["hostvars"]["gateway"]
    assert gateway["nat_gateway_inside"] == "192.168.74.0/24"
    assert {"port": 2201, "to": "192.168.74.128", "to_port": 22, "protocol": "tcp"} in gateway[
        "nat_gateway_forwarded_ports"
    ]
    assert gateway["name_service_hosts"]["www"] == ["192.168.74.128", "192.168.74.129", "192.168.74.130"]
