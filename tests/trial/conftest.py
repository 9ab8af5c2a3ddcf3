"""The trial room as a fixture."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labroom.providers import nspawn
from tests.trial.room import ROOM, Trial, traces


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """The trial room, not up yet; taken down again at the end, whatever became of it."""
    _clear()  # what a test run that was killed may have left
    trial = Trial(tmp_path / "trial.yml")
    yield trial
    trial.file.write_text(ROOM)
    trial.down()
    _clear()
    assert not any(traces().values()), traces()


def _clear() -> None:
    nspawn.down(Trial.name)
    nspawn.remove_homes(Trial.name, nspawn.homes_kept(Trial.name))
