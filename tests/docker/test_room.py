"""The default room as containers of a real engine: is it the room that nspawn makes?"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.conftest import GUESTS, Machine


@pytest.fixture(scope="module")
def room(machine: Machine) -> Iterator[Machine]:
    """The default room, up by labroom."""
    machine.labroom("up", "--provider", "docker")
    yield machine
    said = machine.labroom("down")
    assert not machine.clear_away()
    assert "room lab: down" in said


def test_containers_are_not_privileged(room: Machine) -> None:
    containers = json.loads(room.run("sh", "-c", "docker inspect $(docker ps --quiet)"))
    assert {container["HostConfig"]["Privileged"] for container in containers} == {False}
    assert {tuple(sorted(container["HostConfig"]["CapAdd"])) for container in containers} == {
        ("NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE")
    }


# What could be otherwise in containers: networks, names, ports, captures, processes. The others' programs don't see it.
LABS = ("name_lookup", "outside_access", "processes", "tcp_close", "tcp_hello", "udp_chat")


def test_labs_pass(room: Machine) -> None:
    said = room.labroom("check", *LABS)
    assert re.search(rf"^{len(LABS)} labs: {len(LABS)} passed; \d+ checks in", said, re.MULTILINE)  # none skipped


def test_links_are_made_bad_from_inside(room: Machine) -> None:
    assert "1 lab: 1 passed;" in room.labroom("check", "bad_links")
    ask = ("exec", "alfa", "--", "/opt/labs/bad_links/numbered_client.py 192.168.74.128 9090 1")  # which nobody serves
    assert "alfa         loss 100%" in room.labroom("link", "alfa", "--loss", "100%")
    assert "no answer to 20 questions" in room.labroom(*ask, status=1)
    assert "alfa         good" in room.labroom("link", "alfa", "--clear")
    assert "Connection refused" in room.labroom(*ask, status=1)


def test_guests_are_what_the_roles_promise(room: Machine) -> None:
    script = "PATH=$1:$PATH; exec pytest tests/guests --ansible-inventory=room.yml"
    room.run("sh", "-c", script, "sh", str(Path(sys.executable).parent))


def test_students_find_what_they_expect(room: Machine) -> None:
    script = "PATH=$1:$PATH; exec pytest tests/room/test_inside.py"
    room.run("sh", "-c", script, "sh", str(Path(sys.executable).parent))


def test_playbook_finds_nothing_to_change(room: Machine) -> None:
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    said = room.run(playbook, "--inventory=room.yml", "playbooks/room.yml")
    recap = said.partition("PLAY RECAP")[2].splitlines()[1:]
    hosts = [line for line in recap if "ok=" in line]
    assert len(hosts) == len(GUESTS)
    assert all("changed=0" in line and "failed=0" in line and "unreachable=0" in line for line in hosts), said


def test_up_finds_all_in_order_and_mends_what_died(room: Machine) -> None:
    assert "all in order" in room.labroom("up")
    room.run("docker", "kill", "lab_server_1")
    assert "DOWN" in room.labroom("status")
    mended = room.labroom("up")
    assert re.findall(r"(\w+) (?:started|replaced)$", mended, re.MULTILINE) == ["server"]
    assert "DOWN" not in room.labroom("status")
    assert room.labroom("ssh", "server", "hostname; whoami").split() == ["server", "student"]


def test_up_replaces_a_container_in_which_nobody_can_log_in(room: Machine) -> None:
    room.run("docker", "exec", "lab_alfa_1", "usermod", "--shell", "/bin/false", "student")
    assert "alfa replaced" in room.labroom("up")
    assert room.labroom("ssh", "alfa", "hostname").strip() == "alfa"


def test_a_container_that_lies_harms_nobody(room: Machine) -> None:
    """Who is root in it may replace what answers in it."""
    lie = "mv /bin/sh /bin/sh.right; printf '#!/bin/bash\\nwhile :; do echo 99999999999999999999999; done\\n' >/bin/sh"
    room.run("docker", "exec", "lab_bravo_1", "bash", "-c", f"{lie}; chmod 755 /bin/sh")
    said = room.labroom("status")
    assert re.search(r"^bravo .* 0$", said, re.MULTILINE), said
    assert re.search(r"^alfa .* [1-9]\d*$", said, re.MULTILINE), said
    room.run("docker", "rm", "--force", "lab_bravo_1")
    assert "bravo started" in room.labroom("up")
