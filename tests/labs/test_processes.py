"""processes on a guest: what a parent and its child share, and what is left of a child that has ended."""

import re
import signal

import pytest

from labroom.checks.claims import claim
from labroom.checks.subjects import Subject
from labroom.driver import Driver, Host, Process, Program


def wait_for_zombie(program: Program) -> Process:
    """Wait until a child of the program's first process has ended and was not waited for."""
    found = program.wait_for_processes(
        lambda processes: any(p.state == "Z" for p in processes) and all(p.state in "SZ" for p in processes),
        "a zombie",
        otherwise="no child of it is a zombie, as one that ends is until its parent waits for it",
    )
    return next(process for process in found if process.state == "Z")


@pytest.mark.play
def test_from_fork_to_wait(alfa: Host, driver: Driver) -> None:
    """A child has memory of its own, is a zombie as long as nobody waits for it, and tells how it ended."""
    driver.note("fork() makes two processes of one. Both count on from 11 and 25, each in memory of its own.")
    fork_values = alfa.start("fork_values")
    fork_values.expect_exit(0)
    assert sorted(fork_values.lines) == ["child proc[13, 27]", "parent proc [9, 23]"], (
        f"fork_values printed {fork_values.lines}"
    )

    driver.note("A child ends, and its parent sleeps instead of asking how: the child stays, as a zombie.")
    zombie = alfa.start("zombie", pace=max(driver.pace, 0.1))  # time enough to look
    zombie.expect("I sleep")
    child = wait_for_zombie(zombie)
    ps = alfa.run("ps", "-o", "pid,ppid,stat,args", "-p", str(child.pid))
    assert " Z" in ps.stdout, f"ps does not show a zombie: {ps.stdout}"
    assert "<defunct>" in ps.stdout, f"ps does not call it defunct: {ps.stdout}"
    driver.note("Its parent ends: somebody else becomes its parent, and waits for it.")
    zombie.interrupt()
    zombie.wait_for_processes(lambda processes: not processes, "no process", otherwise="the zombie outlived its parent")
    assert alfa.run("ps", "-o", "pid,ppid,stat,args", "-p", str(child.pid)).status == 1, "ps still shows the zombie"

    driver.note("A parent that asks every 3 seconds (WNOHANG), and learns in the end with what its child has exited.")
    wait_poll = alfa.start("wait_poll")
    wait_poll.expect("^sleep 3sec\n")
    wait_poll.expect("^child send 24\n")
    wait_poll.expect_exit(0)
    driver.note("Once more, but the child is killed. That is told apart from an exit.")
    wait_poll = alfa.start("wait_poll", pace=max(driver.pace, 0.04))
    alfa.run("kill", "-KILL", wait_poll.expect(r"^child is process (\d+)\n")[1])
    wait_poll.expect("^child killed by signal 9\n")
    wait_poll.expect_exit(0)


def test_zombie(alfa: Host) -> None:
    """A child that has ended stays as a zombie, even when it is killed, until its parent ends."""
    zombie = alfa.start("zombie", pace=1)  # it sleeps for 30 s, so there is time to look
    child = wait_for_zombie(zombie)
    assert child.ppid == zombie.pid, f"the zombie's parent is {child.ppid}, not zombie.py ({zombie.pid})"
    alfa.run("kill", "-KILL", str(child.pid))
    assert wait_for_zombie(zombie).pid == child.pid, "the zombie could be killed, although it is dead already"
    zombie.interrupt()
    zombie.wait_for_processes(lambda processes: not processes, "no process", otherwise="the zombie outlived its parent")


def test_orphan(alfa: Host) -> None:
    """A child whose parent has ended gets another parent, and lives on."""
    orphan = alfa.start("orphan", pace=0.1)
    child = int(orphan.expect(rf"^child (\d+): my parent is {orphan.pid}\n")[1])
    orphan.expect_exit(0)
    foster = int(orphan.expect(r"my parent has ended; now it is (\d+)\n")[1])
    assert foster != orphan.pid, "the orphan still has the parent that has ended"
    left = [(process.pid, process.ppid) for process in orphan.processes()]
    assert left == [(child, foster)], (
        f"the orphan {child}, child of {foster}, should be the only process left; (process, parent): {left}"
    )
    orphan.kill()


# -- claims -----------------------------------------------------------------------------------------------------

PROGRAMS = ("fork_values", "zombie", "orphan", "wait_two", "wait_poll")
LONG = 25.0  # seconds; with sleep() instead of LAB_PACE, the programs take up to 18
OUTPUT = {
    "fork_values": [r"child proc\[13, 27\]", r"parent proc \[9, 23\]"],
    "wait_two": ["child send one: [37]", "child send two: [37]"],
    "wait_poll": [r"child is process \d+", "sleep 3sec", "child send 24"],
}


def number(value: object) -> str:
    """A pattern for a number that is printed, whatever stands around it."""
    return rf"(?<!\d){value}(?!\d)"


def wait_for_child(program: Subject) -> Process:
    """Wait until its child is there, and return that."""
    program.program.wait_for_processes(
        lambda processes: any(p.ppid == program.program.pid for p in processes),
        "a child",
        otherwise="it has no child",
    )
    return program.children()[0]


@claim("lesson", "fork_values")
def test_memory_of_its_own(program: Subject) -> None:
    """The child counts on to 13 and 27 and its parent back to 9 and 23, each in memory of its own."""
    ran = program.start(settles=False, tty=False)  # with a terminal, the parent's end may hang up on its child
    ran.wait(LONG)
    program.host.driver.wait_until(lambda: ran.over, "the child to end", LONG, lambda within: f"it did not end{within}")
    for who, one, other in ("child", 13, 27), ("parent", 9, 23):
        assert ran.saw(rf"{number(one)}[^\d\n]+{number(other)}"), (
            f"the {who}'s {one} and {other} are not in one line; it printed {ran.lines}, and {ran.ending}"
        )


@claim("lesson", "zombie", hint="the child ends at once; its parent neither waits nor ignores SIGCHLD, but sleeps")
def test_stays_as_a_zombie(program: Subject) -> None:
    """The child ends at once, and stays as a zombie while its parent sleeps."""
    program.start(settles=False, env={"LAB_PACE": "1"})  # it sleeps for 30 s, so there is time to look
    wait_for_zombie(program.program)
    child = wait_for_zombie(program.program)  # again: its parent may just have been waking up to wait for it
    assert child.ppid == program.program.pid, f"the zombie's parent is {child.ppid}, not {program.program.pid}"


@claim("lesson", "orphan")
def test_outlives_its_parent(program: Subject) -> None:
    """The parent ends, and its child lives on with another parent."""
    orphan = program.start(settles=False, tty=False, env={"LAB_PACE": "0.5"})
    child = wait_for_child(program).pid
    orphan.wait(LONG, otherwise="the parent did not end")
    left = [process.pid for process in orphan.processes() if process.state != "Z"]
    assert child in left, "the child did not outlive its parent"
    orphan.kill()


@claim("lesson", "orphan", needs=["outlives_its_parent"])
def test_says_its_new_parent(program: Subject) -> None:
    """When its parent has ended, the child prints the id of the parent that it has then."""
    orphan = program.start(settles=False, tty=False, env={"LAB_PACE": "0.5"})
    child = wait_for_child(program).pid
    orphan.wait(LONG, otherwise="the parent did not end")
    foster = next((p.ppid for p in orphan.processes() if p.pid == child), 0)
    assert foster, "the child did not outlive its parent"
    orphan.expect_number(foster, LONG, otherwise=f"it did not print {foster}, its new parent's id")
    orphan.kill()


@claim("lesson", "wait_two", hint="wait() once for each child, and WEXITSTATUS() of what it has stored")
def test_both_statuses(program: Subject) -> None:
    """The parent prints 3 and 7, with which its two children have exited, and none stays as a zombie."""
    wait_two = program.start(settles=False)

    def missing() -> list[int]:
        return [status for status in (3, 7) if not wait_two.saw_number(status)]

    program.host.driver.wait_until(
        lambda: wait_two.over or not missing(),
        "3 and 7",
        LONG,
        lambda within: f"it did not print {' and '.join(map(str, missing()))}{within}",
    )
    assert not missing(), f"it did not print {' and '.join(map(str, missing()))}; {wait_two.last_words}"

    def zombies() -> int:
        return sum(child.state == "Z" for child in program.children())

    # one that was not waited for may be about to end still, on a busy machine: look until it has
    program.host.driver.wait_until(
        lambda: wait_two.over or zombies() or not program.children(),
        "its children to end",
        LONG,
        lambda within: f"it printed both, and a child of it did not end{within}",
    )
    dead = zombies()
    assert not dead, f"it printed both, and {dead} of its children are zombies"


@claim("lesson", "wait_poll", hint="WEXITSTATUS() of what waitpid() has stored, where WIFEXITED() is true")
def test_gets_24(program: Subject) -> None:
    """The parent prints 24, with which its child has exited."""
    program.start(settles=False).expect_number(24, LONG, otherwise="the parent did not print 24")


@claim("lesson", "wait_poll", needs=["gets_24"], hint="waitpid() with WNOHANG returns at once: 0 while the child runs")
def test_is_not_held_up(program: Subject, driver: Driver) -> None:
    """While its child runs, or is stopped, the parent is not held up: it goes on, and says so."""
    wait_poll = program.start(settles=False, env={"LAB_PACE": "0.5"})
    child = wait_for_child(program)
    program.host.stop_processes([child.pid])
    for _ in range(2):
        printed = len(wait_poll.stdout)
        driver.wait_until(
            lambda printed=printed: wait_poll.status is not None or len(wait_poll.stdout) > printed,  # type: ignore[misc]
            "the parent to go on",
            LONG / 2,
            lambda within: f"its child is stopped, and it says nothing more{within}: does it wait?",
        )
    driver.settle()
    ended = wait_poll.status is not None or wait_poll.saw_number(24)
    assert not ended, "the child was stopped, and its parent took it for one that has ended"


@claim("lesson", "wait_poll", needs=["gets_24"], hint="WIFEXITED() first: WIFSIGNALED() and WTERMSIG() tell a signal")
def test_killed_is_not_exited(program: Subject) -> None:
    """A parent whose child was killed by a signal doesn't take that for an exit."""
    exited = program.start(settles=False, env={"LAB_PACE": "0.02"})
    exited.wait(LONG, otherwise="its child has exited, and it goes on asking")
    of_an_exit = {re.sub(number(24), "9", line) for line in exited.lines if re.search(number(24), line)}
    wait_poll = program.start(settles=False, env={"LAB_PACE": "0.5"})
    child = wait_for_child(program)
    wait_poll.stop()  # what it has printed by now, such as that waitpid returned 0, is not about the end
    program.host.ping()
    before = set(wait_poll.lines)
    program.host.signal_process(child.pid, signal.SIGKILL)
    wait_poll.resume()
    wait_poll.wait(LONG, otherwise="its child was killed, and it goes on asking")
    said = [line for line in wait_poll.lines if line not in before]
    taken = [line for line in said if line in of_an_exit or re.search(rf"{number(24)}|{number(0)}", line)]
    assert not taken, f"its child was killed by signal 9, and it printed {taken[-1]!r}"


@claim("robustness", "fork_values", "wait_two")
def test_nothing_twice(program: Subject) -> None:
    """Into a pipe, too, it prints each line once."""
    ran = program.start(settles=False, tty=False)
    ran.wait()
    twice = {line for line in ran.lines if ran.lines.count(line) > 1}
    assert not twice, f"this was printed twice: {twice}; what waits in a buffer is copied by fork"


@claim("robustness", *PROGRAMS)
def test_no_child(program: Subject) -> None:
    """Where `fork` fails, it ends at once, with a status other than 0: it takes nothing for a child."""
    program.gives_up_without_fork()


@claim("interface", *PROGRAMS)
def test_names_the_call(program: Subject) -> None:
    """It then says `fork: Resource temporarily unavailable` on stderr, and exits with 1."""
    program.names_the_call("fork: Resource temporarily unavailable", settles=False, limits={"NPROC": 1})


@claim("interface", "zombie", needs=["stays_as_a_zombie"])
def test_with_wait(program: Subject) -> None:
    """With `--wait` the parent waits for its child before it sleeps, and no zombie stays."""
    zombie = program.start("--wait", settles=False, env={"LAB_PACE": "1"})
    zombie.expect("\n.*\n", otherwise="parent and child did not print a line each")
    zombie.wait_for_processes(
        lambda processes: [p.pid for p in processes] == [zombie.pid],
        "no child",
        otherwise="the child is still there, although its parent was to wait for it",
    )


@claim("interface", "fork_values", "wait_two", "wait_poll")
def test_lines(program: Subject) -> None:
    """It prints exactly the lines of the handout, and exits with 0."""
    ran = program.start(settles=False, tty=False)
    ran.expect_exit(0)
    wanted, printed = OUTPUT[program.role], ran.lines
    if program.name.startswith("fork_values"):
        printed = sorted(printed)
    if program.name.startswith("wait_poll"):  # how often it asks depends on how long its turns take
        printed = [line for place, line in enumerate(printed) if line != "sleep 3sec" or line not in printed[:place]]
    fitting = [re.fullmatch(pattern, line) for pattern, line in zip(wanted, printed, strict=False)]
    assert len(printed) == len(wanted) == sum(map(bool, fitting)), f"it printed {ran.lines}"


@claim("interface", "wait_poll", needs=["killed_is_not_exited"])
def test_killed_by_signal(program: Subject) -> None:
    """Of a child that was killed it says `child killed by signal N`, and exits with 0."""
    wait_poll = program.start(settles=False, env={"LAB_PACE": "0.5"})
    program.host.signal_process(wait_for_child(program).pid, signal.SIGTERM)
    wait_poll.expect("^child killed by signal 15\n", LONG)
    wait_poll.expect_exit(0)


@claim("interface", "zombie", "orphan", "wait_poll")
def test_pace(program: Subject) -> None:
    """`LAB_PACE` multiplies every pause: with 0.02 it ends within seconds, with status 0."""
    ran = program.start(settles=False, tty=False)
    ran.expect_exit(0)
    ran.kill()  # the orphan


@claim("interface", *PROGRAMS)
def test_arguments(program: Subject) -> None:
    """With an argument that it doesn't know it exits with 2."""
    ran = program.start("what", settles=False, tty=False)
    ran.expect_exit(2)
