"""Several seats of a lab room side by side, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from labroom.errors import LabroomError, MachineError

#: Seats at once: their labs mostly wait, and what works is the lab PCs' own processors.
SEATS = 3

_HEARTBEAT = 15.0  # s between signs of life

T = TypeVar("T")


def side_by_side(
    jobs: Mapping[str, Callable[[], T]],
    done: Callable[[str, T], object],
    running: Callable[[Sequence[str], float], object],
) -> dict[str, T]:
    """Run what is to be done in each seat.

    Args:
        jobs: seat -> its job, which goes by pickle to a new process, and what it returns comes back so.
        done: is told a seat and what its job returned, as soon as it has.
        running: is told now and then which seats are at it, and the seconds since the beginning.

    Returns:
        seat -> what its job returned.

    Raises:
        LabroomError: a job raised it, or was ended from elsewhere.
        OSError: a job raised it.
        KeyboardInterrupt: interrupted; no job runs any more.
    """
    results: dict[str, T] = {}
    processes: dict[Any, tuple[str, SpawnProcess]] = {}  # by the Connection that it answers on
    ready: Any
    waiting = list(jobs)
    began = time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    try:
        while waiting or processes:
            while waiting and len(processes) < SEATS:
                seat = waiting.pop(0)
                answers, theirs = spawn.Pipe(duplex=False)
                process = spawn.Process(target=_send, args=(jobs[seat], theirs), name=seat)
                processes[answers] = (seat, process)
                process.start()
                theirs.close()
            answered = wait(list(processes), _HEARTBEAT)
            if not answered:
                running([seat for seat, _ in processes.values()], time.monotonic() - began)
            for ready in answered:
                seat, process = processes[ready]
                try:
                    found = ready.recv()
                except EOFError:
                    found = MachineError(f"the checks of {seat} were ended from elsewhere")
                process.join()
                del processes[ready]
                if isinstance(found, Exception):
                    raise found
                results[seat] = found
                done(seat, found)
    finally:
        for _, process in processes.values():
            if process.pid:
                process.terminate()
                process.join()
    return results


def _send(job: Callable[[], object], answers: Connection) -> None:
    """Run a job in this process, and send what it returns, or the error met."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        answers.send(job())
    except (LabroomError, OSError) as error:
        answers.send(error)
    except KeyboardInterrupt:
        sys.exit(130)
