"""What the hosts of a driver share: the transcript, and how a state is waited for.

Nothing ever sleeps: a wait names a state that can be observed and has a deadline. A deadline missed is a `CheckFailed`
that says what was seen instead, unless a host no longer answers: that is a `RoomFault`, and no verdict on the lab.
Time in which programs wait for a processor does not count.
"""

from __future__ import annotations

import itertools
import threading
import time
from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from labroom.driver.values import (
    IDLE_SECONDS,
    LONGEST_POLL_SECONDS,
    PACE,
    PATIENCE,
    POLL_SECONDS,
    PORTS,
    PORTS_SECONDS,
    SETTLE_SECONDS,
    STALL_LIMIT,
    STALL_SECONDS,
    WHEN_SLOW,
    Event,
    slowness,
)
from labroom.errors import CheckFailed, RoomFault, Settled, WaitFailed

T = TypeVar("T")
H = TypeVar("H")


class Watched(Protocol):
    """What a wait asks of a host, so as not to blame a lab for its fault."""

    def check(self) -> None:
        """Raise if it is at fault, as far as is known without asking it."""

    def ping(self) -> Mapping[Any, tuple[float, float]]:
        """Have it answer; of each program there the seconds that it has run, and waited for a processor."""


class Shared:
    """What the hosts of one driver share, and what a check sees of the driver through a host.

    Args:
        patience: seconds until a wait is given up.
        pace: LAB_PACE of the programs: 1 as in the lecture.
        beat: seconds to wait before each thing done to a program, for an audience to follow.
        ports: what `Host.unused_port` chooses from; drivers that work side by side must not share any.
        as_root: have the agents be root where they can, so that programs can be confined.

    Attributes:
        slowness: what multiplies every deadline, read from the environment (LABROOM_PATIENCE).
        lab: what the check is about, as `begin` was told.
        waiting: what for, in words; empty while there is nothing to wait for.
        transcript: the events of this check, in order of time.
        audience: is shown each event as it happens.
        conditions: what must hold during every wait; they raise CheckFailed.
        watched: ports that this check is about.
        changed: guards what the hosts' readers write; notified whenever something happened.
        numbers: of requests to agents, and of programs.
        ports: ports to use, endlessly.
        addresses: of all hosts of the room.

    Raises:
        UsageError: LABROOM_PATIENCE is no positive number.
    """

    def __init__(
        self,
        *,
        patience: float | None = None,
        pace: float = PACE,
        beat: float = 0,
        ports: Sequence[int] = PORTS,
        as_root: bool = False,
    ) -> None:
        self.as_root = as_root
        self.slowness = slowness()
        self.patience = patience or PATIENCE * self.slowness
        self.pace = pace
        self.beat = beat
        self.lab = ""
        self.waiting = ""
        self.transcript: list[Event] = []
        self.audience: Callable[[Event], None] = lambda event: None
        self.conditions: list[Callable[[], None]] = []
        self.watched: set[int] = set()
        self.changed = threading.Condition(threading.RLock())
        self.numbers = itertools.count(1)
        start = int(time.time() / PORTS_SECONDS * len(ports)) % len(ports)
        self.ports = itertools.cycle([*ports[start:], *ports[:start]])
        self._threads = ThreadPoolExecutor(1000)  # at most; they are started as they are needed
        self.addresses: list[str] = []
        self._began = time.monotonic()
        self._happened_at: float | None = None  # when the events did that are being recorded
        self._happenings = 0  # counts what programs did

    @property
    def hosts_in_use(self) -> Sequence[Watched]:
        """The hosts whose faults must not be taken for a lab's."""
        return []

    def side_by_side(self, do: Callable[[H], T], hosts: Sequence[H]) -> list[T]:
        """Do something with several hosts at once; returns what came of it, in their order. Raises what that raises."""
        if len(hosts) < 2:  # the most frequent case by far, and threads cost more than an answer
            return [do(host) for host in hosts]
        doing = [self._threads.submit(do, host) for host in hosts]
        wait(doing)  # for all, even if the first of them fails
        return [done.result() for done in doing]

    def begin(self, lab: str) -> None:
        """Begin a check of a lab: an empty transcript, time 0."""
        self.lab = lab
        self.transcript = []
        self.watched = set()
        self._began = time.monotonic()

    def record(self, host: str, program: str, stream: str, text: str) -> None:
        """Add an event to the transcript: of now, or of the time that `events_at` says."""
        with self.changed:
            now = time.monotonic()
            at = now if self._happened_at is None else min(now, self._happened_at)
            event = Event(max(0.0, at - self._began), host, program, stream, text)
            insort(self.transcript, event, key=lambda event: event.time)
            self.audience(event)

    @contextmanager
    def events_at(self, at: float) -> Iterator[None]:
        """All that is recorded in the body happened then, on our clock. The caller holds `changed`."""
        self._happened_at = at
        try:
            yield
        finally:
            self._happened_at = None

    def note(self, words: str) -> None:
        """Explain in the transcript, and to the audience of a play, what is happening or comes next."""
        self.take_a_beat()
        self.record("", "", "note", words)

    def take_a_beat(self) -> None:
        """Before something is done in front of an audience: give it time to have read what is there."""
        if self.beat:
            time.sleep(self.beat)

    def happened(self) -> None:
        """Wake whoever waits: a program did something. The caller holds `changed`."""
        self._happenings += 1
        self.changed.notify_all()

    def wait_until(
        self,
        look: Callable[[], T | None],
        what: str,
        timeout: float | None,
        missed: Callable[[str], str],
        *,
        by_programs: bool = False,
    ) -> T:
        """Look again and again until `look` returns something (not None, not False), and return that.

        Args:
            look: looks at the state waited for. May ask hosts.
            what: the state in words, as in "waiting for …".
            timeout: seconds; the patience by default. What programs waited for a processor comes on top.
            missed: the words to fail with, given " within 5 s".
            by_programs: only the programs under check can bring the state about; so the wait is given up as soon as
                all of them wait for ever themselves, and nothing is on its way to them (`idle`).

        Raises:
            WaitFailed: the deadline was missed and all hosts in use answer; `Settled`: nothing will happen any more.
            CheckFailed: `look` or a condition raises it.
            RoomFault: a host in use does not answer, or the machine is overloaded.
        """
        patience = timeout or self.patience
        began = time.monotonic()
        stalled, own_stall = 0.0, _own_stall()
        self.waiting = f"waiting for {what}"
        idle_since: tuple[float, int, str] | None = None
        next_idle = IDLE_SECONDS / 4  # when to look for that
        while True:
            seen = self._happenings
            found = look()
            if found is not None and found is not False:
                self.waiting = ""
                return found
            for check in (*self.conditions, *(host.check for host in self.hosts_in_use)):
                check()
            waited = time.monotonic() - began
            if by_programs and waited > next_idle:
                next_idle = waited + IDLE_SECONDS / 4
                idle_since = self._still_idle(idle_since, seen)
                if idle_since and time.monotonic() - idle_since[0] > IDLE_SECONDS:
                    self.waiting = ""
                    raise Settled(missed(f", and that will not change: {idle_since[2]}"))
            with self.changed:
                left = began + patience + stalled - time.monotonic()
                # What takes longer is looked at less often.
                pause = min(max(POLL_SECONDS, waited / 8), LONGEST_POLL_SECONDS, left)
                if left > 0:
                    self.changed.wait_for(lambda seen=seen: self._happenings != seen, pause)  # type: ignore[misc]
                    continue
            now = self.stalled(patience) + _own_stall() - own_stall
            if now - stalled < STALL_SECONDS:
                break
            stalled = now
        self.waiting = ""
        raise WaitFailed(missed(f" within {patience:g} s"))

    def _still_idle(self, since: tuple[float, int, str] | None, seen: int) -> tuple[float, int, str] | None:
        """Since when nothing can happen any more, at how many happenings, and why; None if something can.

        Args:
            since: what the last look found.
            seen: how much had happened before this look.
        """
        words = self.idle()
        if not words or self._happenings != seen:
            return None
        return since if since and since[1:] == (seen, words) else (time.monotonic(), seen, words)

    def settle(self) -> None:
        """Wait until all programs wait themselves, so that all that they were going to do now is done; not for long."""
        with suppress(CheckFailed, RoomFault):  # of a host at fault, whoever asks it next is told
            self.wait_until(self.settled, "the programs to wait", SETTLE_SECONDS, "{}".format)

    def settled(self) -> bool:
        """Whether the programs under check have done what they were going to do now."""
        return True

    def endings(self) -> str:
        """In words, how the programs of this check that have ended did so, and what they said at last."""
        return ""

    def idle(self) -> str:
        """In words, what the programs under check wait for, if each waits for ever; nothing while one may still act."""
        return ""

    def stalled(self, patience: float) -> float:
        """How long the programs of this check have waited for a processor so far, in seconds: no fault of theirs.

        One that has had a processor for half of the patience and goes on, computes without end, and is not waited for;
        nor is one that has waited for longer than STALL_LIMIT, if it has had a processor for a quarter.
        Asks all hosts in use side by side, and so makes sure that they answer.

        Raises:
            RoomFault: one does not, or the machine is overloaded: a program has waited for longer than STALL_LIMIT.
            CheckFailed: a program keeps the processors busy by itself.
        """
        total = 0.0
        for found in self.side_by_side(lambda host: host.ping(), self.hosts_in_use):
            for program, (ran, waited) in found.items():
                if waited > patience / 2 and program.busy:
                    raise CheckFailed(f"{program} keeps the processors busy by itself: {program.busy}")
                long = waited > self.patience * STALL_LIMIT
                if ran > patience / (4 if long else 2):
                    continue
                total += waited
                if long:
                    raise RoomFault(
                        f"this machine is overloaded: {program} waited {waited:.1f} s for a processor "
                        f"while {self.waiting}",
                        WHEN_SLOW,
                    )
        return total


def _own_stall() -> float:
    """How long this thread has waited for a processor, in seconds (the kernel's sched-stats.rst)."""
    with suppress(OSError):
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="utf-8").split()[1]) / 1e9
    return 0.0
