"""`labroom check LAB --own`: programs of a person's own, on the default room, which has to be up."""

from pathlib import Path

from labroom.resources import ROOT
from tests.helpers import labroom

PROGRAMS = ROOT / "tests/own/tcp_echo"


def check(file: str | Path, *more: str, status: int = 0) -> str:
    return labroom("check", "tcp_echo", "--own", str(PROGRAMS / file), *more, status=status).stdout


def test_a_right_program_has_status_0_and_its_remarks() -> None:
    shown = check("right/five_clients_and_end.c", "--as", "iterative_server")
    assert "iterative_server (five_clients_and_end.c)\n  passed      lesson      A server listens" in shown
    assert "remark      robustness  The iterative server goes on for ever" in shown
    assert "FAILED" not in shown


def test_a_wrong_one_has_status_1_and_the_command_that_shows_it_again() -> None:
    arguments = ("wrong/first_thousand_bytes.c", "--as", "iterative_server")
    shown = check(*arguments, status=1)
    assert "FAILED      lesson      A message of any length comes back whole." in shown
    assert "of a message of 1025 bytes" in shown
    again = "-k 'A message of any length comes back whole'"
    assert (
        f"run it again: ./labroom check --own {PROGRAMS}/{arguments[0]} --as iterative_server tcp_echo {again}" in shown
    )
    shown = check(*arguments, "-k", "message of any length", status=1)
    assert "(first_thousand_bytes.c): 2 of 3 lessons passed\n" in shown  # it, and what it needs


def test_a_program_that_does_harm_harms_nothing() -> None:
    for file in ("kills_all.py", "fills_the_disk.py", "prints_for_ever.c"):
        assert "FAILED" in check(f"wrong/{file}", "--as", "echo_server", "-k", "listens on the port", status=1)
        assert "passed" in check("right/one_client.c", "--as", "echo_server", "-k", "listens on the port")
    left = labroom("ssh", "server", "ls /tmp; ip rule; pgrep --uid 61843 || true").stdout
    assert "filling" not in left
    assert "uidrange" not in left
    assert not [line for line in left.splitlines() if line.isdigit()]


def test_a_program_in_a_students_home_on_a_guest() -> None:
    source = (PROGRAMS / "right/one_client.c").read_text()
    labroom("ssh", "alfa", f"mkdir -p own && cat >own/echo_server.c <<'END'\n{source}\nEND")
    shown = labroom("check", "tcp_echo", "--own", "alfa:own", "-k", "comes back").stdout
    assert "echo_server (echo_server.c)" in shown
    labroom("ssh", "alfa", "rm -r own")
    assert "alfa:own: No such file" in labroom("check", "tcp_echo", "--own", "alfa:own", status=2).stderr
