"""What is started where a check names a program: ours, a twin in C, or whatever a driver is told to start."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labroom.checks import programs
from labroom.driver import CheckFailed, Driver, Host, Launch
from labroom.errors import Lacking, RoomFault
from tests.unit.conftest import Sshd


@pytest.fixture
def alfa(sshd: Sshd) -> Iterator[Host]:
    driver = Driver({"alfa": sshd.endpoint}, resolve=programs.ours)
    driver.begin("tcp_echo")
    yield driver.hosts["alfa"]
    driver.clean()
    driver.close()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "lab.h").write_text("")
    (tmp_path / "broken.c").write_text("int main(void) { return nothing; }\n")
    (tmp_path / "compiler").write_text("#!/bin/sh\necho 'nothing' undeclared >&2\nexit 1\n")
    (tmp_path / "compiler").chmod(0o755)
    return tmp_path


def test_ours_are_in_the_folders_of_the_labs(alfa: Host) -> None:
    assert alfa.launch("echo_server") == Launch(("./echo_server.py",), "/opt/labs/tcp_echo", "echo_server")
    other = Launch(("../tcp_close/closing_client.py",), "/opt/labs/tcp_echo", "closing_client")
    assert alfa.launch("../tcp_close/closing_client") == other
    assert alfa.launch("select_server") == Launch(("./select_server.py",), "/opt/labs/select_server", "select_server")


def test_a_lab_that_the_room_leaves_out_is_not_here(sshd: Sshd) -> None:
    driver = Driver({"alfa": replace(sshd.endpoint, left_out=("tcp_close",))}, resolve=programs.ours)
    driver.begin("tcp_echo")
    assert driver.hosts["alfa"].launch("echo_server").name == "echo_server"
    for name in ("closing_client", "../tcp_close/closing_client"):
        with pytest.raises(Lacking, match="this room is without the lab tcp_close"):
            driver.hosts["alfa"].launch(name)
    driver.close()


def test_a_program_as_words_for_another_command(alfa: Host, sshd: Sshd) -> None:
    assert alfa.launch("echo_server").anywhere == ("/opt/labs/tcp_echo/echo_server.py",)
    assert alfa.launch("../tcp_close/closing_client").anywhere == ("/opt/labs/tcp_close/closing_client.py",)
    hers = Launch(("python3", "main.py"), "/home/her/work", "main.py")
    assert hers.anywhere == ("python3", "/home/her/work/main.py")


def test_a_twin_that_does_not_compile_fails_the_check(
    alfa: Host, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "COMPILER", str(sources / "compiler"))
    with pytest.raises(CheckFailed, match=r"compiler on alfa does not compile broken\.c: nothing undeclared"):
        programs.twin(alfa, "broken", sources)


def test_a_guest_without_a_compiler_is_the_rooms_fault(
    alfa: Host, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "COMPILER", "no-compiler-of-this-name")
    with pytest.raises(RoomFault, match="alfa has no no-compiler-of-this-name"):
        programs.twin(alfa, "broken", sources)
