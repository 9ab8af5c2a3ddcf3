"""The command line where no room is needed: wrong words, missing rights and tools, each one line and its own status."""

import os
import shutil
import signal
import subprocess
from argparse import Namespace
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from labroom.cli.parser import room_file
from labroom.machine import tool
from labroom.resources import ROOT
from tests.helpers import labroom

_labroom = partial(labroom, status=None)  # each test says which status it expects


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What rooms this machine has is of no concern here."""
    monkeypatch.setenv("LABROOM_STATE_DIR", str(tmp_path / "state"))


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
    file.write_text(
        "name: lab\nguests: {one: {private: 192.168.79.10}}\n"
        "networks: {private: 192.168.79.0/24, outside: 198.51.100.241/28}\n"
    )
    assert f"{file}:3: networks.outside: expected an IPv4" in _one_line(_labroom("--room", str(file), "up"), 2)
    file.write_text("nam: lab\n")
    mistakes = _labroom("--room", str(file), "up").stderr.splitlines()
    assert mistakes[0] == f"labroom: {file}:1: networks: is required"
    assert f"    {file}:1: nam: no such field; did you mean name?" in mistakes
    assert not [line for line in mistakes if "name: is required" in line]  # one mistake is one line
    assert "No such file" in _one_line(_labroom("--room", str(tmp_path / "none.yml"), "down"), 2)


def test_a_room_file_is_one_by_whatever_way_its_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rooms").mkdir()
    (tmp_path / "way").symlink_to("rooms")
    monkeypatch.chdir(tmp_path / "way")
    ways = (Path("a.yml"), Path("../way/a.yml"), tmp_path / "rooms/../way/a.yml")
    assert {room_file(Namespace(room=way)) for way in ways} == {tmp_path / "rooms/a.yml"}


@pytest.mark.parametrize("verb", ["up", "down"])
def test_without_root_it_says_how_to_get_it(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABROOM_STATE_DIR", raising=False)
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


def test_ctrl_c_while_the_interpreter_starts_is_no_traceback() -> None:
    command, pipe = [str(ROOT / "labroom"), "list"], subprocess.PIPE
    for moment in range(60):  # thousandths of a second
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(moment / 1000)
            process.send_signal(signal.SIGINT)
            assert "Traceback" not in process.communicate(timeout=20)[1], f"after {moment} ms"


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


# Stand-ins for what nobody thought of: the verb `list` meets it where it reads the labs' titles.
UNEXPECTED = """
import sys
from labroom import labs
from labroom.cli import main

def titles():
    {}

labs.titles = titles
sys.exit(main(["list"]))
"""


def _broken(body: str, **env: str) -> subprocess.CompletedProcess[str]:
    program = UNEXPECTED.format(body)
    return subprocess.run(
        [tool("python"), "-c", program], capture_output=True, text=True, check=False, env=os.environ | env, cwd=ROOT
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('one')", "unexpected KeyError: 'one'"),
        ("raise RuntimeError('first\\nlabroom: all is well')", "unexpected RuntimeError: first"),
        ("titles()", "unexpected RecursionError: "),
        ("raise ConnectionResetError", "unexpected ConnectionResetError\n"),
        ("raise ExceptionGroup('several', [ValueError(1)])", "unexpected ExceptionGroup: several"),
    ],
)
def test_what_nobody_thought_of_is_one_line_and_a_file(tmp_path: Path, body: str, words: str) -> None:
    done = _broken(body, TMPDIR=str(tmp_path))
    error = _one_line(done, 3)
    (file,) = tmp_path.glob("labroom-error-*.log")
    assert words in error
    assert str(file) in error
    assert file.stat().st_mode & 0o777 == 0o600
    assert "Traceback (most recent call last)" in file.read_text()
    assert "titles" in file.read_text()


def test_what_nobody_thought_of_in_a_thread_is_no_traceback_either(tmp_path: Path) -> None:
    body = "import threading; t = threading.Thread(target=lambda: 1 // 0); t.start(); t.join(); return {}"
    done = _broken(body, TMPDIR=str(tmp_path))
    assert "labroom: unexpected ZeroDivisionError: " in _one_line(done, 0)
    assert len(list(tmp_path.glob("labroom-error-*.log"))) == 1


def test_where_no_file_can_be_written_the_line_is_all(tmp_path: Path) -> None:
    done = _broken("import tempfile; tempfile.tempdir = '/nonexistent'; raise KeyError(1)", TMPDIR=str(tmp_path))
    assert _one_line(done, 3) == "labroom: unexpected KeyError: 1\n  help: please report it\n"


def test_a_full_disk_behind_the_output_is_one_line(tmp_path: Path) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        command = [tool("python"), "-m", "labroom", "list"]
        env = os.environ | {"TMPDIR": str(tmp_path)}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=env, check=False)
    assert "No space left on device" in _one_line(done, 3)


def test_a_reader_that_leaves_is_no_error() -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{tool('python')}' -m labroom list | true"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_a_terminal_that_knows_ascii_alone_is_no_error(tmp_path: Path) -> None:
    done = _labroom("--room", "방.yml", "status", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert r"\ubc29.yml: No such file or directory" in _one_line(done, 2)
