"""Several seats side by side: a process each, and what is shown of a lab room."""

import io
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from labroom.checks import seats
from labroom.console import Console
from labroom.errors import MachineError
from labroom.reports import seats as shown_seats


def side_by_side(jobs: dict[str, Callable[[], object]]) -> tuple[dict[str, object], dict[str, object]]:
    """What is returned, and what was told before."""
    told: dict[str, object] = {}
    return seats.side_by_side(jobs, told.__setitem__, lambda seats, seconds: None), told


def test_each_seat_has_a_process_of_its_own() -> None:
    found, told = side_by_side(dict.fromkeys(("one", "two", "three", "four"), os.getpid))
    assert set(found) == {"one", "two", "three", "four"}
    assert len({*found.values(), os.getpid()}) == 5
    assert told == found


def test_an_error_of_a_seat_ends_the_others() -> None:
    began = time.monotonic()
    with pytest.raises(FileNotFoundError):
        side_by_side({"one": partial(time.sleep, 100), "two": partial(os.stat, "/of-this-name-there-is-nothing")})
    assert time.monotonic() - began < 50


def test_a_seat_that_is_killed_from_elsewhere() -> None:
    with pytest.raises(MachineError, match="the checks of one were ended from elsewhere"):
        side_by_side({"one": partial(os._exit, 9), "two": partial(time.sleep, 100)})


def test_who_is_at_it_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "_HEARTBEAT", 0.01)
    told: list[Sequence[str]] = []
    seats.side_by_side({"one": os.getpid}, lambda seat, found: None, lambda seats, seconds: told.append(seats))
    assert ["one"] in told


def test_nobody_is_there_and_names_are_no_commands_to_the_terminal(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    (tmp_path / "known_hosts").touch()
    inventory.write_text(
        'seats: {children: {"one\\u202e": {hosts: {"pc1\\a\\r": {ansible_host: 127.0.0.1, ansible_port: 1, '
        f"ansible_ssh_common_args: -F none -o UserKnownHostsFile={tmp_path}/known_hosts}}}}}}}}}}\n"
    )
    out = io.StringIO()
    assert shown_seats.check(str(inventory), None, ["tcp_hello"], tmp_path, Console(out)) == 3
    remedy = f"  help: is it on? ./labroom ssh --provider ssh -i {inventory} 'pc1^G^M' says more"
    reason = "pc1^G^M (127.0.0.1 port 1) can't be reached: Connection refused"
    assert out.getvalue().split("\n") == [
        f"{inventory}: 1 machine in 1 seat",
        f"not there, one\\u202e: {reason}",
        remedy,
        "one\\u202e: nobody is there",
        "",
        "",
        f"not checked, one\\u202e: {reason}",
        remedy,
        "",
    ]
