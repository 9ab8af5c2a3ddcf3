"""Probes guests: do they keep what a room promises, that the student's account answers, whatever runs beside it?"""

import subprocess
import time
from collections.abc import Mapping

from labroom import over_ssh
from labroom.endpoint import Endpoint
from labroom.processes import environment

_REFUSED_SECONDS = 3.0  # so long a guest that refuses is asked again: it may just be starting something
_SILENT_SECONDS = 20.0  # so long it is waited for where it says nothing: the machine may be overloaded
_PAUSE_SECONDS = 0.2  # between two attempts


def failing(endpoints: Mapping[str, Endpoint]) -> set[str]:
    """The guests in which nobody can run a command over SSH: looked at side by side, with OpenSSH's client.

    A guest in which that works is asked once, and takes a few hundredths of a second.

    Args:
        endpoints: the guests.
    """
    began = time.monotonic()
    pending = dict(endpoints)
    failed = set()
    while pending:
        attempts = {name: _log_in(at) for name, at in pending.items()}
        for name, attempt in attempts.items():
            try:
                refused = attempt.wait(max(0.0, began + _SILENT_SECONDS - time.monotonic())) != 0
            except subprocess.TimeoutExpired:
                attempt.kill()
                attempt.wait()
                failed.add(name)
            else:
                if refused and time.monotonic() - began < _REFUSED_SECONDS:
                    continue
                if refused:
                    failed.add(name)
            del pending[name]
        if pending:
            time.sleep(_PAUSE_SECONDS)
    return failed


def _log_in(at: Endpoint) -> subprocess.Popen[bytes]:
    argv = [*over_ssh.command(at, *over_ssh.QUICK), "true"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(argv, stdin=quiet, stdout=quiet, stderr=quiet, env=environment(), start_new_session=True)
