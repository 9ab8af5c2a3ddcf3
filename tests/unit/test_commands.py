"""Commands that a person is told to type: each acts on what it was printed for, wherever and whatever that is."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from labroom import commands
from labroom.cli.parser import parser, room_file
from labroom.machine import tool
from labroom.reports import page
from labroom.resources import ROOT
from tests.helpers import labroom

FILES = ["room.yml", "my room's.yml", "$(touch pwned).yml", "-room.yml", "100%.yml", 'a"b.yml', "방.yml", "a;b&c.yml"]


def words(command: str) -> list[str]:
    """A command as a shell takes it apart; it may have no part that the shell would act on."""
    done = subprocess.run(
        ["sh", "-c", f'printf "%s\\0" {command}'], capture_output=True, text=True, check=True, cwd="/proc"
    )
    return done.stdout.split("\0")[:-1]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("below", [True, False])
def test_a_command_acts_on_the_room_that_it_was_printed_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, below: bool
) -> None:
    file = tmp_path / name
    monkeypatch.chdir(tmp_path if below else ROOT)
    command = commands.labroom("ssh", "pc1", room=file)
    program, *arguments = words(command)
    options = parser().parse_args(arguments)
    assert (room_file(options), options.guest) == (file, "pc1")
    assert program == ("./labroom" if not below else str(ROOT / "labroom"))


def test_the_rooms_of_a_checkout_and_of_a_folder_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert commands.labroom("up", room=ROOT / "room.yml") == "./labroom up"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "room.yml").touch()
    for room in (ROOT / "room.yml", tmp_path / "room.yml"):
        options = parser().parse_args(words(commands.labroom("up", room=room))[1:])
        assert room_file(options) == room


def test_a_command_acts_on_the_machines_that_it_was_printed_for() -> None:
    command = commands.labroom("check", "--own", "my programs", inventory="my lab.yml", limit="seats:&row1", root=False)
    options = parser().parse_args(words(command)[1:])
    assert (options.provider, options.inventory, options.limit) == ("ssh", "my lab.yml", "seats:&row1")
    assert options.own == "my programs"


def test_the_launcher_is_named_as_it_can_be_started_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name alone only where the shell would find this one, and no other."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labroom").write_text("another one")
    (tmp_path / "labroom").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commands.labroom("list") == f"{ROOT}/labroom list"
    (tmp_path / "labroom").unlink()
    (tmp_path / "labroom").symlink_to(ROOT / "labroom")
    assert commands.labroom("list") == "labroom list"


def test_the_page_says_how_to_log_in_to_the_room_that_was_checked(tmp_path: Path) -> None:
    for name in ("check", "my check room.yml", "--provider"):
        command = commands.labroom("check", "--own", "check", room=tmp_path / name)
        options = parser().parse_args(words(page.login(command))[1:])
        assert (room_file(options), options.guest) == (tmp_path / name, "NAME")


@pytest.mark.parametrize(
    "verb", ["up", "down", "check", "play tcp_echo", "status", "list", "ssh pc1", "ssh-config", "doctor"]
)
def test_the_room_is_named_before_the_verb_or_after_it(verb: str) -> None:
    name, *rest = verb.split()
    for arguments in (
        ["--room", "x.yml", name, *rest],
        [name, "--room", "x.yml", *rest],
        ["--room=a", name, "--room=x.yml", *rest],
    ):
        assert parser().parse_args(arguments).room == Path("x.yml")
    assert parser().parse_args([name, *rest]).room is None


def test_what_is_behind_a_guests_name_is_its_command() -> None:
    options = parser().parse_args(["ssh", "pc1", "ls", "--room", "x.yml"])
    assert (options.room, options.command) == (None, ["ls", "--room", "x.yml"])


def test_the_remedy_of_a_room_that_is_down_names_the_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABROOM_STATE_DIR", str(tmp_path / "state"))
    file = tmp_path / "my room's.yml"
    file.write_text(
        "name: down\nnetworks: {private: 192.168.79.0/24, outside: 198.51.100.240/28}\n"
        "guests: {one: {private: 192.168.79.10}}\n"
    )
    for verb in (["check"], ["play", "tcp_hello"], ["ssh", "one"], ["ssh-config"]):
        said = labroom(*verb[:1], "--room", str(file), *verb[1:], status=3).stderr
        (remedy,) = re.findall(r"^  help: (.*)$", said, re.MULTILINE)
        assert f"{shlex.join(['--room', str(file), 'up'])}" in remedy
    assert shlex.quote(str(file)) in labroom("--room", str(file), "status").stdout


def test_a_tools_command_can_be_run_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = f"{commands.playbook('room.yml', ROOT / 'room.yml')} --syntax-check --inventory localhost,"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "playbook: " in done.stdout
    assert words(commands.tool("ansible-inventory", "--list"))[0] == tool("ansible-inventory")
