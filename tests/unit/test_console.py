"""What reaches a terminal: nothing that it would take for a command, nothing that looks like a line of ours."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labroom.console import Console, ConsoleProgress, Progress, harmless


class Terminal(io.StringIO):
    """Text that claims to be a terminal."""

    def isatty(self) -> bool:
        """Whether it is one."""
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 한국어, ü, wide\u3000space", "plain, 한국어, ü, wide\u3000space"),
        ("\x1b]52;c;ZXZpbA==\a", "^[]52;c;ZXZpbA==^G"),  # OSC 52: the clipboard
        ("\x1b[2J", "^[[2J"),
        ("\x9b2J", r"\x9b2J"),  # CSI in one character (C1)
        ("a\rb\bc\td\x7f", "a^Mb^Hc^Id^?"),
        ("abc\u202egnp.exe", r"abc\u202egnp.exe"),  # from right to left
        ("\u2028\udc80", r"\u2028\udc80"),
    ],
)
def test_what_a_terminal_would_take_for_a_command_is_shown(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text())
def test_nothing_but_text_and_our_own_styles_reaches_a_terminal(text: str) -> None:
    out = Terminal()
    Console(out, 80).line(text, ("31", text))
    plain = out.getvalue().removeprefix("\r\x1b[K").replace("\x1b[31m", "").replace("\x1b[m", "")
    assert all(harmless(line) == line for line in plain.split("\n"))


def test_a_newline_begins_no_line_of_ours() -> None:
    out = io.StringIO()
    Console(out).line("alfa printed\ntcp_echo  passed\n  as it was")
    assert out.getvalue() == "alfa printed\n    tcp_echo  passed\n  as it was\n"


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, file, plain = Terminal(), io.StringIO(), Terminal()
    Console(terminal, 80).line(("1;31", "FAILED"), " after 1 s")
    Console(file).line(("1;31", "FAILED"), " after 1 s")
    monkeypatch.setenv("NO_COLOR", "1")
    Console(plain, 80).line(("1;31", "FAILED"), " after 1 s")
    assert terminal.getvalue() == "\r\x1b[K\x1b[1;31mFAILED\x1b[m after 1 s\n"
    assert file.getvalue() == "FAILED after 1 s\n"
    assert plain.getvalue() == "\r\x1b[KFAILED after 1 s\n"


def test_a_status_is_one_line_that_the_next_replaces() -> None:
    terminal, file = Terminal(), io.StringIO()
    for out in (terminal, file):
        console = Console(out, 20)
        console.status("tcp_echo 3 of 12: echo\x1b and more")
        console.line("done")
    assert terminal.getvalue() == "\r\x1b[Ktcp_echo 3 of 12: e\r\x1b[Kdone\n"
    assert file.getvalue() == "done\n"


def test_progress_shows_a_line_a_phase_and_how_it_ended(tmp_path: Path) -> None:
    out, errors = io.StringIO(), io.StringIO()
    progress = ConsoleProgress(Console(out), Console(errors))
    with progress.phase("links", tmp_path / "no log"):
        pass
    progress.note("by the way:\nthis")
    progress.waiting("waiting for somebody")
    with pytest.raises(KeyboardInterrupt), progress.phase("guests"):
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="no"), progress.phase("guests"):
        raise ValueError("no")
    shown = re.sub(r" +\d+\.\d s", " N s", out.getvalue())  # how long it took is the machine's affair
    assert [" ".join(line.split()) for line in shown.splitlines()] == [
        "links N s",
        "by the way:",
        "this",
        "guests interrupted after N s",
        "guests failed after N s",
    ]
    assert errors.getvalue() == "waiting for somebody\n"
    assert [name for name, _ in progress.phases] == ["links", "guests", "guests"]


def test_progress_of_callers_from_python_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.phase("links"):
        progress.note("by the way")
    assert re.fullmatch(r"\d+ s in all; longest: links, \d+ s", progress.longest())
    assert capsys.readouterr() == ("", "")
