"""A lab room's machines as `labroom` understands an inventory: how each is reached, and who plays what."""

import subprocess
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from labroom.checks import inventory_hosts
from labroom.errors import RoomFault, UsageError
from labroom.resources import ROOT
from tests.unit.conftest import Sshd

SEATS = """\
    all:
      vars: {labroom_address: 192.0.2.1, ansible_ssh_common_args: -F none}
    seats:
      children:
        one:
          hosts: {pc3: , pc1: , pc2: , gate: }
        two:
          children:
            front: {hosts: {pc4: }}
            back: {hosts: {pc5: , pc6: , pc7: , pc8: , pc9: }}
    gateways: {hosts: {gate: }}
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    return tmp_path / "inventory.yml"


def read(inventory: Path, text: str, limit: str | None = None) -> inventory_hosts.LabRoom:
    inventory.write_text(textwrap.dedent(text), encoding="utf-8")
    return inventory_hosts.read(str(inventory), limit)


def test_seats_are_the_groups_below_the_group_seats(inventory: Path) -> None:
    room = read(inventory, SEATS)
    assert room.seats == {"one": ["pc3", "pc1", "pc2", "gate"], "two": ["pc4", "pc5", "pc6", "pc7", "pc8", "pc9"]}
    present = room.lab_pcs.keys() - {"pc1"}
    assert room.cast("one", present) == {"server": "pc3", "alfa": "pc2", "gateway": "gate"}
    assert room.cast("two", present) == {"server": "pc4", "alfa": "pc5", "bravo": "pc6", "charlie": "pc7"}
    assert room.cast("two", present - {"pc5"})["charlie"] == "pc8"
    assert room.endpoints({"alfa": "pc2"})["alfa"] == replace(room.lab_pcs["pc2"], name="alfa")


def test_a_limit_is_ansibles(inventory: Path) -> None:
    room = read(inventory, SEATS, "two,!back,pc1")
    assert room.seats == {"one": ["pc1"], "two": ["pc4"]}


def test_without_seats_hosts_play_the_part_of_their_name() -> None:
    room = inventory_hosts.read("room.yml" if Path("room.yml").exists() else str(ROOT / "room.yml"))
    (seat,) = room.seats
    assert room.cast(seat, room.lab_pcs) == {
        part: part for part in ("gateway", "server", "alfa", "bravo", "charlie", "outside")
    }
    assert room.lab_pcs["server"].address == "192.168.74.128"
    assert room.lab_pcs["server"].bind_address == "192.168.74.1"


def test_hosts_are_reached_as_ansible_and_openssh_reach_them(inventory: Path, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host pc1\n  HostName 192.0.2.9\n  Port 2222\n  IdentityFile /key\n")
    (tmp_path / "known").touch()
    room = read(
        inventory,
        f"""\
        all:
          vars:
            folder: {tmp_path}
            ansible_ssh_common_args: -F {tmp_path}/config -o UserKnownHostsFile="{{{{ folder }}}}/known"
          hosts:
            pc1: {{labroom_address: 10.0.0.1}}
            pc2:
              ansible_host: 192.0.2.10
              ansible_port: 2200
              ansible_ssh_private_key_file: "{{{{ inventory_dir }}}}/key"
              student_account_name: pupil
              ansible_ssh_extra_args: -J one@192.0.2.1,two@192.0.2.2:2022 -b 192.0.2.77
        seats: {{children: {{one: {{hosts: {{pc1: , pc2: }}}}}}}}
        """,
    )
    pc1, pc2 = room.lab_pcs["pc1"], room.lab_pcs["pc2"]
    assert (pc1.address, pc1.ssh_host, pc1.ssh_port, pc1.user) == ("10.0.0.1", "192.0.2.9", 2222, "student")
    assert (pc1.identity_files, pc1.known_hosts, pc1.proxy_command) == ((Path("/key"),), (tmp_path / "known",), None)
    assert (pc2.address, pc2.ssh_host, pc2.ssh_port, pc2.user) == ("192.0.2.10", "192.0.2.10", 2200, "pupil")
    assert (pc2.identity_files, pc2.bind_address) == ((tmp_path / "key",), "192.0.2.77")
    assert pc2.proxy_command == "ssh -J one@192.0.2.1 -W '[192.0.2.10]:2200' 'ssh://two@[192.0.2.2]:2022'"


def test_own_keys_of_the_user_are_left_to_be_found(inventory: Path) -> None:
    room = read(
        inventory,
        "seats: {children: {one: {hosts: {pc1: {ansible_host: 192.0.2.1, ansible_ssh_common_args: -F none}}}}}",
    )
    assert room.lab_pcs["pc1"].identity_files == ()


def test_what_a_persons_ssh_config_says_holds(inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Includes, conditions, quotes, tokens, variables and names for keys: OpenSSH is asked what they come to."""
    (tmp_path / "my keys").mkdir()
    for name in ("known 1", "known_2", "known"):
        (tmp_path / "my keys" / name).touch()
    (tmp_path / "more.conf").write_text(
        f'Match host "192.0.2.9" exec "true"\n  IdentityFile "{tmp_path}/my keys/%n-%h-%p-%r-%%"\n'
        f'  IdentityFile ${{KEYS}}/id\n  IdentityFile "{tmp_path}/my keys/id"\n'
        f'  UserKnownHostsFile "{tmp_path}/my keys/known 1" "{tmp_path}/my keys/known_2" /nowhere\n'
        "  HostKeyAlias the-pc\n  ControlMaster auto\n  ControlPath ~/.ssh/%C\n"
        "  ControlPersist 60\n  RemoteCommand true\n"
    )
    (tmp_path / "config").write_text(
        f"Include {tmp_path}/more.conf\nHost pc1\n  HostName 192.0.2.9\n"
        "Host pc2\n  ProxyJump gate\n  IdentityFile none\n  UserKnownHostsFile none\n"
        "Host gate\n  Port 2022\n  User kim\n"
        "Match final host pc3\n  ProxyCommand nc -X %% -x %n:%r %h %p\n"
    )
    monkeypatch.setenv("KEYS", str(tmp_path))
    room = read(
        inventory,
        f"""\
        all: {{vars: {{ansible_ssh_common_args: -F {tmp_path}/config, labroom_address: 192.0.2.1}}}}
        seats: {{children: {{one: {{hosts: {{pc1: , pc2: , pc3: }}}}}}}}
        """,
    )
    pc1, pc2, pc3 = (room.lab_pcs[name] for name in ("pc1", "pc2", "pc3"))
    keys = tmp_path / "my keys"
    assert pc1.identity_files == (keys / "pc1-192.0.2.9-22-student-%", tmp_path / "id", keys / "id")
    assert pc1.known_hosts == (keys / "known 1", keys / "known_2")
    assert pc1.host_key_alias == "the-pc"
    assert (pc2.identity_files, pc2.proxy_command) == (
        (),
        f"ssh -F {tmp_path}/config -W '[pc2]:22' ssh://gate",
    )
    assert pc3.proxy_command == "nc -X % -x pc3:student pc3 22"
    # And back: what `labroom ssh` and Ansible tell OpenSSH comes to the same.
    options = [f"-o{option}={value}" for option, value in pc1.ssh_options()]
    said = subprocess.run(["ssh", "-G", "-F", "none", *options, "x"], capture_output=True, text=True, check=True).stdout
    assert f"userknownhostsfile {keys}/known 1 {keys}/known_2\n" in said
    assert "hostkeyalias the-pc\n" in said


@pytest.mark.parametrize(
    ("text", "limit", "says"),
    [
        ("seats: [", None, "inventory.yml: YAML parsing failed"),
        (
            "seats: {children: {one: {hosts: {pc1: {ansible_host: '{{ nothing }}'}}}}}",
            None,
            "inventory.yml: .*'nothing' is undefined",
        ),
        ("seats: {children: {one: {hosts: {pc1: }}}}", "nobody", "inventory.yml has no hosts that match nobody"),
        ("all: {hosts: {pc1: }}", None, "no host of .*inventory.yml plays a part"),
        (
            "seats: {children: {one: {hosts: {pc1: , pc2: {ansible_host: 127.0.0.1}}}}}",
            None,
            "pc2 is reached at 127.0.",
        ),
        (
            "seats: {children: {one: {hosts: {pc1: {ansible_ssh_common_args: -o Nonsense=1}}}}}",
            None,
            "ssh .*Nonsense",
        ),
    ],
)
def test_what_an_inventory_may_not_say(inventory: Path, text: str, limit: str | None, says: str) -> None:
    with pytest.raises(UsageError, match=says) as raised:
        read(inventory, text, limit)
    assert "\n" not in str(raised.value)


def test_an_inventory_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no inventory"):
        inventory_hosts.read(str(tmp_path / "none"))


def test_machines_are_tried_side_by_side_and_told_apart(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text("")
    there = sshd.endpoint
    machines = {
        "bare": replace(there, name="bare"),
        "off": replace(there, name="off", ssh_port=1),
        "unknown": replace(there, name="unknown", known_hosts=(tmp_path / "known_hosts",)),
    }
    reasons = {name: str(reason) for name, reason in inventory_hosts.absent(machines).items()}
    assert list(reasons) == ["bare", "off", "unknown"]
    assert reasons["bare"] == "bare (127.0.0.1) has no /opt/labs"
    assert reasons["off"] == "off (127.0.0.1 port 1) can't be reached: Connection refused"
    assert reasons["unknown"] == f"the host key of unknown (127.0.0.1) is not in {tmp_path}/known_hosts"


def test_a_machine_behind_a_jump_host_is_reached(sshd: Sshd) -> None:
    at, folder = sshd.endpoint, sshd.folder
    options = f"-F none -i {folder}/key -o UserKnownHostsFile={folder}/known_hosts -p {at.ssh_port}"
    jump = f"ssh {options} -W 127.0.0.1:{at.ssh_port} {at.user}@127.0.0.1"
    behind = replace(at, ssh_host="127.0.0.1", proxy_command=jump)
    assert "has no /opt/labs" in str(inventory_hosts.absent({"behind": behind})["behind"])
    refused = replace(behind, proxy_command=jump.replace(f"-W 127.0.0.1:{at.ssh_port}", "-W 127.0.0.1:1"))
    reason = inventory_hosts.absent({"behind": refused})["behind"]
    assert isinstance(reason, RoomFault)
    assert "can't be reached" in str(reason)
