"""Do the roles keep the rules: defaults and argument_specs in step, prefixed names, FQCN, variables documented?"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from labroom import machine

ROOT = Path(__file__).parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
LAB_ARCHIVE = ROOT / "roles/lab_programs/files/lab_archive.py"

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


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
def test_uses_the_modules_that_come_with_ansible(role: Path) -> None:
    modules = {
        module
        for file in role.glob("*/*.yml")
        if file.parent.name in ("tasks", "handlers")
        for module in used(load(file))
    }
    assert modules
    assert {module for module in modules if not module.startswith("ansible.builtin.")} == set()


def used(tasks: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the module of every task, those in blocks included."""
    keywords = {"name", "when", "register", "notify", "listen", "vars", "delegate_to", "become", "run_once"}
    for task in tasks:
        if "block" in task:
            yield from used(task["block"])
        else:
            yield from set(task) - keywords - {"check_mode", "changed_when", "failed_when"}


def test_playbooks_gather_no_facts_and_use_every_role_under_its_tag() -> None:
    plays = [play for file in sorted((ROOT / "playbooks").glob("*.yml")) for play in load(file) if "hosts" in play]
    assert [play["name"] for play in plays if play["gather_facts"] is not False] == []
    applied = {role["role"]: role["tags"] for play in plays for role in play.get("roles", [])}
    names = {role.name for role in ROLES} - {"packages"}  # which the others use
    assert applied == {f"labroom.labroom.{name}": name for name in names}


def test_machines_that_run_rooms_get_what_a_room_needs() -> None:
    packages = load(ROOT / "roles/labroom_command/defaults/main.yml")["labroom_command_packages"]
    assert set(machine._COMMANDS.values()) - set(packages) == set()


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    """A folder of labs with all that may lie about in one."""
    folder = tmp_path / "labs"
    for name in ("hello/README.md", "hello/server.py", "hello/__pycache__/server.pyc", "hello/.server.py.swp", "a/b/c"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "hello/server.py").chmod(0o700)
    return folder


def pack(folder: Path, archive: Path | None = None, *options: str) -> str:
    """Run lab_archive.py and return the digest it prints."""
    command = [sys.executable, str(LAB_ARCHIVE), *options, str(folder), "labs", *([str(archive)] if archive else [])]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_archive_of_labs_holds_the_labs_alone_and_readable(labs: Path, tmp_path: Path) -> None:
    assert pack(labs, tmp_path / "new/a.tar") == hashlib.sha256((tmp_path / "new/a.tar").read_bytes()).hexdigest()
    listing = subprocess.run(["tar", "-tvf", tmp_path / "new/a.tar"], check=True, capture_output=True, text=True).stdout
    assert [(line.split()[0], line.split()[1], line.split()[-1]) for line in listing.splitlines()] == [
        ("drwxr-xr-x", "0/0", "labs/"),
        ("drwxr-xr-x", "0/0", "labs/a/"),
        ("drwxr-xr-x", "0/0", "labs/a/b/"),
        ("-rw-r--r--", "0/0", "labs/a/b/c"),
        ("drwxr-xr-x", "0/0", "labs/hello/"),
        ("-rw-r--r--", "0/0", "labs/hello/README.md"),
        ("-rwxr-xr-x", "0/0", "labs/hello/server.py"),
    ]


def test_archive_of_labs_depends_on_what_they_hold_alone(labs: Path, tmp_path: Path) -> None:
    first = pack(labs, tmp_path / "a.tar")
    copy = tmp_path / "elsewhere"
    shutil.copytree(labs, copy)
    os.utime(copy / "a/b/c", (0, 0))
    (copy / "hello/README.md").chmod(0o600)
    assert pack(copy, tmp_path / "b.tar") == first
    (copy / "a/b/c").write_text("changed")
    assert pack(copy, tmp_path / "c.tar") != first


def test_archive_without_an_entry_does_not_depend_on_it(labs: Path, tmp_path: Path) -> None:
    first = pack(labs, tmp_path / "a.tar", "--without=a", "--without=none")
    assert first != pack(labs, tmp_path / "b.tar")
    shutil.rmtree(labs / "a")
    assert first == pack(labs, tmp_path / "c.tar")


def test_archive_keeps_links(labs: Path, tmp_path: Path) -> None:
    (labs / "a/to-itself").symlink_to("..")
    digest = pack(labs, tmp_path / "a.tar")
    subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", tmp_path, "--transform", "s/^labs/placed/S"], check=True)
    assert (tmp_path / "placed/a/to-itself").readlink() == Path("..")
    assert os.getuid() != 0 or pack(tmp_path / "placed") == digest


@pytest.mark.skipif(os.getuid() != 0, reason="labs in place belong to root")
def test_labs_in_place_have_the_digest_of_their_archive_until_something_differs(labs: Path, tmp_path: Path) -> None:
    digest = pack(labs, tmp_path / "a.tar")
    subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", tmp_path, "--transform", "s/^labs/placed/"], check=True)
    placed = tmp_path / "placed"
    assert pack(placed) == digest
    (placed / "hello/server.py").chmod(0o644)
    assert pack(placed) not in (digest, "missing")
    (placed / "hello/server.py").chmod(0o755)
    (placed / "left_over.py").touch()
    assert pack(placed) != digest
    assert pack(tmp_path / "nowhere") == "missing"
