"""room.yml as Ansible's own command reads it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from labroom import keys, room
from labroom.machine import tool
from labroom.providers import compose
from labroom.resources import ROOT


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The inventory of the default room, on a machine where it has been up once: its keys are there."""
    monkeypatch.setenv("LABROOM_STATE_DIR", str(tmp_path))
    keys.prepare_identity("lab")
    command = [tool("ansible-inventory"), "-i", "room.yml", "--list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_ansible_reads_the_room_as_its_inventory(inventory: dict[str, Any]) -> None:
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


def test_the_key_that_logs_in_is_the_students_too(inventory: dict[str, Any], tmp_path: Path) -> None:
    identity = tmp_path / "rooms/lab/keys/id_ed25519"
    public = identity.with_name("id_ed25519.pub").read_text().strip()
    for host in ("gateway", "server"):
        variables = inventory["_meta"]["hostvars"][host]
        assert f"IdentityFile={identity}" in variables["ansible_ssh_common_args"]
        assert variables["student_account_authorized_keys"] == [public]


def test_the_gateways_image_gets_what_the_gateway_gets(inventory: dict[str, Any]) -> None:
    """What Compose builds it with is what the plug-in says, but for whom the gateway asks."""
    build = compose.project(room.load(ROOT / "room.yml"))["services"]["gateway"]["build"]
    image = json.loads(build["args"]["GATEWAY_VARIABLES"])
    gateway = inventory["_meta"]["hostvars"]["gateway"]
    expected = {name: gateway[name] for name in image} | {"name_service_upstream": ["127.0.0.11"]}
    assert image == expected
    assert len(expected) > 5
