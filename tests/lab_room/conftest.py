"""A lab room as an instructor finds it: PCs that know nothing of labroom, and an inventory made from the sample."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labroom import keys, rooms
from labroom.machine import tool
from labroom.providers import nspawn
from labroom.resources import ROOT

NAME = "pcs"
PRESENT = {
    "gate": "192.168.91.2",
    "far": "198.51.100.138",
    "pc01": "192.168.91.11",
    "pc02": "192.168.91.12",
    "pc05": "192.168.91.15",
    "pc06": "192.168.91.16",
}
OFF = "pc03"
REMOVED = ("pc04", "pc07", "pc08")  # PCs of the sample that this room doesn't have
PASSWORD = "half close, not shut up"  # noqa: S105  # the students'; and of the instructor's own account, for sudo
VAULT_PASSWORD = "the vault's"  # noqa: S105
_ROOM = f"""\
name: {NAME}
image: {{provisioned: false}}
limits: {{home_mib: 0}}
networks: {{private: 192.168.91.0/24, outside: 198.51.100.128/28}}
guests:
  gate: {{part: gateway, private: {PRESENT["gate"]}, outside: 198.51.100.130}}
  far: {{outside: {PRESENT["far"]}}}
""" + "".join(f"  {name}: {{private: {PRESENT[name]}}}\n" for name in PRESENT if name.startswith("pc"))
# What the sample's addresses are in this room.
_ADDRESSES = {
    "192.168.74.": "192.168.91.",
    "203.0.113.10": PRESENT["far"],
    "203.0.113.2": "198.51.100.130",
    "203.0.113.1": "10.0.2.3",
}


class LabRoom:
    """The instructor's folder: inventory, known hosts, vault; and the commands of docs/lab-room.md."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = keys.identity(NAME)
        self.known_hosts = folder / "known_hosts"
        self.inventory = folder / "lab-room.yml"
        self.vault_password = folder / "vault-password"

    def run(self, *command: str, status: int = 0, vault: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout, its output in one, and see that it ends with `status`."""
        secret = {"ANSIBLE_VAULT_PASSWORD_FILE": str(self.vault_password)} if vault else {}
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=ROOT,
            env=os.environ | {"ANSIBLE_NOCOLOR": "1"} | secret,
        )
        assert done.returncode == status, done.stdout
        assert "Traceback" not in done.stdout
        return done

    def playbook(self, *options: str, status: int = 0) -> tuple[str, dict[str, dict[str, int]]]:
        """Run playbooks/room.yml; returns what it printed, and its recap: host -> what -> how often."""
        command = [tool("ansible-playbook"), "-i", str(self.inventory), "playbooks/room.yml", *options]
        printed = self.run(*command, status=status).stdout
        recap = re.findall(r"^(\w+) +: (ok=.*)", printed, re.MULTILINE)
        return printed, {
            host: {what: int(count) for what, count in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in recap
        }

    def labroom(self, *arguments: str, status: int = 0, vault: bool = True) -> str:
        """Run `labroom` and return what it printed."""
        return self.run(tool("python"), "-m", "labroom", *arguments, status=status, vault=vault).stdout

    def ssh(self, name: str, command: str, user: str = "root") -> str:
        """Run a command on a PC, as an account that the room's key opens."""
        options = [f"-oUserKnownHostsFile={keys.known_hosts(NAME)}", "-oBatchMode=yes"]
        return self.run("ssh", "-i", str(self.key), *options, f"{user}@{PRESENT[name]}", command).stdout


@pytest.fixture(scope="session")
def lab_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabRoom]:
    """A room whose guests are bare, one of them with an account that may use sudo; taken down at the end."""
    folder = tmp_path_factory.mktemp("lab-room")
    file = folder / "pcs.yml"
    file.write_text(_ROOM)
    nspawn.down(NAME)  # what a test run that was killed may have left
    pcs = LabRoom(folder)
    pcs.vault_password.write_text(VAULT_PASSWORD)
    rooms.up(file)
    try:
        _make_known(pcs)
        _make_account(pcs, "far", "instructor")
        _write_inventory(pcs)
        yield pcs
    finally:
        rooms.down(file)


def _make_known(pcs: LabRoom) -> None:
    scanned = subprocess.run(
        ["ssh-keyscan", "-t", "ed25519", *PRESENT.values()], capture_output=True, text=True, check=True
    ).stdout
    found = {tuple(line.split()[:3]) for line in scanned.splitlines() if not line.startswith("#")}
    known = keys.known_hosts(NAME).read_text()
    expected = {
        (address, "ssh-ed25519", line.split()[2])
        for line in known.splitlines()
        for address in line.split()[0].split(",")
        if address in PRESENT.values()
    }
    assert found == expected
    pcs.known_hosts.write_text(scanned)


def _make_account(pcs: LabRoom, name: str, account: str) -> None:
    """As an installer of Ubuntu makes one: in the group sudo, and asked for the password each time."""
    pcs.ssh(
        name,
        "apt-get -qq update && apt-get -qq install -y --no-install-recommends sudo >/dev/null 2>&1 && "
        f"useradd -m -s /bin/bash -G sudo -p '{hashed(PASSWORD)}' {account} && "
        f"install -d -o {account} -m 700 ~{account}/.ssh && "
        f"install -o {account} ~/.ssh/authorized_keys ~{account}/.ssh",
    )


def hashed(password: str) -> str:
    """The crypt(3) hash of a password, as the page in docs/ makes it."""
    command = ["openssl", "passwd", "-6", "-stdin"]
    return subprocess.run(command, input=password, capture_output=True, text=True, check=True).stdout.strip()


def _write_inventory(pcs: LabRoom) -> None:
    """The sample, edited: addresses, PCs, keys; the lines about a password switched on; and the vault beside it."""
    text = (ROOT / "inventory/lab-room.example.yml").read_text()
    for sample, here in _ADDRESSES.items():
        text = text.replace(sample, here)
    for name in REMOVED:
        text, found = re.subn(rf"^ +{name}:.*\n", "", text, flags=re.MULTILINE)
        assert found == 1
    edits = {
        "ansible_user: instructor\n    ansible_become: true": "ansible_user: root\n"
        f"    ansible_ssh_private_key_file: {pcs.key}\n"
        '    ansible_ssh_common_args: -o UserKnownHostsFile="{{ inventory_dir }}/known_hosts"\n'
        # Of the toolchain what the labs of these tests need, for speed.
        "    toolchain_packages: [gcc, iproute2, libc6-dev, procps, strace, tcpdump]",
        "~/.ssh/id_ed25519.pub": f"{pcs.key}.pub",
        "# ssh_server_password_authentication": "ssh_server_password_authentication",
        "# student_account_password_hash": "student_account_password_hash",
        "# student_account_hosts": "student_account_hosts",
        # No lab's program runs on the gateway.
        f"gate: {{ ansible_host: {PRESENT['gate']} }}": f"gate: {{ ansible_host: {PRESENT['gate']}, "
        "toolchain_packages: [iproute2, tcpdump] }",
        f"far: {{ ansible_host: {PRESENT['far']} }}": f"far: {{ ansible_host: {PRESENT['far']}, ansible_become: true, "
        'ansible_user: instructor, ansible_become_password: "{{ vault_become_password }}" }',
    }
    for old, new in edits.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    pcs.inventory.write_text(text)
    vault = pcs.folder / "group_vars/all/vault.yml"
    vault.parent.mkdir(parents=True)
    vault.write_text(f"vault_student_password_hash: {hashed(PASSWORD)}\nvault_become_password: {PASSWORD}\n")
    pcs.run(tool("ansible-vault"), "encrypt", str(vault))
    assert PASSWORD not in vault.read_text()
