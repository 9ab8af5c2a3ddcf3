"""What `ansible-playbook` says after its recap of hosts that are not done."""

import os
import subprocess
from pathlib import Path

import pytest

from labroom.machine import tool
from labroom.resources import ROOT

INVENTORY = """\
all:
  vars: {ansible_connection: local, ansible_python_interpreter: auto_silent}
  hosts:
    one:
    two:
    away: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}
"""
REACH = "- {name: Reach, hosts: all, gather_facts: false, tasks: [{name: Log in, ansible.builtin.raw: 'true'}]}\n"
BREAK = (
    "- {{name: First, hosts: {hosts}, gather_facts: false, tasks: [{{name: Break, ansible.builtin.raw: 'false'}}]}}\n"
)
SECOND = "- {name: Second, hosts: two, gather_facts: false, tasks: [{name: Do, ansible.builtin.raw: 'true'}]}\n"


@pytest.mark.parametrize(
    ("playbook", "limit", "status", "says"),
    [
        (REACH, "one,two", 0, []),
        (REACH, "one,away", 4, ["not reached: away (Connection refused)", "go on with: {command} --limit away"]),
        (
            REACH + BREAK.format(hosts="all") + SECOND,
            "all",
            4,
            [
                "not reached: away (Connection refused)",
                "failed: one two (at “Break”)",
                "go on with: {command} --limit away,one,two",
            ],
        ),
        # Ansible ends the playbook where all hosts of a play have failed: those of the next still need it.
        (
            REACH + BREAK.format(hosts="one") + SECOND,
            "one,two",
            2,
            ["failed: one (at “Break”)", "not begun: Second", "go on with: {command}"],
        ),
    ],
    ids=["nothing", "a host that is off", "hosts that failed", "a play not begun"],
)
def test_hosts_that_are_not_done_are_named(
    tmp_path: Path, playbook: str, limit: str, status: int, says: list[str]
) -> None:
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    (tmp_path / "playbook.yml").write_text(playbook)
    command = [tool("ansible-playbook"), "-i", f"{tmp_path}/inventory.yml", f"{tmp_path}/playbook.yml"]
    done = subprocess.run(
        [*command[:1], "--limit", limit, *command[1:]],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
    )
    assert done.returncode == status, done.stdout + done.stderr
    recap = done.stdout.partition("PLAY RECAP")[2]
    said = [line for line in recap.splitlines()[1:] if line and "ok=" not in line]
    assert said == [line.format(command=" ".join(command)) for line in says]
