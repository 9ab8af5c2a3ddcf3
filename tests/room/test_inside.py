"""The room from inside, as a student uses it: the guests reach each other, and what one types on a Linux machine works.

It holds for a room of containers, too: tests/docker/test_room.py runs this file there.
"""

import shlex
import subprocess
from pathlib import Path

import pytest

from labroom import room
from labroom.resources import ROOT
from tests.helpers import labroom

ROOM = room.load(ROOT / "room.yml")


def typed(guest: str, command: str, status: int = 0) -> str:
    """Log in and type a command into a login shell; return all that it printed."""
    done = labroom("ssh", guest, f"bash -l -c '{command}' </dev/null 2>&1", status=status)
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("guest", ["alfa", "outside"])
def test_a_student_reaches_every_guest_from_a_guest_without_a_password_and_without_a_question(guest: str) -> None:
    names = list(ROOM.guests)
    hop = 'ssh -n $guest "cat >/dev/null; hostname; whoami"'
    assert typed(guest, f"for guest in {' '.join(names)}; do {hop}; done").split() == [
        word for name in names for word in (name, "student")
    ]


def test_a_student_copies_a_file_to_another_guest() -> None:
    copy = "cd && echo 안녕 >$$.한글 && scp -q $$.한글 bravo.lab.test: && ssh echo true"
    assert typed("alfa", f'{copy} && ssh bravo "cat $$.한글; rm $$.한글"; rm $$.한글') == "안녕\n"


def test_the_key_of_the_rooms_inside_opens_no_root() -> None:
    said = typed("alfa", "ssh -n -o BatchMode=yes root@bravo id", status=255)
    assert "Permission denied (publickey)" in said
    assert typed("alfa", "stat -c %U:%a /etc/ssh/inside_ed25519") == "student:600\n"


@pytest.mark.parametrize("locale", ["ko_KR.UTF-8", "C"])
def test_text_is_utf_8_wherever_one_logs_in_from(locale: str, tmp_path: Path) -> None:
    """A client sends its locale along, which the guest need not have."""
    config = tmp_path / "ssh_config"
    config.write_text(labroom("ssh-config").stdout)
    say = "import locale; print(locale.getlocale()[1])"
    command = f"locale charmap; perl -e ''; python3 -c '{say}'; sudo su - -c 'locale charmap'"
    ssh = ["ssh", "-F", str(config), "-o", "SendEnv=LC_ALL", "alfa", f"bash -l -c {shlex.quote(command)}"]
    done = subprocess.run(ssh, env={"LC_ALL": locale}, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("UTF-8\nUTF-8\nUTF-8\n", "")


def test_the_greeting_says_where_one_is_and_where_the_labs_are() -> None:
    greeting = typed("bravo", "cat /etc/motd")
    assert greeting.startswith("This is bravo of the room lab: 192.168.74.130 (bravo.lab.test)\n")
    assert "/opt/labs" in greeting


def test_what_asks_for_logind_gets_an_answer() -> None:
    """It runs from then on: nobody starts it before."""
    assert "No sessions" in typed("charlie", "loginctl")
    assert typed("charlie", "sudo shutdown --no-wall +60 2>/dev/null; sudo shutdown --no-wall -c; echo $?") == "0\n"


def test_a_student_pings_traces_and_reads_the_journal() -> None:
    assert " 0% packet loss" in typed("alfa", "ping -c 1 server")
    assert "gateway" in typed("alfa", "traceroute 203.0.113.10")
    assert "sshd" in typed("alfa", "journalctl --no-pager --quiet --lines 50")
    assert "ssh.service" in typed("alfa", "service ssh status")  # a program of /usr/sbin


def test_a_command_that_is_missing_names_its_package() -> None:
    said = typed("alfa", "crontab -l", status=127)
    assert said == "crontab: command not found: sudo apt-get update; sudo apt-get install cron\n"
    assert "from guest to guest: ssh GUEST" in typed("alfa", "labroom list", status=127)
