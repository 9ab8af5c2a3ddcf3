"""The report: one page that needs nothing but itself, and the same facts for programs."""

import json
import re
from pathlib import Path

import pytest

from labroom.driver.driver import Event
from labroom.reports import page as report
from labroom.reports.page import Check, CheckResult, LabResult


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
    path = report.write(result, tmp_path / "new" / "folder")
    page = path.read_text()
    assert "alfa printed &#39;&lt;script&gt;&#39; &amp; no answer" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<script" not in page
    assert "tcp LISTEN 0.0.0.0:9090" in page
    assert "./labroom check tcp_echo" in page
    assert "sleep 1000" in page
    assert "Remedy: <code>labroom up</code>" in page
    assert not re.search(r"https?:|src=|@import|url\(", page), "the page needs something that is not in it"


def test_all_passed(result: CheckResult, tmp_path: Path) -> None:
    page = report.write(CheckResult(result.labs[:1]), tmp_path).read_text()
    assert "All labs passed" in page
    assert "Run it again" not in page


def test_json(result: CheckResult, tmp_path: Path) -> None:
    report.write(result, tmp_path)
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["status"] == 1
    assert document["summary"] == result.summary
    lab = document["labs"][1]
    assert (lab["name"], lab["verdict"], lab["again"]) == ("tcp_echo", "failed", "./labroom check tcp_echo")
    assert lab["checks"][0]["transcript"][1] == {
        "time": 0.5,
        "host": "alfa",
        "program": "echo_client",
        "stream": "stdout",
        "text": "<b>bold</b>",
    }


def test_transcript_in_columns(result: CheckResult) -> None:
    assert report.aligned(result.labs[1].checks[0].transcript) == [
        "  0.000  server  echo_server  $ ./echo_server.py 9090",
        "  0.500  alfa    echo_client    <b>bold</b>",
    ]
