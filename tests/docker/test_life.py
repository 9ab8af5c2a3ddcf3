"""A room's life as containers of a real engine, by hand with either Compose and by labroom, and what can go wrong."""

import re
import sys
import tarfile
from pathlib import Path

import pytest

from tests.docker.conftest import GUESTS, Machine

OWN_KEY = "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub"
# A room of one's own: another name, other networks and more of them, no internet.
EXAM = """
name: exam
networks: { private: 192.168.75.0/24, far: 192.168.76.0/24, outside: 203.0.113.16/28 }
internet: false
guests:
  gateway: { part: gateway, far: 192.168.76.2, outside: 203.0.113.18 }
  r1: { part: router, private: 192.168.75.2, far: 192.168.76.3 }
  pc: { private: 192.168.75.128 }
forwarded_ports: [{ port: 2222, guest: pc, guest_port: 22 }]
"""
# Asks the name server at 10.0.2.3, the sandbox's way out, for the root's servers; prints how long the answer is.
ASK = """
import socket
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(2)
try:
    asking.sendto(bytes([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]), ("10.0.2.3", 53))
    print("answered" if asking.recv(512) else "empty")
except OSError as error:
    print(error)
"""
# Waits until a guest has booted; prints how it is, and its host key.
BOOTED = f"""
until [ -S /run/systemd/private ]; do sleep 0.05; done
systemctl is-system-running --wait
{OWN_KEY}
"""
UP = ("up", "--provider", "docker")


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    """Its file."""
    file = tmp_path / "exam.yml"
    file.write_text(EXAM)
    return file


def key_at(machine: Machine, port: int) -> str:
    """The host key of the sshd that answers at a port of 127.0.0.1."""
    return machine.run("ssh-keyscan", "-t", "ed25519", "-p", str(port), "127.0.0.1").split()[2]


def already_built(machine: Machine) -> dict[str, str]:
    """Have Compose v2, whose builder has a cache of its own, begin with what the first has built, if it has.

    So the packages are there.
    """
    tag = "built-already"
    if not machine.run("docker", "image", "ls", "--quiet", tag):
        if not machine.run("docker", "image", "ls", "--quiet", "lab-guest"):
            return {}
        machine.run("docker", "tag", "lab-guest", tag)
    return {"LABROOM_BASE_IMAGE": tag}


@pytest.mark.parametrize("version", [1, 2])
def test_compose_by_hand_gives_a_room(fresh: Machine, version: int) -> None:
    compose = [["docker-compose"], ["docker", "compose"]][version - 1]
    base = already_built(fresh) if version == 2 else {}

    def run(*arguments: str) -> str:
        return fresh.run(*compose, *arguments, compose=version, env=base)

    run("up", "--detach", "--build")
    own = {}
    for guest in GUESTS:
        state, own[guest] = run("exec", "-T", guest, "timeout", "180", "sh", "-c", BOOTED).split()
        assert state == "running", guest
    assert len(set(own.values())) == len(GUESTS), "two containers have the same host key"
    # Names, the private network and the toolchain, as the student.
    seen = run("exec", "-T", "--user", "student", "alfa", "ssh-keyscan", "-t", "ed25519", "server")
    assert seen.split()[2] == own["server"]
    assert "Free Software" in run("exec", "-T", "--user", "student", "server", "gcc", "--version")
    # The forwarded ports lead through the gateway's NAT, and nothing is published to other machines.
    assert [key_at(fresh, port) for port in range(2201, 2205)] == [own[guest] for guest in GUESTS[1:5]]
    sockets = fresh.run("ss", "--no-header", "--listening", "--tcp", "--numeric").splitlines()
    assert {line.split()[3].rpartition(":")[0] for line in sockets} == {"127.0.0.1"}
    assert run("exec", "-T", "server", "python3", "-c", ASK).split() == ["answered"]
    run("down")


def test_either_compose_takes_over_from_the_other(fresh: Machine) -> None:
    """Also by hand from labroom: the project has the room's name."""
    fresh.run("docker-compose", "up", "--detach", "server")
    assert "up:" in fresh.labroom(*UP, compose=2, env=already_built(fresh))
    assert fresh.labroom("ssh", "alfa", "hostname").strip() == "alfa"
    fresh.labroom("down")


def test_room_of_ones_own_of_more_networks_without_internet(fresh: Machine, exam: Path) -> None:
    archive = exam.with_name("work.tar.gz")

    def labroom(*arguments: str) -> str:
        return fresh.labroom("--room", str(exam), *arguments)

    labroom(*UP)
    assert labroom("ssh", "pc", "getent hosts gateway.lab.test").split() == ["192.168.76.2", "gateway.lab.test"]
    hops = labroom("ssh", "pc", "traceroute -n 203.0.113.18").splitlines()[1:]
    assert [hop.split()[1] for hop in hops] == ["192.168.75.2", "203.0.113.18"]
    assert labroom("link", "r1", "--network", "far", "--down") == "r1 to private good\nr1 to far    down\n"
    pings = "ping -c 1 -W 1 192.168.75.2; ping -c 1 -W 1 192.168.76.2; true"
    assert re.findall(r"\d received", labroom("ssh", "pc", pings)) == ["1 received", "0 received"]
    labroom("link", "r1", "--clear")
    assert key_at(fresh, 2222) == labroom("ssh", "pc", OWN_KEY).strip()
    for guest, machine_address in (("pc", "192.168.75.1"), ("gateway", "203.0.113.30")):
        fresh.run("docker", "exec", f"exam_{guest}_1", "ip", "route", "replace", "default", "via", machine_address)
        assert "timed out" in fresh.run("docker", "exec", f"exam_{guest}_1", "python3", "-c", ASK), guest
    labroom("ssh", "pc", "echo mine >work; rm .bash_logout")
    assert labroom("reset", "pc").endswith("new: pc\n")
    assert labroom("ssh", "pc", "cat work") == "mine\n"
    assert "the homes of pc" in labroom("backup", str(archive), "pc")
    with tarfile.open(archive) as packed:
        assert packed.getmember("pc/student/.bash_logout").ischr()  # deleted, as in an archive of nspawn's guests
    labroom("ssh", "pc", "echo other >work; touch more .bash_logout")
    assert "restored: the homes of pc" in labroom("restore", str(archive), "--yes")
    assert labroom("ssh", "pc", "cat work; ls -A; sudo ls -A /home").split() == [
        *("mine", ".bashrc", ".profile", ".ssh", "work"),
        "student",
    ]
    assert "homes are kept: gateway pc r1" in labroom("down")
    assert "there is nobody to ask" in fresh.labroom("--room", str(exam), "down", "--purge", status=2)
    assert fresh.run("docker", "volume", "ls", "--quiet").split() == [
        "exam_home-gateway",
        "exam_home-pc",
        "exam_home-r1",
    ]
    labroom("reset", "--home", "--yes")
    assert not fresh.run("docker", "volume", "ls", "--quiet")


def test_bare_room_is_provisioned_by_the_playbook(fresh: Machine, tmp_path: Path) -> None:
    file = tmp_path / "bare.yml"
    file.write_text(EXAM.replace("internet: false", "image: { provisioned: false }"))
    fresh.labroom("--room", str(file), *UP)
    bare = fresh.run("docker", "exec", "exam_pc_1", "sh", "-c", "command -v sudo gcc; id student; true")
    assert "no such user" in bare
    assert "sudo" not in bare
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    fresh.run(playbook, f"--inventory={file}", "playbooks/gateway.yml")
    assert fresh.run("docker", "exec", "exam_pc_1", "getent", "hosts", "pc").split()[0] == "192.168.75.128"
    fresh.labroom("--room", str(file), "down")


def test_containers_trust_whom_this_machine_trusts(fresh: Machine, tmp_path: Path) -> None:
    file, trusted = tmp_path / "bare.yml", tmp_path / "trusted"
    file.write_text(EXAM.replace("internet: false", "image: { provisioned: false }"))
    trusted.mkdir()
    for name in ("one", "two"):
        made = ("-days", "9", "-keyout", "/dev/null", "-out", str(tmp_path / name))
        fresh.run("openssl", "req", "-x509", "-newkey", "ed25519", "-noenc", "-subj", f"/CN={name} of labroom", *made)
    (trusted / "both.crt").write_text("a $word\n" + "".join((tmp_path / name).read_text() for name in ("one", "two")))
    mount = f'mount --bind {trusted} /usr/local/share/ca-certificates; exec "$@"'
    on_it = ("unshare", "--mount", "sh", "-ec", mount, "sh", sys.executable, "-m", "labroom", "--room", str(file))
    fresh.run(*on_it, *UP)
    look = "import ssl; print(ssl.create_default_context().get_ca_certs())"
    found = fresh.run("docker", "exec", "exam_pc_1", "python3", "-c", look)
    assert "one of labroom" in found
    assert "two of labroom" in found
    verify = "for cert in /usr/local/share/ca-certificates/machine-*; do openssl verify $cert; done; cat /etc/pip.conf"
    said = fresh.run("docker", "exec", "exam_pc_1", "sh", "-c", verify)
    assert said.count(": OK\n") == 2
    assert "[global]" in said
    fresh.run(*on_it, "down")


def test_port_that_is_taken_is_named_and_nothing_stays(fresh: Machine, exam: Path) -> None:
    listen = "import socket, time; s = socket.create_server(('127.0.0.1', 2222)); time.sleep(600)"
    holder = fresh.sandbox.start("python3", "-c", listen, log="holder.log")
    try:
        fresh.sandbox.wait_for(["sh", "-c", "ss -ltn 'sport = 2222' | grep -q 2222"], holder, "holder.log")
        said = fresh.labroom("--room", str(exam), *UP, status=3)
        assert "labroom: port 2222 of 127.0.0.1 is in use on this machine" in said
    finally:
        fresh.run("sh", "-c", "kill $(ss -ltnpH 'sport = 2222' | sed 's/.*pid=//; s/,.*//')")
        holder.wait()


def test_addresses_that_are_taken_are_no_traceback(fresh: Machine) -> None:
    fresh.run("docker", "network", "create", "--subnet=192.168.74.0/24", "other")
    try:
        said = fresh.labroom(*UP, status=3)
        assert "labroom: another network of Docker's has the room's addresses" in said
    finally:
        fresh.run("docker", "network", "rm", "other")


def test_interrupted_up_leaves_nothing(fresh: Machine, exam: Path) -> None:
    script = """
        "$@" & up=$!
        until [ "$(docker ps --all --quiet)" ]; do kill -0 $up || exit; sleep 0.1; done
        kill -INT $up; wait $up
    """
    up = (sys.executable, "-m", "labroom", "--room", str(exam), *UP)
    said = fresh.run("sh", "-c", script, "sh", *up, status=130)
    assert said.endswith("labroom: interrupted\n")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DOCKER_HOST": "unix:///run/nobody.sock"}, "labroom: no Docker engine answers"),
        ({"PATH": "/nonexistent"}, "labroom: docker is not installed"),
    ],
)
def test_without_an_engine_it_says_so(machine: Machine, variables: dict[str, str], message: str) -> None:
    settings = [f"{name}={value}" for name, value in variables.items()]
    said = machine.run("env", *settings, sys.executable, "-m", "labroom", *UP, status=3)
    assert message in said
    assert "help: " in said
    assert "Traceback" not in said
