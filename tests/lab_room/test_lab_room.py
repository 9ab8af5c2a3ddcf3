"""The morning of a class: bare PCs, one of them off, become a lab room. The tests follow docs/lab-room.md, in order."""

import os
import re
import subprocess

import paramiko
import pytest

from labroom.machine import tool
from labroom.resources import ROOT
from tests.helpers import wait_for
from tests.lab_room.conftest import OFF, PASSWORD, PRESENT, LabRoom

SEAT1 = {"pc01": "server", "pc02": "alfa", "gate": "gateway", "far": "outside"}


def failures(recap: dict[str, dict[str, int]]) -> dict[str, int]:
    """Hosts with tasks that failed, or that were not reached: how often."""
    found = {host: counts["failed"] + counts["unreachable"] for host, counts in recap.items()}
    return {host: count for host, count in found.items() if count}


def test_without_the_vaults_password_it_says_what_is_missing(lab_room: LabRoom) -> None:
    inventory = str(lab_room.inventory)
    said = lab_room.labroom("check", "--provider", "ssh", "-i", inventory, status=2, vault=False)
    expected = f"labroom: {inventory}: some of it is encrypted by vault\n  help: .*ANSIBLE_VAULT_PASSWORD_FILE=FILE\n"
    assert re.fullmatch(expected, said)
    said = lab_room.run(tool("ansible-playbook"), "-i", inventory, "playbooks/room.yml", status=4, vault=False).stdout
    assert "[ERROR]: Attempting to decrypt but no vault secrets found." in said


def test_check_mode_on_bare_pcs_changes_nothing(lab_room: LabRoom) -> None:
    printed, recap = lab_room.playbook("--check", "--limit", "gate,far,pc05")
    assert recap.keys() == {"gate", "far", "pc05"}
    assert not failures(recap)
    assert all(counts["changed"] for counts in recap.values()), printed
    assert "go on with" not in printed
    assert lab_room.ssh("pc05", "ls -d /opt/labs /home/student 2>/dev/null; dpkg -l sudo 2>/dev/null; true") == ""


def test_pcs_without_labs_are_not_checked(lab_room: LabRoom) -> None:
    said = lab_room.labroom("check", "--provider", "ssh", "-i", str(lab_room.inventory), "--limit", "pc05", status=3)
    assert "not checked, seat2: pc05 does not let student in" in said


def test_the_playbook_does_all_but_the_pc_that_is_off(lab_room: LabRoom) -> None:
    printed, recap = lab_room.playbook(status=4)
    assert failures(recap) == {OFF: 1}, printed
    assert recap.keys() == {*PRESENT, OFF}
    *_, not_reached, go_on = printed.strip().splitlines()
    assert not_reached == f"not reached: {OFF} (No route to host)"
    assert go_on == (f"go on with: {tool('ansible-playbook')} -i {lab_room.inventory} playbooks/room.yml --limit {OFF}")


def test_again_it_changes_nothing(lab_room: LabRoom) -> None:
    one_of_a_kind = ("gate", "far", "pc01")
    printed, recap = lab_room.playbook("--limit", ",".join(one_of_a_kind))
    assert {host: counts["changed"] for host, counts in recap.items()} == dict.fromkeys(one_of_a_kind, 0), printed
    assert "not reached" not in printed


def test_students_get_from_pc_to_pc_of_their_seat(lab_room: LabRoom) -> None:
    """Under the names of the handouts, which have these PCs' addresses, without a password or a question."""
    hops = "for host in server alfa gateway 192.168.91.12; do ssh -n -o BatchMode=yes $host hostname; done"
    said = lab_room.ssh("pc01", f"cat /etc/motd.d/labroom; {hops}", user="student")
    assert said.startswith("This is pc01: 192.168.91.11\n")
    assert said.split()[-4:] == ["pc01", "pc02", "gate", "pc02"]
    assert (
        lab_room.ssh("pc05", "echo sent >file && scp -q file alfa: && ssh -n alfa cat file", user="student") == "sent\n"
    )
    assert "192.168.91.15" in lab_room.ssh("pc05", "cat /opt/labs/tcp_hello/README.md")


def test_tags_choose_what_is_done(lab_room: LabRoom) -> None:
    lab_room.ssh("pc01", "rm /opt/labs/tcp_hello/hello_server.py; chmod 700 /etc/ssh/sshd_config.d/00-labroom.conf")
    printed, recap = lab_room.playbook("--tags", "lab_programs", "--limit", "pc01")
    assert recap.keys() == {"pc01"}
    tasks = re.findall(r"^TASK \[labroom\.labroom\.(\w+) : (?!Validating)", printed, re.MULTILINE)
    assert set(tasks) == {"lab_programs"}
    assert lab_room.ssh("pc01", "ls /opt/labs/tcp_hello").count("hello_server.py") == 1
    _, recap = lab_room.playbook("--limit", "pc01", "--tags", "ssh_server")
    assert recap["pc01"]["changed"] == 2  # the file, and sshd is told


@pytest.mark.parametrize("name", ["pc01", "far"])
def test_the_password_from_the_vault_logs_in(lab_room: LabRoom, name: str) -> None:
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(lab_room.known_hosts))
        client.connect(
            PRESENT[name], username="student", password=PASSWORD, allow_agent=False, look_for_keys=False, timeout=10
        )
        assert client.exec_command("id -un")[1].read() == b"student\n"


def test_labs_are_checked_in_every_seat_but_for_the_pc_that_is_off(lab_room: LabRoom) -> None:
    seats = ("--provider", "ssh", "-i", str(lab_room.inventory))
    said = lab_room.labroom("check", *seats, "byte_order", "outside_access", status=3)
    parts = ", ".join(f"{part} {name}" for name, part in SEAT1.items())
    assert f"\nseat1: {parts}\nseat2: server pc05, alfa pc06\n" in said
    for seat, skipped in ("seat1", "bravo"), ("seat2", "gateway"):
        shown = said[said.index(f"\n{seat}\n") :].partition("\nreport: ")[0]
        for lab in "byte_order", "outside_access":
            assert re.search(rf"^{lab} +passed", shown, re.MULTILINE), said
        assert f"this room has no {skipped}" in shown
        assert re.search(rf"^{seat}: 2 labs: 2 passed", said, re.MULTILINE)
    address = f"{PRESENT['pc01'][:-1]}3"
    off = f"seat1: {OFF} ({address} port 22) can't be reached: No route to host\n"
    assert f"not there, {off}" in said
    assert said.index(f"not checked, {off}") > said.index("\nreport: ")


def test_a_limit_leaves_the_pc_that_is_off_out(lab_room: LabRoom) -> None:
    inventory = ("--provider", "ssh", "-i", str(lab_room.inventory), "--limit", "seat2")
    said = lab_room.labroom("check", *inventory, "signals")
    assert "seat1" not in said
    assert lab_room.labroom("ssh", *inventory, "pc06", "hostname") == "pc06\n"


def test_interrupted_it_leaves_nothing_on_any_pc(lab_room: LabRoom) -> None:
    def running() -> list[bool]:
        """Whether the student has processes, in each seat."""
        return [lab_room.ssh(name, "pgrep -u student || true") != "" for name in ("pc01", "pc05")]

    command = [tool("python"), "-m", "labroom", "check", "--provider", "ssh", "-i", str(lab_room.inventory)]
    secret = {"ANSIBLE_VAULT_PASSWORD_FILE": str(lab_room.vault_password)}
    checking = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | secret, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for(lambda: running() == [True, True], "the student's processes in both seats", seconds=120)
    finally:
        checking.terminate()
    _, error = checking.communicate()
    assert error == "labroom: interrupted\n"
    assert checking.returncode == 130
    wait_for(lambda: running() == [False, False], "no process of the student in any seat", seconds=120)


def test_unknown_host_keys_are_refused(lab_room: LabRoom) -> None:
    known = lab_room.known_hosts.read_text()
    line = next(line for line in known.splitlines() if line.startswith(PRESENT["pc06"]))
    lab_room.known_hosts.write_text(known.replace(line + "\n", ""))
    try:
        seats = ("--provider", "ssh", "-i", str(lab_room.inventory))
        said = lab_room.labroom("check", *seats, "--limit", "pc06", "tcp_hello", status=3)
        assert f"the host key of pc06 ({PRESENT['pc06']}) is not in {lab_room.known_hosts}" in said
        assert f"help: ssh-keyscan {PRESENT['pc06']} >>{lab_room.known_hosts}," in said
    finally:
        lab_room.known_hosts.write_text(known)
