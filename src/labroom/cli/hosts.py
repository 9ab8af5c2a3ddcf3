"""Which hosts a verb is about: guests of the room, or machines that exist already; all of them, or those named."""

import argparse
from collections.abc import Collection, Sequence

from labroom import commands
from labroom.cli.parser import inventory, room_file
from labroom.endpoint import Endpoint
from labroom.errors import UsageError
from labroom.fields import did_you_mean


def endpoints(options: argparse.Namespace) -> dict[str, Endpoint]:
    """How each host is reached, by its name: of an inventory, or of the room, which must be up."""
    if machines := inventory(options):
        from labroom.checks import inventory_hosts

        return inventory_hosts.read(machines, options.limit).lab_pcs
    from labroom import rooms

    return rooms.endpoints(rooms.running(room_file(options)))


def chosen(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Endpoint]:
    """How the hosts of these names are reached; all hosts, if none is named.

    Raises:
        UsageError: there is no such host.
    """
    found = endpoints(options)
    return {name: found[name] for name in named(found, names)}


def named(known: Collection[str], names: Sequence[str]) -> list[str]:
    """These names, each once; all that are known, if there are none.

    Raises:
        UsageError: one isn't known.
    """
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no guest {name!r}{did_you_mean(name, known)}", f"the guests: {', '.join(known)}"
            )
    return list(dict.fromkeys(names or known))


def again(options: argparse.Namespace, verb: str, *words: str) -> str:
    """A command that acts on the same hosts."""
    return commands.labroom(verb, *words, room=options.room, inventory=options.inventory, limit=options.limit)
