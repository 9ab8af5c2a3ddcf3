"""signals on a guest: handled, ignored, left to the default action, and merged into one while they are pending."""

import re
import signal
from contextlib import suppress

import pytest

from labroom.checks.claims import claim
from labroom.checks.subjects import Subject
from labroom.driver import CheckFailed, Driver, Host, Program


def lose_ten_lives(sigint_lives: Program) -> None:
    """Type Ctrl+C until one life is left."""
    sigint_lives.expect("waits for Ctrl")
    for left in range(10, 0, -1):
        sigint_lives.interrupt()
        sigint_lives.expect(
            f"^Received SIGINT... {left} Lives Left\n", otherwise=f"Ctrl+C did not leave it with {left} lives"
        )


def count_zombies(program: Program) -> int:
    return sum(process.state == "Z" for process in program.processes())


@pytest.mark.play
def test_handled_and_merged(bravo: Host, driver: Driver) -> None:
    """An alarm wakes a sleeper, Ctrl+C is survived ten times, and five dead children are one SIGCHLD."""
    driver.note("Every sleep is one of 100 seconds. The alarm comes after 2.")
    bravo.start("alarm").expect_exit(0)

    driver.note("Ctrl+C has a handler, until ten lives are used up. Then it does what it always does.")
    sigint_lives = bravo.start("sigint_lives", tty=True)
    lose_ten_lives(sigint_lives)
    sigint_lives.interrupt()
    sigint_lives.expect_exit(-signal.SIGINT)

    driver.note("Five children end while SIGCHLD is blocked. The handler runs once, and waits for one child.")
    reap = bravo.start("reap", "--one-per-signal", pace=max(driver.pace, 0.1))  # time enough to look
    reap.expect("has 4 zombies")
    ps = bravo.run("ps", "-o", "pid,ppid,stat,args", "--ppid", str(reap.pid))
    assert ps.stdout.count("<defunct>") == 4, f"ps does not show 4 zombies: {ps.stdout}"
    reap.interrupt()
    reap.wait()

    driver.note("The same with a handler that waits until no dead child is left.")
    reap = bravo.start("reap")
    reap.expect("has 0 zombies")
    reap.expect_exit(0)


def test_signals_do_not_queue(bravo: Host) -> None:
    """Three SIGINTs that come while the program is stopped are one: they cost it one life."""
    sigint_lives = bravo.start("sigint_lives")
    sigint_lives.expect("waits for Ctrl")
    sigint_lives.stop()
    for _ in range(3):
        sigint_lives.signal(signal.SIGINT)
    sigint_lives.resume()
    sigint_lives.expect("10 Lives Left\n", otherwise="none of the three SIGINTs was received")
    sigint_lives.interrupt()
    sigint_lives.expect("Lives Left\n")
    assert sigint_lives.lines[1:] == ["Received SIGINT... 10 Lives Left", "Received SIGINT... 9 Lives Left"], (
        f"three SIGINTs and one more should cost two lives; it printed {sigint_lives.lines[1:]}"
    )


def test_one_wait_per_signal_leaves_zombies(bravo: Host) -> None:
    """Five children that end while SIGCHLD is blocked are one signal: a handler that waits once leaves four zombies."""
    reap = bravo.start("reap", "--one-per-signal", pace=1)  # it sleeps for 10 s, so there is time to look
    reap.expect("^parent .* has 4 zombies\n", otherwise="the handler that waits once did not leave four zombies")
    handled = reap.lines.count("handler: SIGCHLD")
    assert handled == 1, f"the handler ran {handled} times: were the five signals queued?"
    zombies = count_zombies(reap)
    assert zombies == 4, f"bravo has {zombies} zombies of reap.py, not 4"


def test_waiting_in_a_loop_leaves_none(bravo: Host) -> None:
    """The handler runs once for five children, waits until no dead one is left, and no zombie stays."""
    reap = bravo.start("reap", pace=1)
    reap.expect("^parent .* has 0 zombies\n", otherwise="the handler that waits in a loop left zombies")
    handled = reap.lines.count("handler: SIGCHLD")
    assert handled == 1, f"the handler ran {handled} times: were the five signals queued?"
    zombies = count_zombies(reap)
    assert zombies == 0, f"bravo has {zombies} zombies of reap.py"


# -- claims -----------------------------------------------------------------------------------------------------

LONG = 25.0  # seconds; with alarm() and sleep() instead of LAB_PACE, alarm takes 10
ALARM = 4.0  # seconds; an alarm comes after 2
LINES = {
    "alarm": (["wait...", "timeout~"] * 5, 0),
    "sigint_ignore": ([f"{count}: sleep and awake" for count in range(5, 0, -1)], 1),
    "handlers": (
        [
            "signal(SIGKILL, SIG_IGN): Invalid argument",
            "signal(SIGUSR1, greet) returned SIG_DFL",
            "greet: I got SIGUSR1",
            "signal(SIGUSR1, SIG_IGN) returned greet",
            "signal(SIGUSR1, SIG_DFL) returned SIG_IGN",
        ],
        -signal.SIGUSR1,
    ),
}


def wait_for_disposition(program: Subject, field: str, which: signal.Signals, otherwise: str) -> None:
    """Wait until a signal is among those of a field of /proc/PID/status: SigCgt, handled; SigIgn, ignored."""

    def look() -> bool:
        over = program.program.over
        if which in program.signals(field):
            return True
        if over:
            raise CheckFailed(f"{otherwise} ({program.program.last_words})")
        return False

    program.host.driver.wait_until(
        look,
        f"{which.name} in {field}",
        None,
        lambda within: f"{otherwise} (not seen{within}: {which.name} in {field})",
    )


def wait_for_lives(program: Subject) -> None:
    """Wait until it handles SIGINT itself: Python does so from its beginning, and raises KeyboardInterrupt."""
    wait_for_disposition(program, "SigCgt", signal.SIGINT, "it has no handler for SIGINT")
    if program.host.read_file(f"/proc/{program.program.pid}/comm").startswith(b"python"):
        program.program.expect("\n", otherwise="it has not printed a line at its beginning")


def type_ctrl_c(program: Subject) -> None:
    """Type Ctrl+C when the program waits: two that are pending would be one, and a handler may print unsafely."""
    program.host.driver.settle()
    program.program.interrupt()


@claim("lesson", "alarm")
def test_handles_the_alarm(program: Subject) -> None:
    """SIGALRM has a handler."""
    program.start(settles=False, env={"LAB_PACE": "0.5"})
    wait_for_disposition(program, "SigCgt", signal.SIGALRM, "it has no handler for SIGALRM")


@claim("lesson", "alarm", needs=["handles_the_alarm"], hint="alarm() rings once: it is set before each sleep")
def test_wakes(program: Subject) -> None:
    """Each sleep of 100 seconds is ended by SIGALRM, and at last the program ends by itself."""
    status = program.start(settles=False).wait(LONG, otherwise="SIGALRM does not end its sleep")
    assert status >= 0, f"{program.called} {program.program.ending}"


@claim("lesson", "alarm", needs=["handles_the_alarm"])
def test_each_sleep_has_an_alarm(program: Subject) -> None:
    """For each sleep SIGALRM comes anew, by an alarm: stopped in two of them, the program has it pending."""
    alarm = program.start(settles=False, env={"LAB_PACE": "0.5"})
    wait_for_disposition(program, "SigCgt", signal.SIGALRM, "it has no handler for SIGALRM")
    came = 0
    for _ in range(3):  # one of them may stop it between two sleeps, when there is no alarm
        program.host.driver.settle()
        if came == 2 or alarm.status is not None:
            break
        alarm.stop()
        with suppress(CheckFailed):
            program.host.driver.wait_until(
                lambda: signal.SIGALRM in program.signals("ShdPnd"), "SIGALRM", ALARM, "{}".format
            )
            came += 1
        alarm.resume()
    assert came == 2, f"it was stopped in three sleeps, and SIGALRM {'came once' if came else 'never came'}"


@claim("lesson", "sigint_lives")
def test_ten_lives(program: Subject) -> None:
    """Ten times Ctrl+C it prints how many lives are left, from 10 down to 1, and goes on."""
    program.start()
    wait_for_lives(program)
    for left in range(10, 0, -1):
        type_ctrl_c(program)
        program.program.expect_number(left, otherwise=f"at Ctrl+C {11 - left} it did not print {left}")


@claim("lesson", "sigint_lives", needs=["ten_lives"])
def test_eleventh(program: Subject) -> None:
    """The eleventh Ctrl+C kills it, by the default action."""
    sigint_lives = program.start()
    wait_for_lives(program)
    for left in range(10, 0, -1):
        type_ctrl_c(program)
        sigint_lives.expect_number(left)
    wait_for_default(program, signal.SIGINT)
    program.host.driver.settle()  # what ends by itself does so now
    assert sigint_lives.status is None, f"after the tenth Ctrl+C it {sigint_lives.ending} by itself"
    sigint_lives.interrupt()
    ended = sigint_lives.wait(otherwise="the eleventh Ctrl+C did not end it")
    assert ended == -signal.SIGINT, f"it {sigint_lives.ending}, and was not killed by SIGINT"


def wait_for_default(program: Subject, which: signal.Signals) -> None:
    """Wait until a signal has its default action: the handler may print before it gives that back."""
    program.wait_until(
        lambda: which not in program.signals("SigCgt") | program.signals("SigIgn"),
        lambda: f"after ten times Ctrl+C, {which.name} has not its default action again",
    )


@claim("lesson", "sigint_ignore")
def test_ignores(program: Subject) -> None:
    """SIGINT is ignored by the kernel (`SIG_IGN`), not by a handler that does nothing."""
    program.start(settles=False, env={"LAB_PACE": "0.5"})
    wait_for_disposition(program, "SigIgn", signal.SIGINT, "the kernel does not ignore SIGINT for it")


@claim("lesson", "sigint_ignore", needs=["ignores"])
def test_counts_on(program: Subject) -> None:
    """Ctrl+C changes nothing: it counts from 5 to 1, and ends by itself."""
    sigint_ignore = program.start(settles=False, env={"LAB_PACE": "0.5"})
    wait_for_disposition(program, "SigIgn", signal.SIGINT, "the kernel does not ignore SIGINT for it")
    sigint_ignore.interrupt()
    for count in range(5, 0, -1):
        sigint_ignore.expect_number(count, LONG, otherwise=f"Ctrl+C was typed, and it did not count to {count}")
    status = sigint_ignore.wait(LONG)
    assert status >= 0, f"it {sigint_ignore.ending}"


@claim("lesson", "handlers")
def test_default_kills(program: Subject) -> None:
    """With its default action, SIGUSR1 kills it in the end."""
    handlers = program.start(settles=False)
    status = handlers.wait(LONG)
    assert status == -signal.SIGUSR1, f"it {handlers.ending}, and was not killed by SIGUSR1"


@claim("lesson", "handlers")
def test_three_dispositions(program: Subject) -> None:
    """SIGUSR1 comes under a handler, which goes on, then under `SIG_IGN`, then under the default action."""
    _, lines = min(program.traced("rt_sigaction").items())
    now, came = "SIG_DFL", []
    for line in lines:
        if found := re.match(r"rt_sigaction\(SIGUSR1, \{sa_handler=(\w+)", line):
            now = "a handler" if found[1].startswith("0x") else found[1]
        elif line.startswith("--- SIGUSR1"):
            came.append(now)
    wanted = ["a handler", "SIG_IGN", "SIG_DFL"]
    assert [how for how in wanted if how in came] == wanted, f"SIGUSR1 came under {', then '.join(came) or 'none'}"


@claim("lesson", "reap")
def test_loop_reaps_all(program: Subject) -> None:
    """A handler that waits in a loop leaves none of five dead children as a zombie, and 0 is printed."""
    reap = program.start(settles=False, env={"LAB_PACE": "1"})  # it sleeps for 10 s, so there is time to look
    reap.expect_number(0, otherwise="it did not print how many zombies there are: 0")
    wait_for_zombies(program, 0)  # it may have printed another 0 before, such as the number of a child


@claim("lesson", "reap")
def test_once_leaves_four(program: Subject) -> None:
    """With `--one-per-signal` four of five children that ended while SIGCHLD was blocked stay as zombies."""
    program.start("--one-per-signal", settles=False, env={"LAB_PACE": "1"})
    wait_for_zombies(program, 4)


def wait_for_zombies(program: Subject, count: int) -> None:
    """Wait until it has so many zombies, when its handler for SIGCHLD has run: before, that is pending."""

    def look() -> bool:
        pending = signal.SIGCHLD in program.signals("SigPnd") | program.signals("ShdPnd")
        return signal.SIGCHLD in program.signals("SigCgt") and not pending and zombies() == count

    def zombies() -> int:
        return sum(child.state == "Z" for child in program.children())

    program.host.driver.wait_until(
        look,
        f"{count} zombies",
        None,
        lambda within: (
            f"it has {zombies()} zombies, and did not come to have {count} with SIGCHLD handled and not pending{within}"
        ),
    )


@claim("lesson", "kill")
def test_sends(program: Subject) -> None:
    """The signal is sent to the process: by its number."""
    for which in signal.SIGTERM, signal.SIGKILL:
        victim = program.beside("sleep", "1000")
        program.start(victim.pid, int(which)).wait(otherwise="kill did not end")
        status = victim.wait(otherwise=f"signal {int(which)} was to be sent, and the process lives on")
        assert status == -which, f"signal {int(which)} was to be sent, and the process {victim.ending}"


@claim("robustness", "reap")
def test_no_child(program: Subject) -> None:
    """Where `fork` fails, it ends at once, with a status other than 0: it waits for nobody."""
    program.gives_up_without_fork()


@claim("interface", "reap")
def test_names_the_call(program: Subject) -> None:
    """It then says `fork: Resource temporarily unavailable` on stderr, and exits with 1."""
    program.names_the_call("fork: Resource temporarily unavailable", settles=False, limits={"NPROC": 1})


@claim("interface", "kill", needs=["sends"])
def test_names(program: Subject) -> None:
    """A signal may be named, with or without `SIG`; kill exits with 0."""
    for name in "TERM", "SIGTERM", "KILL", "SIGUSR1", "HUP", "SIGALRM":
        victim = program.beside("sleep", "1000")
        program.start(victim.pid, name).expect_exit(0)
        status = victim.wait(otherwise=f"{name} was to be sent, and the process lives on")
        wanted = signal.Signals[f"SIG{name.removeprefix('SIG')}"]
        assert status == -wanted, f"{name} was to be sent, and the process {victim.ending}"


@claim("interface", "kill", needs=["sends"])
def test_nobody(program: Subject) -> None:
    """Of a process that isn't there, or is somebody else's, it says what `perror("kill")` says, and exits with 1."""
    for pid, error in ((1 << 22, "No such process"), (1, "Operation not permitted")):  # pids are below 2^22
        kill = program.start(pid, 9, tty=False)
        kill.expect_exit(1, otherwise=f"process {pid} should be refused: {error}")
        assert kill.stderr == f"kill: {error}\n", f"of process {pid} it said {kill.stderr!r}"


@claim("interface", *LINES)
def test_lines(program: Subject) -> None:
    """It prints exactly the lines of the handout, and ends with the status of the handout."""
    lines, status = LINES[program.role]
    ran = program.start(settles=False)
    ran.expect_exit(status)
    assert ran.lines == lines, f"it printed {ran.lines}"


@claim("interface", "sigint_lives", needs=["ten_lives"])
def test_lives_left(program: Subject) -> None:
    """It prints `Received SIGINT... N Lives Left`, and nothing but one line before."""
    sigint_lives = program.start()
    wait_for_lives(program)
    for left in range(10, 0, -1):
        type_ctrl_c(program)
        sigint_lives.expect(f"^Received SIGINT[.]{{3}} {left} Lives Left\n")
    assert len(sigint_lives.lines) == 11, f"it printed {sigint_lives.lines}"


@claim("interface", "reap")
def test_handled_once(program: Subject) -> None:
    """It prints `handler: SIGCHLD` once, then `parent PID has N zombies`, with 0, or 4 with the option."""
    for options, zombies in ([], 0), (["--one-per-signal"], 4):
        reap = program.start(*options, settles=False)
        reap.expect(f"^parent {reap.pid} has {zombies} zombies\n")
        handled = reap.lines.count("handler: SIGCHLD")
        assert handled == 1, f"with the options {options} its handler said {handled} times that it ran, not once"
        reap.wait()


@claim("interface", "alarm", "sigint_lives", "sigint_ignore", "handlers", "reap", "kill")
def test_arguments(program: Subject) -> None:
    """With an argument that it doesn't know it exits with 2."""
    program.start("what", tty=False).expect_exit(2)
