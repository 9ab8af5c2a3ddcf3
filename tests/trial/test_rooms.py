"""Rooms from Python, as tests, benchmarks and graders use them: what is done is returned, and nothing is printed."""

import threading

import pytest

from labroom import rooms, state
from labroom.console import Progress
from labroom.errors import MachineError, RoomFault
from tests.helpers import wait_for
from tests.trial.room import Trial, traces


class Notes(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def title(self, text: str) -> None:
        """Keep it."""
        self.told.append(text)

    def waiting(self, text: str) -> None:
        """Keep it."""
        self.told.append(text)


def test_a_rooms_life_from_python_is_silent(trial: Trial, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RoomFault, match="room trial is not up"):
        rooms.running(trial.file)
    made = rooms.up(trial.file)
    assert (made.was_up, made.done) == (False, {"one": "started", "two": "started"})
    room = rooms.running(trial.file)
    assert [guest.up for guest in rooms.status(room)] == [True, True]
    assert {name: at.ssh_host for name, at in rooms.endpoints(room).items()} == {
        "one": "192.168.75.10",
        "two": "192.168.75.11",
    }
    with rooms.locked_for_labs(room):
        again = rooms.up(trial.file)
    assert (again.was_up, again.done) == (True, {})
    (gone,) = rooms.down(trial.file)
    assert (gone.room_name, gone.was_there) == ("trial", True)
    (gone,) = rooms.down(trial.file)
    assert (gone.room_name, gone.was_there) == ("trial", False)
    assert capfd.readouterr() == ("", "")


def test_a_name_belongs_to_the_file_whose_room_is_up(trial: Trial) -> None:
    rooms.up(trial.file)
    other = trial.file.with_name("other.yml")
    other.write_text(trial.file.read_text())
    for action in (rooms.up, rooms.down):
        with pytest.raises(MachineError) as refused:
            action(other)
        assert str(trial.file) in f"{refused.value} {refused.value.remedy}"
    with pytest.raises(MachineError, match="room trial is up by nspawn"):
        rooms.up(trial.file, provider="docker")
    assert rooms.exists(rooms.running(trial.file))


def test_half_a_room_is_taken_down_again(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The uplink fails, when links are made and before guests are."""
    trial.file.write_text(trial.file.read_text().replace("internet: false", "internet: true"))
    programs = trial.file.with_name("bin")
    programs.mkdir()
    (programs / "slirp4netns").write_text("#!/bin/sh\necho no uplink today\nexit 1\n")
    (programs / "slirp4netns").chmod(0o755)
    with monkeypatch.context() as broken:
        broken.setenv("PATH", str(programs), prepend=":")
        with pytest.raises(MachineError, match="slirp4netns: no uplink today"):
            rooms.up(trial.file)
    assert not any(traces().values()), traces()
    rooms.up(trial.file)
    with monkeypatch.context() as broken:
        broken.setenv("PATH", str(programs), prepend=":")
        assert not rooms.up(trial.file).done  # what runs is left alone


def test_who_waits_is_told_for_whom(trial: Trial) -> None:
    progress = Notes()
    waiting = threading.Thread(target=rooms.up, args=(trial.file,), kwargs={"progress": progress})
    with state.locked(state.lock(trial.name), "holds it for a test"):
        waiting.start()
        wait_for(lambda: progress.told, "a word of waiting")
        assert progress.told[0].endswith(", which holds it for a test")
    waiting.join()
    assert progress.told[1:] == [f"room trial: 2 guests, by {trial.file}"]
