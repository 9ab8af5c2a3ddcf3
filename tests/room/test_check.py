"""`labroom check` and `play` on the default room, which has to be up: a lab's failure and a guest's are told apart."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from labroom.providers.nspawn.cgroups import Cgroup
from labroom.resources import ROOT

LABROOM = (sys.executable, "-m", "labroom")
PROGRAM = "/opt/labs/tcp_hello/hello_server.py"


def _labroom(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LABROOM, *arguments], capture_output=True, text=True, check=False, cwd=ROOT, stdin=subprocess.DEVNULL
    )


@pytest.fixture
def wrong_server() -> Iterator[None]:
    """On `server`, a hello_server that greets wrongly."""
    assert _labroom("ssh", "server", f"sudo sed -i.right s/Hello/Goodbye/ {PROGRAM}").returncode == 0
    yield
    assert _labroom("ssh", "server", f"sudo mv {PROGRAM}.right {PROGRAM}").returncode == 0


@pytest.mark.usefixtures("wrong_server")
def test_a_lab_that_fails_is_told_in_words_with_the_command_to_run_it_again() -> None:
    done = _labroom("check", "tcp_hello")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^tcp_hello +FAILED", done.stdout, re.MULTILINE)
    assert "Goodbye World~" in done.stdout  # the transcript
    assert "labroom check tcp_hello" in done.stdout


@pytest.mark.usefixtures("wrong_server")
def test_a_play_that_fails_is_told_in_words() -> None:
    done = _labroom("play", "tcp_hello")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Goodbye World~" in done.stdout
    assert done.stdout.count("Message from server") >= 1


def test_a_play_shows_a_column_for_each_guest() -> None:
    done = _labroom("play", "tcp_hello")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\033" not in done.stdout
    assert re.search(r"^ +│ server 192\.168\.74\.128 +│ alfa 192\.168\.74\.129", done.stdout, re.MULTILINE)
    assert re.search(r"^ +\d+\.\d │ [. ] +│ Message from server : Hello World~", done.stdout, re.MULTILINE)


def test_captures_are_kept_and_linked() -> None:
    done = _labroom("check", "tcp_close")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = list((ROOT / "reports" / "tcp_close").glob("*.pcap"))
    assert kept
    assert all(file.stat().st_size > 24 for file in kept)  # more than the header, pcap-savefile(5)
    page = (ROOT / "reports" / "index.html").read_text()
    assert all(f'href="tcp_close/{file.name}"' in page for file in kept)


def test_control_c_ends_a_play_and_what_it_started() -> None:
    playing = subprocess.Popen(
        [*LABROOM, "play", "tcp_stages"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert playing.stdout
    for line in playing.stdout:
        if "1_Socket End" in line:
            break
    assert any("staged_server" in line for line in _commands_on("server"))
    playing.send_signal(signal.SIGINT)
    _, errors = playing.communicate(timeout=30)
    assert playing.returncode == 130
    assert errors.splitlines()[-1] == "labroom: interrupted"
    assert not any("staged_server" in line for line in _commands_on("server"))


def test_control_c_ends_labs_that_are_checked_side_by_side() -> None:
    checking = subprocess.Popen(
        [*LABROOM, "check", "tcp_stages", "udp_chat"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not any("staged_" in line for line in _commands_on("server")):
        assert checking.poll() is None, checking.communicate()[1]
        assert time.monotonic() < deadline
    os.killpg(checking.pid, signal.SIGINT)  # as a terminal does
    _, errors = checking.communicate(timeout=30)
    assert checking.returncode == 130, errors
    assert errors.splitlines()[-1] == "labroom: interrupted"
    left = [line for guest in ("server", "alfa", "bravo", "charlie") for line in _commands_on(guest) if ".py" in line]
    assert not left


def test_a_guest_killed_while_a_check_runs_is_the_rooms_fault() -> None:
    checking = subprocess.Popen(
        [*LABROOM, "check", "tcp_stages"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    )
    deadline = time.monotonic() + 30
    # As soon as a client runs on bravo, bravo dies.
    while not any("staged_client" in line for line in _commands_on("bravo")):
        assert checking.poll() is None, checking.communicate()[0]
        assert time.monotonic() < deadline
    for pid in Cgroup("lab", "bravo").processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    output, _ = checking.communicate(timeout=60)
    assert checking.returncode == 3, output
    assert "bravo" in output
    assert not re.search(r"tcp_stages +FAILED", output), output
    mended = _labroom("up")
    assert "bravo replaced" in mended.stdout
    assert _labroom("check", "tcp_stages").returncode == 0


def _commands_on(guest: str) -> list[str]:
    found = []
    for pid in Cgroup("lab", guest).processes():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 (a thousand times a second)
                found.append(file.read().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found
