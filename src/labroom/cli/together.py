"""The verbs that act on several guests at once: exec, shell."""

import argparse
import os
import re
import selectors
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from labroom import commands, over_ssh
from labroom.cli import hosts
from labroom.cli.parser import inventory, room_file
from labroom.console import Console
from labroom.endpoint import Endpoint
from labroom.errors import MachineError, UsageError
from labroom.processes import environment

_LINE = 10_000  # bytes of a line that are shown
_MOST = 4 << 20  # bytes that a guest may print; it is ended when it goes on
_PIECE = 1 << 16
# Runs $1 as sshd(8) does, by the student's own shell. Who has logged in says so first; where a signal ends it, the exit
# status is a shell's, which ssh(1) would take for a log-in that failed.
_LOGGED_IN = b"\0"
_COMMAND = r'printf "\0" >&2; "${SHELL:-sh}" -c "$1"; exit $?'


# -- exec -------------------------------------------------------------------------------------------------------


def execute(options: argparse.Namespace) -> int:
    """Run a command on several guests side by side; each line is shown as it comes, after its guest's name."""
    if "--" not in options.words or not options.words[options.words.index("--") + 1 :]:
        example = hosts.again(options, "exec", "--all", "--", "uptime")
        raise UsageError("exec needs guests, then --, then a command", example)
    middle = options.words.index("--")
    names, words = options.words[:middle], options.words[middle + 1 :]
    if bool(names) == options.all:
        again = hosts.again(options, "exec", "--all", "--", *words)
        raise UsageError("name the guests, or all of them by --all", again)
    command = words[0] if len(words) == 1 else shlex.join(words)  # a line for the shell, or the command's own words
    failed = _run(hosts.chosen(options, names), command, Console(sys.stdout), Console(sys.stderr))
    errors = Console(sys.stderr)
    for name, why in failed.items():
        errors.line(f"labroom: {name}: {why}")
    return 1 if failed else 0


class _Stream:
    """What one guest prints on one of its streams, shown line by line.

    Args:
        console: where.
        name: the guest's.
    """

    def __init__(self, console: Console, name: str) -> None:
        self._console, self._name = console, name
        self._line = b""

    def take(self, data: bytes, *, ended: bool) -> None:
        """Show the lines that have ended; where the stream has, its last line, too."""
        *lines, rest = (self._line + data).split(b"\n")
        self._line = rest[: _LINE + 1]
        if ended and self._line:
            lines, self._line = [*lines, self._line], b""
        for line in lines:
            text = line[:_LINE].removesuffix(b"\r").decode(errors="backslashreplace")
            self._console.line(f"{self._name}: {text}{'…' if len(line) > _LINE else ''}")


def _run(at: Mapping[str, Endpoint], command: str, output: Console, errors: Console) -> dict[str, str]:
    """Run a command on hosts side by side to its end, and return what became of it where it failed."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    said = dict.fromkeys(at, 0)
    reached = set()
    failed = {}
    with selectors.DefaultSelector() as selector:
        try:
            for name, endpoint in at.items():
                running[name] = process = over_ssh.start(endpoint, _COMMAND, command)
                for pipe, console in ((process.stdout, output), (process.stderr, errors)):
                    if pipe:
                        selector.register(pipe, selectors.EVENT_READ, (name, _Stream(console, name)))
            while selector.get_map():
                for key, _ in selector.select():
                    name, stream = key.data
                    data = os.read(key.fd, _PIECE)
                    ended = not data
                    said[name] += len(data)
                    if said[name] > _MOST:
                        data, ended = b"", True
                        failed[name] = f"printed more than {_MOST >> 20} MiB, and was ended"
                    if name not in reached and key.fileobj is running[name].stderr and _LOGGED_IN in data:
                        reached.add(name)
                        data = data.replace(_LOGGED_IN, b"", 1)
                    stream.take(data, ended=ended)
                    if ended:
                        selector.unregister(key.fileobj)
                        if name in failed:
                            running[name].kill()
            statuses = {name: process.wait() for name, process in running.items()}
        finally:
            over_ssh.end(list(running.values()))
    for name, status in statuses.items():
        if name not in reached:
            failed.setdefault(name, f"ssh could not log in: {at[name].remedy}")
        elif status:
            failed.setdefault(name, f"exit status {status}")
    return {name: failed[name] for name in at if name in failed}


# -- shell ------------------------------------------------------------------------------------------------------


def shell(options: argparse.Namespace) -> int:
    """Become tmux(1), with a pane for each guest, or in the session that is there from before."""
    if not shutil.which("tmux", path=environment()["PATH"]):
        raise MachineError("tmux is not installed", commands.as_root("apt-get install tmux"))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("shell needs a terminal", hosts.again(options, "exec", "--all", "--", "COMMAND"))
    if machines := inventory(options):
        session = f"labroom-{re.sub(r'[^A-Za-z0-9]+', '-', Path(machines).stem)}"
    else:
        from labroom import room

        session = f"labroom-{room.load(room_file(options)).name}"
    there = subprocess.run(["tmux", "has-session", "-t", f"={session}"], capture_output=True, check=False)
    if there.returncode != 0:
        size = shutil.get_terminal_size()
        _tmux(*panes(session, hosts.chosen(options, options.guests), size.columns, size.lines))
    elif options.guests:
        remedy = f"tmux kill-session -t {session}"
        raise UsageError(f"the session {session} is there already, with panes of its own", remedy)
    verb = "switch-client" if "TMUX" in os.environ else "attach-session"
    sys.stdout.flush()
    os.execvp("tmux", ["tmux", verb, "-t", f"={session}"])  # noqa: S606 (no shell is meant)


def panes(session: str, at: Mapping[str, Endpoint], columns: int, lines: int) -> Iterator[str]:
    """The words of one tmux command that makes a session with a pane for each host, or none at all.

    The titles are options of ours: what a guest says can't change them.
    """
    for number, (name, endpoint) in enumerate(at.items()):
        # A terminal is what is meant here: what the guest shows from then on is shown as it is.
        log_in = shlex.join(over_ssh.command(endpoint, ("LogLevel", "ERROR")))
        if number == 0:
            yield from ("new-session", "-d", "-s", session, "-x", str(columns), "-y", str(lines), "-n", "guests")
            yield from (f"exec {log_in}", ";")
            for option, value in _OPTIONS.items():
                yield from ("set-option", "-w", "-t", f"={session}:", option, value, ";")
        else:
            yield from ("split-window", "-t", f"={session}:", f"exec {log_in}", ";")
        yield from ("set-option", "-p", "-t", f"={session}:", "@guest", name, ";")
        yield from ("select-layout", "-t", f"={session}:", "tiled", ";")
    yield from ("select-pane", "-t", f"={session}:.{{top-left}}")


_OPTIONS = {
    "pane-border-status": "top",
    "pane-border-format": " #{@guest} ",
    "synchronize-panes": "off",
    "remain-on-exit": "failed",  # else nobody reads why ssh did not get there
    "allow-rename": "off",
}


def _tmux(*words: str) -> None:
    """Have tmux make the session; a session that isn't whole is removed."""
    done = subprocess.run(["tmux", *words], capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode != 0:
        session = words[words.index("-s") + 1]
        subprocess.run(["tmux", "kill-session", "-t", f"={session}"], capture_output=True, check=False)
        said = done.stderr.strip().partition("\n")[0]
        remedy = "make the terminal larger, or name fewer guests" if "no space" in said else ""
        raise MachineError(f"tmux: {said or 'failed, and said nothing'}", remedy)
