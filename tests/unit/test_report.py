"""The report: one page that needs nothing but itself, and the same facts for programs."""

import io
import json
import re
from base64 import b64decode
from pathlib import Path

import pytest

from labroom.checks.run import Running
from labroom.checks.transcript import LOOK, aligned, by_hand
from labroom.checks.verdicts import Check, CheckResult, LabResult, Verdict
from labroom.console import Console
from labroom.driver import Event
from labroom.reports import page as report
from labroom.reports.lines import Lines, OwnLines

COMMAND = "./labroom check"


@pytest.fixture
def result() -> CheckResult:
    failed = Check(
        "test_answer",
        "The server answers.",
        "failed",
        1.25,
        "alfa printed '<script>' & no answer",
        transcript=[
            Event(0.0, "server", "echo_server", "start", "./echo_server.py 9090"),
            Event(0.5, "alfa", "echo_client", "stdout", "<b>bold</b>"),
        ],
        sockets={"server": ["tcp LISTEN 0.0.0.0:9090"], "alfa": []},
        left_behind={"server": ["sleep 1000"]},
    )
    fault = Check("test_reach", "alfa is there.", "fault", 0.5, "alfa can't be reached", "labroom up")
    return CheckResult(
        [
            LabResult("tcp_hello", [Check("test_message", "The client prints the message.", seconds=0.25)]),
            LabResult("tcp_echo", [failed]),
            LabResult("select_server", [fault]),
        ],
        began="2026-01-01 12:00:00+00:00",
        seconds=2.0,
        hosts={"server": "192.168.74.128"},
    )


def test_verdicts(result: CheckResult) -> None:
    assert [lab.verdict for lab in result.labs] == ["passed", "failed", "fault"]
    assert result.failed == [result.labs[1]]
    assert result.faults == [result.labs[2]]
    assert result.summary == "3 labs: 1 passed, 1 failed, 1 not judged (room fault); 3 checks in 2.0 s"


@pytest.mark.parametrize(("labs", "status"), [([], 3), ([0], 0), ([0, 1], 1), ([0, 2], 3), ([0, 1, 2], 1), ([2, 1], 1)])
def test_status(result: CheckResult, labs: list[int], status: int) -> None:
    assert CheckResult([result.labs[number] for number in labs]).status == status


def test_page(result: CheckResult, tmp_path: Path) -> None:
    path = report.write(result, tmp_path / "new" / "folder", COMMAND)
    page = path.read_text()
    assert "alfa printed &#39;&lt;script&gt;&#39; &amp; no answer" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<script" not in page
    assert "tcp LISTEN 0.0.0.0:9090" in page
    assert "./labroom check tcp_echo" in page
    assert "sleep 1000" in page
    assert "Run it again" in page
    assert "Remedy: <code>labroom up</code>" in page
    assert not re.search(r"https?:|src=|@import|url\(", page), "the page needs something that is not in it"


def test_a_picture_is_on_the_page_itself(tmp_path: Path) -> None:
    (tmp_path / "server_race").mkdir()
    picture = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    (tmp_path / "server_race" / "race.svg").write_text(picture)
    lab = LabResult(
        "server_race", [Check("test_race", "It is drawn.")], ["server_race/race.csv", "server_race/race.svg"]
    )
    page = report.write(CheckResult([lab]), tmp_path, COMMAND).read_text()
    (source,) = re.findall(r'src="([^"]*)"', page)
    kind, _, encoded = source.partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert b64decode(encoded).decode() == picture
    assert "<script" not in page
    assert 'href="server_race/race.csv"' in page


def test_all_passed(result: CheckResult, tmp_path: Path) -> None:
    page = report.write(CheckResult(result.labs[:1]), tmp_path, COMMAND).read_text()
    assert "All labs passed" in page
    assert "tcp_hello" in page
    assert "The client prints the message." in page
    assert "Run it again" not in page


def test_json(result: CheckResult, tmp_path: Path) -> None:
    report.write(result, tmp_path, COMMAND)
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["status"] == 1
    assert document["summary"] == result.summary
    lab = document["labs"][1]
    assert lab["checks"][0]["remedy"] == ""
    assert (lab["name"], lab["verdict"], lab["again"]) == ("tcp_echo", "failed", "./labroom check tcp_echo")
    assert lab["checks"][0]["transcript"][1] == {
        "time": 0.5,
        "host": "alfa",
        "program": "echo_client",
        "stream": "stdout",
        "text": "<b>bold</b>",
    }


def test_transcript_in_columns(result: CheckResult) -> None:
    assert aligned(result.labs[1].checks[0].transcript) == [
        "  0.000  server  echo_server  $ ./echo_server.py 9090",
        "  0.500  alfa    echo_client    <b>bold</b>",
    ]


HOSTILE = "\x1b]52;c;cm0gLXJmIH4K\x07\r\x9b31m\u202e\ntcp_echo  passed\n  remedy: turn all off"


@pytest.mark.parametrize("lively", [False, True])
def test_whatever_a_result_holds_the_lines_are_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lively: bool
) -> None:
    failed = Check(
        HOSTILE,
        HOSTILE,
        "failed",
        words=HOSTILE,
        remedy=HOSTILE,
        transcript=[Event(0.0, HOSTILE, HOSTILE, "stdout", HOSTILE)],
        sockets={HOSTILE: [HOSTILE]},
        processes={HOSTILE: [HOSTILE]},
        hint=HOSTILE,
        left_behind={HOSTILE: [HOSTILE]},
    )
    fault = Check("test_reach", HOSTILE, "fault", words=HOSTILE)
    lab = LabResult(HOSTILE, [failed, fault, Check("test_skip", "None.", "skipped", words=HOSTILE)])
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: lively)
    lines = Lines(Console(out))
    lines.begin([lab.name])
    lines.running([Running(HOSTILE, 0, 3, HOSTILE)])
    lines.done(lab)
    lines.finish(CheckResult([lab]), tmp_path / "index.html", COMMAND)
    shown = re.sub(r"\r\x1b\[K|\x1b\[\d*m", "", out.getvalue()) if lively else out.getvalue()
    assert not [c for c in shown if not c.isprintable() and c != "\n"]
    assert not re.search(r"^ {0,4}(tcp_echo|remedy: turn)", shown, re.MULTILINE)
    assert shown.count("^[]52;") >= 12


# -- a person's own programs --------------------------------------------------------------------------------------


def own(kind: str, claim: str, verdict: Verdict = "passed", words: str = "", program: str = "echo_server") -> Check:
    file, build = "my <server>.c", "gcc -o server 'my <server>.c'"
    counts = kind == "lesson"
    return Check(claim, claim, verdict, words=words, kind=kind, program=program, counts=counts, file=file, build=build)


@pytest.fixture
def own_result() -> CheckResult:
    words = "expected  'a'\ngot       'b'\n           ^ they differ"
    failed = own("lesson", "What is sent comes back.", "failed", words)
    failed.hint = "send <it> back"
    failed.transcript = [
        Event(0.0, "server", "my <server>.c", "start", "./server 9090"),
        Event(0.1, "alfa", "client", "start", "nc 192.168.74.128 9090"),
        Event(0.2, "alfa", "client#2", "start", "nc 192.168.74.128 9090"),
    ]
    failed.processes = {"server": ["730 ./server 9090", "5 zombies, children of 730"], "alfa": []}
    checks = [
        own("interface", "It says goodbye.", "failed", "it says nothing"),
        own("robustness", "It goes on."),
        own("lesson", "It listens."),
        own("lesson", "It listens.", "skipped", "judged without sanitizers", "echo_server@sanitized"),
        own("lesson", "All of it comes back.", "skipped", "needs: What is sent comes back."),
        failed,
        own("lesson", "It listens.", "failed", "server.c:7: overflow (found by ASan)", "echo_server@sanitized"),
    ]
    return CheckResult([LabResult("tcp_echo", checks)])


def shown_by(lines: Lines, result: CheckResult) -> list[str]:
    lines.begin([lab.name for lab in result.labs])
    for lab in result.labs:
        lines.done(lab)
    lines.finish(result, Path("index.html"), "./labroom --room my.yml check --own .")
    assert isinstance(lines.console.out, io.StringIO)
    return lines.console.out.getvalue().splitlines()


def test_own_programs_lessons_first_and_of_these_those_that_failed(own_result: CheckResult) -> None:
    shown = shown_by(OwnLines(Console(io.StringIO())), own_result)
    assert shown[: shown.index("")] == [
        "echo_server (my <server>.c)",
        "  FAILED      lesson      What is sent comes back.",
        "  FAILED      lesson      It listens. (built with sanitizers)",
        "  passed      lesson      It listens.",
        "  skipped     lesson      All of it comes back.  (needs: What is sent comes back.)",
        "  passed      robustness  It goes on.",
        "  remark      interface   It says goodbye.",
    ]
    assert shown[-3:] == [
        "echo_server (my <server>.c): 1 of 4 lessons passed, 1 skipped; robustness 1 of 1; interface 0 of 1",
        "Repair the lessons first; the report explains the remarks, too.",
        "report: index.html",
    ]


def test_a_failed_claim_tells_what_was_seen_and_how_to_see_it(own_result: CheckResult) -> None:
    shown = shown_by(OwnLines(Console(io.StringIO())), own_result)
    begin = shown.index("FAILED, lesson: echo_server: What is sent comes back.")
    assert shown[begin + 1 : shown.index("", begin)] == [
        "      expected  'a'",
        "      got       'b'",
        "                 ^ they differ",
        "  hint: send <it> back",
        "  what happened:",
        "      0.000  server  my <server>.c  $ ./server 9090",
        "      0.100  alfa    client         $ nc 192.168.74.128 9090",
        "      0.200  alfa    client#2       $ nc 192.168.74.128 9090",
        "  processes of server: 730 ./server 9090",
        "  processes of server: 5 zombies, children of 730",
        "  by hand, each in a terminal of its own (./labroom --room my.yml ssh NAME):",
        "    server  gcc -o server 'my <server>.c'",
        "    server  ./server 9090",
        "    alfa    nc 192.168.74.128 9090",
        f"            {LOOK}",
        "  run it again: ./labroom --room my.yml check --own . tcp_echo -k 'What is sent comes back'",
    ]
    assert not [line for line in shown if "it says nothing" in line]


def test_where_no_lesson_failed_remarks_are_explained(own_result: CheckResult) -> None:
    (lab,) = own_result.labs
    lab.checks = [check for check in lab.checks if check.verdict != "failed" or not check.counts]
    shown = shown_by(OwnLines(Console(io.StringIO())), own_result)
    assert "remark, interface: echo_server: It says goodbye." in shown
    assert "      it says nothing" in shown


def test_page_of_own_programs(own_result: CheckResult, tmp_path: Path) -> None:
    page = report.write(own_result, tmp_path, "./labroom --room my.yml check --own .").read_text()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.partition("<body>")[2]))
    assert "Not all lessons passed" in text
    assert "1 of 4 lessons passed, 1 skipped; robustness 1 of 1; interface 0 of 1" in text
    assert re.search("Lessons failed What .* skipped All .* Robustness passed It .* Interface remark It says", text)
    assert "Hint: send &lt;it&gt; back" in text
    assert "^ they differ" in text
    assert "5 zombies, children of 730" in text
    assert "server gcc -o server &#39;my &lt;server&gt;.c&#39; server ./server 9090 alfa nc 192.168.74.128 9090" in text
    assert "./labroom --room my.yml ssh NAME" in text
    assert "-k &#39;What is sent comes back&#39;" in text
    assert "<server>" not in page
    assert "judged without sanitizers" not in text


def test_what_a_person_types_by_hand() -> None:
    transcript = [
        Event(0.0, "server", "server.py", "start", "python3 server.py 9090"),
        Event(0.0, "server", "server.py", "stdout", "waiting"),
        Event(0.1, "alfa", "client", "start", "nc server 9090"),
    ]
    assert by_hand(transcript) == {"server": ["python3 server.py 9090"], "alfa": ["nc server 9090"]}
    assert by_hand(transcript, "server.py", "make")["server"] == ["make", "python3 server.py 9090"]
    assert by_hand([]) == {}
