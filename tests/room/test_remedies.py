"""What is printed to be typed is typed, as it stands: a fault is gone then, and no other room is touched."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labroom import rooms
from labroom.resources import ROOT
from tests.helpers import labroom

ROOM = """\
name: pasted
networks: {private: 192.168.77.0/24, outside: 203.0.113.224/28}
internet: false
guests:
  pc1: {private: 192.168.77.10}
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A room file whose name a shell would take apart; there is no guest called server in it."""
    file = tmp_path / "kim's room & more.yml"
    file.write_text(ROOM)
    yield file
    file.write_text(ROOM)
    rooms.down(file)


def paste(command: str) -> str:
    """Type a command that was printed; it must do its work. Returns what it printed."""
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def remedy(error: str) -> str:
    """The command in an error's second line, without what may be done instead."""
    (said,) = re.findall(r"^  help: (.*)$", error, re.MULTILINE)
    return str(said.partition(", or ")[0])


def test_each_line_after_up_is_a_command_on_this_room(file: Path) -> None:
    said = labroom("up", "--room", str(file)).stdout
    printed = dict(re.findall(r"^([a-z ]+):  +(\S.*)$", said, re.MULTILINE))
    assert printed.keys() >= {"drive the labs", "log in", "look", "take it down"}
    assert paste(f"{printed['log in']} hostname") == "pc1\n"
    assert "pc1 " in paste(printed["look"])
    assert "room pasted: down after" in paste(printed["take it down"])


def test_a_room_that_is_down_is_brought_up(file: Path) -> None:
    command = ("ssh", "--room", str(file), "pc1", "true")
    paste(remedy(labroom(*command, status=3).stderr))
    labroom(*command)
    rooms.down(file)
    paste(labroom("--room", str(file), "status").stdout.partition(" is not up: ")[2])
    labroom(*command)


def test_other_networks_than_the_running_rooms(file: Path) -> None:
    rooms.up(file)
    file.write_text(ROOM.replace("203.0.113.224", "203.0.113.240"), encoding="utf-8")
    paste(remedy(labroom("--room", str(file), "up", status=3).stderr))
    labroom("--room", str(file), "up")


def test_a_room_of_that_name_from_another_file(file: Path, tmp_path: Path) -> None:
    rooms.up(file)
    other = tmp_path / "$HOME.yml"
    other.write_text(ROOM)
    errors = [labroom("--room", str(other), verb, status=3).stderr for verb in ("down", "up")]
    assert remedy(errors[0]) == remedy(errors[1])
    paste(remedy(errors[1]))
    labroom("--room", str(other), "up")
    rooms.down(other)
