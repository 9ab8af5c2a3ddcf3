"""The driver against a real sshd on loopback: every host of these rooms is this machine, under another name."""

import ast
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from labroom.driver import CheckFailed, Driver, Event, Host, Launch, Resolve, agent
from labroom.endpoint import Endpoint
from labroom.errors import RoomFault, UsageError, WaitFailed
from tests.helpers import parent_of, state_of, wait_for

LONG = 60  # s, of which nothing may be waited

PROGRAMS = {
    "hello": """
import sys
print("hello", *sys.argv[1:], flush=True)
print("no such thing", file=sys.stderr)
raise SystemExit(3)
""",
    "echo": """
while True:
    try:
        print("You said:", input("Say: "), flush=True)
    except EOFError:
        break
print("bye")
""",
    "terminal": """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit(7))
print("terminal", [os.isatty(fd) for fd in (0, 1, 2)], flush=True)
while True:
    signal.pause()
""",
    "listen": """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), reuse_port=False)
print("listening", flush=True)
connection, _ = listener.accept()
input()
print(connection.recv(100), flush=True)
connection.close()
input()
""",
    "where": """
import os
print(os.getcwd(), os.environ["LAB_PACE"])
""",
    "zombie": """
import os
if os.fork() == 0:
    os._exit(0)
input()
os.wait()
input()
""",
    "quiet": """
import signal
signal.pause()
""",
    # A daemon of its own session whose first parent is gone, and which has forgotten its environment.
    "daemon": """
import os, sys
if "again" in sys.argv:
    import signal
    print("daemon", os.getpid(), flush=True)
    signal.pause()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, __file__, "again"], {})
    os._exit(0)
os.wait()
if "stay" in sys.argv:
    import signal
    signal.pause()
""",
}


def alive(pid: int) -> bool:
    try:
        return state_of(pid) != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter: gone while it was read
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("room")
    lab = folder / "labs" / "lab"
    lab.mkdir(parents=True)
    for name, source in PROGRAMS.items():
        program = lab / f"{name}.py"
        program.write_text(f"#!{sys.executable}\n{source}")
        program.chmod(0o755)
    return folder


def programs_in(folder: Path) -> Resolve:
    """What `Host.start` starts in these tests: NAME.py of the lab under check."""
    return lambda host, name: Launch((f"./{name}.py",), f"{folder}/labs/{host.driver.lab}", name)


@pytest.fixture(scope="module")
def room(sshd: Any, folder: Path) -> Iterator[Driver]:
    names = ("alfa", "bravo")
    driver = Driver({name: replace(sshd.endpoint, name=name) for name in names}, resolve=programs_in(folder))
    driver.connect(names)
    yield driver
    driver.close()


@pytest.fixture
def alfa(room: Driver) -> Iterator[Host]:
    room.begin("lab")
    yield room.hosts["alfa"]
    room.clean()


@pytest.fixture
def bravo(room: Driver, alfa: Host) -> Host:
    return room.hosts["bravo"]


# -- programs ---------------------------------------------------------------------------------------------------


def test_output_status_and_events(room: Driver, alfa: Host) -> None:
    hello = alfa.start("hello", 1, "two")
    hello.expect(r"hello 1 two\n")
    hello.expect("no such thing")
    hello.expect_exit(3)
    assert hello.lines == ["hello 1 two"]
    assert hello.saw("^no such")
    assert not hello.saw("^such")
    seen = {(event.stream, event.text) for event in room.transcript}
    assert seen >= {
        ("start", "./hello.py 1 two"),
        ("stdout", "hello 1 two"),
        ("stderr", "no such thing"),
        ("exit", "ended with status 3"),
    }
    assert room.transcript[0].stream == "start"
    assert room.transcript[-1].stream == "exit"


def test_prompts_answers_and_end_of_input(room: Driver, alfa: Host) -> None:
    echo = alfa.start("echo")
    echo.expect("Say: ")
    echo.send("grüß dich")
    echo.expect("You said: grüß dich\n")
    echo.close_stdin()
    echo.expect("bye")
    echo.expect_exit(0)
    assert [(event.stream, event.text) for event in room.transcript[1:4]] == [
        ("stdout", "Say: "),
        ("stdin", "grüß dich"),
        ("stdout", "You said: grüß dich"),
    ]


def test_a_pattern_is_expected_once(alfa: Host) -> None:
    echo = alfa.start("echo")
    for word in ("one", "two"):
        echo.send(word)
        assert echo.expect(r"said: (\w+)\n")[1] == word


def test_a_number_is_no_part_of_another_one(alfa: Host) -> None:
    echo = alfa.start("echo")
    echo.send("10.0.0.129:8080, 13 bytes.")
    for number in ("10.0.0.129", 8080, 13):
        echo.expect_number(number)
        assert echo.saw_number(number)
    assert not any(echo.saw_number(number) for number in ("10.0.0.12", "0.0.0.129", 10, 0, 129, 80, 3))
    with pytest.raises(CheckFailed, match="did not print 14 within"):
        echo.expect_number(14, 0.1)


def test_terminal_and_control_c(alfa: Host) -> None:
    program = alfa.start("terminal", tty=True)
    program.expect(r"terminal \[True, True, True\]\n")
    program.interrupt()
    program.expect_exit(7)


def test_sigint_without_a_terminal(alfa: Host) -> None:
    program = alfa.start("terminal")
    program.expect(r"terminal \[False, False, False\]\n")
    program.interrupt()
    program.expect_exit(7)


def test_end_of_input_on_a_terminal(alfa: Host) -> None:
    echo = alfa.start("echo", tty=True)
    echo.expect("Say: ")
    echo.close_stdin()
    echo.expect_exit(0)


def test_end_of_input_of_a_program_that_takes_its_terminal_over(alfa: Host) -> None:
    source = (
        "import os, tty; print('ready', flush=True); sum(range(3_000_000)); "
        "tty.setcbreak(0); print(f'key {os.read(0, 1)[0]}', flush=True)"
    )
    program = alfa.start_command(["python3", "-c", source], tty=True)
    program.expect("ready")
    program.close_stdin()
    program.expect("key 4\n")
    program.expect_exit(0)


def test_killed_by_a_signal_is_told_from_an_exit(alfa: Host) -> None:
    program = alfa.start("quiet")
    program.signal(signal.SIGTERM)
    assert program.wait() == -signal.SIGTERM


def test_stopped_and_continued(alfa: Host) -> None:
    echo = alfa.start("echo")
    echo.expect("Say: ")
    echo.stop()
    wait_for(lambda: state_of(echo.pid) == "T", "echo to be stopped")
    with echo.silence("a stopped program spoke"):
        echo.send("word")
    echo.resume()
    echo.expect("You said: word")


def test_two_mebibytes_on_both_streams_come_whole(alfa: Host) -> None:
    source = "import sys; sys.stdout.write('o' * (1 << 20)); sys.stderr.write('e' * (1 << 20)); print('.')"
    done = alfa.run("python3", "-c", source)
    assert done.status == 0
    assert done.stdout == "o" * (1 << 20) + ".\n"
    assert done.stderr == "e" * (1 << 20)


def test_a_mebibyte_of_input_comes_whole(alfa: Host) -> None:
    count = alfa.start_command(["wc", "-c"])
    count.write("x" * (1 << 20))
    count.close_stdin()
    count.expect(r"^1048576\n")
    count.expect_exit(0)


def test_endless_output_is_stopped(alfa: Host) -> None:
    endless = alfa.start_command(["yes", "x" * 1000])
    with pytest.raises(CheckFailed, match="alfa's yes printed more than 4 MiB and was stopped"):
        endless.expect("no")
    wait_for(lambda: not alfa.processes(), "yes to be gone")


def test_bytes_that_are_no_text(alfa: Host) -> None:
    assert alfa.run("printf", r"\377\303\274\n").stdout == "\\xffü\n"


# -- what fails, and how it is said -----------------------------------------------------------------------------


def test_a_missed_deadline_says_what_was_seen(alfa: Host) -> None:
    echo = alfa.start("echo")
    echo.send("a")
    echo.expect(r"You said: a\n(?=Say: )")
    with pytest.raises(CheckFailed) as failed:
        echo.expect("You said", timeout=0.2)
    assert str(failed.value) == "alfa's echo did not print 'You said' within 0.2 s; it printed 'Say: '"


def test_an_ended_program_is_not_waited_for(alfa: Host) -> None:
    hello = alfa.start("hello")
    began = time.monotonic()
    with pytest.raises(CheckFailed) as failed:
        hello.expect("good bye", LONG, otherwise="alfa left without a word")
    assert time.monotonic() - began < LONG
    assert str(failed.value) == (
        "alfa left without a word\nalfa's hello ended with status 3 and did not print 'good bye'; "
        "it printed 'hello' / 'no such thing'"
    )


def test_wrong_exit_status(alfa: Host) -> None:
    with pytest.raises(CheckFailed, match="alfa's hello ended with status 3, not with status 0; it printed 'hello'"):
        alfa.start("hello").expect_exit(0)


def test_missing_program(alfa: Host) -> None:
    with pytest.raises(CheckFailed, match=r"alfa's nothing can't be started: \./nothing\.py: No such file"):
        alfa.start("nothing")


def test_pace_and_folder(room: Driver, alfa: Host, folder: Path) -> None:
    says = alfa.start("where", directory=alfa.scratch)
    says.expect(rf"{alfa.scratch} {room.pace}\n")
    alfa.start("where", pace=0.5).expect(rf"{folder}/labs/lab 0.5\n")


def test_sending_to_an_ended_program(alfa: Host) -> None:
    hello = alfa.start("hello")
    hello.wait()
    with pytest.raises(CheckFailed, match="'more' can't be sent to alfa's hello: it ended with status 3"):
        hello.write("more")


def test_silence_broken(alfa: Host) -> None:
    echo = alfa.start("echo")
    echo.expect("Say: ")

    def speak() -> None:
        with echo.silence("it spoke"):
            echo.send("a word")
            echo.expect("You said")

    with pytest.raises(CheckFailed, match="it spoke"):
        speak()


# -- sockets ----------------------------------------------------------------------------------------------------


def test_states_of_a_connection(alfa: Host) -> None:
    port = alfa.unused_port()
    server = alfa.start("listen", port)
    listening = alfa.wait_for_listening(port)
    assert listening.local == ("127.0.0.1", port)
    assert f"socket:[{listening.inode}]" in server.descriptors().values()
    with closing(socket.create_connection(("127.0.0.1", port))) as client:
        client.send(b"12345")
        assert len(alfa.wait_for_connections(port, "ESTABLISHED", 2)) == 2  # both ends are on this machine
        assert alfa.wait_for_connections(port, unread=5)[0].unread == 5
        server.send("read it, close it")
        server.expect("b'12345'")
        assert alfa.wait_for_connections(port, "CLOSE_WAIT")[0].remote == ("127.0.0.1", port)
    alfa.wait_for_connections(port, "ESTABLISHED", 0)


def test_nobody_listens(alfa: Host) -> None:
    alfa.start("quiet")
    with pytest.raises(CheckFailed, match=r"no program came to listen on alfa's port 9 within 1 s; alfa's sockets: "):
        alfa.wait_for_listening(9, timeout=1)


def test_a_bound_udp_socket(alfa: Host) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert alfa.wait_for_listening(port, protocol="udp").local == ("127.0.0.1", port)
        with pytest.raises(CheckFailed, match="no program came to listen"):
            alfa.wait_for_listening(port, 1)


def test_a_server_that_ends_is_not_waited_for(alfa: Host) -> None:
    alfa.start("hello")
    began = time.monotonic()
    with pytest.raises(CheckFailed, match="no program listens on alfa's port 9: alfa's hello ended with status 3"):
        alfa.wait_for_listening(9, LONG)
    assert time.monotonic() - began < LONG


def test_ipv4_by_an_ipv6_socket_is_shown_as_ipv4(alfa: Host) -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, socket.create_connection(("::1", port)) as other:
            ends = {found.remote for found in alfa.connections(port)} - {("127.0.0.1", port), ("::1", port)}
            assert ends == {client.getsockname()[:2], other.getsockname()[:2]}
            assert alfa.wait_for_listening(port).local == ("::", port)
            assert alfa.wait_for_listening(port).unread == 2  # connections not accepted yet


def test_bytes_not_read_yet_are_seen(alfa: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as own:
        own.sendall(b"x" * 1000)
        (found,) = (s for s in alfa.connections(listening.getsockname()[1]) if s.local == listening.getsockname())
        assert (found.state, found.unread, found.unsent) == ("ESTABLISHED", 1000, 0)


# -- nothing stays ----------------------------------------------------------------------------------------------


def daemon(host: Host, *arguments: str) -> int:
    return int(host.start("daemon", *arguments).expect(r"daemon (\d+)\n")[1])


def test_kill_reaches_the_whole_tree(room: Driver, alfa: Host) -> None:
    program = alfa.start("daemon", "stay")
    pid = int(program.expect(r"daemon (\d+)\n")[1])
    other = alfa.start("quiet")
    program.kill()
    wait_for(lambda: not alive(program.pid), "its first process to be gone")
    assert alive(other.pid)
    room.clean()
    wait_for(lambda: not alive(pid) and not alive(other.pid), "the daemon to be gone")


def test_a_process_left_behind_is_killed_and_reported(room: Driver, alfa: Host) -> None:
    program = alfa.start("daemon")
    pid = int(program.expect(r"daemon (\d+)\n")[1])
    program.expect_exit(0)
    left = room.clean()
    assert list(left) == ["alfa"]
    assert left["alfa"][0].endswith("daemon.py again")
    assert not alive(pid)


def test_what_is_about_to_end_is_not_left_behind(room: Driver, alfa: Host) -> None:
    program = alfa.start_command(["sh", "-c", "exec >/dev/null 2>&1; seq 300000 & exit 0"])
    program.expect_exit(0)
    assert room.clean() == {}


def test_a_ping_leaves_nothing_behind(room: Driver, alfa: Host) -> None:
    cat = alfa.start_command(["cat"])
    for _ in range(50):
        alfa.ping()
        assert [process.pid for process in alfa.processes()] == [cat.pid]


def test_closing_leaves_nothing(sshd: Any, folder: Path) -> None:
    driver = Driver({"alfa": sshd.endpoint}, resolve=programs_in(folder))
    driver.begin("lab")
    pid = daemon(driver.hosts["alfa"])
    driver.close()
    assert not alive(pid)


def test_a_killed_driver_leaves_nothing(sshd: Any, folder: Path) -> None:
    source = f"""
from labroom.driver import Driver, Launch
from labroom.endpoint import Endpoint
from pathlib import Path, PosixPath
resolve = lambda host, name: Launch(("./" + name + ".py",), "{folder}/labs/lab", name)
driver = Driver({{"alfa": {sshd.endpoint!r}}}, resolve=resolve)
driver.begin("lab")
program = driver.hosts["alfa"].start("daemon", "stay")
print(program.pid, program.expect(r"daemon (\\d+)\\n")[1], flush=True)
input()
"""
    with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as driver:
        assert driver.stdout
        pids = [int(word) for word in driver.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        driver.kill()
    wait_for(lambda: not any(alive(pid) for pid in pids), "the programs to be gone")


# -- processes and files ----------------------------------------------------------------------------------------


def test_a_zombie_is_waited_for(alfa: Host) -> None:
    program = alfa.start("zombie")
    parent, zombie = program.wait_for_processes(lambda found: any(p.state == "Z" for p in found), "a zombie")
    assert (parent.pid, zombie.ppid) == (program.pid, program.pid)
    program.send("")
    assert len(program.wait_for_processes(lambda found: len(found) == 1, "no zombie")) == 1
    with pytest.raises(CheckFailed, match=r"no child died\nnot seen within 1 s: a zombie; .*zombie.py"):
        program.wait_for_processes(lambda found: len(found) == 2, "a zombie", 1, otherwise="no child died")
    program.send("")
    program.expect_exit(0)
    assert program.wait_for_processes(lambda found: not found, "no process") == []


def test_files_and_a_folder_that_goes_with_the_check(room: Driver, alfa: Host, bravo: Host) -> None:
    folder = Path(alfa.scratch)
    alfa.write_file(f"{folder}/data", bytes(range(256)))
    assert bravo.read_file(f"{folder}/data") == bytes(range(256))
    assert alfa.read_file(f"{folder}/data", 250) == bytes(range(250, 256))
    assert alfa.read_file("/proc/sys/kernel/pid_max").strip().isdigit(), "a file that refuses large reads"
    with pytest.raises(CheckFailed, match="/data/data: Not a directory"):
        alfa.write_file(f"{folder}/data/data", b"")
    assert alfa.scratch == str(folder)
    assert bravo.scratch != str(folder)
    room.clean()
    assert not folder.exists()
    assert alfa.scratch != str(folder)


def test_the_folder_goes_with_the_driver(sshd: Any, folder: Path) -> None:
    driver = lonely(sshd.endpoint, folder)
    scratch = Path(driver.hosts["alfa"].scratch)
    assert scratch.is_dir()
    driver.close()
    wait_for(lambda: not scratch.exists(), "the folder to be gone")


# -- an audience ------------------------------------------------------------------------------------------------


def test_an_audience_sees_each_event_and_has_time_to_read(sshd: Any, folder: Path) -> None:
    driver = Driver({"alfa": sshd.endpoint}, resolve=programs_in(folder), pace=1, beat=0.1)
    seen: list[Event] = []
    driver.audience = seen.append
    driver.begin("lab")
    driver.note("echo repeats what it is told")
    echo = driver.hosts["alfa"].start("echo")
    echo.expect("Say: ")
    echo.send("hello")
    echo.expect("You said: hello")
    driver.close()
    assert [(event.host, event.stream, event.text) for event in seen[:5]] == [
        ("", "note", "echo repeats what it is told"),
        ("alfa", "start", "./echo.py"),
        ("alfa", "stdout", "Say: "),
        ("alfa", "stdin", "hello"),
        ("alfa", "stdout", "You said: hello"),
    ]
    note, start, _, send, _ = (event.time for event in seen[:5])
    assert note >= 0.1
    assert start - note >= 0.1
    assert send - start >= 0.1


# -- the room's faults ------------------------------------------------------------------------------------------


def lonely(endpoint: Endpoint, folder: Path) -> Driver:
    driver = Driver({endpoint.name: endpoint}, resolve=programs_in(folder), patience=0.3)
    driver.begin("lab")
    return driver


def test_unknown_host_key(sshd: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").touch()
    driver = lonely(replace(sshd.endpoint, known_hosts=(tmp_path / "known_hosts",)), folder)
    with pytest.raises(RoomFault, match=r"the host key of alfa .* is not in .*known_hosts") as fault:
        driver.connect(["alfa"])
    command, _, then = fault.value.remedy.partition(", and ")
    assert then == "compare it with the machine's own"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert (tmp_path / "known_hosts").read_text(), done
    lonely(replace(sshd.endpoint, known_hosts=(tmp_path / "known_hosts",)), folder).connect(["alfa"])


def test_changed_host_key(sshd: Any, folder: Path, tmp_path: Path) -> None:
    known = f"[127.0.0.1]:{sshd.endpoint.ssh_port} " + (sshd.folder / "key.pub").read_text()
    (tmp_path / "known_hosts").write_text(known)
    driver = lonely(replace(sshd.endpoint, known_hosts=(tmp_path / "known_hosts",)), folder)
    with pytest.raises(RoomFault, match=r"alfa .* shows another host key"):
        driver.connect(["alfa"])


def test_unknown_user_key(sshd: Any, folder: Path) -> None:
    driver = lonely(replace(sshd.endpoint, identity_files=(sshd.folder / "host_key",)), folder)
    with pytest.raises(RoomFault, match=r"alfa does not let .* in with"):
        driver.connect(["alfa"])


def test_room_down(sshd: Any, folder: Path) -> None:
    driver = lonely(replace(sshd.endpoint, bind_address="192.0.2.1"), folder)
    with pytest.raises(RoomFault, match=r"the room is down: this machine has no address 192\.0\.2\.1") as fault:
        driver.connect(["alfa"])
    assert fault.value.remedy == "./labroom up"


def test_nobody_home(sshd: Any, folder: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    driver = lonely(replace(sshd.endpoint, ssh_port=port), folder)
    faults = []
    for _ in range(2):
        with pytest.raises(RoomFault, match=rf"alfa \(127\.0\.0\.1 port {port}\) can't be reached: .*refused") as fault:
            driver.hosts["alfa"].start("hello")
        faults.append(fault.value)
    assert faults[0] is faults[1], "it was tried again"


def test_a_slow_sshd(sshd: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labroom.driver.connection.CONNECT_SECONDS", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        driver = lonely(replace(sshd.endpoint, ssh_port=listening.getsockname()[1]), folder)

        def greet() -> None:
            slow, _ = listening.accept()
            with slow:
                slow.sendall(b"SSH-2.0-slow\r\n")
                while slow.recv(4096):  # and never answers
                    pass

        server = Thread(target=greet)
        server.start()
        with pytest.raises(RoomFault, match=r"alfa .* can't be reached: no session within 0\.2 s") as fault:
            driver.hosts["alfa"].start("hello")
        server.join(LONG)
    assert "LABROOM_PATIENCE=3" in fault.value.remedy


def test_a_connection_that_breaks(sshd: Any, folder: Path) -> None:
    driver = lonely(sshd.endpoint, folder)
    alfa = driver.hosts["alfa"]
    program = alfa.start("quiet")
    os.kill(parent_of(program.pid), signal.SIGKILL)
    with pytest.raises(RoomFault, match="guest alfa stopped answering while waiting for alfa's quiet to print 'no'"):
        program.expect("no", timeout=5)
    wait_for(lambda: not alive(program.pid), "the program to go with its agent")
    driver.clean()
    assert alfa.run("echo", "back").stdout == "back\n"  # the next check connects anew
    driver.close()


def test_the_next_check_tries_again_also_where_nothing_ran(sshd: Any, folder: Path) -> None:
    driver = lonely(sshd.endpoint, folder)
    alfa = driver.hosts["alfa"]
    program = alfa.start("quiet")
    parent = parent_of(program.pid)
    driver.clean()
    os.kill(parent, signal.SIGSTOP)
    with pytest.raises(RoomFault, match="guest alfa stopped answering"):
        alfa.ask("scratch", within=0.2)
    os.kill(parent, signal.SIGCONT)
    driver.clean()
    assert alfa.run("echo", "back").stdout == "back\n"
    driver.close()


def test_a_host_that_hangs(sshd: Any, folder: Path) -> None:
    driver = lonely(sshd.endpoint, folder)
    program = driver.hosts["alfa"].start("quiet")
    parent = parent_of(program.pid)
    os.kill(parent, signal.SIGSTOP)
    with pytest.raises(RoomFault, match="guest alfa stopped answering while waiting for alfa's quiet to print 'no'"):
        program.expect("no")
    os.kill(parent, signal.SIGCONT)
    wait_for(lambda: not alive(program.pid), "the agent to kill its programs")


def loaded(driver: Driver, times: int) -> Any:
    """The host alfa, each of whose processors has this many programs that never wait."""
    alfa = driver.hosts["alfa"]
    for _ in range(times * (os.cpu_count() or 1)):
        alfa.start_command(["sh", "-c", "while :; do :; done"], name="busy")
    return alfa


def test_an_overloaded_machine(sshd: Any, folder: Path) -> None:
    with closing(lonely(sshd.endpoint, folder)) as driver:
        alfa = loaded(driver, 2)
        last = "echo 19 >/proc/$$/autogroup; while :; do :; done"  # sched(7), "The autogroup feature"
        slow = alfa.start_command(["nice", "-n", "19", "sh", "-c", last], name="slow")
        words = r"this machine is overloaded: alfa's .* waited .* s for a processor"
        with pytest.raises(RoomFault, match=words) as fault:
            slow.expect("done", timeout=0.8)
        assert "while waiting for alfa's slow to print 'done'" in str(fault.value)


def test_what_is_late_since_it_waited_for_a_processor_is_waited_for(sshd: Any, folder: Path) -> None:
    computes = "import time\nwhile time.process_time() < 0.3: pass\nprint('done')"  # on a processor of any speed
    with closing(lonely(sshd.endpoint, folder)) as driver:
        driver.patience = 10
        alfa = loaded(driver, 8)
        began = time.monotonic()
        alfa.start_command([sys.executable, "-IS", "-c", computes], name="computes").expect("done", timeout=1)
        assert time.monotonic() - began > 1


def test_what_computes_without_end_is_not_waited_for(sshd: Any, folder: Path) -> None:
    with closing(lonely(sshd.endpoint, folder)) as driver:
        alfa = loaded(driver, 2)
        with pytest.raises(WaitFailed, match=r"did not print 'done' within 0\.5 s"):
            alfa.start_command(["sh", "-c", "while :; do :; done"], name="endless").expect("done", timeout=0.5)


# -- order of time ----------------------------------------------------------------------------------------------


def test_events_are_in_the_order_in_which_they_happened(sshd: Any, tmp_path: Path) -> None:
    """Not in that in which they come: alfa's sshd is held up, and what its agent said first comes last."""
    go = tmp_path / "go"
    os.mkfifo(go)
    with closing(Driver({name: replace(sshd.endpoint, name=name) for name in ("alfa", "bravo")})) as driver:
        driver.begin("lab")
        first = driver.hosts["alfa"].start_command(["sh", "-c", f"read line <{go}; echo first; read line"])
        second = driver.hosts["bravo"].start_command(["sh", "-c", "read line; echo second"])
        agent_of_alfa = parent_of(first.pid)
        held = parent_of(agent_of_alfa)
        said = said_by(agent_of_alfa)
        os.kill(held, signal.SIGSTOP)
        try:
            go.write_text("\n")
            wait_for(lambda: said_by(agent_of_alfa) > said, "alfa's agent to say what came")
            second.send("")
            second.expect("second")
        finally:
            os.kill(held, signal.SIGCONT)
        first.expect("first")
        assert [event.text for event in driver.transcript if event.stream == "stdout"] == ["first", "second"]


def said_by(pid: int) -> int:
    """How many bytes a process has written, proc_pid_io(5)."""
    return int(Path(f"/proc/{pid}/io").read_text(encoding="utf-8").partition("wchar: ")[2].split()[0])


# -- slow machines ----------------------------------------------------------------------------------------------


def test_deadlines_of_slow_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Driver({}).patience
    monkeypatch.setenv("LABROOM_PATIENCE", "3")
    assert Driver({}).patience == 3 * usual
    assert Driver({}, patience=2).patience == 2
    monkeypatch.setenv("LABROOM_PATIENCE", "long")
    with pytest.raises(UsageError, match="LABROOM_PATIENCE=long: not a positive number"):
        Driver({})


# -- the agent --------------------------------------------------------------------------------------------------


def test_the_agent_is_python_3_8() -> None:
    ast.parse(Path(agent.__file__).read_text(encoding="utf-8"), feature_version=(3, 8))
