"""Do the roles keep the rules: defaults and argument_specs in step, prefixed names, FQCN, documented?"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from labroom import room
from labroom.machine import tool
from labroom.providers.nspawn import requirements

ROOT = Path(__file__).parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
MODULES = {f"labroom.labroom.{path.stem}" for path in (ROOT / "plugins/modules").glob("*.py")}

KEYWORDS = {
    *("name", "when", "register", "notify", "listen", "vars", "check_mode", "changed_when", "failed_when"),
    *("become", "delegate_to", "loop", "run_once"),
}

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@each_role
def test_defaults_and_argument_specs_say_the_same(role: Path) -> None:
    options = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert {name: option["default"] for name, option in options.items()} == load(role / "defaults/main.yml")


@each_role
def test_variables_bear_the_name_of_their_role(role: Path) -> None:
    assert [name for name in load(role / "defaults/main.yml") if not name.startswith(f"{role.name}_")] == []
    internal = load(role / "vars/main.yml") if (role / "vars").exists() else {}
    assert [name for name in internal if not name.startswith(f"__{role.name}_")] == []


@each_role
def test_readme_shows_every_variable_with_its_default(role: Path) -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", (role / "README.md").read_text(), re.MULTILINE)
    assert {name: yaml.safe_load(default) for name, default in rows} == load(role / "defaults/main.yml")


@each_role
def test_has_a_scenario_and_its_tests(role: Path) -> None:
    """Molecule takes a scenario without tests for one that passed."""
    assert (ROOT / "extensions/molecule" / role.name / "molecule.yml").is_file()
    assert (ROOT / f"tests/guests/test_{role.name}.py").is_file()


@each_role
def test_supports_the_releases_of_the_project(role: Path) -> None:
    platforms = load(role / "meta/main.yml")["galaxy_info"]["platforms"]
    assert {platform["name"]: platform["versions"] for platform in platforms} == {
        "Debian": ["bookworm", "trixie"],
        "Ubuntu": ["jammy", "noble"],
    }


@each_role
def test_readme_says_what_it_takes_and_shows_a_play(role: Path) -> None:
    text = (role / "README.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n\n(.+?)(?=\n## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert sections["Requirements"].startswith("- ")
    (example,) = re.findall(r"^```yaml\n(.+?)^```$", sections["Example"], re.MULTILINE | re.DOTALL)
    (play,) = yaml.safe_load(example)
    assert play["hosts"]
    (applied,) = play["roles"]
    assert applied["role"] == f"labroom.labroom.{role.name}"
    assert applied["vars"]
    assert applied["vars"].keys() - load(role / "defaults/main.yml").keys() == set()


def test_one_oldest_ansible_is_promised() -> None:
    """tests/trial/test_collection.py runs it."""
    required = load(ROOT / "meta/runtime.yml")["requires_ansible"]
    oldest = required.removeprefix(">=").removesuffix(".0")
    assert {load(role / "meta/main.yml")["galaxy_info"]["min_ansible_version"] for role in ROLES} == {oldest}
    texts = [role / "README.md" for role in ROLES]
    assert {re.findall(r"ansible-core ([\d.]+) or newer", text.read_text())[0] for text in texts} == {oldest}


@each_role
def test_uses_modules_of_ansible_and_of_this_collection(role: Path) -> None:
    modules = {module for task in tasks(role) for module in task.keys() - KEYWORDS}
    assert modules
    assert {module for module in modules - MODULES if not module.startswith("ansible.builtin.")} == set()


@each_role
def test_what_it_registers_and_notifies_bears_its_name(role: Path) -> None:
    """Another role's register can't be relied on, and another role's topic would be notified with one's own."""
    registered = [task["register"] for task in tasks(role) if "register" in task]
    assert [name for name in registered if not name.startswith(f"__{role.name}_")] == []
    handlers = load(role / "handlers/main.yml") if (role / "handlers").exists() else []
    assert [task["name"] for task in handlers if role.name not in task["name"].split()] == []
    topics = {topic for task in handlers for topic in several(task["listen"])}
    assert [topic for topic in topics if not topic.startswith(f"{role.name} ")] == []
    assert {topic for task in tasks(role) for topic in several(task.get("notify", []))} == topics


@each_role
def test_reads_no_other_roles_variables(role: Path) -> None:
    others = "|".join(other.name for other in ROLES if other != role)
    files = [path for kind in ("tasks", "handlers", "templates", "vars") for path in (role / kind).glob("*")]
    assert {name for path in files for name in re.findall(rf"\b_*(?:{others})_\w+", path.read_text())} == set()


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDZOWzFcD kim@home"
HASH = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
#: Values of variables that a role must refuse, before it changes anything, and others that it must take.
WRONG_AND_RIGHT: dict[str, tuple[list[Any], list[Any]]] = {
    "lab_programs_destination": (
        [
            "",
            "labs",
            "~/labs",
            "$HOME/labs",
            "/",
            "/opt",
            "/etc",
            "/etc/labs",
            "/usr/local/bin",
            "/home/kim",
            "/opt/../etc",
            "/opt//labs",
            "/opt/labs/.",
            "/opt/labs\nnext",
            "/var/lib",
        ],
        ["/opt/labs/", "/srv/my labs", "/labs", "/home/kim/labs", "/opt/실습", "/usr/local/labs", "/opt/100% labs"],
    ),
    "lab_programs_left_out": ([["../tcp_hello"], ["a b"], [""], [".venv"]], [["tcp_hello", "udp_chat"], []]),
    "lab_programs_words": ([{"": "b"}, {"a": ""}, {"a\nb": "c"}, {"a": 1}], [{"192.168.74.1": "10.0.0.1"}, {}]),
    "lab_programs_hosts": ([{"server": "10.0.0.1"}, {"a b": ["10.0.0.1"]}], [{"server": ["10.0.0.1"]}, {}]),
    "student_account_hosts": ([{"server": []}, {"a*": ["10.0.0.1"]}, {"a": ["b"]}], [{"server": ["10.0.0.1"]}, {}]),
    "student_account_labs": (["", "labs", "/opt/labs\nnext"], ["/opt/labs"]),
    "labroom_command_destination": (["", "~", "/usr", "/root", "/proc/labroom"], ["/opt/labroom", "/root/labroom/"]),
    "labroom_command_packages": ([["gcc=4:12"], ["libc6*"], ["--purge"], [""]], [["gcc", "libc6:amd64"], []]),
    "toolchain_packages": (
        [["gcc/trixie"], ["Gcc"], ["a b"], ["gcc\n"], ["libc6:any"], ["gcc=1"], ["../x"], ["a"]],
        [["g++", "libstdc++-12-dev", "libc6:i386"]],
    ),
    "toolchain_more_packages": ([["gcc=1"], [""]], [["htop"], []]),
    "ssh_server_locale": (["C.UTF-8\nPort 23", "ko KR", "../C"], ["C.UTF-8", "ko_KR.UTF-8", ""]),
    "ssh_server_port": ([0, 65536, -1], [22, "2222", 65535]),
    "ssh_server_max_sessions": ([0, -5], [1, 64]),
    "student_account_name": (
        [
            "",
            "root",
            "kim lee",
            "Kim",
            "kim/lee",
            "../kim",
            "-kim",
            "kim:0",
            "kim\n",
            "9kim",
            "k" * 33,
            ".kim",
            "%sudo",
            "김",
        ],
        ["kim", "kim.lee", "_kim-lee2"],
    ),
    "student_account_shell": (
        ["", "bash", "/bin/bash:", "/bin/bash\nx", "/bin/b ash", "~/sh"],
        ["/bin/sh", "/usr/bin/fish"],
    ),
    "student_account_password_hash": (
        ["", "secret", "a:b", f"{HASH}:", f"{HASH}\nroot::0"],
        ["*", "!", HASH, f"!{HASH}"],
    ),
    "student_account_authorized_keys": (
        [["-----BEGIN OPENSSH PRIVATE KEY-----"], ["ssh-ed25519"], ["~/.ssh/id_ed25519.pub"], ["kim@home"]],
        [[KEY], [f'from="10.0.0.1" {KEY}'], [f"# two\n{KEY}\n\n{KEY}\n"], []],
    ),
    "name_service_domain": (
        ["", "lab..test", "-lab", "lab/", "a" * 64, "lab test", "lab.test\nserver=/x/", "localhost"],
        ["lab.test", "lab"],
    ),
    "name_service_listen_addresses": (
        [["eth0"], ["10.0.0.256"], ["10.0.0.1,10.0.0.2"], [""]],
        [["10.0.0.1", "fd00::1"]],
    ),
    "name_service_hosts": (
        [
            {"a,b": ["10.0.0.1"]},
            {"a": "10.0.0.1"},
            {"a": []},
            {"a": ["b"]},
            {"localhost": ["10.0.0.1"]},
            {"a\nb": ["10.0.0.1"]},
        ],
        [{"a": ["10.0.0.1", "10.0.0.2"], "b.c": ["fd00::1"]}],
    ),
    "name_service_aliases": ([{"echo": "nobody"}, {"a,b": "server"}, {"server": "server"}], [{"echo": "server"}]),
    "name_service_upstream": (
        [["dns.test"], ["10.0.0.1#"], ["10.0.0.1#99999"], ["/x/10.0.0.1"]],
        [["10.0.0.1", "10.0.0.1#5353"]],
    ),
    "nat_gateway_inside": (
        ["10.0.0.1", "10.0.0.1/24", "10.0.0.0/33", "fd00::/64", "10.0.0.0/24; flush ruleset", ["10.0.0.0/24", "x"]],
        ["10.0.0.0/24", ["10.0.0.0/24", "10.0.2.0/24"]],
    ),
    "nat_gateway_outside_address": (["", "outside", "10.0.0.1/24", "fd00::1"], ["10.0.0.1"]),
    "nat_gateway_forwarded_ports": (
        [
            [{"port": 0, "to": "10.0.0.1"}],
            [{"port": 80, "to": "10.0.0.1", "to_port": 65536}],
            [{"port": 80, "to": "server"}],
            [{"port": 80, "to": "10.0.0.1"}, {"port": 80, "to": "10.0.0.2", "protocol": "tcp"}],
        ],
        [[{"port": 80, "to": "10.0.0.1"}, {"port": 80, "to": "10.0.0.1", "protocol": "udp"}]],
    ),
}
_NOT_ASKED = {
    *("ssh_server_password_authentication", "ssh_server_permit_root_login"),
    *("student_account_sudo", "student_account_greeting"),
}


def test_a_value_that_would_break_something_is_refused_in_a_line_that_names_its_variable(tmp_path: Path) -> None:
    """By the first task of each role, before anything is changed."""
    wrong = [(name, value) for name, (values, _) in WRONG_AND_RIGHT.items() for value in values]
    said = _first_tasks(tmp_path, wrong)
    for (name, value), words in zip(wrong, said, strict=True):
        assert words.startswith(f"{name}: "), f"{name}={value!r}: {words}"
        assert "\n" not in words
        assert "password_hash" not in name or not value or value not in words


def test_values_that_a_role_can_use_are_taken(tmp_path: Path) -> None:
    right = [(name, value) for name, (_, values) in WRONG_AND_RIGHT.items() for value in values]
    assert [(case, words) for case, words in zip(right, _first_tasks(tmp_path, right), strict=True) if words] == []


def test_every_variable_is_looked_at() -> None:
    """But for those whose values argument_specs.yml lists: booleans and choices."""
    every = {name for role in ROLES for name in load(role / "defaults/main.yml")}
    assert every - _NOT_ASKED == WRONG_AND_RIGHT.keys()


def _first_tasks(folder: Path, cases: list[tuple[str, Any]]) -> list[str]:
    """Run the first task of the role that has the variable, with each value; return what it says."""
    plays = []
    for name, value in cases:
        role = next(role for role in ROLES if name.startswith(f"{role.name}_"))
        values = load(role / "defaults/main.yml") | {name: value}
        if role.name == "name_service" and name != "name_service_hosts":
            values["name_service_hosts"] = {"server": ["10.0.0.1"]}
        task = load(role / "tasks/main.yml")[0]
        say = {"ansible.builtin.debug": {"msg": "<<{{ said.msg | default('') | to_json }}>>"}}
        plays.append({"block": [task | {"register": "said", "ignore_errors": True}, say], "vars": values})
    playbook = folder / "play.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": plays}]))
    done = subprocess.run(
        [tool("ansible-playbook"), "--check", "--connection=local", str(playbook)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ
        | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_LOCALHOST_WARNING": "0"},
    )
    return [json.loads(json.loads(f'"{said}"')) for said in re.findall(r'"msg": "<<(.*)>>"', done.stdout)]


def tasks(role: Path) -> Iterator[dict[str, Any]]:
    """Yield every task and handler of the role, those in blocks (rescue and always, too) in place of the block."""
    for file in role.glob("*/*.yml"):
        if file.parent.name in ("tasks", "handlers"):
            yield from flat(load(file))


def flat(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        if "block" in task:
            for part in ("block", "rescue", "always"):
                yield from flat(task.get(part, []))
        else:
            yield task


def several(value: str | list[str]) -> list[str]:
    """A string stands for a list of one, as `notify` and `listen` have it."""
    return [value] if isinstance(value, str) else value


def test_playbooks_gather_no_facts_and_use_every_role_under_its_tag() -> None:
    plays = [play for file in sorted((ROOT / "playbooks").glob("*.yml")) for play in load(file) if "hosts" in play]
    assert [play["name"] for play in plays if play["gather_facts"] is not False] == []
    applied = {role["role"]: role["tags"] for play in plays for role in play.get("roles", [])}
    assert applied == {f"labroom.labroom.{role.name}": role.name for role in ROLES}


def test_machines_that_run_rooms_get_what_a_room_needs() -> None:
    packages = load(ROOT / "roles/labroom_command/defaults/main.yml")["labroom_command_packages"]
    assert set(requirements.COMMANDS.values()) - set(packages) == set()


def test_rooms_of_scenarios_can_be_up_side_by_side() -> None:
    scenarios = {file.parent.name for file in ROOT.glob("extensions/molecule/*/molecule.yml")}
    rooms = {file.stem: room.load(file) for file in ROOT.glob("extensions/molecule/rooms/*.yml")}
    assert rooms.keys() == scenarios
    assert len({one.name for one in rooms.values()}) == len(rooms)
    subnets = [subnet for one in rooms.values() for subnet in one.networks.subnets.values()]
    assert not [pair for pair in combinations(subnets, 2) if pair[0].overlaps(pair[1])]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("python", "its name here is python3"),
        ("javac", "sudo apt-get update; sudo apt-get install default-jdk-headless"),
        ("node", "sudo apt-get update; sudo apt-get install nodejs"),
        ("unzip", "sudo apt-get update; sudo apt-get install unzip"),
        ("fd", "sudo apt-get update; sudo apt-get install fd-find: its name is then fdfind"),
        ("gibtsnicht", ""),
    ],
)
def test_a_command_that_is_missing_names_its_package(tmp_path: Path, typed: str, said: str) -> None:
    script = 'PATH=$1; . "$2"; "$3" --version'
    argv = [
        "/bin/bash",
        "--norc",
        "-c",
        script,
        "sh",
        str(tmp_path),
        str(ROOT / "roles/toolchain/files/labroom.sh"),
        typed,
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (127, f"{typed}: command not found{': ' * bool(said)}{said}\n")
