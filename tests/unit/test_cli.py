"""The command line where no room is needed: wrong words, missing rights and tools, each one line and its own status."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from labroom.machine import tool
from labroom.resources import ROOT

LABROOM = str(ROOT / "labroom")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What rooms this machine has is of no concern here."""
    monkeypatch.setenv("LABROOM_STATE_DIR", str(tmp_path / "state"))


def _labroom(
    *arguments: str, before: tuple[str, ...] = (), env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, tool("python"), "-m", "labroom", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | (env or {}),
        cwd=ROOT,
    )


def _one_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    """The error, after seeing that it is one line (and one of help), without a traceback, with the right status."""
    lines = done.stderr.splitlines()
    assert done.returncode == status, done.stderr
    assert lines[0].startswith("labroom: ")
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("  help: ")), done.stderr
    return done.stderr


def test_wrong_words_are_a_usage_error() -> None:
    assert _labroom("fly").returncode == 2
    assert _labroom().returncode == 2
    assert "no such lab: no_such_lab" in _one_line(_labroom("check", "no_such_lab"), 2)
    for patience in ("long", "0", "nan"):
        error = _one_line(_labroom("check", env={"LABROOM_PATIENCE": patience}), 2)
        assert f"LABROOM_PATIENCE={patience}: not a positive number" in error


def test_a_broken_room_file_is_a_usage_error(tmp_path: Path) -> None:
    file = tmp_path / "room.yml"
    file.write_text("name: lab\n")
    assert f"{file}:1: networks: is required" in _one_line(_labroom("--room", str(file), "up"), 2)
    assert "No such file" in _one_line(_labroom("--room", str(tmp_path / "none.yml"), "down"), 2)


@pytest.mark.parametrize("verb", ["up", "down"])
def test_without_root_it_says_how_to_get_it(verb: str) -> None:
    # In a user namespace of its own nobody is root, and the checkout can be read wherever it lies.
    before = ("unshare", "--user") if os.geteuid() == 0 else ()
    error = _one_line(_labroom(verb, before=before), 3)
    assert f"{verb} needs root" in error
    assert f"sudo ./labroom {verb}" in error


def _path_with(folder: Path, *commands: str) -> dict[str, str]:
    for command in commands:
        (folder / command).symlink_to(str(shutil.which(command)))
    return {"PATH": str(folder), "LABROOM_STATE_DIR": str(folder / "state")}


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user the lack of rights comes first")
def test_a_machine_without_nspawn_and_apt_is_told_what_it_lacks(tmp_path: Path) -> None:
    file = tmp_path / "room.yml"
    file.write_text(
        "name: bare\nnetworks: {private: 192.168.79.0/24, outside: 198.51.100.240/28}\n"
        "guests: {one: {private: 192.168.79.10}}\n"
    )
    done = _labroom("--room", str(file), "up", env=_path_with(tmp_path, "ip", "sh"))
    assert "apt-get is the only package manager that labroom knows" in _one_line(done, 3)
    assert "systemd-nspawn" in done.stderr


def test_doctor_names_what_is_missing_and_the_command_that_mends_it(tmp_path: Path) -> None:
    done = _labroom("doctor", env=_path_with(tmp_path, "ip", "apt-get"))
    assert done.returncode == 3
    assert "NO  systemd-nspawn: apt-get install systemd-container" in done.stdout
    assert "ok  ip\n" in done.stdout


def test_the_launcher_says_when_packages_cannot_be_had(tmp_path: Path) -> None:
    for name in ("labroom", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        [str(tmp_path / "labroom"), "list"], capture_output=True, text=True, env=os.environ | nowhere, check=False
    )
    assert done.returncode == 3
    assert "labroom: pip could not install requirements.lock\n  help: " in done.stderr


def test_list_shows_each_lab_with_a_line() -> None:
    done = _labroom("list")
    assert done.returncode == 0
    labs = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert labs["tcp_stages"] == "every call announced"
    assert list(labs) == sorted(path.parent.name for path in ROOT.glob("labs/*/README.md"))
