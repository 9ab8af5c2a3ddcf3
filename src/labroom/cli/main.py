"""The command from its first word to its exit status; each error is a line, and one that says what repairs it."""

from __future__ import annotations

import codecs
import errno
import importlib
import locale
import os
import platform
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from labroom import commands
from labroom.console import Console
from labroom.errors import LabroomError, MachineError
from labroom.machine import hand_over
from labroom.processes import own_environment
from labroom.resources import hand_over_reports, version

_FULL = (errno.ENOSPC, errno.EDQUOT)
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_FORBIDDEN = (errno.EACCES, errno.EPERM)

# The functions of verbs that do more than show something: where nobody reads any more, they were interrupted.
_WORKING = ("up", "down", "check", "play", "reset", "backup", "restore", "copy", "execute", "link", "new")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `labroom` with `arguments`, those of the process if None, and return its exit status.

    What it runs, it runs in an environment of its own (`processes.environment`), whatever its caller's is; and files
    that are not said to be private can be read by everybody (umask(2)), as guests, Ansible and other users need them.
    """
    if arguments is None and sys.getfilesystemencoding() != "utf-8":
        # Names and paths are then the same ones in every locale, and those that Ansible and OpenSSH are told.
        os.execv(sys.executable, [sys.executable, "-Xutf8", *sys.orig_argv[1:]])  # noqa: S606 (no shell is meant)
    os.umask(0o022)
    threading.excepthook = sys.unraisablehook = _aside
    # Plugins of pydantic's that others have installed are no concern of ours, and looking for them takes long.
    with own_environment(PYDANTIC_DISABLE_PLUGINS="__all__"):
        try:
            return _run(arguments)
        except KeyboardInterrupt:  # it came when all was done, or while it was said why not
            return 130
        finally:
            _give_up_output()
            with suppress(OSError):
                hand_over_reports()


def _run(arguments: Sequence[str] | None) -> int:
    function = ""
    try:
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1) has it ignored
                signal.signal(number, _interrupted)
        _settle()
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
        # The reader of our output left: a pipe's end, or a terminal (write(2), EIO).
        if isinstance(error, BrokenPipeError) or (error.errno == errno.EIO and error.filename is None):
            return _tell("interrupted: nobody reads its output any more", "", 130) if function in _WORKING else 0
        return _tell_of_file(error) if error.strerror else _unexpected(error)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 (the last line of defence)
        if signal.getsignal(signal.SIGINT) is _go_on and not isinstance(error, Exception):
            return _tell("interrupted", "", 130)  # an import was cut short, which is a panic to pyo3
        return _unexpected(error)
    finally:
        _go_on_from_now()
    return status


def _settle() -> None:
    """See that standard input, output and error are there, in the terminal's own characters, and a current folder."""
    try:
        Path.cwd()
    except FileNotFoundError:  # it was removed
        os.chdir("/")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would get its number, and its output
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    encoding = codecs.lookup(locale.getencoding()).name
    for stream in (sys.stdout, sys.stderr):
        if sys.flags.utf8_mode and encoding != "ascii":  # what a terminal of the locale C shows, Python can't know
            stream.reconfigure(encoding=encoding)  # type: ignore[union-attr]  # always a TextIOWrapper
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _interrupted(number: int, frame: FrameType | None) -> None:
    """End what is being done, once: a closed terminal may send SIGHUP twice, and clearing away goes on to its end."""
    _go_on_from_now()
    raise KeyboardInterrupt


def _go_on_from_now() -> None:
    for each in _ENDING:
        signal.signal(each, _go_on)


def _go_on(number: int, frame: FrameType | None) -> None:
    """Clear away."""


def _aside(caught: threading.ExceptHookArgs | sys.UnraisableHookArgs) -> None:
    """Take in an error of a thread, or one met where nothing can be raised (sys.unraisablehook)."""
    # What can't be said, the command itself says, or can't either.
    if caught.exc_value and not isinstance(caught.exc_value, SystemExit | LabroomError | BrokenPipeError):
        _unexpected(caught.exc_value)


def _give_up_output() -> None:
    """Throw away what can't be written, so that nobody tries again at the end of the process."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _tell(message: str, remedy: str, status: int) -> int:
    console = Console(sys.stderr)
    with suppress(OSError):  # the terminal was closed
        console.line(f"labroom: {message}")
        if remedy:
            console.line(f"  help: {remedy}")
    return status


def _tell_of_file(error: OSError) -> int:
    """Say what the system has refused, and what repairs it where the kind of refusal says so."""
    if error.errno in _FULL:
        remedy = "free some space there"
    elif error.errno in _FORBIDDEN and os.geteuid() != 0:
        remedy = f"{commands.labroom(*sys.argv[1:], root=True)}, or be who may"
    else:
        file = _log(error)
        remedy = f"{file} has the rest" if file else ""
    return _tell(f"{error.strerror}: {error.filename or 'no file named'}", remedy, MachineError.status)


def _unexpected(error: BaseException) -> int:
    """Say in a line that something went wrong that nobody thought of; the rest is in a file."""
    said = str(error).partition("\n")[0]
    words = f"{type(error).__name__}: {said}" if said else type(error).__name__
    file = _log(error)
    remedy = f"please report it, with {file}" if file else "please report it"
    return _tell(f"unexpected {words}", remedy, MachineError.status)


def _log(error: BaseException) -> Path | None:
    """Write all that is known of an error into a file that this user alone can read; None where none can be written."""
    try:
        begin = time.strftime("labroom-error-%Y%m%dT%H%M%S-")
        descriptor, name = tempfile.mkstemp(prefix=begin, suffix=".log")
        system = f"{platform.platform()}, Python {platform.python_version()}"
        hand_over(descriptor)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"labroom {version()}: {' '.join(sys.argv[1:])}\n{system}\n\n")
            traceback.print_exception(error, file=file)
    except OSError:
        return None
    return Path(name)
