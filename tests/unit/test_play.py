"""How a play is shown: a column a host, whoever waits, colours only on a terminal, notes across."""

import io
import re

import pytest

from labroom.console import Console
from labroom.driver import Event
from labroom.reports.play import Stage

HOSTS = {"server": "192.168.74.128", "alfa": "192.168.74.129"}


class Terminal(io.StringIO):
    """Text that claims to be a terminal, or not, of some encoding."""

    def __init__(self, *, tty: bool = False, encoding: str = "utf-8") -> None:
        super().__init__()
        self._tty = tty
        self._encoding = encoding

    def isatty(self) -> bool:
        """Whether it claims so."""
        return self._tty

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What it claims."""
        return self._encoding


EVENTS = [
    Event(0.0, "server", "hello_server", "start", "./hello_server.py 9090"),
    Event(1.04, "", "", "note", "the client connects"),
    Event(2.0, "alfa", "hello_client", "start", "./hello_client.py server 9090"),
    Event(2.1, "server", "hello_server", "exit", "ended with status 0"),
    Event(2.2, "alfa", "hello_client", "stdout", "Message from server : Hello World~"),
    Event(2.3, "alfa", "hello_client", "stderr", "a bell: \a"),
    Event(2.4, "alfa", "hello_client#2", "start", "./hello_client.py server 9090"),
    Event(2.5, "alfa", "hello_client", "exit", "ended with status 0"),
]


def shown(out: Terminal, width: int) -> list[str]:
    stage = Stage(Console(out, width))
    stage.begin("The server greets.", HOSTS)
    for event in EVENTS:
        stage.show(event)
    return out.getvalue().split("\n")


def test_a_column_for_each_host_and_a_dot_where_a_program_waits() -> None:
    assert shown(Terminal(), 94) == [
        "",
        "The server greets.",
        "",
        "       │ server 192.168.74.128                     │ alfa 192.168.74.129",
        "   0.0 │ $ ./hello_server.py 9090                  │",
        "   1.0 │ the client connects",
        "   2.0 │ .                                         │ $ ./hello_client.py server 9090",
        "   2.1 │ * ended with status 0                     │ .",
        "   2.2 │                                           │ Message from server : Hello World~",
        "   2.3 │                                           │ ! a bell: ^G",
        "   2.4 │                                           │ $ ./hello_client.py server 9090",
        "   2.5 │                                           │ [hello_client] * ended with status 0",
        "",
    ]


def test_long_lines_are_wrapped_inside_their_column() -> None:
    lines = shown(Terminal(), 50)
    assert max(map(len, lines)) <= 50
    alfa = " ".join(line.rpartition("│ ")[2].strip() for line in lines[4:])
    assert "Message from server : Hello World~" in alfa.replace("  ", " ")


@pytest.mark.parametrize(
    ("tty", "no_colour", "coloured"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_colour_is_for_terminals_unless_no_color_is_set(
    tty: bool, no_colour: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    text = "\n".join(shown(Terminal(tty=tty), 96))
    assert bool(re.search(r"\033\[[\d;]*m", text)) == coloured
    if coloured:
        server, alfa = (re.search(rf"\033\[(\d+);1m{name} ", text) for name in HOSTS)
        assert server
        assert alfa
        assert server[1] != alfa[1]


def test_a_terminal_that_knows_ascii_alone() -> None:
    lines = shown(Terminal(encoding="ANSI_X3.4-1968"), 96)
    assert "\n".join(lines).isascii()
    (said,) = [line for line in lines if "Hello World~" in line]
    assert re.fullmatch(r"   2\.2 \| +\| Message from server : Hello World~", said)


def test_what_is_printed_is_no_command_to_the_terminal() -> None:
    out = Terminal()
    stage = Stage(Console(out, 94))
    tricks = "\x1b]52;c;cm0gLXJmIH4K\x07\r\x9b31m\u202e\n   1.0 \u2502 forged"
    stage.begin(tricks, {tricks: tricks, "alfa": "192.168.74.129"})
    stage.show(Event(0.5, "alfa", tricks, "stdout", tricks))
    stage.show(Event(0.6, "", "", "note", tricks))
    assert not [c for c in out.getvalue() if not c.isprintable() and c != "\n"]
    assert not re.search("^ {0,3}1.0", out.getvalue(), re.MULTILINE)
