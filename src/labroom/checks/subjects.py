"""A program under a claim: how it is started, and what can be seen of it, whoever wrote it.

A check gets a `Server` (`labroom.checks.servers`, fixture `running`), which listens already, a `Client`
(`labroom.checks.clients`, fixture `client`), which it has connect to a peer, or a `Subject` that is neither (fixture
`program`). Whose program it is, and what its start line is, a check does not see.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from typing import Any, TypeVar

from labroom.checks.own import Source
from labroom.checks.submission import Submission, finding
from labroom.driver import CheckFailed, Host, Process, Program, shown
from labroom.driver.values import in_words
from labroom.driver.words import HINT
from labroom.errors import RoomFault

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
#: A remark.
ASKED = "what it asks for when it starts was typed"


class Subject:
    """A program under a claim.

    Attributes:
        host: where it runs.
        name: by which `programs.resolve` knows it.
        remarks: what a person should know of how it was started.
        starts: its arguments as the contract has them, and then as others are common.
        folder: where it runs, and may write, once it was started.
    """

    folder = ""
    starts: Sequence[str] = ("",)

    def __init__(self, host: Host, name: str, submission: Submission | None) -> None:
        self.host = host
        self.name = name
        self.remarks: list[str] = []
        self._submission = submission
        self._program: Program | None = None
        self._moved = False

    def own_folder(self) -> str:
        """Have it run in a folder of its own, empty at first, in which it may create files; returns that."""
        if not self._moved:
            self.folder = self.host.folder(confined=True) if self._submission else self.host.scratch
            self._moved = True
        return self.folder

    def beside(self, *argv: str) -> Program:
        """Start any command in a folder of the program's own, as the user who runs it."""
        return self.host.start_command(argv, directory=self.own_folder(), confined=self._submission is not None)

    @property
    def program(self) -> Program:
        """The program, which has been started."""
        if self._program is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._program

    @property
    def source(self) -> Source | None:
        """The person's source; None of ours."""
        return self._submission.source(self.name) if self._submission else None

    @property
    def role(self) -> str:
        """The lab's name of the program that it is, whoever wrote it and however it was built: `echo_client`."""
        return re.split("[.@]", self.name)[0]

    @property
    def called(self) -> str:
        """As messages name it."""
        return self.source.main if self.source else self.name

    @property
    def finding(self) -> str:
        """What ASan or UBSan has found in it, with file and line; nothing if that is nothing."""
        if self._program is None or self.source is None:
            return ""
        self.host.driver.settle()
        return finding(self._program.stdout + self._program.stderr, self.source)

    @property
    def start_lines(self) -> Sequence[str]:
        """The arguments to try: ours has those of the contract, as has one that says its own (own.yml)."""
        if self.source is None:
            return self.starts[:1]
        return [self.source.start] if self.source.start else self.starts

    def start(self, *arguments: object, settles: bool = True, **options: Any) -> Program:
        """Start it, with a terminal: on a pipe most programs print nothing before they end.

        Raises:
            CheckFailed: it can't be built, or started.
        """
        launch = self.host.launch(self.name)
        self.remarks += launch.remarks
        if not self._moved:
            self.folder = launch.directory if self._submission else self.host.scratch
        program = self.host.start(self.name, *arguments, **{"tty": True, "directory": self.folder, **options})
        program.settles = settles
        self._program = program
        return program

    def _wait_for(self, look: Callable[[], T | None], what: str, missed: str, before: str = "") -> T:
        """What `look` returns as soon as that is something.

        Args:
            look: asked again and again, as long as the program may still do something.
            what: the program is waited for "to connect".
            missed: what it does instead, in the end: "does not connect".
            before: what is said before that.

        Raises:
            CheckFailed: it never will be something.
        """
        return self.host.driver.wait_until(
            look,
            f"{self.program} {what}",
            None,
            lambda within: f"{before}{self.program} {missed}{within}",
            by_programs=True,
        )

    def _when_answered(self, wait: Callable[[], T], *answers: str) -> T:
        """What `wait` returns; a person's program that waits to be typed something instead is typed these answers.

        Raises:
            CheckFailed: as `wait` does, or it waits for one more.
        """
        if self.source is None or self.source.typed:
            return wait()
        for answer in answers:
            try:
                return wait()
            except CheckFailed:
                if self.program.status is not None or "waits in read(0)" not in self.host.driver.idle():
                    raise
            self.program.send(answer)
            self.remarks.append(ASKED)
        return wait()

    def _give_up_unless_decided(self, error: CheckFailed) -> None:
        """After a start that failed: end it, and go on to the next start line only if this one is certainly wrong.

        Raises:
            CheckFailed: the program goes on doing something.
        """
        decided = self.program.over or (self.program.status is None and self.host.driver.idle())
        self.program.kill()
        if not decided:
            raise error

    def file(self, name: str, data: bytes) -> str:
        """Make a file that it can read; returns its path."""
        folder = self.host.scratch if self._submission is None else self.host.folder(confined=True)
        self.host.write_file(f"{folder}/{name}", data, 0o644)
        return f"{folder}/{name}"

    def written(self) -> tuple[str, bytes]:
        """The file in its `folder` that was written last: name and content; empty if there is none."""
        found = self.host.start_command(
            ["find", self.folder, "-type", "f", "-printf", "%T@ %P\\n"],
            quiet=True,
            confined=self._submission is not None,
        )
        found.close_stdin()
        found.wait()
        names = sorted((float(line.split(" ")[0]), line.partition(" ")[2]) for line in found.lines)
        name = names[-1][1] if names else ""
        return name, self.host.read_file(f"{self.folder}/{name}") if name else b""

    def _of_first_process(self, look: Callable[[], T]) -> T:
        """What `look` finds out about its first process.

        Raises:
            CheckFailed: that has ended; the words say how.
        """
        try:
            return look()
        except CheckFailed:
            self.host.driver.settle()  # it may be ending
            if self.program.status is None:
                raise
            raise CheckFailed(self.program.last_words) from None

    def names_the_call(self, words: str, *arguments: object, **options: Any) -> None:
        """Start it so that a call fails, by its arguments or its limits, and see it say so on stderr, and exit with 1.

        Args:
            words: as perror(3) has them: `bind: Address already in use`.
            arguments: the program's.
            options: as `start` has them.

        Raises:
            CheckFailed: it does not.
        """
        self.start(*arguments, **{"tty": False, **options})
        self.ends_saying(words)

    def ends_saying(self, words: str, otherwise: str = "") -> None:
        """Wait until it exits with 1, and see that it has said why on stderr.

        Raises:
            CheckFailed: it does not, or has not; with the words `otherwise` before.
        """
        self.program.expect_exit(1, otherwise=otherwise)
        said = self.program.stderr
        if words not in said:
            raise CheckFailed(in_words(otherwise, f"on stderr it says {shown(said.encode())}, not {words!r}"))

    def gives_up_without_fork(self) -> None:
        """Start it where fork fails, and see it end at once, with a status other than 0.

        Raises:
            CheckFailed: it does not.
        """
        self.start(settles=False, tty=False, limits={"NPROC": 1})
        left = self.program.wait_for_processes(
            lambda found: all(process.state in "SZ" for process in found), "its end, or a sleep"
        )
        if any(process.state == "S" for process in left):
            raise CheckFailed("fork failed, and it goes on: it sleeps, or waits")
        if self.program.wait() <= 0:
            raise CheckFailed(f"fork failed, and {self.program.last_words}")

    def source_line(self, pattern: str) -> str:
        """In brackets, the first line of its source that matches a pattern (regular expression); else nothing."""
        found = next(self.source.lines_with(pattern), None) if self.source else None
        return f" ({self.source.main}, line {found[0]}: {found[1]})" if found and self.source else ""

    def traced(self, *calls: str, ends: bool = True) -> dict[int, list[str]]:
        """Run it to its end under strace(1); returns, by process, a line for each of these calls and for each signal.

        Descriptors have the names of their files: `read(3<pipe:[4711]>, "Who are you?", 30) = 12`.

        Args:
            calls: names of system calls.
            ends: whether it must end. Else what it has called by the deadline is returned.

        Raises:
            CheckFailed: it does not end.
            RoomFault: there is no strace, or it may not trace (ptrace(2)).
        """
        folder = self.own_folder()
        trace = ["strace", "-ff", "-y", "-o", f"{folder}/trace", "-e", f"trace={','.join(calls)}"]
        self.start(under=trace, settles=False)
        with nullcontext() if ends else suppress(CheckFailed):
            self.program.wait()
        lines: dict[int, list[str]] = {}
        found = self.host.run("sh", "-c", f"grep -H ^ {folder}/trace.*").stdout
        for line in found.splitlines():
            file, _, words = line.partition(":")
            lines.setdefault(int(file.rpartition(".")[2]), []).append(words)
        if not lines:  # not even the end
            raise RoomFault(f"{self.host.name}'s strace can't trace a program: {self.program.last_words}")
        return lines

    def turned(self, *ports: int) -> str:
        """A hint for the end of a message, where it printed one of these with its bytes exchanged; else nothing."""
        for port in ports:
            other = int.from_bytes(port.to_bytes(2, "big"), "little")
            if self.program.saw_number(other) and not self.program.saw_number(port):
                return f"\n{HINT}{other} is port {port} with its two bytes exchanged: ntohs() is missing"
        return ""

    def descriptors(self) -> dict[int, str]:
        """The open descriptors of its first process."""
        return self._of_first_process(self.program.descriptors)

    def wait_for_descriptors(self, count: int) -> dict[int, str]:
        """Wait until it has no more descriptors than `count`, as long as it does something; returns what it has."""
        with suppress(CheckFailed):
            self.host.driver.wait_until(
                lambda: len(self.descriptors()) <= count,
                "descriptors to be closed",
                None,
                "{}".format,
                by_programs=True,
            )
        return self.descriptors()

    def processes(self) -> list[Process]:
        """Its processes."""
        return self.program.processes()

    def children(self) -> list[Process]:
        """The children of its first process, dead ones that it has not waited for among them."""
        return [process for process in self.processes() if process.ppid == self.program.pid]

    def signals(self, field: str) -> set[int]:
        """A set of signals of its first process, by its name in proc_pid_status(5), such as `SigIgn`; none if ended."""
        try:
            status = self.host.read_file(f"/proc/{self.program.pid}/status").decode()
        except CheckFailed:
            return set()
        mask = int(status.partition(f"{field}:")[2].split()[0], 16)
        return {number for number in range(1, 65) if mask & 1 << number - 1}

    def processor_seconds(self) -> float:
        """For how long its first process has had a processor, in seconds (the kernel's sched-stats.rst); 0 if ended."""
        with suppress(CheckFailed):
            return int(self.host.read_file(f"/proc/{self.program.pid}/schedstat").split()[0]) / 1e9
        return 0.0

    def threads(self) -> int:
        """How many threads its first process has."""
        file = f"/proc/{self.program.pid}/status"
        status = self._of_first_process(lambda: self.host.read_file(file)).decode(errors="replace")
        return int(status.partition("\nThreads:")[2].split()[0])

    def wait_until(self, look: Callable[[], object], otherwise: Callable[[], str]) -> None:
        """Wait until `look` is true, as long as it does something.

        Raises:
            CheckFailed: it never will be; in the words of `otherwise`, which may look again, and may end with a hint.
        """

        def missed(within: str) -> str:
            words, *hint = otherwise().split(f"\n{HINT}")
            return f"\n{HINT}".join([words + within, *hint])

        self.host.driver.wait_until(lambda: bool(look()), "what the program does", None, missed, by_programs=True)
