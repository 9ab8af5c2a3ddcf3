"""What a person sees of long work: phases with their times, and never a silent minute."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_WIDTH = 50
_HEARTBEAT = 15.0  # s between signs of life where the line can't be redrawn


class Progress:
    """Prints a line a phase on standard output.

    On a terminal the line of the running phase is redrawn every half second; elsewhere a line is printed now and then.
    """

    def __init__(self) -> None:
        self.phases: list[tuple[str, float]] = []
        self._terminal = sys.stdout.isatty()

    @contextlib.contextmanager
    def phase(self, name: str, log: Path | None = None) -> Iterator[None]:
        """Time what is done in the `with` block.

        Args:
            name: what is being done.
            log: a file that the work writes to: its last line is shown while it goes on.
        """
        started = time.monotonic()
        done = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(name, started, log, done), daemon=True)
        ticker.start()
        result = "failed after"
        try:
            yield
            result = ""
        except KeyboardInterrupt:
            result = "interrupted after"
            raise
        finally:
            seconds = time.monotonic() - started
            done.set()
            ticker.join()
            self.phases.append((name, seconds))
            erase = "\r\x1b[K" if self._terminal else ""
            print(f"{erase}  {name:<{_WIDTH}} {result} {seconds:5.1f} s".rstrip(), flush=True)

    def _tick(self, name: str, started: float, log: Path | None, done: threading.Event) -> None:
        while not done.wait(0.5 if self._terminal else _HEARTBEAT):
            seconds = time.monotonic() - started
            detail = _last_line(log) if log else ""
            if self._terminal:
                print(f"\r\x1b[K  {name:<{_WIDTH}} {seconds:5.0f} s  {detail}"[:110], end="", flush=True)
            else:
                print(f"  {name}: {seconds:.0f} s so far  {detail}"[:110], flush=True)

    def longest(self) -> str:
        """The phase that took longest, and what share of the whole."""
        total = sum(seconds for _, seconds in self.phases)
        name, seconds = max(self.phases, key=lambda phase: phase[1])
        return f"{total:.0f} s in all; longest: {name}, {seconds:.0f} s"


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2000))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip().rstrip("* ") for line in reversed(lines) if line.strip()), "")
