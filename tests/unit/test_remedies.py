"""Commands that errors tell a person to type: each is one that can be typed, and each is tried by a test."""

import ast
import os
import pty
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labroom.checks import bring, inventory_hosts
from labroom.cli.parser import parser
from labroom.driver import Driver
from labroom.errors import RoomFault, UsageError
from labroom.machine import tool
from labroom.resources import ROOT
from tests.unit.conftest import Sshd

# What remedies tell a person to type besides labroom itself, and the test that types it and finds the fault gone.
TRIED = {
    "cp inventory/lab-room.example.yml …": "tests/unit/test_remedies.py::test_an_inventory_to_begin_with",
    "chown -R …": "tests/trial/test_people.py::test_a_folder_that_cannot_be_written_is_no_labs_fault",
    "e2fsck -y …": "tests/trial/test_work.py::test_a_power_cut_and_errors_of_the_disk",
    "ip rule add to … lookup main priority 1": (
        "tests/trial/test_faults.py::test_a_rule_that_leads_elsewhere_is_named_and_the_remedy_repairs_it"
    ),
    "ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf": (
        "tests/unit/test_remedies.py::test_name_servers_that_have_ipv6_addresses_alone"
    ),
    "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified": (
        "tests/trial/test_faults.py::test_a_machine_without_unified_control_groups"
    ),
    "rm -r …": "tests/unit/test_providers.py::test_a_lock_is_never_what_a_link_leads_to",
    "ssh-keyscan …… >>…": "tests/unit/test_driver.py::test_unknown_host_key",
    "sysctl user.max_user_namespaces=10000": "tests/unit/test_remedies.py::test_user_namespaces_that_are_switched_off",
    "tmux kill-session -t …": "tests/unit/test_remedies.py::test_a_session_that_is_there_already",
}
# Those that no test types, and why.
UNTRIED = {
    "apt-get install …": "it takes an archive; the packages' names are those of `up`, which installs them itself",
    "apt-get install … gpg distro-info-data": "as above",
    "apt-get install docker-compose": "as above",
    "apt-get install docker.io docker-compose": "as above",
    "apt-get install tmux": "as above",
    "docker network ls": "it shows whose the network is, and repairs nothing",
    "docker system prune": "it removes what is the machine's",
    "firewall-cmd --panic-off": "it takes firewalld; what that does, a test undoes: tests/trial/test_faults.py",
    "install -d -o …": "as chown, which is its other half",
    "modprobe loop": "it takes a kernel with modules",
    "modprobe overlay": "as above",
    "nft list ruleset": "it shows the rules, and repairs nothing",
    "sysctl …=…": "it is the machine's own setting, where a container's is refused",
    "systemctl start docker": "it takes a machine with systemd",
    "ufw allow out on …": "it takes ufw; tried by hand with Debian 12's (docs/when-it-fails.md)",
}
ERRORS = ("LabroomError", "UsageError", "RoomFileError", "MachineError", "RoomFault", "Lacking", "Finding")
# Programs, too, on some machines, whose names begin sentences.
WORDS = (
    *("choose", "end", "free", "have", "install", "keep", "let", "log", "look"),
    *("make", "man", "name", "run", "say", "see", "set", "take", "write"),
)


def _trees() -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted((ROOT / "src/labroom").rglob("*.py")):
        yield file, ast.parse(file.read_text(encoding="utf-8"))


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


def _texts(said: ast.expr) -> Iterator[str]:
    """The texts that an expression may come to, with … for what is known at run time."""
    if isinstance(said, ast.Constant) and isinstance(said.value, str):
        yield said.value
    elif isinstance(said, ast.JoinedStr):
        parts = [each.value if isinstance(each, ast.Constant) else "…" for each in said.values]
        yield "".join(map(str, parts))
        for each in said.values:
            if isinstance(each, ast.FormattedValue):
                yield from _texts(each.value)
    elif isinstance(said, ast.List | ast.Tuple):
        yield " ".join(next(_texts(each), "…") for each in said.elts)
    elif isinstance(said, ast.Call) and _name(said.func) != "labroom":
        for each in said.args:
            yield from _texts(each)
    else:
        for child in ast.iter_child_nodes(said):
            if isinstance(child, ast.expr):
                yield from _texts(child)


def _remedies() -> Iterator[str]:
    """Every text of a remedy in the source: of an error, of a finding, and of what is called one."""
    for _, tree in _trees():
        for node in ast.walk(tree):
            said: list[ast.expr] = []
            if isinstance(node, ast.Call):
                said += [each.value for each in node.keywords if each.arg == "remedy"]
                said += node.args[1:] if _name(node.func) in ERRORS else []
            elif isinstance(node, ast.Assign):
                names = {_name(each).strip("_").lower() for each in node.targets}
                said += [node.value] if names & {"allow", "mount_unified", "remedy", "repair", "scan"} else []
            for each in said:
                yield from _texts(each)


def _command(remedy: str) -> str:
    """The command that a remedy begins with, without what may be done instead or follows; empty where it is words."""
    first = re.split(", or |; |, and ", remedy)[0].removeprefix("sudo ")
    program, *arguments = first.split() or [""]
    known = {each.split()[0] for each in (*TRIED, *UNTRIED)}
    is_word = program in WORDS and first == remedy[: len(first)]  # where it isn't root's
    return first if arguments and not is_word and (program in known or shutil.which(program)) else ""


def test_each_command_that_a_remedy_names_is_typed_by_a_test() -> None:
    assert set(filter(None, map(_command, _remedies()))) == TRIED.keys() | UNTRIED.keys()
    for place in TRIED.values():
        file, _, test = place.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")


def test_each_command_of_labrooms_own_is_one_that_it_understands() -> None:
    """The words that are known at run time stand for themselves."""
    understood = 0
    for file, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "commands.labroom":
                words = [next(_texts(each), "x") for each in node.args if not isinstance(each, ast.Starred)]
                if isinstance(node.args[0], ast.Constant) and words[0].islower():
                    assert parser().parse_args(words), f"{file}: {words}"
                    understood += 1
    assert understood > 20


def test_an_inventory_to_begin_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="there is no inventory") as refused:
        inventory_hosts.read("my lab.yml")
    subprocess.run(["sh", "-c", refused.value.remedy], check=True)
    assert "pc01" in inventory_hosts.read("my lab.yml").lab_pcs


def test_a_session_that_is_there_already(tmp_path: Path) -> None:
    file = tmp_path / "room.yml"
    file.write_text(
        "name: panes\nnetworks: {private: 192.168.79.0/24, outside: 198.51.100.240/28}\n"
        "guests: {one: {private: 192.168.79.10}}\n"
    )
    own = os.environ | {"TMUX_TMPDIR": str(tmp_path)}  # a server of its own
    subprocess.run(["tmux", "new-session", "-d", "-s", "labroom-panes", "sleep", "60"], check=True, env=own)
    terminal, side = pty.openpty()
    command = [tool("python"), "-m", "labroom", "--room", str(file), "shell", "one"]
    done = subprocess.run(
        command, stdin=side, stdout=side, stderr=subprocess.PIPE, text=True, check=False, env=own, cwd=ROOT
    )
    os.close(terminal)
    os.close(side)
    error, _, remedy = done.stderr.partition("  help: ")
    assert error == "labroom: the session labroom-panes is there already, with panes of its own\n"
    subprocess.run(["sh", "-c", remedy], check=True, env=own)
    there = subprocess.run(["tmux", "has-session", "-t", "=labroom-panes"], capture_output=True, check=False, env=own)
    assert there.returncode != 0


def test_labs_that_can_not_be_replaced(tmp_path: Path) -> None:
    """The playbook that brings them knows the host and the task; here it only says so."""
    for name in ("labs/tcp_hello", "sshd"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "labs/tcp_hello/hello_server.py").touch()
    (tmp_path / "sudo").write_text("#!/bin/sh\necho a password is required >&2\nexit 1\n")
    (tmp_path / "sudo").chmod(0o755)
    sshd = Sshd(tmp_path / "sshd", f"SetEnv PATH={tmp_path}:/usr/bin:/bin")
    driver = Driver({"alfa": sshd.endpoint})
    try:
        with pytest.raises(RoomFault, match=r"on alfa are not those .*: a password is required") as fault:
            bring.bring(driver.hosts["alfa"], tmp_path / "labs", str(tmp_path / "absent"))
    finally:
        driver.close()
        sshd.process.terminate()
        sshd.process.wait()
    said = subprocess.run(
        ["sh", "-c", f"{fault.value.remedy} --list-hosts --list-tasks"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert "alfa" in said.stdout
    assert "lab_programs" in said.stdout


# Whether guests would have names, where systemd-resolved asks servers with IPv6 addresses alone.
RESOLVED = """
mount -t tmpfs none /run
mkdir -p /run/systemd/resolve /run/etc /run/work
echo nameserver 127.0.0.53 >/run/systemd/resolve/stub-resolv.conf
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work,userxattr overlay /etc
rm /etc/resolv.conf; echo nameserver 2001:db8::53 >/etc/resolv.conf
exec "$@"
"""
NAMES = """
from labroom.providers.nspawn import requirements
import subprocess
found = requirements.name_servers()
assert not found.ok
command, _, _ = found.remedy.partition(", or")
subprocess.run(["sh", "-c", command], check=True)
assert requirements.name_servers().ok
print("repaired by", command)
"""


def test_name_servers_that_have_ipv6_addresses_alone() -> None:
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", RESOLVED, "sh"]
    done = subprocess.run([*inside, tool("python"), "-c", NAMES], capture_output=True, text=True, check=False)
    assert "repaired by ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf" in done.stdout, done.stderr


# Whether guests can have users of their own, in a user namespace that has a number of its own of them.
SWITCHED_OFF = """
from labroom.errors import MachineError
from labroom.providers.nspawn import requirements
from pathlib import Path
import subprocess
Path("/proc/sys/user/max_user_namespaces").write_text("0")
try:
    requirements.require_user_namespaces()
except MachineError as error:
    command, _, _ = error.remedy.partition(";")
    subprocess.run(["sh", "-c", command], check=True)
    requirements.require_user_namespaces()
    print("repaired by", command)
"""


def test_user_namespaces_that_are_switched_off() -> None:
    command = ["unshare", "--user", "--map-root-user", tool("python"), "-c", SWITCHED_OFF]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "repaired by sysctl user.max_user_namespaces=10000\n" in done.stdout, done.stderr
