"""pipes on a guest: a message to a parent, an answer to its child, and who reads what."""

import re
from contextlib import suppress
from typing import Any

import pytest

from labroom.checks.claims import claim
from labroom.checks.subjects import Subject
from labroom.driver import CheckFailed, Driver, Host, Program

QUESTION, ANSWER = "parent prc result :Who are you?", "child prc result : Thank you"


def wait_for_end_of_child(program: Program) -> None:
    program.wait_for_processes(
        lambda processes: any(p.state == "Z" for p in processes),
        "the child's end",
        otherwise=f"the child of {program} did not end",
    )


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


# -- claims -----------------------------------------------------------------------------------------------------

PROGRAMS = ("pipe_one", "pipe_shared", "pipe_two")
LINES = {"pipe_one": ["Who are you?"], "pipe_shared": [QUESTION, ANSWER], "pipe_two": [QUESTION, ANSWER]}


def exchange(program: Subject, **options: Any) -> set[str]:
    """See that a question gets to a parent, and then an answer to its child; returns pipes that were open between."""
    ran = program.start(**options)
    ran.expect_text("Who are you?", otherwise="the question was not printed")
    pipes: set[str] = set()
    with suppress(CheckFailed):  # it may have ended
        pipes = {target for number, target in program.descriptors().items() if number > 2 and "pipe:" in target}
    ran.expect_text("Thank you", otherwise="the child did not get the answer")
    status = ran.wait(otherwise="question and answer were exchanged, and it did not end")
    assert status >= 0, f"question and answer were exchanged, and it {ran.ending}"
    return pipes


def write_into_its_pipe(program: Subject, text: str) -> None:
    """Write into the pipe of which the program's first process has the write end open, from outside."""
    ends = [number for number, target in program.descriptors().items() if number > 2 and "pipe:" in target]
    assert len(ends) == 2, f"{program.called} has {len(ends)} ends of pipes open, not a read end and a write end"
    pid = program.program.pid
    program.beside("sh", "-c", f"printf %s '{text}' > /proc/{pid}/fd/{max(ends)}").expect_exit(0)


def passages(program: Subject) -> set[tuple[int, int, int]]:
    """Where bytes go from one of its processes to another: the pipe, the process that writes, the one that reads."""
    used: dict[str, set[tuple[int, int]]] = {"read": set(), "write": set()}
    for pid, lines in program.traced("read", "write", ends=False).items():
        for line in lines:
            if found := re.match(r"(read|write)\(\d+<pipe:\[(\d+)\]>.* = [1-9]", line):
                used[found[1]].add((int(found[2]), pid))
    return {
        (pipe, writer, reader)
        for pipe, writer in used["write"]
        for other, reader in used["read"]
        if pipe == other and writer != reader
    }


@claim("lesson", "pipe_one", hint="read() waits for more as long as any process, the reader too, has a write end open")
def test_message(program: Subject) -> None:
    """The parent prints what its child has written into the pipe."""
    program.start().expect_text("Who are you?", otherwise="the message was not printed")


@claim("lesson", "pipe_one", needs=["message"])
def test_through_a_pipe(program: Subject) -> None:
    """The message goes through a pipe: the child writes to it, and the parent reads from it."""
    assert passages(program), "no process has read from a pipe what another one has written"


@claim("lesson", "pipe_one", needs=["message"])
def test_sees_the_end(program: Subject) -> None:
    """The parent reads until the end of the pipe, sees that, and ends."""
    program.start().wait(
        otherwise="the child has ended, and its parent does not see the end of the pipe: who has the write end open?"
    )
    reads = [line for lines in program.traced("read").values() for line in lines if "<pipe:" in line]
    assert any(line.endswith(" = 0") for line in reads), (
        "it ended without having seen the end of the pipe: no read() has returned 0"
    )


# On one processor, where nobody is interrupted by who wakes up (sched(7)), a child that doesn't pause reads first.
ONE_PROCESSOR = (
    "sh",
    "-c",
    "cpu=$(sed -n 's/^Cpus_allowed_list:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/self/status)\n"
    'exec taskset -c "$cpu" chrt --batch 0 "$@"',
    "sh",
)


@claim("lesson", "pipe_shared", hint="the child pauses between write() and read(): what it wrote is for its parent")
def test_one_pipe_and_a_pause(program: Subject) -> None:
    """Through one pipe: as the child pauses, its parent gets the question, and then it the answer."""
    pipes = exchange(program, env={"LAB_PACE": "1"}, under=ONE_PROCESSOR)  # a second between who reads first and second
    assert len(pipes) < 2, f"its parent has {len(pipes)} pipes open, not one"


@claim(
    "lesson",
    "pipe_two",
    hint="one pipe for each direction: one writes to its end 1, the other reads from its end 0",
)
def test_two_pipes(program: Subject) -> None:
    """Through two pipes, without any pause, the parent gets the question, then the child the answer, each time."""
    for _ in range(5):
        exchange(program)


@claim("lesson", "pipe_two", needs=["two_pipes"])
def test_each_its_own(program: Subject) -> None:
    """The question goes through one pipe, and the answer through the other."""
    found = passages(program)
    pipes = [(pipe, other) for pipe, writer, reader in found for other, *back in found if back == [reader, writer]]
    assert pipes, "no two processes have read what the other one has written to a pipe"
    assert any(pipe != other for pipe, other in pipes), "question and answer went through the same pipe"


@claim("robustness", *PROGRAMS)
def test_nothing_else(program: Subject) -> None:
    """It prints as many bytes as `read` has returned: no zero byte, nothing of its buffer."""
    ran = program.start(env={"LAB_PACE": "1"})
    ran.wait()
    strange = [line for line in ran.stdout.splitlines() if not line.isprintable() or re.search(r"\\x", line)]
    assert not strange, f"in what it printed is something that nobody has written: {strange}"
    longer = re.search(r"Who are you[?] *[^\s'\"\])]", ran.stdout)
    assert not longer, f"it printed more than was written: {longer[0] if longer else ''!r}"


def failing(program: Subject) -> dict[str, dict[str, int]]:
    """The limits under which a call of the program fails, by what it is to say then."""
    return {
        "pipe: Too many open files": {"NOFILE": 6 if program.role == "pipe_two" else 4},  # 6: one pipe, and no second
        "fork: Resource temporarily unavailable": {"NPROC": 1},
    }


@claim("robustness", *PROGRAMS)
def test_no_pipe(program: Subject) -> None:
    """Where `pipe` or `fork` fails, it ends by itself, with a status other than 0."""
    for words, limits in failing(program).items():
        call = words.partition(":")[0]
        ran = program.start(tty=False, limits=limits)
        ran.close_stdin()
        status = ran.wait(otherwise=f"{call} can't succeed here, and it goes on")
        assert status > 0, f"{call} can't succeed here, and {ran.last_words}"


@claim("interface", *PROGRAMS)
def test_names_the_call(program: Subject) -> None:
    """It then says `pipe: Too many open files`, or `fork: Resource temporarily unavailable`, and exits with 1."""
    for words, limits in failing(program).items():
        program.names_the_call(words, limits=limits)


@claim("interface", "pipe_one", needs=["sees_the_end"])
def test_keeps_its_write_end(program: Subject) -> None:
    """With `--keep-write-end` the parent prints the message and waits for ever: it could write itself."""
    pipe_one = program.start("--keep-write-end", settles=False)
    pipe_one.expect("Who are you[?]")
    wait_for_end_of_child(pipe_one)
    write_into_its_pipe(program, "still open")
    pipe_one.expect("still open", otherwise="the parent does not read any more, although it has the write end open")
    assert pipe_one.status is None, "the parent ended: has it closed its write end?"


@claim("interface", "pipe_shared", needs=["one_pipe_and_a_pause"])
def test_reads_its_own_question(program: Subject) -> None:
    """With `--no-pause` the child reads its own question, and its parent waits for ever."""
    pipe_shared = program.start("--no-pause", settles=False, env={"LAB_PACE": "1"})
    pipe_shared.expect("Who are you[?]", otherwise="the child did not read its own question, without any pause")
    wait_for_end_of_child(pipe_shared)
    write_into_its_pipe(program, "anybody?")
    pipe_shared.expect("anybody[?]", otherwise="the parent was not waiting for the question that its child took")
    pipe_shared.wait()


@claim("interface", *PROGRAMS)
def test_lines(program: Subject) -> None:
    """It prints exactly the lines of the handout, and exits with 0."""
    ran = program.start(settles=False, env={"LAB_PACE": "1"})
    ran.expect_exit(0)
    assert ran.lines == LINES[program.role], f"it printed {ran.lines}"


@claim("interface", *PROGRAMS)
def test_arguments(program: Subject) -> None:
    """With an argument that it doesn't know it exits with 2."""
    program.start("what", settles=False, tty=False).expect_exit(2)
