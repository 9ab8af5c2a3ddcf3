"""`labroom check` and `play` on the default room, which has to be up: a lab's failure and a guest's are told apart."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labroom.providers.nspawn.cgroups import Cgroup
from labroom.resources import ROOT
from tests.helpers import labroom, start_labroom, wait_for

# labroom, as in a checkout whose labs are those of the folder that is named first.
CHANGED = """
import sys
from pathlib import Path
from labroom import resources
resources.LABS = Path(sys.argv.pop(1))
from labroom.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def with_labs(labs: Path, *arguments: str, status: int) -> str:
    """What `labroom` prints in a checkout with other labs."""
    argv = [sys.executable, "-c", CHANGED, str(labs), *arguments]
    env = os.environ | {"COLUMNS": "120"}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def wrong_labs(tmp_path: Path) -> Path:
    """The labs, with a hello_server that greets wrongly."""
    labs = Path(shutil.copytree(ROOT / "labs", tmp_path / "labs"))
    program = labs / "tcp_hello/hello_server.py"
    program.write_text(program.read_text().replace("Hello", "Goodbye"))
    return labs


def test_a_lab_that_fails_is_told_in_words_with_the_command_to_run_it_again(wrong_labs: Path) -> None:
    said = with_labs(wrong_labs, "check", "tcp_hello", status=1)
    assert re.search(r"^tcp_hello +FAILED", said, re.MULTILINE)
    assert "Goodbye World~" in said  # the transcript
    assert "labroom check tcp_hello" in said


def test_a_play_that_fails_is_told_in_words(wrong_labs: Path) -> None:
    columns: list[str] = []
    words: list[str] = []
    for line in with_labs(wrong_labs, "play", "tcp_hello", status=1).splitlines():
        (columns if "│" in line else words).append(line)
    assert any("Message from server : Goodbye World~" in line for line in columns)
    assert re.search(r"hello_client .*should print '.*Hello World~.*'; it printed '.*Goodbye World~", "\n".join(words))


@pytest.mark.parametrize(
    "change",
    [
        "sed -i s/Hello/Goodbye/ tcp_hello/hello_server.py",
        "rm -r tcp_hello",
        "chmod a-x tcp_hello/hello_client.py",
        "mv tcp_hello/hello_server.py tcp_hello/other.py && mkdir tcp_hello/hello_server.py",
    ],
)
def test_the_labs_of_the_checkout_are_checked_whatever_lies_on_the_guests(change: str) -> None:
    for guest in ("server", "alfa"):
        labroom("ssh", guest, f"sudo sh -c 'cd /opt/labs && touch mine && {change}'")
    labroom("check", "tcp_hello")
    for guest in ("server", "alfa"):  # what is no lab stays
        assert labroom("ssh", guest, "ls /opt/labs/mine && sudo rm /opt/labs/mine").stdout == "/opt/labs/mine\n"


def test_a_play_shows_a_column_for_each_guest() -> None:
    done = labroom("play", "tcp_hello")
    assert "\033" not in done.stdout
    assert re.search(r"^ +│ server 192\.168\.74\.128 +│ alfa 192\.168\.74\.129", done.stdout, re.MULTILINE)
    assert re.search(r"^ +\d+\.\d │ [. ] +│ Message from server : Hello World~", done.stdout, re.MULTILINE)


def test_captures_are_kept_and_linked() -> None:
    labroom("check", "tcp_close")
    kept = list((ROOT / "reports" / "tcp_close").glob("*.pcap"))
    assert kept
    assert all(file.stat().st_size > 24 for file in kept)  # more than the header, pcap-savefile(5)
    page = (ROOT / "reports" / "index.html").read_text()
    assert all(f'href="tcp_close/{file.name}"' in page for file in kept)


def test_control_c_ends_a_play_and_what_it_started() -> None:
    playing = start_labroom("play", "tcp_stages")
    assert playing.stdout
    for line in playing.stdout:
        if "1_Socket End" in line:
            break
    assert any("staged_server" in line for line in _commands_on("server"))
    playing.send_signal(signal.SIGINT)
    _, errors = playing.communicate(timeout=120)
    assert playing.returncode == 130
    assert errors.splitlines()[-1] == "labroom: interrupted"
    assert not any("staged_server" in line for line in _commands_on("server"))


def test_control_c_ends_labs_that_are_checked_side_by_side() -> None:
    checking = subprocess.Popen(
        [sys.executable, "-m", "labroom", "check", "tcp_stages", "udp_chat"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    _wait_for_command(checking, "server", "staged_")
    os.killpg(checking.pid, signal.SIGINT)  # as a terminal does
    _, errors = checking.communicate(timeout=120)
    assert checking.returncode == 130, errors
    assert errors.splitlines()[-1] == "labroom: interrupted"
    left = [line for guest in ("server", "alfa", "bravo", "charlie") for line in _commands_on(guest) if ".py" in line]
    assert not left


def test_a_guest_killed_while_a_check_runs_is_the_rooms_fault() -> None:
    checking = start_labroom("check", "tcp_stages")
    # As soon as a client runs on bravo, bravo dies.
    _wait_for_command(checking, "bravo", "staged_client")
    for pid in Cgroup("lab", "bravo").processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    output, error = checking.communicate(timeout=120)
    output += error
    assert checking.returncode == 3, output
    assert "bravo" in output
    assert not re.search(r"tcp_stages +FAILED", output), output
    assert "bravo replaced" in labroom("up").stdout
    labroom("check", "tcp_stages")


def _wait_for_command(labroom: subprocess.Popen[str], guest: str, word: str) -> None:
    """Wait until a command with `word` in it runs on `guest`, which `labroom` has started."""

    def look() -> bool:
        assert labroom.poll() is None, labroom.communicate()
        return any(word in line for line in _commands_on(guest))

    wait_for(look, f"{word} on {guest}", seconds=30, every=0)


def _commands_on(guest: str) -> list[str]:
    found = []
    for pid in Cgroup("lab", guest).processes():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 (a thousand times a second)
                found.append(file.read().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found
