"""Two machines of the room, emulated, from nothing to nothing: one where the host has Ansible, one where it hasn't.

The tests of this file follow one another, on the same machines.
"""

import re
import shutil
import sys

import pytest

from labroom.resources import ROOT
from tests.vagrant.libvirt import Vagrant

NAMES = ("server", "alfa")
LABS = ("descriptors", "tcp_hello")  # of one machine and of both
WORDS = "refused"  # some checks of each; the room runs them all, and here each takes ten times as long
LONG_WAY = ("--delay", "100ms", "--jitter", "10ms")
SLOWNESS = "10"  # under emulation all takes longer: what deadlines are multiplied by


@pytest.fixture(scope="module")
def up(vagrant: Vagrant) -> Vagrant:
    """Vagrant, with the machines up: alfa has provisioned itself, as where the host has no Ansible."""
    venv = vagrant.checkout / ".venv"
    hidden = venv.rename(vagrant.sandbox.folder / "venv")
    try:
        alone = vagrant.run_other("vagrant", "up", "alfa", timeout=1500, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    finally:
        hidden.rename(venv)
    assert "Running ansible-playbook..." in alone
    said = vagrant.run("up", "server", timeout=1500)
    (ROOT / "reports").mkdir(exist_ok=True)
    (ROOT / "reports" / "vagrant-up.txt").write_text(alone + said)
    return vagrant


def test_are_what_the_roles_promise(up: Vagrant) -> None:
    # What a machine that has provisioned itself has no key for; and not all machines of the room are up.
    host_vars = up.inventory.parent / "host_vars"
    host_vars.mkdir()
    (host_vars / "alfa.yml").write_text("student_account_hosts: {}\n")
    others = "tests/guests/test_student_account.py::test_student_gets_to_the_hosts_that_are_named_without_a_question"
    argv = (sys.executable, "-m", "pytest", "-pno:cacheprovider", "tests/guests", f"--ansible-inventory={up.inventory}")
    up.run_other(*argv, f"--deselect={others}", timeout=900)
    shutil.rmtree(host_vars)
    server = up.run("ssh", "server", "-c", "sudo -u student ssh -o BatchMode=yes server 'hostname; whoami'")
    assert "server student" in " ".join(server.split())


def test_know_each_other_by_name(up: Vagrant) -> None:
    for name, other in (NAMES, reversed(NAMES)):
        up.run("ssh", name, "-c", f"nc -z -w 60 {other} 22")
        assert not re.search(r"^127\.", up.run("ssh", name, "-c", f"getent ahostsv4 {name}"), re.MULTILINE)


def test_forwarded_ports_lead_to_the_server(up: Vagrant) -> None:
    serve = "sudo systemd-run --quiet sh -c 'hostname | nc -l -N 18080'"
    listening = "timeout 60 sh -c 'until ss -ltn | grep -q :18080; do sleep 0.2; done'"
    up.run("ssh", "server", "-c", f"{serve} && {listening}")
    client = "import socket; print(socket.create_connection(('127.0.0.1', 18080)).makefile().read())"
    assert up.run_other(sys.executable, "-c", client).strip() == "server"


def test_run_the_labs(up: Vagrant) -> None:
    said = up.run_other(
        *("./labroom", "check", "--provider", "ssh", "-i", str(up.inventory), "-k", WORDS, *LABS),
        timeout=1500,
        env={"LABROOM_PATIENCE": SLOWNESS},
    )
    assert f"{len(LABS)} labs: {len(LABS)} passed;" in said


def test_a_long_way_between_them(up: Vagrant) -> None:
    """Their kernel has netem, which that of the machine that runs these tests may lack."""
    machines = ("--provider", "ssh", "-i", str(up.inventory))
    up.run_other("ansible", "all", "-i", str(up.inventory), "-m", "ansible.builtin.ping")  # which notes their host keys
    for words in ("overtake", "round trip"):  # the checks that need it
        said = up.run_other(
            *("./labroom", "check", *machines, "-k", words, "bad_links"),
            timeout=900,
            env={"LABROOM_PATIENCE": SLOWNESS},
        )
        assert "1 lab: 1 passed;" in said
        assert "skipped" not in said
    assert "delay 100ms, jitter 10ms" in up.run_other("./labroom", "link", *machines, "alfa", *LONG_WAY)
    server = up.run("ssh", "alfa", "-c", "getent ahostsv4 server").split()[0]
    connect = f"import socket, time; t = time.monotonic(); socket.create_connection(('{server}', 22))"
    took = f'python3 -c "{connect}; print(time.monotonic() - t)"'
    assert float(up.run_other("./labroom", "exec", *machines, "alfa", "--", took).removeprefix("alfa: ")) > 0.18
    assert "alfa         good" in up.run_other("./labroom", "link", *machines, "alfa", "--clear")
    assert "bad" not in up.run("ssh", "alfa", "-c", "ip link; sudo nft list tables")


def test_destroy_leaves_nothing(up: Vagrant) -> None:
    assert up.left()
    up.run("destroy", "--force")
    assert up.left() == []
