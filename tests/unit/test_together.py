"""Commands on several hosts at once, over an sshd of our own: what is shown, what is the status, and that all ends."""

import io
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from labroom import over_ssh
from labroom.cli import together
from labroom.console import Console
from labroom.tcpdump import NoCapture, whole
from tests.helpers import labroom, state_of, wait_for
from tests.unit.conftest import Sshd


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")


def run(
    sshd: Sshd, command: str, names: Sequence[str] = ("alfa", "bravo")
) -> tuple[list[str], list[str], dict[str, str]]:
    """Run a command on hosts that are all our sshd: the lines of stdout and stderr, and what became of it."""
    output, errors = io.StringIO(), io.StringIO()
    failed = together._run(dict.fromkeys(names, sshd.endpoint), command, Console(output), Console(errors))
    return sorted(output.getvalue().splitlines()), sorted(errors.getvalue().splitlines()), failed


def test_each_line_follows_its_guests_name(sshd: Sshd) -> None:
    output, errors, failed = run(sshd, "echo one; printf 'two words'; echo three >&2")
    assert output == ["alfa: one", "alfa: two words", "bravo: one", "bravo: two words"]
    assert errors == ["alfa: three", "bravo: three"]
    assert failed == {}


def test_a_command_is_for_the_shell_there(sshd: Sshd) -> None:
    assert run(sshd, "printf '%s\\n' 'a  b' \"$((6*7))\" | tail -n 1", ["alfa"])[0] == ["alfa: 42"]


def test_nothing_waits_for_input(sshd: Sshd) -> None:
    assert run(sshd, "cat; echo end", ["alfa"])[0] == ["alfa: end"]


def test_those_that_fail_are_named(sshd: Sshd) -> None:
    assert run(sshd, "exit 3")[2] == {"alfa": "exit status 3", "bravo": "exit status 3"}
    assert run(sshd, "exit 255", ["alfa"])[2] == {"alfa": "exit status 255"}


def test_who_can_not_log_in_is_told_from_a_command_that_failed(sshd: Sshd) -> None:
    nobody = replace(sshd.endpoint, ssh_port=1, remedy="labroom up")
    failed = together._run({"alfa": nobody}, "true", Console(io.StringIO()), Console(io.StringIO()))
    assert failed == {"alfa": "ssh could not log in: labroom up"}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGHUP])
def test_a_command_that_a_signal_ends_has_a_shells_status(sshd: Sshd, number: int) -> None:
    output, _, failed = run(sshd, f"echo before; kill -{number} $$", ["alfa"])
    assert output == ["alfa: before"]
    assert failed == {"alfa": f"exit status {128 + number}"}


def test_what_a_guest_says_is_bounded_and_harmless(sshd: Sshd) -> None:
    output, _, _ = run(
        sshd, r"printf '\033]52;c;evil\a\nlabroom: \r\n\377\n'; head -c 30000 /dev/zero | tr '\0' x", ["alfa"]
    )
    assert output[0] == "alfa: \\xff"
    assert "alfa: ^[]52;c;evil^G" in output
    assert max(map(len, output)) < 10_050
    assert output[-1].endswith("x…")
    assert "more than 4 MiB" in run(sshd, "head -c 5000000 /dev/zero | tr '\\0' x; sleep 60", ["alfa"])[2]["alfa"]


RUN = """
import signal
import sys
from pathlib import Path
from labroom.cli import together
from labroom.console import Console
from labroom.endpoint import Endpoint
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored, as in the background of a shell
key, known_hosts = map(Path, sys.argv[3:5])
at = Endpoint("alfa", "127.0.0.1", "127.0.0.1", int(sys.argv[1]), sys.argv[2], (key,), (known_hosts,))
together._run({"alfa": at}, sys.argv[5], Console(sys.stdout), Console(sys.stderr))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_us_ends_the_command_there(sshd: Sshd, tmp_path: Path, number: signal.Signals) -> None:
    at = sshd.endpoint
    # It takes no notice of a hang-up, and has a child that takes none of anything.
    script = f"trap '' HUP INT TERM; sleep 600 & trap - TERM; echo $$ $! >{shlex.quote(str(tmp_path / 'pids'))}; wait"
    words = [str(at.ssh_port), at.user, str(at.identity_files[0]), str(at.known_hosts[0]), script]
    with subprocess.Popen([sys.executable, "-c", RUN, *words], stderr=subprocess.DEVNULL) as running:
        try:
            wait_for(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text(), "the command to run")
            running.send_signal(number)
            running.wait(timeout=30)
        finally:
            running.kill()
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        wait_for(partial(ended, pid), "the command and its child to end", seconds=10)


def ended(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has waited for it."""
    try:
        return state_of(pid) in "ZX"
    except OSError:
        return True


def test_what_a_command_leaves_in_the_background_stays(sshd: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    run(sshd, f"sleep 30 >/dev/null 2>&1 & echo $! $$ >{shlex.quote(str(file))}", ["alfa"])
    left, command = map(int, file.read_text().split())

    def over() -> bool:
        """Whether what would have ended the command has ended itself."""
        return subprocess.run(["pgrep", "-f", f" sh {command}$"], stdout=subprocess.DEVNULL).returncode == 1

    wait_for(over, "what ends commands to end", seconds=20)
    assert not ended(left), "it was ended with the command"
    os.kill(left, signal.SIGKILL)


def test_it_starts_nothing_for_root_without_sudo(sshd: Sshd) -> None:
    process = over_ssh.start(sshd.endpoint, 'echo "$1" "${2%% *}"', "two words")
    output, _ = process.communicate(timeout=20)
    assert output == b"two words 127.0.0.1\n"


def test_wrong_words() -> None:
    assert "exec needs guests, then --, then a command" in labroom("exec", "alfa", status=2).stderr
    assert "exec needs guests, then --, then a command" in labroom("exec", "--all", "--", status=2).stderr
    said = labroom("exec", "--", "uptime", "-p", status=2).stderr
    assert "name the guests, or all of them by --all" in said
    assert "exec --all -- uptime -p\n" in said
    assert "shell needs a terminal" in labroom("shell", status=None).stderr
    for wrong in (("--seconds", "0"), ("--packets", "-1"), ("--seconds", "nan")):
        assert "is no number of" in labroom("capture", "alfa", *wrong, status=2).stderr


# -- capture files ----------------------------------------------------------------------------------------------

HEADER = b"\xd4\xc3\xb2\xa1" + bytes(20)
PACKET = bytes(8) + (3).to_bytes(4, "little") * 2 + b"abc"


@pytest.mark.parametrize("cut", range(len(HEADER + PACKET + PACKET) + 1))
def test_a_capture_that_is_cut_ends_with_a_whole_packet(cut: int) -> None:
    end, packets, _ = whole((HEADER + PACKET + PACKET)[:cut])
    assert (end, packets) == ((0, 0) if cut < 24 else (24, 0) if cut < 43 else (43, 1) if cut < 62 else (62, 2))


def test_a_capture_that_comes_in_pieces() -> None:
    file, rest, begun, written = HEADER + PACKET * 3, b"", "", b""
    for start in range(0, len(file), 10):
        rest += file[start : start + 10]
        end, _, begun = whole(rest, begun)
        written, rest = written + rest[:end], rest[end:]
    assert (written, rest) == (file, b"")


@pytest.mark.parametrize("data", [b"Welcome to this host, stranger!", HEADER + bytes(8) + b"\xff" * 8])
def test_what_is_no_capture(data: bytes) -> None:
    with pytest.raises(NoCapture):
        whole(data)
