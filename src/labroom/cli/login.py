"""The verbs that lead to a guest's shell: ssh, ssh-config."""

import argparse
import os
import shlex
import sys

from labroom import keys, over_ssh
from labroom.cli import hosts
from labroom.cli.parser import inventory
from labroom.console import Console


def ssh(options: argparse.Namespace) -> int:
    """Become OpenSSH's client, logged in to a guest: what it shows from then on is the guest's, as it is."""
    at = hosts.chosen(options, [options.guest])[options.guest]
    for file in () if inventory(options) else at.identity_files:
        file.open("rb").close()  # a room's key is another user's, unless it can be read: ssh itself goes on without it
    argv, words = over_ssh.command(at, ("LogLevel", "ERROR")), options.command
    if words and not words[0].startswith("-"):  # else they are options of ssh's
        # As sshd(8) runs it; where a signal ends it, the exit status is a shell's, which ssh would take for its own.
        words = [shlex.join(["sh", "-c", '"${SHELL:-sh}" -c "$1"; exit $?', "sh", " ".join(words)])]
    sys.stdout.flush()
    os.execvp("ssh", [*argv, *words])  # noqa: S606 (no shell is meant)


def ssh_config(options: argparse.Namespace) -> int:
    """Print what `ssh -F` and VS Code need."""
    # For ssh, to which a path is bytes, and not for the terminal's characters.
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # always a TextIOWrapper
    console = Console(sys.stdout)
    for line in keys.client_config(hosts.endpoints(options)).splitlines():
        console.line(line)
    return 0
