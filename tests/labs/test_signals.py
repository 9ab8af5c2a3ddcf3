"""signals on a guest: handled, ignored, left to the default action, and merged into one while they are pending."""

import signal

import pytest

from labroom.driver import Driver, Host, Program


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


def test_alarm(bravo: Host, driver: Driver) -> None:
    """SIGALRM interrupts a sleep of 100 seconds after 2, five times over."""
    alarm = bravo.start("alarm")
    alarm.expect_exit(0, otherwise="it did not end: the alarm does not interrupt the sleep")
    assert alarm.lines == ["wait...", "timeout~"] * 5, f"alarm.py printed {alarm.lines}"
    took = driver.transcript[-1].time - driver.transcript[0].time
    assert took >= 5 * 2 * driver.pace, f"five alarms took {took:.3f} s: they come sooner than every 2 s times LAB_PACE"


def test_ten_lives(bravo: Host) -> None:
    """Ten times Ctrl+C only prints how many lives are left; the eleventh ends the program, by the default action."""
    sigint_lives = bravo.start("sigint_lives", tty=True)
    lose_ten_lives(sigint_lives)
    sigint_lives.interrupt()
    ended = sigint_lives.wait(otherwise="the eleventh Ctrl+C did not end it")
    assert ended == -signal.SIGINT, f"it ended with status {ended}, and was not killed by SIGINT"
    assert len(sigint_lives.lines) == 11, f"it printed more than its ten lives: {sigint_lives.lines}"


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


def test_ignored(bravo: Host) -> None:
    """While SIGINT is ignored, Ctrl+C changes nothing: it counts from 5 to 1 and exits with 1."""
    sigint_ignore = bravo.start("sigint_ignore", pace=0.1, tty=True)
    sigint_ignore.expect("^5: sleep and awake\n")
    status = bravo.read_file(f"/proc/{sigint_ignore.pid}/status").decode()
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    assert ignored & 1 << signal.SIGINT - 1, f"SIGINT is not among the signals that the kernel ignores: {ignored:#x}"
    sigint_ignore.interrupt()
    sigint_ignore.expect("^4: sleep and awake\n", otherwise="Ctrl+C ended it, although it ignores SIGINT")
    sigint_ignore.interrupt()
    sigint_ignore.expect_exit(1)
    assert sigint_ignore.lines == [f"{count}: sleep and awake" for count in range(5, 0, -1)], (
        f"sigint_ignore.py printed {sigint_ignore.lines}"
    )


def test_signal_returns_the_previous_handler(bravo: Host) -> None:
    """signal() returns the handler before; SIGUSR1 is handled, ignored, then kills; SIGKILL can't be ignored."""
    handlers = bravo.start("handlers")
    ended = handlers.wait()
    assert handlers.lines == [
        "signal(SIGKILL, SIG_IGN): Invalid argument",
        "signal(SIGUSR1, greet) returned SIG_DFL",
        "greet: I got SIGUSR1",
        "signal(SIGUSR1, SIG_IGN) returned greet",
        "signal(SIGUSR1, SIG_DFL) returned SIG_IGN",
    ], f"handlers.py printed {handlers.lines}"
    assert ended == -signal.SIGUSR1, f"it ended with status {ended}: the default action of SIGUSR1 did not kill it"


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


@pytest.mark.parametrize("name", ["15", "TERM", "SIGTERM"])
def test_kill(bravo: Host, name: str) -> None:
    """A signal is sent by its number or by its name; one that has a handler does not kill."""
    sigint_lives = bravo.start("sigint_lives")
    sigint_lives.expect("waits for Ctrl")
    bravo.start("kill", sigint_lives.pid, "INT").expect_exit(0)
    sigint_lives.expect("10 Lives Left", otherwise="SIGINT was sent and not received")
    bravo.start("kill", sigint_lives.pid, name).expect_exit(0)
    ended = sigint_lives.wait(otherwise=f"signal {name} was sent, and the process lives on")
    assert ended == -signal.SIGTERM, f"signal {name} was sent, and the process ended with status {ended}"


def test_kill_nobody(bravo: Host) -> None:
    """A process that isn't there, or is somebody else's, can't be signalled: a message, and status 1."""
    for pid, error in ((1 << 22, "No such process"), (1, "Operation not permitted")):  # pids are below 2^22
        kill = bravo.start("kill", pid, "KILL")
        kill.expect(f"^kill: {error}\n", otherwise=f"process {pid} should be refused: {error}")
        kill.expect_exit(1)
