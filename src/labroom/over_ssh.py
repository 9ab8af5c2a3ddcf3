"""Runs commands on hosts over OpenSSH's client, such that none of them outlives who has started it.

OpenSSH's client starts in a few hundredths of a second, where paramiko takes half a second to import. Standard input
of what is started here is a pipe that says nothing: when it ends, since who holds it has closed it, was interrupted or
killed, the command on the host is ended, too: SIGTERM, and SIGKILL after two seconds. sshd(8) by itself lets it go on.

A guest may answer anything: what is read of a command that is to say little is bounded (`answer`); whoever reads more
bounds it, and all make it harmless before it is shown.
"""

from __future__ import annotations

import os
import selectors
import shlex
import subprocess
import time
from collections.abc import Sequence

from labroom.endpoint import Endpoint
from labroom.processes import environment

#: Options of ssh_config(5) with which nobody is asked anything; the newest key exchanges take the client seven times
#: as long.
QUICK = (
    ("BatchMode", "yes"),
    ("ConnectTimeout", "10"),
    ("KexAlgorithms", "^curve25519-sha256"),
    ("LogLevel", "ERROR"),
)

#: What ssh(1) ends with where it can't log in.
UNREACHED = 255

_ANSWER_BYTES, _ANSWER_SECONDS = 4096, 20.0

# For sh: becomes the command "$@", with nothing on its standard input; a process of another session ends it when ours
# has ended. The group is the session's that sshd has made of it; after sudo(8) the command is alone.
_WATCHED = """
exec 3<&0 </dev/null
setsid sh -c '
    cat <&3; n=0
    kill -0 $1 || exit
    kill -0 -$1 && who=-$1 || who=$1
    kill -TERM $who
    while kill -0 $who && [ $n -lt 20 ]; do sleep .1; n=$((n + 1)); done
    kill -KILL $who
' sh $$ >/dev/null 2>&1 &
exec 3<&-
exec "$@"
"""


def command(at: Endpoint, *options: tuple[str, str]) -> list[str]:
    """The command that logs in to a host, as far as its own words; a command for the host may follow.

    Args:
        at: the host.
        options: more of ssh_config(5).

    Raises:
        MachineError: the path of a key can't be said to OpenSSH.
    """
    said = [*at.ssh_options(), *options, ("Port", str(at.ssh_port))]
    return ["ssh", "-F", "none", *(f"-o{name}={value}" for name, value in said), f"{at.user}@{at.ssh_host}"]


def start(at: Endpoint, script: str, *arguments: str, root: bool = False) -> subprocess.Popen[bytes]:
    """Start a script for sh on a host; its standard input is to be closed by who wants it to end.

    Args:
        at: the host.
        script: its text; `$SSH_CONNECTION` (ssh(1)) is its last argument.
        arguments: `$1` and so on.
        root: whether sudo(8) runs it, which must not ask for a password.
    """
    sudo = ["sudo", "-n"] if root else []
    words = [*sudo, "sh", "-c", _WATCHED, "sh", "sh", "-c", script, "sh", *arguments]
    argv = [*command(at, *QUICK), f'exec {shlex.join(words)} "$SSH_CONNECTION"']
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=environment(), start_new_session=True)


def answer(at: Endpoint, script: str, *arguments: str, root: bool = False) -> tuple[int, str, str]:
    """Run a script that says little to its end; its status, and what it said on its two streams.

    Whoever is root there may have replaced what answers: one that says more than 4 KiB, or nothing for 20 s, counts as
    `UNREACHED`.

    Args:
        at: the host.
        script: as for `start`, and so the rest.
        arguments: its words.
        root: whether sudo(8) runs it.
    """
    process = start(at, script, *arguments, root=root)
    deadline = time.monotonic() + _ANSWER_SECONDS
    said = [b"", b""]
    try:
        with selectors.DefaultSelector() as selector:
            for number, pipe in enumerate((process.stdout, process.stderr)):
                selector.register(pipe, selectors.EVENT_READ, number)  # type: ignore[arg-type]  # both were asked for
            while selector.get_map():
                for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                    said[key.data] += (data := os.read(key.fd, _ANSWER_BYTES))
                    if not data:
                        selector.unregister(key.fileobj)
                if time.monotonic() > deadline or max(map(len, said)) > _ANSWER_BYTES:
                    return UNREACHED, "", "no answer, or one that does not end"
        output, errors = (text.decode(errors="replace") for text in said)
        return process.wait(), output, errors
    finally:
        end([process])


def end(processes: Sequence[subprocess.Popen[bytes]], seconds: float = 4.0) -> None:
    """End what was started, on the hosts as well, side by side; what doesn't end in time is left to its host."""
    for process in processes:
        if process.stdin and not process.stdin.closed:
            process.stdin.close()
    for process in processes:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
