"""What reaches a terminal: lines made harmless, colours, a line that is redrawn, and the progress of long work.

Programs under check, agents on guests, inventories and files may hold anything, also what a terminal takes for a
command (ECMA-48; OSC 52 writes the clipboard) or what looks like a line of ours. So text is shown, never sent: control
and format characters appear as text, and what follows a newline is indented. Nothing below cli and reports
prints but through an object of this module that it was given.
"""

import contextlib
import errno
import json
import os
import shutil
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from labroom.errors import MachineError

_HEARTBEAT = 15.0  # s between signs of life where the line can't be redrawn
_NAME = 50  # columns of a phase's name
_LINE = 110  # columns of a line that shows what a phase does now
_ERASE = "\r\x1b[K"

#: Text, or a style (parameters of SGR, ECMA-48 8.3.117: "1" bold, "31" red, "1;31" both) and text.
Part = str | tuple[str, str]


def harmless(text: str) -> str:
    r"""Text without control, format and other characters that show nothing: ^[ for Escape, \u202e for the others."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":  # the wide space of East Asian text, say
        return character
    return f"^{chr(ord(character) ^ 64)}" if character.isascii() else repr(character)[1:-1]


class Console:
    """A stream of text for a person: a terminal, a file or a pipe.

    Args:
        out: where to; whether it is a terminal decides on colours and on what can be redrawn.
        width: columns in all; by default those of the terminal, 120 for a file.
    """

    def __init__(self, out: TextIO, width: int | None = None) -> None:
        self.out = out
        self.lively = out.isatty()
        self.coloured = self.lively and "NO_COLOR" not in os.environ  # https://no-color.org
        self.width = width or shutil.get_terminal_size((120, 24)).columns

    def line(self, *parts: Part) -> None:
        """Show parts of one line side by side, in place of what `status` shows; what follows a newline is indented."""
        text = "".join(self._styled(*part) if isinstance(part, tuple) else _lines(part) for part in parts)
        self._write(text.rstrip(" ") + "\n")

    def data(self, data: object) -> None:
        """Show data as JSON (RFC 8259), in ASCII: harmless in every encoding, and as a program reads it."""
        for line in json.dumps(data, indent=2).splitlines():
            self._write(line + "\n")

    def document(self, text: str) -> None:
        """Show a document of our own, each line as it is but for what is not harmless."""
        for line in text.splitlines():
            self._write(harmless(line) + "\n")

    def status(self, text: str) -> None:
        """Show what is going on now: one line, replaced by whatever comes next; nothing where that can't be done."""
        if self.lively:
            self._write(harmless(text)[: self.width - 1])

    def _styled(self, style: str, text: str) -> str:
        return f"\x1b[{style}m{_lines(text)}\x1b[m" if self.coloured and style and text else _lines(text)

    def _write(self, text: str) -> None:
        try:
            self.out.write((_ERASE if self.lively else "") + text)
            self.out.flush()
        except OSError as error:
            if self.out is sys.stderr:  # there is nobody to tell
                return
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):  # such as EPIPE: who reads has left, as `head` does
                raise
            raise MachineError(
                f"what labroom says can't be written: {error.strerror}", "let its output go elsewhere"
            ) from error


def _lines(text: str) -> str:
    first, *more = text.split("\n")
    more = [line if line.startswith("  ") or not line else f"    {line}" for line in more]
    return "\n".join(map(harmless, [first, *more]))


class Progress:
    """Times the phases of long work, and shows nothing: for callers from Python.

    Attributes:
        phases: name and seconds of each phase that has ended.
    """

    def __init__(self) -> None:
        self.phases: list[tuple[str, float]] = []

    @contextlib.contextmanager
    def phase(self, name: str, log: Path | None = None) -> Iterator[None]:
        """Time what is done in the `with` block.

        Args:
            name: what is being done.
            log: a file that the work writes to: its last line is shown while it goes on.
        """
        started = time.monotonic()
        result = "failed after"
        self._begin(name, log)
        try:
            yield
            result = ""
        except KeyboardInterrupt:
            result = "interrupted after"
            raise
        finally:
            seconds = time.monotonic() - started
            self.phases.append((name, seconds))
            self._end(name, result, seconds)

    def _begin(self, name: str, log: Path | None) -> None:
        """Show that a phase begins."""

    def _end(self, name: str, result: str, seconds: float) -> None:
        """Show how a phase ended: as it should where `result` is empty."""

    def title(self, text: str) -> None:
        """Name the work, before its phases."""

    def note(self, text: str) -> None:
        """Tell the person something by the way."""

    def waiting(self, text: str) -> None:
        """Tell the person who has to be waited for."""

    def longest(self) -> str:
        """How long all took, and the phase that took longest."""
        total = sum(seconds for _, seconds in self.phases)
        name, seconds = max(self.phases, key=lambda phase: phase[1])
        return f"{total:.0f} s in all; longest: {name}, {seconds:.0f} s"


class ConsoleProgress(Progress):
    """Shows one line per phase.

    On a terminal the line of the running phase is redrawn every half second; elsewhere a line is shown now and then.

    Args:
        console: where it is shown.
        errors: where errors are shown, and who has to be waited for.
    """

    def __init__(self, console: Console, errors: Console) -> None:
        super().__init__()
        self._console = console
        self._errors = errors
        self._done = threading.Event()
        self._ticker = threading.Thread()

    def title(self, text: str) -> None:
        """Name the work, before its phases: a line of its own."""
        self._console.line(text)

    def note(self, text: str) -> None:
        """Tell the person something by the way: a line, or several."""
        for line in text.split("\n"):
            self._console.line(f"  {line}")

    def waiting(self, text: str) -> None:
        """Tell the person who has to be waited for."""
        self._errors.line(text)

    def _begin(self, name: str, log: Path | None) -> None:
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, args=(name, log, self._done), daemon=True)
        self._ticker.start()

    def _end(self, name: str, result: str, seconds: float) -> None:
        self._done.set()
        self._ticker.join()
        self._console.line(f"  {name:<{_NAME}} {result} {seconds:5.1f} s")

    def _tick(self, name: str, log: Path | None, done: threading.Event) -> None:
        started = time.monotonic()
        while not done.wait(0.5 if self._console.lively else _HEARTBEAT):
            seconds = time.monotonic() - started
            detail = _last_line(log) if log else ""
            if self._console.lively:
                self._console.status(f"  {name:<{_NAME}} {seconds:5.0f} s  {detail}"[:_LINE])
            else:
                self._console.line(f"  {name}: {seconds:.0f} s so far  {detail}"[:_LINE])


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2000))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip().rstrip("* ") for line in reversed(lines) if line.strip()), "")
