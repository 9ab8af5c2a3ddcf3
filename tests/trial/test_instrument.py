"""The room as an instrument: exec, capture and link on guests that run, one room for all of it."""

import json
import random
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labroom.driver.packets import packets_in
from labroom.machine import tool
from labroom.providers import nspawn
from labroom.providers.nspawn import links
from labroom.resources import ROOT
from labroom.tcpdump import whole
from tests.helpers import wait_for
from tests.trial.room import ROOM, Trial, traces

TWO = "192.168.75.11"
WITH_LINK = ROOM.replace("two: {private: 192.168.75.11}", "two: {private: 192.168.75.11, link: {rate: 1mbit}}")
LAB = "/opt/labs/bad_links"
NETEM = subprocess.run(["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem"], capture_output=True)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """The trial room, up, with servers of the lab bad_links on its guest two, whose link is slow by the room file."""
    nspawn.down(Trial.name)
    trial = Trial(tmp_path_factory.mktemp("trial") / "trial.yml")
    trial.file.write_text(WITH_LINK)
    trial.up()
    serving = trial.start("exec", "two", "--", f"{LAB}/numbered_server.py 9090 & {LAB}/message_server.py 9090")
    wait_for(
        lambda: trial.run("exec", "two", "--", "ss -tuln | grep -c :9090; true") == "two: 2\n", "the servers to listen"
    )
    yield trial
    serving.send_signal(signal.SIGINT)
    serving.communicate(timeout=20)
    trial.down()
    assert not any(traces().values()), traces()


@pytest.fixture(autouse=True)
def _good_again(room: Trial) -> Iterator[None]:
    yield
    room.run("link", "--all", "--clear")


def lost(room: Trial) -> int:
    """Of 200 datagrams from one to two, how many get lost."""
    said = room.run("exec", "one", "--", f"{LAB}/numbered_client.py {TWO} 9090 200")
    found = re.search(r"of 200 came, (\d+) lost", said)
    assert found, said
    return int(found[1])


def made() -> dict[str, list[str]]:
    """What makes links bad in the room's network."""

    def lines(*command: str) -> list[str]:
        inside = [*links.inside(Trial.name), *command]
        return subprocess.run(inside, capture_output=True, text=True, check=True).stdout.splitlines()

    return {
        "tables": [line for line in lines("nft", "list", "tables") if "bad" in line],
        "devices": [line for line in lines("ip", "-oneline", "link", "show", "type", "ifb") if "bad" in line],
        "queues": [line for line in lines("tc", "qdisc") if "htb" in line or "ingress" in line],
    }


def test_the_room_files_link_is_there_from_the_start_and_when_it_changes(room: Trial) -> None:
    room.up()
    assert room.run("link") == f"{'one':<12} good\n{'two':<12} rate 1mbit\n"
    said = room.run("exec", "one", "--", f"{LAB}/message_client.py {TWO} 9090 60000")
    milliseconds = re.search(r"answered after ([0-9.]+) ms", said)
    assert milliseconds, said
    assert float(milliseconds[1]) > 400, "60000 bytes at 1mbit can't be faster"
    room.file.write_text(WITH_LINK.replace("1mbit", "2mbit"))
    room.up()
    assert room.run("link", "two") == f"{'two':<12} rate 2mbit\n"
    found = json.loads(room.run("status", "--json"))
    assert [guest["links"] for guest in found["guests"]] == [{}, {"private": {"rate": "2mbit"}}]
    assert [guest["up"] for guest in found["guests"]] == [True, True]


def test_loss_and_good_again(room: Trial) -> None:
    assert room.run("link", "one", "--loss", "30%") == f"{'one':<12} loss 30%\n"
    assert 20 < lost(room) < 110
    assert room.run("link", "one", "--clear") == f"{'one':<12} good\n"
    assert lost(room) == 0
    room.run("link", "--all", "--clear")
    assert not any(made().values())


def test_a_link_that_is_down_is_up_for_who_mends_it(room: Trial) -> None:
    room.run("link", "one", "--rate", "10mbit")
    room.run("link", "one", "--down")
    said = room.run("exec", "one", "--", f"{LAB}/numbered_client.py {TWO} 9090 1", status=1)
    assert "one: recv: no answer to 20 questions" in said
    assert room.run("link", "one", "--up") == f"{'one':<12} rate 10mbit\n"
    assert lost(room) == 0


def test_a_reboot_makes_no_link_good(room: Trial) -> None:
    room.run("link", "one", "--loss", "100%")
    began = "stat -c %Y /proc/1"
    before = room.run("exec", "one", "--", began)
    room.run("exec", "one", "--", "sudo systemctl reboot --force", status=None)

    def again() -> bool:
        now = room.run("exec", "one", "--", began, status=None)
        return bool(re.fullmatch(r"one: \d+\n", now)) and now != before

    wait_for(again, "it to be there again")
    said = room.run("exec", "one", "--", f"{LAB}/numbered_client.py {TWO} 9090 1", status=1)
    assert "no answer to 20 questions" in said


def test_what_the_kernel_lacks_is_said_in_a_line_and_changes_nothing(room: Trial) -> None:
    if NETEM.returncode == 0:
        pytest.skip("this kernel has netem")
    room.run("link", "one", "--loss", "10%")
    said = room.run("link", "one", "--delay", "50ms", status=3).splitlines()
    assert said[0].startswith("labroom: this machine has a kernel without sch_netem, which delay and jitter need")
    assert said[1].startswith("  help: ")
    assert len(said) == 2
    assert room.run("link", "one") == f"{'one':<12} loss 10%\n"
    assert [len(found) for found in made().values()] == [1, 0, 0]


@pytest.mark.skipif(NETEM.returncode != 0, reason="this kernel has no netem")
def test_delay_is_that_of_each_direction(room: Trial) -> None:
    room.run("link", "one", "--delay", "60ms")
    said = room.run("exec", "one", "--", f"{LAB}/message_client.py {TWO} 9090 1")
    milliseconds = re.search(r"answered after ([0-9.]+) ms", said)
    assert milliseconds, said
    assert 119 < float(milliseconds[1]) < 1000


def test_a_killed_link_is_made_or_not_and_never_half(room: Trial) -> None:
    chance = random.Random(12)  # noqa: S311 (no secret)
    for number in range(5):
        loss, rate = f"{number + 1}%", f"{number + 1}mbit"
        making = room.start("link", "one", "--loss", loss, "--rate", rate)
        time.sleep(chance.uniform(0.2, 0.6))  # somewhere in the middle; that is not waited for
        making.kill()
        making.communicate()
        wait_for(lambda: not subprocess.run(["pgrep", "-f", "link.new"], capture_output=True).stdout, "what was begun")
        said = room.run("link", "one")
        shapes = [len(found) for found in made().values()]
        assert shapes == ([0, 0, 0] if "good" in said else [1, 1, 3]), said


# -- capture ----------------------------------------------------------------------------------------------------


def test_a_capture_has_what_was_sent_and_not_its_own_connection(room: Trial, tmp_path: Path) -> None:
    file = tmp_path / "one.pcap"
    capturing = room.start("capture", "one", "udp port 9090 or tcp port 22", "--packets", "7", "-w", str(file))
    assert capturing.stderr
    assert capturing.stderr.readline() == f"capturing on one into {file} (Ctrl+C ends)\n"
    said = room.run("exec", "one", "--", f"{LAB}/numbered_client.py {TWO} 9090 5")
    assert "5 of 5 came" in said
    _, errors = capturing.communicate(timeout=20)
    assert capturing.returncode == 0
    assert errors.startswith("7 packets, ")
    ports = {packet.source[1] for packet in packets_in(file.read_bytes())}
    assert ports & {22, 9090}, ports


def test_a_quiet_capture_is_quiet(room: Trial, tmp_path: Path) -> None:
    said = room.run("capture", "one", "--seconds", "1", "tcp", "-w", str(tmp_path / "quiet.pcap"))
    assert "0 packets, 24 bytes" in said
    assert (tmp_path / "quiet.pcap").stat().st_size == 24


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_a_capture_leaves_a_whole_file_and_nothing_in_the_guest(
    room: Trial, tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "one.pcap"
    capturing = room.start("capture", "one", "udp", "-w", str(file))
    assert capturing.stderr
    capturing.stderr.readline()
    room.run("exec", "one", "--", f"{LAB}/numbered_client.py {TWO} 9090 500")
    wait_for(lambda: file.stat().st_size > 10_000, "packets")
    capturing.send_signal(number)
    _, errors = capturing.communicate(timeout=20)
    data = file.read_bytes()
    assert whole(data)[0] == len(data)
    if number == signal.SIGINT:
        assert capturing.returncode == 0
        assert re.match(r"\d+ packets, ", errors)
    wait_for(lambda: "exit status 1" in room.run("exec", "one", "--", "pgrep tcpdump", status=1), "tcpdump to end")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tcp prt 80"], "labroom: tcpdump: can't parse filter expression: syntax error"),
        (["host", "nowhere.invalid"], "labroom: tcpdump: unknown host 'nowhere.invalid'"),
    ],
)
def test_a_wrong_filter_is_a_line_in_tcpdumps_words(room: Trial, tmp_path: Path, words: list[str], said: str) -> None:
    file = tmp_path / "none.pcap"
    assert room.run("capture", "one", *words, "-w", str(file), status=2).splitlines()[0] == said
    assert not file.exists()


def test_a_file_that_can_not_be_written(room: Trial, tmp_path: Path) -> None:
    said = room.run("capture", "one", "--seconds", "5", "-w", "/dev/full", status=3)
    assert "labroom: /dev/full: No space left on device" in said
    assert "No such file" in room.run("capture", "one", "-w", str(tmp_path / "no/file"), status=3)


# -- shell ------------------------------------------------------------------------------------------------------


def test_a_command_of_several_words_gets_them_as_they_are(room: Trial) -> None:
    assert room.run("exec", "two", "--", "printf", "%s|", "a  b", "$HOME; ls *") == "two: a  b|$HOME; ls *|\n"


def test_a_command_that_a_signal_ends_is_no_log_in_that_failed(room: Trial) -> None:
    assert room.run("ssh", "one", "echo before; kill -KILL $$", status=137) == "before\nKilled\n"
    assert room.run("exec", "one", "--", "kill -KILL $$", status=1).endswith("labroom: one: exit status 137\n")


def test_a_pane_for_each_guest_and_the_same_ones_the_next_time(
    room: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))  # a server of its own
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("TMUX", raising=False)
    command = shlex.join([tool("python"), "-m", "labroom", "--room", str(room.file), "shell"])

    def tmux(*words: str) -> str:
        return subprocess.run(["tmux", *words], capture_output=True, text=True, check=False).stdout

    def opened() -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen(["script", "-qec", command, "/dev/null"], stdin=subprocess.PIPE, stdout=quiet, cwd=ROOT)

    with opened() as first:
        wait_for(lambda: tmux("list-clients"), "somebody at the session")
        panes = ("list-panes", "-t", f"=labroom-{Trial.name}:", "-F", "#{@guest} #{pane_dead}")
        assert tmux(*panes).splitlines() == ["one 0", "two 0"]
        shown = ("capture-pane", "-p", "-t", f"=labroom-{Trial.name}:.1")
        wait_for(lambda: "student@two" in tmux(*shown), "a prompt in the second pane")
        with opened() as second:
            wait_for(lambda: len(tmux("list-clients").splitlines()) == 2, "somebody else at the session")
            assert len(tmux("list-sessions").splitlines()) == 1
            tmux("detach-client", "-s", f"=labroom-{Trial.name}")
            assert (first.wait(20), second.wait(20)) == (0, 0)
    assert tmux(*panes).splitlines() == ["one 0", "two 0"]
    tmux("kill-server")
