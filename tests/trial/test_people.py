"""A room on machines as people have them: made by root with a strict umask in an odd folder, used by somebody else."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labroom import state
from labroom.cli import main
from labroom.machine import tool
from labroom.resources import ROOT
from tests.trial.room import LABS_ROOM, Trial
from tests.unit.test_people import ENVIRONMENTS, ODD, UNKNOWN

STRICT = ("sh", "-c", 'umask 077; exec "$@"', "sh")
# Somebody who may write nothing of root's; and read all, since .venv may lead to an interpreter in root's home.
SOMEBODY = (
    *("setpriv", f"--reuid={UNKNOWN}", f"--regid={UNKNOWN}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"),
)
READ_ONLY = (
    *("unshare", "--mount", "sh", "-c"),
    'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$0" && exec "$@"',
    str(ROOT),
)


@pytest.fixture
def odd(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    """The trial room, with its file and all that labroom keeps in an odd folder; the images are this machine's."""
    images = state.images()
    place = Path(tempfile.mkdtemp(prefix="labroom-"))  # pytest's own folders are one user's alone
    place.chmod(0o755)
    folder = place / ODD
    (folder / "state: 1").mkdir(parents=True)
    (folder / "state: 1/images").symlink_to(images)
    for name, value in ENVIRONMENTS["shell"].items():
        if name not in ("PATH", "TMPDIR"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("LABROOM_STATE_DIR", str(folder / "state: 1"))
    monkeypatch.setenv("SUDO_UID", str(UNKNOWN))
    monkeypatch.setenv("SUDO_GID", str(UNKNOWN))
    odd = Trial(folder / "room, 1.yml")
    odd.file.write_text(LABS_ROOM)
    yield odd
    odd.run("down")
    shutil.rmtree(place)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of somebody."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.chown(home, UNKNOWN, UNKNOWN)
    monkeypatch.setenv("HOME", str(home))
    return home


def test_what_root_has_made_in_an_odd_folder_others_use(odd: Trial, home: Path) -> None:
    odd.run("up", before=STRICT)
    keys = state.rooms() / "trial/keys"
    modes = {path.name: path.stat().st_mode & 0o777 for path in (keys, *keys.iterdir())}
    assert [modes[name] & 0o066 for name in ("keys", "id_ed25519", "host_server")] == [0, 0, 0]
    assert odd.run("ssh", "alfa", "id", "-un", before=SOMEBODY, status=255) == "No user exists for uid 61234\n"
    assert odd.run("ssh", "alfa", "id", "-un") == "student\n"
    for_ssh = home / "room.ssh"
    for_ssh.write_text(odd.run("ssh-config"))
    done = subprocess.run(["ssh", "-F", for_ssh, "server", "hostname"], capture_output=True, text=True, check=True)
    assert done.stdout == "server\n"
    reports = home / ".local/state/labroom/reports"
    checked = odd.run("check", "tcp_hello", "-k", "refused", before=(*STRICT, *SOMEBODY))
    assert "1 lab: 1 passed" in checked
    assert f"report: {reports}/index.html" in checked
    report = json.loads((reports / "report.json").read_bytes())
    assert shlex.split(report["labs"][0]["command"])[:3] == ["./labroom", "--room", str(odd.file)]
    assert "All labs passed" in (reports / "index.html").read_text(encoding="utf-8")


def test_whose_keys_they_are_not_is_told_so(odd: Trial, capfd: pytest.CaptureFixture[str]) -> None:
    odd.run("up")
    capfd.readouterr()
    # Loaded now: this user may not be allowed to read where Python is.
    for module in ("checks.run", "cli.labs", "cli.login", "reports.lines", "reports.seats", "rooms"):
        importlib.import_module(f"labroom.{module}")
    "".encode("utf-8-sig")
    for words in (["ssh", "alfa"], ["check", "tcp_hello"]):
        child = os.fork()
        if child == 0:  # without a new interpreter, which this user may not be allowed to run
            os.setgroups([])
            os.setgid(UNKNOWN + 1)
            os.setuid(UNKNOWN + 1)
            os._exit(main(["--room", str(odd.file), *words]))
        _, status = os.waitpid(child, 0)
        output, error = capfd.readouterr()
        assert (os.waitstatus_to_exitcode(status), output) == (3, "")
        assert re.match("labroom: Permission denied: .*/keys/.*\n  help: sudo ./labroom ", error)


def test_a_folder_that_cannot_be_written_is_no_labs_fault(odd: Trial, home: Path) -> None:
    odd.run("up")
    reports = home / ".local/state/labroom/reports"
    odd.run("check", "tcp_hello", "-k", "refused", before=READ_ONLY)
    assert (reports / "index.html").is_file()
    said = odd.run("check", "tcp_hello", before=SOMEBODY, status=3)
    assert f"labroom: no report can be written: {reports}" in said
    remedy = said.partition("  help: sudo ")[2]
    subprocess.run(["sh", "-c", remedy], check=True)
    assert remedy.startswith("chown -R 61234 ")
    subprocess.run(["sh", "-c", remedy.replace("61234", f"{UNKNOWN}")], check=True)
    shutil.chown(home / ".local", UNKNOWN)
    assert "1 lab: 1 passed" in odd.run("check", "tcp_hello", "-k", "refused", before=SOMEBODY)


def test_ansible_reaches_the_guests_from_an_odd_folder(odd: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    odd.run("up")
    monkeypatch.delenv("ENV")
    (Path(os.environ.get("HOME", "/root")) / ".ssh").mkdir(mode=0o700, exist_ok=True)
    command = [tool("ansible"), "-i", str(odd.file), "all", "-m", "ansible.builtin.ping"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, umask=0o077, check=False)
    assert done.stdout.count("SUCCESS") == 2, done.stdout + done.stderr
