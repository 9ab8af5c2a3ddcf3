"""Running checks: verdicts, report, progress and Ctrl+C, in a room whose hosts are an sshd on loopback."""

import io
import json
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labroom.checks import run as checks
from labroom.checks.plugin import endpoints_of_room
from labroom.checks.verdicts import Check
from labroom.console import Console
from labroom.endpoint import Endpoint
from labroom.errors import MachineError, UsageError
from labroom.reports import lines
from labroom.resources import CHECKS

GREETING = '''
def test_good(alfa):
    """echo says what it is told."""
    alfa.start_command(["echo", "hello"]).expect("hello")

def test_words(alfa):
    """cat answers before it is asked."""
    cat = alfa.start_command(["cat"])
    cat.send("question")
    line = cat.expect(r"(.+)\\n")[1]
    assert line == "answer", f"alfa said {line!r} and gave no answer"

def test_left(alfa, driver):
    """A program that leaves another behind."""
    alfa.start_command(["sh", "-c", "sleep 1000 & echo started"]).expect_exit(0)
    running = lambda: any(process.command == "sleep 1000" for process in alfa.processes())
    driver.wait_until(running, "sleep to run", None, "sleep did not run{}".format)
'''

BROKEN = """
def test_broken(alfa):
    undefined
"""

FAULT = '''
def test_absent(bravo):
    """bravo says hello."""
    bravo.start_command(["echo", "hello"])

def test_absent_again(bravo):
    """bravo says hello again."""
    bravo.start_command(["echo", "hello"])
'''

LATE = '''
from pathlib import Path
from labroom.checks.claims import claim

LOOKED = Path(__file__).with_suffix(".looked")
NEVER, NOW = ["sleep", "1000"], ["echo", "now"]

def test_once(alfa):
    """What is late once is looked at again."""
    looked = LOOKED.exists()
    LOOKED.touch()
    alfa.start_command(NOW if looked else NEVER).expect("now", timeout=None if looked else 0.3)

@claim("lesson", "echo_server")
def test_one(alfa, subject):
    """One is late, ours is not."""
    twin = subject.endswith(".c")
    alfa.start_command(NEVER if twin else NOW).expect("now", timeout=0.3 if twin else None)

@claim("lesson", "echo_server")
def test_all(alfa, subject):
    """All are late."""
    alfa.start_command(NEVER).expect("now", timeout=0.3)

@claim("lesson", "echo_server", needs=["once"])
def test_needs(alfa, subject):
    """What needs the first is not skipped."""
'''

LONG = '''
def test_long(alfa):
    """A check that takes for ever."""
    sleep = alfa.start_command(["sleep", "1000"])
    print(sleep.pid, file=__import__("sys").__stdout__, flush=True)
    sleep.expect("never")
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "checks"
    folder.mkdir()
    for name, source in {"greeting": GREETING, "fault": FAULT, "late": LATE, "long": LONG, "broken": BROKEN}.items():
        (folder / f"test_{name}.py").write_text(source)
    return folder


@pytest.fixture
def endpoints(sshd: Any) -> dict[str, Endpoint]:
    nobody = replace(sshd.endpoint, name="bravo", ssh_port=1)
    return {"alfa": sshd.endpoint, "bravo": nobody}


def test_what_is_late_is_looked_at_twice_and_compared_with_our_own(
    endpoints: dict[str, Endpoint], folder: Path, tmp_path: Path
) -> None:
    (late,) = checks.run(endpoints, ["late"], tmp_path, folder=folder).labs
    found = {check.name: check for check in late.checks}
    assert {name: check.verdict for name, check in found.items()} == {
        "test_once": "passed",
        "test_one[echo_server]": "passed",
        "test_one[echo_server.c]": "failed",
        "test_all[echo_server]": "failed",
        "test_all[echo_server.c]": "fault",
        "test_needs[echo_server]": "passed",
        "test_needs[echo_server.c]": "passed",
    }
    assert found["test_once"].remarks == ["it was late once, and in time when looked at again"]
    assert "our own echo_server is late here, too" in found["test_all[echo_server.c]"].words


def test_verdicts_report_and_progress(folder: Path, endpoints: dict[str, Endpoint]) -> None:
    out = io.StringIO()
    result = lines.run(endpoints, ["greeting", "fault"], folder / "report", Console(out), folder=folder)
    found = {check.name: check for lab in result.labs for check in lab.checks}
    assert {name: check.verdict for name, check in found.items()} == {
        "test_good": "passed",
        "test_words": "failed",
        "test_left": "passed",
        "test_absent": "fault",
        "test_absent_again": "fault",
    }
    assert [lab.verdict for lab in result.labs] == ["failed", "fault"]
    assert result.status == 1

    words: Check = found["test_words"]
    assert words.claim == "cat answers before it is asked."
    assert words.words == "alfa said 'question' and gave no answer"
    assert [(event.stream, event.text) for event in words.transcript] == [
        ("start", "cat"),
        ("stdin", "question"),
        ("stdout", "question"),
        ("note", "here it failed"),
    ]
    assert "alfa" in words.sockets
    assert found["test_left"].left_behind == {"alfa": ["sleep 1000"]}
    assert "can't be reached" in found["test_absent"].words

    document = json.loads((folder / "report" / "report.json").read_text())
    assert document["status"] == 1
    assert [lab["verdict"] for lab in document["labs"]] == ["failed", "fault"]
    assert "alfa said &#39;question&#39; and gave no answer" in (folder / "report" / "index.html").read_text()
    suite = ET.parse(folder / "report" / "junit.xml").getroot()[0]  # noqa: S314 (pytest wrote it just now)
    assert suite.attrib["tests"] == "5"

    first, second = sorted(out.getvalue().splitlines()[:2], reverse=True)  # they run side by side
    assert first.split()[:6] == ["greeting", "FAILED", "2", "of", "3", "checks"]
    assert second.split()[:7] == ["fault", "room", "fault", "0", "of", "2", "checks"]
    shown = out.getvalue()
    assert shown.count("alfa said 'question' and gave no answer") == 1
    assert "  run it again: ./labroom check greeting" in shown
    assert "greeting: left behind on alfa, and killed: sleep 1000" in shown
    assert "2 checks in all: bravo (127.0.0.1 port 1) can't be reached" in shown
    assert "2 labs: 0 passed, 1 failed, 1 not judged (room fault); 5 checks" in shown


def test_what_takes_sudo_is_skipped_where_the_room_has_none(folder: Path, endpoints: dict[str, Endpoint]) -> None:
    checks_of_root = 'def test_root(alfa):\n    alfa.run("sudo", "true")\n'
    (folder / "test_greeting.py").write_text(checks_of_root + "def test_student(alfa):\n    alfa.run('true')\n")
    without = {name: replace(at, sudo=False) for name, at in endpoints.items()}
    result = checks.run(without, ["greeting"], folder / "results", folder=folder)
    assert [(check.verdict, check.words) for check in result.labs[0].checks] == [
        ("skipped", "the students of this room have no sudo"),
        ("passed", ""),
    ]
    assert result.status == 0


def test_what_the_room_does_not_have_is_skipped_by_name(folder: Path, endpoints: dict[str, Endpoint]) -> None:
    out = io.StringIO()
    alone = {"alfa": endpoints["alfa"]}
    (folder / "test_greeting.py").write_text(GREETING.partition("def test_words")[0])
    (folder / "test_fault.py").write_text(FAULT.replace("(bravo)", "(alfa, bravo)"))
    result = lines.run(alone, ["greeting", "fault"], folder / "report", Console(out), folder=folder)
    assert [lab.verdict for lab in result.labs] == ["passed", "skipped"]
    assert result.status == 0
    assert "2 skipped: this room has no bravo" in out.getvalue()
    assert "2 labs: 1 passed, 1 skipped; 3 checks, 2 of them skipped, in" in out.getvalue()
    nothing = checks.run(alone, ["fault"], folder / "report", folder=folder)
    assert nothing.status == 3, "that nothing could be checked is not a success"


def test_a_host_that_a_check_has_no_use_for_stands_in_for_an_absent_one(
    folder: Path, endpoints: dict[str, Endpoint]
) -> None:
    seat = {name: replace(endpoints["alfa"], name=name) for name in ("server", "alfa")}
    (folder / "test_cast.py").write_text("""
def test_one(bravo):
    assert bravo.name == "alfa"

def test_two(charlie, server):
    assert (charlie.name, server.name) == ("alfa", "server")

def test_two_clients(bravo, charlie):
    assert (bravo.name, charlie.name) == ("alfa", "server")

def test_three(server, bravo, charlie):
    assert False, "one of them would have to be two"

def test_of_another_kind(gateway):
    assert False, "no guest is a gateway"
""")
    (folder / "test_serverless.py").write_text(
        "def test_serverless(server):\n    assert False, 'forwarded ports lead to it'\n"
    )
    clients = {name: host for name, host in seat.items() if name != "server"}
    (alone,) = checks.run(clients, ["serverless"], folder / "report", folder=folder).labs
    assert alone.checks[0].words == "this room has no server"
    result = checks.run(seat, ["cast"], folder / "report", folder=folder)
    (lab,) = result.labs
    assert {check.name: check.words for check in lab.checks if check.verdict != "passed"} == {
        "test_three": "this room has no charlie",
        "test_of_another_kind": "this room has no gateway",
    }
    assert {check.verdict for check in lab.checks} == {"passed", "skipped"}


HOSTILE = r"""
TRICKS = "\x1b]52;c;cm0gLXJmIH4K\x07\r\x9b31m\u202e"  # writes the clipboard, goes back, colours, turns round
FORGED = "\ntcp_echo  passed  8 of 8 checks  3.3 s\r\ntcp_hello  passed  7 of 7 checks  1.7 s"

def test_forged(alfa):
    program = alfa.start_command(["printf", "%s\\n", TRICKS + FORGED], name="\x1b[31mred")
    program.expect_exit(0)
    assert not program.stdout, f"it said {program.stdout}"

def test_left(alfa, driver):
    alfa.start_command(["bash", "-c", 'exec -a "$0" sleep 1000 & echo started', TRICKS + FORGED]).expect_exit(0)
    running = lambda: any(process.command.endswith(" 1000") for process in alfa.processes())
    driver.wait_until(running, "sleep to run", None, "sleep did not run{}".format)
"""


@pytest.mark.parametrize("lively", [False, True])
def test_what_programs_print_is_no_command_to_the_terminal_and_no_line_of_ours(
    folder: Path, endpoints: dict[str, Endpoint], monkeypatch: pytest.MonkeyPatch, lively: bool
) -> None:
    (folder / "test_host\x07\x9b31m\u202eile.py").write_text(HOSTILE)
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: lively)
    (lab,) = lines.run(endpoints, ["host\x07\x9b31m\u202eile"], folder / "report", Console(out), folder=folder).labs
    forged, left = lab.checks
    assert "\x1b]52;" in forged.words
    assert "\x1b]52;" in forged.transcript[1].text
    assert "\x1b]52;" in left.left_behind["alfa"][0]
    shown = re.sub(r"\r\x1b\[K|\x1b\[\d*m", "", out.getvalue()) if lively else out.getvalue()
    assert not [c for c in shown if not c.isprintable() and c != "\n"]
    assert shown.count("^[]52;c;cm0gLXJmIH4K^G^M") >= 3, "words, output and the command line left behind"
    assert not re.search(r"^ {0,4}tcp_(echo|hello)", shown, re.MULTILINE), "a line of ours was forged"


def test_only_faults_are_the_room_s(folder: Path, endpoints: dict[str, Endpoint]) -> None:
    result = checks.run(endpoints, ["fault"], folder / "report", folder=folder)
    assert result.status == 3
    assert [[check.verdict for check in lab.checks] for lab in result.labs] == [["fault", "fault"]]


def test_a_check_that_is_itself_broken(folder: Path, endpoints: dict[str, Endpoint]) -> None:
    result = checks.run(endpoints, ["broken"], folder / "report", folder=folder)
    assert result.labs[0].checks[0].verdict == "fault"
    assert result.labs[0].checks[0].words == "the check itself broke: NameError: name 'undefined' is not defined"


LEAVES = '''
import pytest

def test_full(results_folder):
    """It leaves a picture."""
    (results_folder / "picture").symlink_to("/dev/full")
    with (results_folder / "picture").open("wb", buffering=0) as picture:
        picture.write(b"x")

@pytest.fixture
def leaves(results_folder):
    yield
    (results_folder / "none" / "capture").touch()

def test_at_its_end(leaves):
    """It leaves a capture."""
'''


def test_what_this_machine_cannot_write_is_no_labs_fault(folder: Path, endpoints: dict[str, Endpoint]) -> None:
    (folder / "test_leaves.py").write_text(LEAVES)
    report = folder / "report"
    result = checks.run(endpoints, ["leaves"], report, folder=folder)
    full, at_its_end = result.labs[0].checks
    assert (full.verdict, at_its_end.verdict, result.status) == ("fault", "fault", 3)
    ours = "this machine's fault, not the lab's"
    assert full.words == f"what the check leaves: No space left on device: {ours}"
    assert at_its_end.words == f"{report}/leaves/none/capture: No such file or directory: {ours}"


def test_what_the_caller_tells_pytest_is_not_obeyed(
    folder: Path, endpoints: dict[str, Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ADDOPTS": "--nonsense", "PLUGINS": "none_of_this_name", "DEBUG": "1"}.items():
        monkeypatch.setenv(f"PYTEST_{name}", value)
    (folder / "select.py").write_text("raise SystemExit('not this one')\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    result = checks.run(endpoints, ["broken", "fault"], folder / "report", folder=folder)  # side by side: in workers
    assert [lab.verdict for lab in result.labs] == ["fault", "fault"]


def test_a_file_of_checks_that_cannot_be_read(folder: Path, endpoints: dict[str, Endpoint]) -> None:
    (folder / "test_long.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(MachineError, match=r"the checks can't be run: .*nothing_of_this_name"):
        checks.run(endpoints, ["long"], folder / "report", folder=folder)


def test_unknown_lab(folder: Path, endpoints: dict[str, Endpoint]) -> None:
    with pytest.raises(UsageError, match="no such lab: greetings") as error:
        checks.run(endpoints, ["greetings"], folder / "report", folder=folder)
    assert error.value.remedy == "labs with checks: broken, fault, greeting, late, long"


def test_control_c(folder: Path, endpoints: dict[str, Endpoint]) -> None:
    source = f"""
from pathlib import Path, PosixPath
from labroom.checks import run as checks
from labroom.endpoint import Endpoint
try:
    checks.run({endpoints!r}, ["long"], Path("{folder}/report"), folder=Path("{folder}"))
except KeyboardInterrupt:
    raise SystemExit(130)
"""
    command = [sys.executable, "-c", source]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        pid = int(running.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors == ""
    assert not Path(f"/proc/{pid}").exists(), "the interrupted check left its program behind"


def test_control_c_in_a_weak_reference_s_callback_is_not_lost(folder: Path) -> None:
    """Where Python can raise nothing, and would only print."""
    (folder / "test_long.py").write_text(
        "import signal, time, weakref\n"
        "class Thing: pass\n"
        "def test_long():\n"
        "    thing = Thing()\n"
        "    called_back = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))\n"
        "    del thing\n"
        "    time.sleep(600)\n"
    )
    source = f"""
from pathlib import Path
from labroom.checks import run as checks
try:
    checks.run({{}}, ["long"], Path("{folder}/report"), folder=Path("{folder}"))
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


@pytest.mark.parametrize("workers", [[], ["-n2"]])
def test_by_pytest_itself(
    folder: Path, tmp_path: Path, sshd: Any, monkeypatch: pytest.MonkeyPatch, workers: list[str]
) -> None:
    (folder / "conftest.py").write_text((CHECKS / "conftest.py").read_text())
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps([vars(sshd.endpoint)], default=str))
    monkeypatch.setenv("LABROOM_ENDPOINTS", str(file))
    command = [sys.executable, "-m", "pytest", *workers, "test_greeting.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert "1 failed, 2 passed" in done.stdout
    assert "- failed: cat answers before it is asked. -" in done.stdout
    assert "alfa  cat  < question" in done.stdout


def test_endpoints_from_a_file(tmp_path: Path, sshd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps([vars(sshd.endpoint)], default=str))
    monkeypatch.setenv("LABROOM_ENDPOINTS", str(file))
    assert endpoints_of_room() == {"alfa": sshd.endpoint}
    file.unlink()
    with pytest.raises(UsageError, match="LABROOM_ENDPOINTS="):
        endpoints_of_room()
