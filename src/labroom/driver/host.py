"""A host as checks see it, and the programs that run on it; each knows the other, so they are one module.

A `Program` is started on a `Host`, with a terminal or not; what it prints is expected, lines are sent to it, it is
interrupted, its end awaited.
"""

from __future__ import annotations

import re
import shlex
import signal as signals
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from labroom.bad_link import GOOD
from labroom.driver.bad_link import BadPort
from labroom.driver.capture import Capture
from labroom.driver.connection import quoted
from labroom.driver.output import Output
from labroom.driver.peer import PeerHost
from labroom.driver.sockets import read_sockets
from labroom.driver.values import (
    BUSY_PROCESSES,
    OUTPUT_LIMIT,
    PING_SECONDS,
    WATCH_SECONDS,
    Completed,
    Launch,
    Process,
    Socket,
    in_words,
    short,
)
from labroom.driver.waiting import Shared
from labroom.driver.words import grouped, shown
from labroom.endpoint import Endpoint
from labroom.errors import CheckFailed, Lacking, RoomFault, fault_of

# What a guest has no more of, by the errno that says so.
_LACKS = {
    "ENOSPC": "the disk of guest {} is full",
    "EAGAIN": "guest {} has as many processes as it may have",
    "ENOMEM": "guest {} has no memory left",
}


class Program:
    """A program running on a host, or ended. Created by `Host.start`."""

    def __init__(self, host: Host, number: int, name: str, tty: bool, quiet: bool) -> None:
        self.host = host
        self.name = name
        self.status: int | None = None
        self.fault: RoomFault | None = None  # of the room, which has ended it
        self.pid = 0
        self._lacked = ""
        self.killed = False  # by the check
        self.settles = False  # no timer wakes it: what it waits for without a time-out, others must bring about
        self._driver = host.driver
        self._number = number
        self._tty = tty
        self.quiet = quiet
        self._output = Output({"stdout"} if tty else {"stdout", "stderr"}, self._event)

    def __str__(self) -> str:
        """As messages name it: `alfa's echo_client`."""
        return f"{self.host.name}'s {self.name}"

    # -- what it printed ----------------------------------------------------------------------------------------

    @property
    def stdout(self) -> str:
        """All that it has printed on its standard output so far; with a terminal, on that."""
        return self._output.text["stdout"]

    @property
    def stderr(self) -> str:
        """All that it has printed on its standard error so far."""
        return self._output.text["stderr"]

    @property
    def lines(self) -> list[str]:
        """The whole lines that it has printed on its standard output so far."""
        return self.stdout.split("\n")[:-1]

    def saw(self, pattern: str) -> bool:
        """Whether it has printed this (regular expression) so far, expected or not."""
        return any(re.search(pattern, text, re.MULTILINE) for text in self._output.text.values())

    def saw_number(self, number: int | str, since: int = 0) -> bool:
        """Whether stdout, from a place there on, has this number, or address, as no part of a longer one."""
        return re.search(_number(number), self.stdout[since:]) is not None

    def expect(self, pattern: str, timeout: float | None = None, *, otherwise: str = "") -> re.Match[str]:
        r"""Wait until it prints `pattern`, in text that no earlier `expect` has passed.

        Standard output is looked at first, then standard error. A match may end in the middle of a line, so that
        prompts can be expected; end the pattern with `\n` where the rest of the line matters.

        Args:
            pattern: regular expression (re.MULTILINE).
            timeout: seconds; the driver's patience by default.
            otherwise: what to say in plain words if it does not come.

        Raises:
            CheckFailed: it did not come in time, or the program ended without it.
            RoomFault: a host of the room does not answer.
        """
        return self._expect(pattern, "'" + pattern.replace("\n", "\\n") + "'", timeout, otherwise)

    def expect_text(self, text: str, timeout: float | None = None, *, otherwise: str = "") -> None:
        """Wait until it prints this very text; as `expect` does."""
        self._expect(re.escape(text), shown(text.encode()), timeout, otherwise)

    def expect_number(self, number: int | str, timeout: float | None = None, *, otherwise: str = "") -> None:
        """Wait until it prints this number, or address, as no part of a longer one; as `expect` does."""
        self._expect(_number(number), str(number), timeout, otherwise)

    def _expect(self, pattern: str, words: str, timeout: float | None, otherwise: str) -> re.Match[str]:
        expression = re.compile(pattern, re.MULTILINE)

        def look() -> re.Match[str] | None:
            over = self.over  # before the text: what comes in between is seen at the next look
            if match := self._output.take(expression):
                return match
            if over:
                raise self._failed(otherwise, f"{self} {self.ending} and did not print {words}")
            return None

        return self._driver.wait_until(
            look,
            f"{self} to print {words}",
            timeout,
            lambda within: in_words(otherwise, f"{self} did not print {words}{within}{self._output.seen()}"),
            by_programs=self.settles,
        )

    def _failed(self, otherwise: str, detail: str) -> CheckFailed | RoomFault:
        """What to raise for an end that was not the right one: the room's fault if the room has brought it about."""
        self.host.ping()  # it may lack something
        return self.fault or CheckFailed(in_words(otherwise, f"{detail}{self._output.seen()}"))

    @contextmanager
    def silence(self, otherwise: str) -> Iterator[None]:
        """The program prints nothing on its standard output while the body runs.

        The proof is an order of events, not a pause: the body waits for something that happens later than a wrong
        answer would (another client served, bytes waiting unread), and at its end all that the program has printed
        by then has been fetched from its host.

        Raises:
            CheckFailed: with the words `otherwise`, as soon as it prints something.
        """
        before = len(self.stdout)

        def check() -> None:
            if said := self.stdout[before:]:
                raise CheckFailed(in_words(otherwise, f"{self} printed {short(said)!r}"))

        self._driver.conditions.append(check)
        try:
            yield
            self.host.ping()
            check()
        finally:
            self._driver.conditions.remove(check)

    # -- what is done to it -------------------------------------------------------------------------------------

    def send(self, line: str) -> None:
        """Type a line: write it, and a newline, to its standard input."""
        self.write(line + "\n")

    def write(self, text: str) -> None:
        """Write text to its standard input as it is. What it does not read yet waits on its host.

        Raises:
            CheckFailed: it has ended.
        """
        if self.status is not None:
            raise self._failed("", f"{short(text)!r} can't be sent to {self}: it {self.ending}")
        self._output.flush()
        for line in text.removesuffix("\n").split("\n"):
            self._act("stdin", line)
        self.host.ask("write", program=self._number, text=text.encode().decode("latin-1"))

    def close_stdin(self) -> None:
        """End its standard input: close it; on a terminal, ^D.

        On a terminal it is typed once the programs wait: to one that then takes its terminal over, as readline(3) does,
        a ^D from before is a zero byte.
        """
        if self._tty:
            self._driver.settle()
        self._act("stdin", "(end of file)")
        self.host.ask("close", program=self._number)

    def interrupt(self) -> None:
        """Type ^C on its terminal; without one, send SIGINT to its first process."""
        if self._tty:
            self._act("signal", "^C")
            self.host.ask("write", program=self._number, text="\x03")
        else:
            self.signal(signals.SIGINT)

    def signal(self, number: int) -> None:
        """Send a signal to its first process."""
        self._act("signal", signals.Signals(number).name)
        self.host.ask("signal", program=self._number, number=int(number))

    def stop(self) -> None:
        """Stop its first process (SIGSTOP), and wait until it is stopped."""
        self.signal(signals.SIGSTOP)
        self._driver.wait_until(
            lambda: any(process.state == "T" for process in self.processes() if process.pid == self.pid),
            f"{self} to stop",
            None,
            lambda within: f"{self} did not stop{within}",
        )

    def resume(self) -> None:
        """Let it go on after `stop` (SIGCONT)."""
        self.signal(signals.SIGCONT)

    def wait(self, timeout: float | None = None, *, otherwise: str = "") -> int:
        """Wait until its first process has ended.

        Returns:
            its exit status, 0 to 255; -N if signal N killed it.

        Raises:
            CheckFailed: it did not end in time.
            RoomFault: a host of the room does not answer.
        """
        self._driver.wait_until(
            lambda: self.status is not None,
            f"{self} to end",
            timeout,
            lambda within: in_words(otherwise, f"{self} did not end{within}{self._output.seen()}"),
            by_programs=self.settles,
        )
        if self.fault:
            raise self.fault
        return cast(int, self.status)

    def expect_exit(self, status: int = 0, timeout: float | None = None, *, otherwise: str = "") -> None:
        """Wait until it ends, which must be with this status; raises as `wait` does."""
        found = self.wait(timeout, otherwise=otherwise)
        if found != status:
            raise self._failed(otherwise, f"{self} {self.ending}, not with status {status}")

    def kill(self) -> None:
        """Kill its whole tree (SIGKILL), also processes that have forked twice and left its session.

        One that has emptied its environment besides can't be told from those of others; it goes at the check's end.
        """
        self._event("signal", "SIGKILL to all its processes")
        self.killed = True
        self.host.kill(self)

    @property
    def busy(self) -> str:
        """In words, how many of its processes want a processor, if they are more than one program's should be."""
        running = sum(process.state == "R" for process in self.processes())
        return f"{running} of its processes run" if running > BUSY_PROCESSES else ""

    def processes(self) -> list[Process]:
        """Its processes: the first one and all that descend from it."""
        return self.host.processes(self)

    def wait_for_processes(
        self, wanted: Callable[[list[Process]], object], what: str, timeout: float | None = None, *, otherwise: str = ""
    ) -> list[Process]:
        """Wait until its processes are as `wanted` says, and return them.

        An orphan's new parent is not process 1 but the driver's agent, which is a subreaper (prctl(2)).

        Args:
            wanted: looks at the processes.
            what: the state waited for, in words: "a zombie".
            timeout: seconds; the driver's patience by default.
            otherwise: what to say in plain words if it does not come.

        Raises:
            CheckFailed: it did not come so in time.
            RoomFault: a host of the room does not answer.
        """

        def look() -> list[Process] | None:
            found = self.processes()
            return found if wanted(found) else None

        def missed(within: str) -> str:
            there = ", ".join(map(quoted, grouped(self.processes())))
            return in_words(otherwise, f"not seen{within}: {what}; {self}'s processes: {there or 'none'}")

        return self._driver.wait_until(look, what, timeout, missed)

    def descriptors(self) -> dict[int, str]:
        """The open descriptors of its first process: number -> target, such as `socket:[4711]`."""
        return self.host.ask(
            "descriptors",
            read=lambda found: {int(descriptor): str(target) for descriptor, target in found.items()},
            named=True,
            pid=self.pid,
        )

    # -- called by the host's reader, which holds the driver's condition ----------------------------------------

    def receive(self, stream: str, data: bytes) -> None:
        """Take in what it printed; nothing: the end of the stream."""
        self._output.receive(stream, data)

    def ended(self, status: int, memory: float | None) -> None:
        """Take in its end.

        Args:
            status: as in `status`.
            memory: if the guest ran out of memory and its kernel killed it: how much of it the program held, 0 to 1.
        """
        self._output.flush()
        self.status = status
        self._event("exit", self.ending)
        if memory is not None:
            words = f"guest {self.host.name} ran out of memory, and its kernel killed {self}"
            self._event("note", words)
            self._lacked = ": the guest has no more memory for it"
            if fault_of("ENOMEM", share=memory) is RoomFault:
                self.fault = RoomFault(
                    f"{words}, which held {memory:.0%} of it: the room's fault, not the lab's",
                    f"{self.host.endpoint.remedy}, then check again",
                )

    @property
    def last_words(self) -> str:
        """How it ended and what it printed at last, for a message."""
        return f"{self} {self.ending}{self._output.seen()}"

    @property
    def complaint(self) -> str:
        """The last error of a thread or a child of it that Python has told of, while it goes on; nothing if none."""
        errors: list[str] = re.findall(r"^\w*(?:Error|Exception)\b.*", self.stdout + self.stderr, re.MULTILINE)
        return f"{self} printed {short(errors[-1].rstrip())!r}" if errors else ""

    @property
    def over(self) -> bool:
        """Whether it has ended and nobody is left who could print in its name."""
        return self.status is not None and not self._output.open

    @property
    def ending(self) -> str:
        """How it ended, as in "it ended with status 0"."""
        if self.status is None or self.status >= 0:
            return f"ended with status {self.status}"
        try:
            return f"was killed by {signals.Signals(-self.status).name}{self._lacked}"
        except ValueError:
            return f"was killed by signal {-self.status}"

    @property
    def flooded(self) -> bool:
        """Whether it has printed more than OUTPUT_LIMIT; the rest is thrown away."""
        return self._output.flooded

    def _act(self, stream: str, text: str) -> None:
        """What is done to it now."""
        if not self.quiet:
            self._driver.take_a_beat()
        self._event(stream, text)

    def _event(self, stream: str, text: str) -> None:
        if not self.quiet:
            self._driver.record(self.host.name, self.name, stream, text)


def _number(number: int | str) -> str:
    """The pattern of a number, or address, that is no part of a longer one."""
    return rf"(?<!\d)(?<!\d\.){re.escape(str(number))}(?!\.?\d)"


#: Says how the program of a name is started on a host.
Resolve = Callable[["Host", str], Launch]


class Host(PeerHost):
    """A host of the room. Connects when it is first used.

    Args:
        driver: what it shares with the other hosts.
        endpoint: how it is reached.
        resolve: how programs named to `start` are started.
    """

    def __init__(self, driver: Shared, endpoint: Endpoint, resolve: Resolve | None = None) -> None:
        super().__init__(driver, endpoint)
        self.programs: dict[int, Program] = {}  # of the check that runs
        self.captures: list[Capture] = []  # of the check that runs
        self._resolve = resolve
        self._last_number = 0  # of a program here

    def start(
        self,
        program: str,
        *arguments: object,
        tty: bool = False,
        pace: float | None = None,
        env: Mapping[str, str] | None = None,
        directory: str | None = None,
        limits: Mapping[str, int] | None = None,
        under: Sequence[str] = (),
    ) -> Program:
        """Start a program by name.

        Args:
            program: its name; what the driver's `resolve` makes a command of.
            arguments: its arguments; turned into text.
            tty: give it a terminal (which does not echo) instead of three pipes.
            pace: LAB_PACE, the factor of its pauses; the driver's pace by default.
            env: more environment variables.
            directory: where it runs instead.
            limits: by getrlimit(2), beyond those that it has by its launch.
            under: a command that starts it in its turn, such as `strace`.

        Raises:
            CheckFailed: there is no such program.
            RoomFault: the host can't be reached, or can't start any program.
        """
        launch = self.launch(program)
        self.driver.take_a_beat()
        return self.start_command(
            [
                *under,
                *(launch.argv if directory in (None, launch.directory) else launch.anywhere),
                *map(str, arguments),
            ],
            name=launch.name,
            directory=directory or launch.directory,
            env={"LAB_PACE": str(self.driver.pace if pace is None else pace), **launch.env, **(env or {})},
            tty=tty,
            confined=launch.confined,
            limits={**launch.limits, **(limits or {})},
        )

    def launch(self, program: str) -> Launch:
        """How a program of this name would be started here; raises as the driver's `resolve` does."""
        if not self._resolve:
            raise CheckFailed(f"nothing is known of a program {program}")
        return self._resolve(self, program)

    def start_command(
        self,
        argv: Sequence[str],
        *,
        name: str = "",
        directory: str | None = None,
        env: Mapping[str, str] | None = None,
        tty: bool = False,
        quiet: bool = False,
        confined: bool = False,
        limits: Mapping[str, int] | None = None,
    ) -> Program:
        """Start any command, found on the host's PATH; see `start`. In the user's home unless told otherwise.

        With `quiet`, nothing of it is in the transcript. `confined`: as a user of its own who may do nothing else here,
        where the driver can be root (`Connection.is_root`). `limits`: by getrlimit(2), such as {"FSIZE": 1 << 20}.

        Raises:
            Lacking: it is a command of root's, by sudo, which the room is without.
        """
        if argv[0] == "sudo" and not self.endpoint.sudo:
            raise Lacking("the students of this room have no sudo")
        number = next(self.driver.numbers)
        name = name or argv[0].rpartition("/")[2]
        same = sum(1 for program in self.programs.values() if program.name.partition("#")[0] == name)
        program = Program(self, number, f"{name}#{same + 1}" if same else name, tty, quiet)
        program._event("start", shlex.join("…" if "\n" in word else word for word in argv))
        self.programs[number] = program
        self._last_number = number
        try:
            program.pid = self.ask(
                "start",
                read=int,
                named="/" in argv[0],  # a command that is not on the host's PATH is the room's to install
                program=number,
                argv=list(argv),
                directory=directory,
                environment=dict(env or {}),
                tty=tty,
                confined=confined,
                limits=dict(limits or {}),
            )
        except CheckFailed as error:
            del self.programs[number]
            raise CheckFailed(f"{program} can't be started: {error}") from None
        return program

    def stop_processes(self, pids: Sequence[int]) -> None:
        """Stop processes (SIGSTOP), and wait until they are."""
        for pid in pids:
            self.signal_process(pid, signals.SIGSTOP)
        self.driver.wait_until(
            lambda: all(p.state in "TZ" for p in self.processes() if p.pid in pids),
            "processes to stop",
            None,
            lambda within: f"the processes did not stop{within}",
        )

    def resume_processes(self, pids: Sequence[int]) -> None:
        """Let processes go on (SIGCONT)."""
        for pid in pids:
            self.signal_process(pid, signals.SIGCONT)

    def signal_process(self, pid: int, number: int) -> None:
        """Send a signal to any process of a program's."""
        self.driver.record(self.name, f"process {pid}", "signal", signals.Signals(number).name)
        self.ask("signal_process", pid=pid, number=int(number))

    def limit_process(self, pid: int, **limits: int) -> None:
        """Change the soft limits of a process of a program's that runs, by getrlimit(2): `NOFILE=5`."""
        said = ", ".join(f"RLIMIT_{name} {most}" for name, most in limits.items())
        self.driver.record(self.name, f"process {pid}", "note", said)
        self.ask("limit", pid=pid, limits=limits)

    def listening(self, program: Program) -> list[Socket]:
        """The sockets on which a program waits: in LISTEN, or of UDP without a peer. Waits a moment for the first."""
        return self.ask("listening", read=read_sockets, program=program._number, wait=WATCH_SECONDS)

    def run(self, *argv: str, timeout: float | None = None) -> Completed:
        """Run a command to its end; its exit status is the caller's to judge."""
        program = self.start_command(argv)
        self.ask("close", program=program._number)
        status = program.wait(timeout)
        return Completed(status, program.stdout, program.stderr)

    def processes(self, program: Program | None = None) -> list[Process]:
        """The processes of one program, or of all that the driver started here."""
        return self.ask("processes", read=_processes, program=program and program._number)

    def kill(self, program: Program) -> None:
        """Kill all processes of a program.

        Raises:
            RoomFault: some can't be killed.
        """
        self._are_killed(self.ask("kill", read=_processes, program=program._number))

    def _are_killed(self, left: Sequence[Process]) -> None:
        if left:
            raise RoomFault(f"on {self.name} these can't be killed: {', '.join(quoted(p.command) for p in left)}")

    def endings(self) -> list[str]:
        """How the programs here have ended by themselves, or which error one that goes on has told of, in words."""
        asked = [program for program in self.programs.values() if not program.quiet and not program.killed]
        words = [program.last_words if program.status is not None else program.complaint for program in asked]
        return [said for said in words if said]

    def idle(self) -> str | None:
        """What the programs here wait for, if each waits for ever, in words; None while something may still happen."""
        waits, busy = self._blocked()
        running = [number for number, program in self.programs.items() if program.status is None]
        if busy or not all(waits.get(number) for number in {*running, *waits}):
            return None
        return ", ".join(f"{self.programs[number]} waits in {', '.join(waits[number])}" for number in running)

    def settled(self) -> bool:
        """Whether the programs here have done what they were going to do now, be it that they wake up later."""
        return not self._blocked()[1]

    def _blocked(self) -> tuple[dict[int, list[str]], bool]:
        def read(answer: dict[str, Any]) -> tuple[dict[int, list[str]], bool]:
            waits = {int(number): [str(call) for call in calls] for number, calls in answer["waits"].items()}
            return waits, bool(answer["busy"])

        return self.ask("blocked", read=read)

    def capture(self, expression: str) -> Capture:
        """Capture packets on all of this host's interfaces while the body of a `with` runs.

        Args:
            expression: which ones, as pcap-filter(7) has it: `tcp port 9090`.
        """
        return Capture(self, expression)

    def bad_link(self, port: int, **fields: str) -> BadPort:
        """Make the network bad for one port while the body of a `with` runs: `loss="20%"`, `delay`, `jitter`, `rate`.

        Args:
            port: of TCP and UDP, this host's own or a peer's.
            fields: what is bad, as `BadLink` has it.
        """
        return BadPort(self, port, GOOD.changed(**fields))

    def check(self) -> None:
        """Raise if the connection has broken or the room ended a program (RoomFault), or one prints without end."""
        super().check()
        for program in self.programs.values():
            if program.fault:
                raise program.fault
            if program.flooded:
                program.kill()
                raise CheckFailed(f"{program} printed more than {OUTPUT_LIMIT >> 20} MiB and was stopped")

    @property
    def in_use(self) -> bool:
        """Whether the check has started a program here, or has files here."""
        return bool(self.programs or self.peers) or super().in_use

    @property
    def all_ended(self) -> str:
        """How the last program here ended, if none of those that the check started runs any more; else nothing.

        Raises:
            RoomFault: the room has ended it.
        """
        if not self.programs or any(program.status is None for program in self.programs.values()):
            return ""
        last = list(self.programs.values())[-1]
        if last.fault:
            raise last.fault
        return last.last_words

    def ping(self) -> dict[Program, tuple[float, float]]:
        """Have the agent answer, after which all that was printed here before has arrived.

        Returns:
            program -> seconds that it has run, and waited for a processor; those that have not ended.

        Raises:
            RoomFault: it does not answer in time, or the guest has no more disk, processes or memory.
            CheckFailed: it has none since the check's own programs have used it up.
        """

        def read(answer: dict[str, Any]) -> tuple[dict[str, float], dict[int, tuple[float, float]]]:
            processor = {
                int(number): (float(ran), float(waited)) for number, (ran, waited) in answer["processor"].items()
            }
            return {str(error): float(share) for error, share in answer["lacks"].items()}, processor

        lacks, processor = self.ask("ping", read=read, within=PING_SECONDS)
        for error, share in lacks.items():
            what = _LACKS.get(error, "guest {} can start no process").format(self.name)
            if fault_of(error, share=share) is RoomFault:
                raise RoomFault(what, f"{self.endpoint.remedy}, then check again")
            raise CheckFailed(f"{what}: the check's own programs have used it up")
        return {program: processor[number] for number, program in self.programs.items() if number in processor}

    def clean(self) -> list[str]:
        """Kill all that runs here and remove the check's files.

        Returns:
            command lines of the processes that outlived the program they came from.
        """
        started, self.programs = self.programs, {}
        self.peers = {}
        self._scratch = ""
        if self._lost:
            self._lost = False  # the next check may try again
            return []
        behind, unkilled = self.ask(
            "end",
            read=lambda found: (_processes(found["behind"]), _processes(found["unkilled"])),
            ended=[number for number, program in started.items() if program.status is not None],
        )
        self._are_killed(unkilled)
        return [
            process.command
            for process in behind
            if process.state not in "ZX"
            and not process.command.startswith("[")  # it is ending: no command line is left
        ]

    def hear(self, message: dict[str, Any]) -> None:
        """Take in what a program did; of one of an earlier check, nothing."""
        if "peer" in message:
            if peer := self.peers.get(message["peer"]):
                peer.hear(message)
            return
        number = message["program"]
        if not 0 < number <= self._last_number:
            raise ValueError(f"no program has number {number}")
        if program := self.programs.get(number):
            if "exit" in message:
                memory = message.get("memory")
                program.ended(int(message["exit"]), None if memory is None else float(memory))
            else:
                program.receive(message["stream"], message["text"].encode("latin-1"))


def _processes(found: list[dict[str, Any]]) -> list[Process]:
    return [Process(int(p["pid"]), int(p["ppid"]), str(p["state"]), str(p["command"])) for p in found]
