"""The modules of the collection, run by Ansible on this machine; and what copy_folder takes for a folder's content."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from plugins.module_utils import folder

from labroom.machine import tool
from labroom.resources import ROOT

as_root = pytest.mark.skipif(os.getuid() != 0, reason="what is placed belongs to root")


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    """A folder of labs with all that may lie about in one."""
    folder = tmp_path / "labs"
    for name in ("hello/README.md", "hello/server.py", "hello/__pycache__/server.pyc", "hello/.server.py.swp", "a/b/c"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "hello/server.py").chmod(0o700)
    return folder


def test_archive_holds_what_counts_alone_and_readable(labs: Path, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(folder.pack(labs, []))
    listing = subprocess.run(["tar", "-tvf", tmp_path / "a.tar"], check=True, capture_output=True, text=True).stdout
    assert [(line.split()[0], line.split()[1], line.split()[-1]) for line in listing.splitlines()] == [
        ("drwxr-xr-x", "0/0", "./"),
        ("drwxr-xr-x", "0/0", "a/"),
        ("drwxr-xr-x", "0/0", "a/b/"),
        ("-rw-r--r--", "0/0", "a/b/c"),
        ("drwxr-xr-x", "0/0", "hello/"),
        ("-rw-r--r--", "0/0", "hello/README.md"),
        ("-rwxr-xr-x", "0/0", "hello/server.py"),
    ]


def test_folder_is_what_it_holds_alone(labs: Path, tmp_path: Path) -> None:
    """Its archive and its description are the same elsewhere, at another time and under another umask."""
    copy = tmp_path / "elsewhere"
    shutil.copytree(labs, copy)
    os.utime(copy / "a/b/c", (0, 0))
    (copy / "hello/README.md").chmod(0o600)
    (copy / "hello/.hidden").touch()
    assert folder.pack(copy, []) == folder.pack(labs, [])
    assert folder.describe(copy, [], as_placed=True) == folder.describe(labs, [], as_placed=True)
    (copy / "a/b/c").write_text("changed")
    assert folder.pack(copy, []) != folder.pack(labs, [])
    assert folder.describe(copy, [], as_placed=True) != folder.describe(labs, [], as_placed=True)


def test_folder_without_an_entry_does_not_depend_on_it(labs: Path) -> None:
    without = folder.pack(labs, ["a", "none"]), folder.describe(labs, ["a", "none"])
    assert without != (folder.pack(labs, []), folder.describe(labs, []))
    shutil.rmtree(labs / "a")
    assert without == (folder.pack(labs, []), folder.describe(labs, []))


def run(module: str, arguments: dict[str, Any], *options: str, os_release: Path | None = None) -> dict[str, Any]:
    """Run a module on this machine, which may have another os-release, and return its result."""
    command = [tool("ansible"), "localhost", "--connection=local", f"--module-name=labroom.labroom.{module}"]
    command += [f"--args={json.dumps(arguments)}", *options]
    if os_release:
        bind = 'mount --bind "$0" /etc/os-release && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", bind, str(os_release), *command]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ
        | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_LOCALHOST_WARNING": "0"},
    )
    said, arrow, result = done.stdout.partition(" => ")
    assert arrow, done.stdout + done.stderr
    return {"diff": said.rpartition("localhost | ")[0], **json.loads(result)}


@as_root
def test_copy_folder_places_what_differs_and_nothing_else(labs: Path, tmp_path: Path) -> None:
    (labs / "a/to-itself").symlink_to("..")
    placed = tmp_path / "placed"
    arguments = {"src": str(labs), "dest": str(placed), "without": ["kept"]}

    assert run("copy_folder", arguments, "--check")["changed"]
    assert not placed.exists()
    assert run("copy_folder", arguments)["changed"]
    assert folder.describe(placed, []) == folder.describe(labs, [], as_placed=True)
    assert (placed / "a/to-itself").readlink() == Path("..")
    assert not run("copy_folder", arguments)["changed"]

    (placed / "hello/server.py").chmod(0o644)
    shutil.rmtree(placed / "a")
    for name in ("left_over.py", "kept", ".hidden"):
        (placed / name).touch()
    done = run("copy_folder", arguments, "--diff")
    assert done["changed"]
    lines = [line.split()[0] for line in done["diff"].splitlines() if line.startswith(("+", "-"))]
    assert sorted(lines[2:]) == sorted(
        ["+a", "+a/b", "+a/b/c", "+a/to-itself", "-hello/server.py", "+hello/server.py", "-left_over.py"]
    )
    assert folder.describe(placed, ["kept"]) == folder.describe(labs, [], as_placed=True)
    assert sorted(path.name for path in placed.iterdir()) == [".hidden", "a", "hello", "kept"]
    assert not run("copy_folder", arguments)["changed"]


@as_root
def test_copy_folder_replaces_a_link_and_leaves_alone_what_it_leads_to(labs: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/work.py").touch()
    (tmp_path / "placed").symlink_to("own")
    assert run("copy_folder", {"src": str(labs), "dest": str(tmp_path / "placed")})["changed"]
    assert folder.describe(tmp_path / "placed", []) == folder.describe(labs, [], as_placed=True)
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["work.py"]


@pytest.mark.parametrize(
    ("source", "dest", "says"),
    [
        ("nowhere", "placed", "{folder}/nowhere is not a folder"),
        ("labs", "nowhere/placed", "{folder}/nowhere/placed: No such file or directory"),
    ],
)
def test_copy_folder_says_which_folder_is_not_there(
    labs: Path, tmp_path: Path, source: str, dest: str, says: str
) -> None:
    done = run("copy_folder", {"src": str(labs.parent / source), "dest": str(tmp_path / dest)})
    assert done["msg"] == says.format(folder=tmp_path)


def test_packages_names_those_that_are_missing() -> None:
    names = ["dash", "no-such-package", "base-files"]
    assert run("packages", {"names": names}, "--check") == {
        "diff": "",
        "changed": True,
        "missing": ["no-such-package"],
    }
    assert run("packages", {"names": names[::2]}) == {"diff": "", "changed": False, "missing": []}


def test_packages_fetches_the_lists_once_a_run(tmp_path: Path) -> None:
    """Says an apt that does nothing but write down what it is told."""
    module, playbook, told = tmp_path / "library/apt.py", tmp_path / "playbook.yml", tmp_path / "told"
    module.parent.mkdir()
    install = [{"labroom.labroom.packages": {"names": [f"no-such-package-{number}"]}} for number in range(3)]
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": install}]))
    module.write_text(f"""#!/usr/bin/python3
import json, sys
with open({str(told)!r}, "a") as file:
    print(json.load(open(sys.argv[1]))["update_cache"], file=file)
print(json.dumps({{"changed": True}}))
# WANT_JSON
""")
    command = [tool("ansible-playbook"), "--connection=local", "--inventory=localhost,", str(playbook)]
    for _ in range(2):
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    assert told.read_text().split() == ["True", "False", "False"] * 2


@as_root
def test_packages_says_which_ones_the_release_has_not_and_what_was_meant() -> None:
    done = run("packages", {"names": ["cowsai", "dash", "g++-12x", "no-such-package-at-all-zq"]})
    words = "cowsai (did you mean cowsay?), g++-12x (did you mean g++-12?), no-such-package-at-all-zq"
    assert done["msg"] == f"the release has no package {words}"


@as_root
@pytest.mark.parametrize(
    ("os_release", "says"),
    [
        ('ID=fedora\nPRETTY_NAME="Fedora Linux 42 (Container Image)"\n', "Fedora Linux 42 (Container Image)"),
        ("", "Linux"),
    ],
    ids=["Fedora", "unknown"],
)
def test_packages_says_which_systems_the_roles_are_for(tmp_path: Path, os_release: str, says: str) -> None:
    (tmp_path / "os-release").write_text(os_release)
    assert run("packages", {"names": ["dash"]}, os_release=tmp_path / "os-release")["msg"] == (
        f"labroom's roles are for Debian and Ubuntu: localhost is {says}. "
        "Take it out of the inventory, or leave it out by --limit 'all:!localhost'"
    )


@as_root
def test_packages_takes_a_derivative_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text('ID=linuxmint\nID_LIKE="ubuntu debian"\n')
    done = run("packages", {"names": ["dash"]}, os_release=tmp_path / "os-release")
    assert done == {"diff": "", "changed": False, "missing": []}


def test_packages_knows_one_by_its_architecture_too() -> None:
    native = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()
    other = "i386" if native != "i386" else "amd64"
    done = run("packages", {"names": [f"libc6:{native}", f"dash:{other}"]}, "--check")
    assert done["missing"] == [f"dash:{other}"]


@pytest.mark.parametrize("name", ["gcc=4:12", "libc6*", "--purge", "gcc/trixie", "", "libc6:any"])
def test_packages_takes_names_alone(name: str) -> None:
    done = run("packages", {"names": ["dash", name]}, "--check")
    assert done["msg"] == f"names: expected names of Debian packages, without versions and patterns, not {name!r}"


@pytest.mark.parametrize("dest", ["", "labs", "~/labs", "$HOME/labs"])
def test_copy_folder_replaces_nothing_that_depends_on_where_it_runs(labs: Path, dest: str) -> None:
    assert run("copy_folder", {"src": str(labs), "dest": dest}, "--check")["msg"] == (
        f"dest: expected an absolute path, not {dest!r}"
    )
