"""What every check of a guest can use: the variables of the roles, as the inventory sets them.

The checks speak to the guests by testinfra, with the inventory that provisioned them:
`pytest tests/guests --ansible-inventory=room.yml`. There is a file for each role, and test_room.py for what only guests
together show. A file whose part the inventory doesn't have, such as a gateway, is left out and named in the header.
"""

import ipaddress
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra.host
import yaml
from testinfra.utils.ansible_runner import AnsibleRunner

ROOT = Path(__file__).parents[2]

# Resolves the names of the first argument and the addresses of the second, and prints the answers.
ASK = """
import json, socket, sys
answers = {}
for function, keys in zip((socket.gethostbyname_ex, socket.gethostbyaddr), sys.argv[1:]):
    for key in json.loads(keys):
        try:
            answers[key] = function(key)
        except OSError:
            answers[key] = None
print(json.dumps(answers))
"""


def _inventory(config: pytest.Config) -> AnsibleRunner:
    return AnsibleRunner.get_runner(config.getoption("ansible_inventory"))


def _has_gateway(inventory: AnsibleRunner) -> bool:
    return bool(inventory.inventory.get("gateways", {}).get("hosts"))


def _has(variable: str) -> Callable[[AnsibleRunner], bool]:
    return lambda inventory: any(variable in inventory.get_variables(host) for host in inventory.get_hosts("guests"))


# What an inventory must have for a file to have anything to check, by its name.
_NEEDS: dict[str, tuple[str, Callable[[AnsibleRunner], bool]]] = {
    "test_labroom_command.py": ("labroom_command_destination", _has("labroom_command_destination")),
    "test_name_service.py": ("gateway", _has_gateway),
    "test_nat_gateway.py": ("gateway", _has_gateway),
    "test_room.py": ("gateway", _has_gateway),
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this inventory has nothing of."""
    files = {path for path in {item.path for item in items} if path.parent == Path(__file__).parent}
    left_out = {path for path in files if path.name in _NEEDS and not _NEEDS[path.name][1](_inventory(config))}
    config.hook.pytest_deselected(items=[item for item in items if item.path in left_out])
    items[:] = [item for item in items if item.path not in left_out]


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is left out, and why."""
    return [
        f"left out: {file}, since this inventory has no {what}"
        for file, (what, has) in _NEEDS.items()
        if not has(_inventory(config))
    ]


def role_variables(inventory: AnsibleRunner, host: str) -> dict[str, Any]:
    """Return the variables that the roles see on `host`: their defaults, and over them the inventory's."""
    variables: dict[str, Any] = {}
    for defaults in ROOT.glob("roles/*/defaults/main.yml"):
        variables |= yaml.safe_load(defaults.read_text())
    variables |= inventory.get_variables(host)
    for name, value in variables.items():
        if "{{" in str(value):  # testinfra has them as the inventory does; Ansible fills them in
            variables[name] = inventory.run_module(host, "ansible.builtin.debug", f"var={name}")[name]
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
    return _inventory(pytestconfig)


@pytest.fixture(scope="module")
def variables(inventory: AnsibleRunner, host: testinfra.host.Host) -> dict[str, Any]:
    """The roles' variables on this guest."""
    return role_variables(inventory, host.backend.get_hostname())


@pytest.fixture(scope="module")
def installed(host: testinfra.host.Host) -> set[str]:
    """The Debian packages that are installed on this guest."""
    lines = host.check_output("dpkg-query --show --showformat '${Package} ${db:Status-Status}\\n'").splitlines()
    return {line.removesuffix(" installed") for line in lines if line.endswith(" installed")}


@pytest.fixture(scope="module")
def listening(host: testinfra.host.Host) -> set[tuple[str, str, str]]:
    """Where this guest can be reached: protocol, address ("any" for all of them) and port."""
    sockets = host.check_output("ss --no-header --tcp --udp --listening --numeric").splitlines()
    found = [(fields[0], *fields[4].rsplit(":", 1)) for fields in map(str.split, sockets)]
    everywhere = ("*", "[::]", "0.0.0.0")  # noqa: S104 (what ss prints)
    return {
        (protocol, "any" if address in everywhere else address, port)
        for protocol, address, port in found
        if not address.startswith(("127.", "[::1]"))
    }


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


@pytest.fixture(scope="module")
def check_answers(host: testinfra.host.Host, gateway: dict[str, Any]) -> Callable[..., None]:
    """Check that every name, alias and address of the room is answered on this guest.

    `check_answers(address)` asks the name service at that address; `check_answers()` the one that the guest asks.
    """

    def check(resolver: str | None = None) -> None:
        domain, hosts = gateway["name_service_domain"], gateway["name_service_hosts"]
        true_name = {name: name for name in hosts} | gateway["name_service_aliases"]
        own_name = {addresses[0]: f"{name}.{domain}" for name, addresses in hosts.items() if len(addresses) == 1}
        names = [form for name in true_name for form in (name, f"{name}.{domain}")]
        unknown = f"nobody.{domain}"
        ask = "python3 -c %s %s %s"
        if resolver:  # in a mount namespace of the question's own, since glibc takes no other server
            ask = (
                f"unshare --mount sh -c 'mount -t tmpfs tmpfs /mnt && echo nameserver {resolver} >/mnt/resolv.conf && "
                f"echo search {domain} >>/mnt/resolv.conf && mount --bind /mnt/resolv.conf /etc/resolv.conf && "
                f'exec "$@"\' sh {ask}'
            )
        # glibc's gethostbyname and gethostbyaddr, as the labs use them: [name, aliases, addresses], or null.
        answers = json.loads(host.check_output(ask, ASK, json.dumps([*names, unknown]), json.dumps(list(own_name))))
        assert {form: answers[form] and [answers[form][0], sorted(answers[form][2])] for form in names} == {
            form: [f"{true_name[name]}.{domain}", sorted(hosts[true_name[name]])]
            for name in true_name
            for form in (name, f"{name}.{domain}")
        }
        assert {address: answers[address] and answers[address][0] for address in own_name} == own_name
        assert answers[unknown] is None

    return check


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
