"""Guests of Ubuntu 24.04 from a stand-in for its archive (`archive`): all of the way but what is in the packages."""

import json
import re
import sys

from tests.ubuntu import archive
from tests.ubuntu.conftest import Machine

# How a base is begun: lists are fetched and checked, and packages chosen of them.
_SIMULATE = """
import pathlib, subprocess
from labroom import console
from labroom.providers.nspawn import image_base
release = image_base.decide_release("auto", console.Progress())
command, sources = image_base.bootstrap(release, pathlib.Path("/dev/null"), image_base.PACKAGES, "--simulate")
subprocess.run(command, input=sources, text=True, check=True)
print(release, sources)
"""
_OWN_SOURCES = """\
Types: deb
URIs: http://mirror.test/ubuntu/
Suites: noble noble-updates noble-backports
Components: main restricted universe multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

Types: deb
URIs: http://security.test/ubuntu/
Suites: noble-security
Components: main restricted universe multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
"""
_DOCKERS = "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://docker.test/linux/ubuntu noble stable\n"
# Runs a command on the machine as Ubuntu itself; $0 is its folder.
_AS_UBUNTU = """
mount --bind "$0/os-release" /etc/os-release
mount --bind "$0/own" /etc/apt/sources.list.d
exec "$@"
"""


def test_ubuntu_without_its_keys_is_refused_in_a_line_that_says_what_brings_them(bare: Machine) -> None:
    described = bare.room.read_text()
    bare.room.write_text(f"{described}image: {{release: noble}}\n")
    said = bare.labroom("up", status=3)
    bare.room.write_text(described)
    assert "this machine lacks the keys of noble" in said
    assert "apt-get install ubuntu-keyring gpg" in said
    assert "image.release" in said


def test_auto_says_why_guests_are_not_ubuntu_and_asks_anew_where_no_image_came_of_it(keyed: Machine) -> None:
    said = keyed.labroom("up", status=3)
    assert "Ubuntu's archive can't be reached from here: the guests are Debian" in said
    assert not (keyed.folder / "state/images/auto.json").exists()


def test_a_machine_with_ubuntu_takes_its_own_sources_and_no_others(machine: Machine) -> None:
    own = machine.folder / "own"
    own.mkdir()
    (own / "ubuntu.sources").write_text(_OWN_SOURCES)
    (own / "docker.list").write_text(_DOCKERS)
    (machine.folder / "os-release").write_text(archive.OS_RELEASE)
    command = (sys.executable, "-c", _SIMULATE)
    said = machine.run("unshare", "--mount", "sh", "-ec", _AS_UBUNTU, str(machine.folder), *command)
    assert "I: success" in said
    assert f"noble deb [signed-by=/{archive.KEYRING}] http://mirror.test/ubuntu/ noble main restricted" in said


def test_auto_is_ubuntu_where_key_and_archive_are_there(room: Machine) -> None:
    said = (room.folder / "up.log").read_text()
    assert "base of the guests' image (noble)" in said
    assert json.loads((room.folder / "state/images/auto.json").read_text()) == {"release": "noble"}
    for name in ("server", "alfa"):
        assert "Ubuntu 24.04" in room.labroom("ssh", name, "cat /etc/os-release")


def test_guests_trust_whom_the_machine_trusts(room: Machine) -> None:
    own = (room.folder / "certificates/own.crt").read_text()
    assert own.strip() in room.labroom("ssh", "alfa", "cat /etc/ssl/certs/ca-certificates.crt")
    assert "cert = /etc/ssl/certs/ca-certificates.crt\n" in room.labroom("ssh", "alfa", "cat /etc/pip.conf")


def test_labs_run_there(room: Machine) -> None:
    assert "1 lab: 1 passed" in room.labroom("check", "tcp_hello")


def test_a_student_installs_what_is_in_universe(room: Machine) -> None:
    install = f"sudo apt-get -q update && sudo apt-get -q install --yes {archive.IN_UNIVERSE} && apt-cache policy"
    said = room.labroom("ssh", "alfa", f"{install} {archive.IN_UNIVERSE}")
    assert re.search(rf"Setting up {archive.IN_UNIVERSE} ", said)
    assert "noble/universe" in said


def test_sshd_waits_behind_its_socket(room: Machine) -> None:
    said = room.labroom("ssh", "server", "systemctl is-enabled ssh.socket ssh.service; systemctl is-active ssh.socket")
    assert said.split() == ["enabled", "disabled", "active"]


def test_the_role_moves_the_socket_to_another_port_under_open_sessions(room: Machine) -> None:
    def play(*options: str) -> str:
        playbook = ("-m", "ansible", "playbook", "-i", str(room.room), "playbooks/guest.yml", "--limit=alfa")
        return room.run(sys.executable, "-I", *playbook, "--tags=ssh_server", *options)

    assert re.search(r"alfa .*changed=0 ", play())
    assert re.search(r"alfa .*changed=4 .*failed=0", play("--extra-vars=ssh_server_port=2222"))
    for_ssh = room.folder / "ssh-config"
    for_ssh.write_text(room.labroom("ssh-config"))
    elsewhere = ("ssh", "-F", str(for_ssh), "-p", "2222", "-o", "HostKeyAlias=198.51.100.132", "alfa")
    said = room.run(*elsewhere, "systemctl show --property=Listen --property=DropInPaths ssh.socket")
    assert "Listen=[::]:2222 (Stream)" in said
    assert "/run/systemd/generator/ssh.socket.d/addresses.conf" in said  # Ubuntu's generator has seen sshd_config
    assert "refused" in room.run("ssh", "-F", str(for_ssh), "alfa", "true", status=255)
