"""processes on a guest: what a parent and its child share, and what is left of a child that has ended."""

import pytest

from labroom.driver import Driver, Host, Process, Program


def wait_for_zombie(program: Program) -> Process:
    """Wait until a child of the program's first process has ended and was not waited for."""
    found = program.wait_for_processes(
        lambda processes: any(p.state == "Z" for p in processes),
        "a zombie",
        otherwise="the child did not become a zombie, although its parent has not waited for it",
    )
    return next(process for process in found if process.state == "Z")


def wait_until_alone(program: Program, otherwise: str) -> None:
    program.wait_for_processes(
        lambda processes: [p.pid for p in processes] == [program.pid], "no child", otherwise=otherwise
    )


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


def test_zombie_waited_for(alfa: Host) -> None:
    """With --wait the parent waits for its child first, and no zombie stays."""
    zombie = alfa.start("zombie", "--wait", pace=1)
    zombie.expect("I sleep")  # after waitpid has returned
    wait_until_alone(zombie, "the child is still there, although its parent has waited for it")
    assert zombie.saw("^child .* I end$"), "the child did not run"


def test_zombie_for_30_seconds(alfa: Host, driver: Driver) -> None:
    """The zombie's parent sleeps for 30 seconds, times LAB_PACE, and ends with status 0."""
    pace = 0.005
    alfa.start("zombie", pace=pace).expect_exit(0)
    took = driver.transcript[-1].time - driver.transcript[0].time
    assert took >= 30 * pace, f"zombie.py took {took:.3f} s, not {30 * pace:g} s"


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


def test_wait_two(alfa: Host) -> None:
    """Two children exit with 3 and 7; the parent gets both numbers, in the order in which they ended."""
    wait_two = alfa.start("wait_two")
    first = wait_two.expect(r"^child send one: (\d+)\n")[1]
    second = wait_two.expect(r"^child send two: (\d+)\n")[1]
    wait_two.expect_exit(0)
    assert {first, second} == {"3", "7"}, f"the children exit with 3 and 7; the parent got {first} and {second}"


def test_asking_does_not_block(alfa: Host) -> None:
    """While the child runs, or is stopped, its parent is not held up: it goes on asking every 3 seconds."""
    wait_poll = alfa.start("wait_poll", pace=0.05)
    child = wait_poll.expect(r"^child is process (\d+)\n")[1]
    alfa.run("kill", "-STOP", child)
    wait_poll.wait_for_processes(lambda processes: any(p.state == "T" for p in processes), "a stopped child")
    asked = wait_poll.lines.count("sleep 3sec")
    wait_poll.expect(
        f"(^sleep 3sec\n){{{asked + 1}}}", otherwise="the parent does not go on while its child runs, or is stopped"
    )
    assert wait_poll.lines[1:] == ["sleep 3sec"] * (len(wait_poll.lines) - 1), f"it printed {wait_poll.lines}"


@pytest.mark.parametrize("signal", [9, 15])
def test_killed_or_exited(alfa: Host, signal: int) -> None:
    """A child that was killed by a signal is told apart from one that has exited."""
    wait_poll = alfa.start("wait_poll", pace=0.04)
    child = wait_poll.expect(r"^child is process (\d+)\n")[1]
    alfa.run("kill", f"-{signal}", child)
    wait_poll.expect(
        f"^child killed by signal {signal}\n", otherwise="the parent did not see that its child was killed"
    )
    wait_poll.expect_exit(0)
    assert not wait_poll.saw("child send"), "the parent took its child's death by a signal for an exit"
