"""What every check of a guest can use: the variables of the roles, as the inventory sets them.

The checks speak to the guests by testinfra, with the inventory that provisioned them:
`pytest tests/guests --ansible-inventory=room.yml`.
"""

import ipaddress
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra.host
import yaml
from testinfra.utils.ansible_runner import AnsibleRunner

ROOT = Path(__file__).parents[2]


def role_variables(inventory: AnsibleRunner, host: str) -> dict[str, Any]:
    """Return the variables that the roles see on `host`: their defaults, and over them the inventory's."""
    variables: dict[str, Any] = {}
    for defaults in ROOT.glob("roles/*/defaults/main.yml"):
        variables |= yaml.safe_load(defaults.read_text())
    variables |= inventory.get_variables(host)
    return variables


@pytest.fixture(scope="session", autouse=True)
def _one_connection_for_each_guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Share connections: testinfra opens one for every command unless it is told where to keep them."""
    folder = tmp_path_factory.mktemp("ssh")
    with pytest.MonkeyPatch.context() as environment:
        options = f"-o ControlMaster=auto -o ControlPersist=60s -o ControlPath={folder}/%C"
        environment.setenv("ANSIBLE_SSH_EXTRA_ARGS", options)
        yield
    for control in folder.iterdir():
        subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={control}", "guest"], check=True, capture_output=True)


@pytest.fixture(scope="session")
def inventory(pytestconfig: pytest.Config) -> AnsibleRunner:
    """The inventory, as testinfra reads it."""
    return AnsibleRunner.get_runner(pytestconfig.getoption("ansible_inventory"))


@pytest.fixture(scope="module")
def variables(inventory: AnsibleRunner, host: testinfra.host.Host) -> dict[str, Any]:
    """The roles' variables on this guest."""
    return role_variables(inventory, host.backend.get_hostname())


@pytest.fixture(scope="session")
def gateway(inventory: AnsibleRunner) -> dict[str, Any]:
    """The roles' variables on the room's gateway."""
    (name,) = inventory.get_hosts("gateways")
    return role_variables(inventory, name)


@pytest.fixture(scope="module")
def is_inside(host: testinfra.host.Host, gateway: dict[str, Any]) -> bool:
    """Whether this guest is on the private network; the others are on the gateway's far side."""
    inside = ipaddress.ip_network(gateway["nat_gateway_inside"])
    return any(ipaddress.ip_address(address) in inside for address in host.check_output("hostname -I").split())


@pytest.fixture(scope="session")
def host_keys(inventory: AnsibleRunner) -> dict[str, str]:
    """Every guest's own ed25519 host key, by each of its addresses."""
    keys: dict[str, str] = {}
    for name in inventory.get_hosts("guests"):
        guest = inventory.get_host(name)
        assert guest, f"{name} is reached in a way that testinfra does not know"
        addresses, key = guest.check_output("hostname -I; cat /etc/ssh/ssh_host_ed25519_key.pub").splitlines()
        keys |= dict.fromkeys(addresses.split(), " ".join(key.split()[:2]))
    return keys
