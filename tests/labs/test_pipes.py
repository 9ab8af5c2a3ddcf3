"""pipes on a guest: a message to a parent, an answer to its child, and who reads what."""

import pytest

from labroom.driver import Driver, Host, Program

QUESTION, ANSWER = "parent prc result :Who are you?", "child prc result : Thank you"


def wait_for_end_of_child(program: Program) -> None:
    program.wait_for_processes(
        lambda processes: any(p.state == "Z" for p in processes),
        "the child's end",
        otherwise=f"the child of {program} did not end",
    )


def write_into_its_pipe(program: Program, text: str) -> None:
    """Write into the pipe of which the program's first process has the write end open, from outside."""
    ends = [descriptor for descriptor, target in program.descriptors().items() if descriptor > 2 and "pipe:" in target]
    assert len(ends) == 2, f"{program} has {len(ends)} ends of pipes open, not a read end and a write end"
    program.host.run("sh", "-c", f"printf %s '{text}' > /proc/{program.pid}/fd/{max(ends)}")


@pytest.mark.play
def test_one_pipe_or_two(charlie: Host, driver: Driver) -> None:
    """One pipe for question and answer works only if somebody pauses; two need no pause."""
    driver.note("A pipe leads from a child to its parent.")
    charlie.start("pipe_one").expect_exit(0)

    driver.note("Question and answer go through one pipe. The child pauses before it reads: it gets the answer.")
    pace = max(driver.pace, 0.15)
    pipe_shared = charlie.start("pipe_shared", pace=pace)
    pipe_shared.expect_exit(0)
    assert pipe_shared.lines == [QUESTION, ANSWER], f"pipe_shared printed {pipe_shared.lines}"

    driver.note("Without the pause it reads what it has just written, and the parent waits for ever …")
    pipe_shared = charlie.start("pipe_shared", "--no-pause", pace=pace)
    pipe_shared.expect("^child prc result : Who are you[?]\n")
    wait_for_end_of_child(pipe_shared)
    driver.note("… for a message that nobody will send. Ctrl+C.")
    pipe_shared.interrupt()
    pipe_shared.wait()

    driver.note("With a pipe for each direction nobody pauses.")
    pipe_two = charlie.start("pipe_two")
    pipe_two.expect_exit(0)
    assert pipe_two.lines == [QUESTION, ANSWER], f"pipe_two printed {pipe_two.lines}"


def test_one(charlie: Host) -> None:
    """The parent prints what its child wrote, sees the end of it, and ends."""
    pipe_one = charlie.start("pipe_one")
    pipe_one.expect_exit(0, otherwise="the parent did not see the end of the pipe, although its child has ended")
    assert pipe_one.lines == ["Who are you?"], f"pipe_one printed {pipe_one.lines}"


def test_one_with_the_write_end_kept(charlie: Host) -> None:
    """A parent that keeps the write end open waits for ever: the end never comes, for it could write itself."""
    pipe_one = charlie.start("pipe_one", "--keep-write-end")
    pipe_one.expect("^Who are you[?]\n")
    wait_for_end_of_child(pipe_one)
    write_into_its_pipe(pipe_one, "still open")
    pipe_one.expect("^still open\n", otherwise="the parent does not read any more, although it has the write end open")
    assert pipe_one.status is None, "the parent ended: has it closed its write end?"


def test_shared_with_a_pause(charlie: Host) -> None:
    """One pipe in both directions: as the child pauses, its parent gets the question, and it the answer."""
    pipe_shared = charlie.start("pipe_shared", pace=0.15)
    pipe_shared.expect_exit(0, otherwise="question and answer were not exchanged")
    assert pipe_shared.lines == [QUESTION, ANSWER], f"pipe_shared printed {pipe_shared.lines}"


def test_shared_without_a_pause(charlie: Host) -> None:
    """Without the pause the child reads its own question, and its parent waits for ever."""
    pipe_shared = charlie.start("pipe_shared", "--no-pause", pace=0.2)
    pipe_shared.expect(
        "^child prc result : Who are you[?]\n", otherwise="the child did not read its own question, without any pause"
    )
    wait_for_end_of_child(pipe_shared)
    write_into_its_pipe(pipe_shared, "anybody?")
    pipe_shared.expect(
        "^parent prc result :anybody[?]\n", otherwise="the parent was not waiting for the question that its child took"
    )
    pipe_shared.expect_exit(0)


def test_two(charlie: Host) -> None:
    """With two pipes and no pause the parent gets the question, then the child the answer, each time."""
    for _ in range(5):
        pipe_two = charlie.start("pipe_two")
        pipe_two.expect_exit(0, otherwise="question and answer were not exchanged")
        assert pipe_two.lines == [QUESTION, ANSWER], f"pipe_two printed {pipe_two.lines}"
