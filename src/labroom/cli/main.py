"""The command from its first word to its exit status; each error is a line, and one that says what repairs it."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import platform
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from labroom.console import Console
from labroom.errors import LabroomError, MachineError
from labroom.resources import version

_WORKING = ("up", "down", "check", "play")  # the verbs that do more than show something


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `labroom` with `arguments`, those of the process if None, and return its exit status."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1) has it ignored
            signal.signal(number, _interrupted)
    threading.excepthook = sys.unraisablehook = _aside
    function = ""
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal that isn't UTF-8
        # Modules that only some verbs need are imported by those: `labroom list` starts in a tenth of a second.
        from labroom.cli.parser import parser

        options = parser().parse_args(arguments)
        module, _, function = options.run.partition(":")
        status: int = getattr(importlib.import_module(module), function)(options)
        sys.stdout.flush()
    except LabroomError as error:
        return _tell(str(error), error.remedy, error.status)
    except KeyboardInterrupt:
        return _tell("interrupted", "", 130)
    except OSError as error:  # such as a full disk, met where no better words were found for it
        _give_up_output()
        # The reader of our output left: a pipe's end, or a terminal (write(2), EIO).
        if isinstance(error, BrokenPipeError) or (error.errno == errno.EIO and error.filename is None):
            return _tell("interrupted: nobody reads its output any more", "", 130) if function in _WORKING else 0
        if not error.strerror:
            return _unexpected(error)
        file = _log(error)
        return _tell(
            f"{error.strerror}: {error.filename or 'no file named'}",
            f"{file} has the rest" if file else "",
            MachineError.status,
        )
    except Exception as error:  # noqa: BLE001 (the last line of defence)
        return _unexpected(error)
    return status


def _interrupted(number: int, frame: FrameType | None) -> None:
    """End what is being done, once: a closed terminal may send SIGHUP twice, and clearing away goes on to its end."""
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, lambda number, frame: None)
    raise KeyboardInterrupt


def _aside(caught: threading.ExceptHookArgs | sys.UnraisableHookArgs) -> None:
    """Take in an error of a thread, or one met where nothing can be raised (sys.unraisablehook)."""
    if caught.exc_value and not isinstance(caught.exc_value, SystemExit):
        _unexpected(caught.exc_value)


def _give_up_output() -> None:
    """Throw away what can't be written, so that nobody tries again at the end of the process."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(message: str, remedy: str, status: int) -> int:
    console = Console(sys.stderr)
    with contextlib.suppress(OSError):  # the terminal was closed
        console.line(f"labroom: {message}")
        if remedy:
            console.line(f"  help: {remedy}")
    return status


def _unexpected(error: BaseException) -> int:
    """Say in a line that something went wrong that nobody thought of; the rest is in a file."""
    said = str(error).partition("\n")[0]
    words = f"{type(error).__name__}: {said}" if said else type(error).__name__
    file = _log(error)
    remedy = f"please report it, with {file}" if file else "please report it"
    return _tell(f"unexpected {words}", remedy, MachineError.status)


def _log(error: BaseException) -> Path | None:
    """Write all that is known of an error into a file that only this user can read; None where none can be written."""
    try:
        begin = time.strftime("labroom-error-%Y%m%dT%H%M%S-")
        descriptor, name = tempfile.mkstemp(prefix=begin, suffix=".log")
        system = f"{platform.platform()}, Python {platform.python_version()}"
        with os.fdopen(descriptor, "w", errors="backslashreplace") as file:
            file.write(f"labroom {version()}: {' '.join(sys.argv[1:])}\n{system}\n\n")
            traceback.print_exception(error, file=file)
    except OSError:
        return None
    return Path(name)
