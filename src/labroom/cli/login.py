"""The verbs that lead to a guest's shell: ssh, ssh-config."""

import argparse
import os
import sys

from labroom import keys, rooms
from labroom.cli.parser import inventory, room_file
from labroom.console import Console
from labroom.endpoint import Endpoint
from labroom.errors import UsageError


def ssh(options: argparse.Namespace) -> int:
    """Become OpenSSH's client, logged in to a guest: what it shows from then on is the guest's, as it is."""
    known = endpoints(options)
    if options.guest not in known:
        raise UsageError(f"there is no guest {options.guest!r}", f"the guests: {', '.join(known)}")
    at = known[options.guest]
    for file in () if inventory(options) else at.identity_files:
        file.open("rb").close()  # a room's key is another user's, unless it can be read: ssh itself goes on without it
    ssh_options = [*at.ssh_options(), ("LogLevel", "ERROR"), ("Port", str(at.ssh_port))]
    argv = ["ssh", "-F", "none", *(f"-o{name}={value}" for name, value in ssh_options)]
    sys.stdout.flush()
    os.execvp("ssh", [*argv, f"{at.user}@{at.ssh_host}", *options.command])  # noqa: S606 (no shell is meant)


def ssh_config(options: argparse.Namespace) -> int:
    """Print what `ssh -F` and VS Code need."""
    # For ssh, to which a path is bytes, and not for the terminal's characters.
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # always a TextIOWrapper
    console = Console(sys.stdout)
    for line in keys.client_config(endpoints(options)).splitlines():
        console.line(line)
    return 0


def endpoints(options: argparse.Namespace) -> dict[str, Endpoint]:
    """How each host is reached, by its name: of an inventory, or of the room, which must be up."""
    if machines := inventory(options):
        from labroom.checks import inventory_hosts

        return inventory_hosts.read(machines, options.limit).lab_pcs
    return rooms.endpoints(rooms.running(room_file(options)))
