"""The providers of rooms by their names: modules that make the hosts of a room exist, and vanish without a trace.

A new one is a module of this package with all that `Provider` names, and a line in `named`. Providers import
`provider` and `record`, never this module, which knows them all.
"""

from labroom.providers import record
from labroom.providers.provider import Provider, Status

__all__ = ["NAMES", "Provider", "Status", "named", "of"]

#: The modules of this package that are providers, the default first.
NAMES = ("nspawn", "docker")


def named(name: str) -> Provider:
    """The provider of this name, one of `NAMES`."""
    from labroom.providers import docker, nspawn  # here, since `labroom list` needs neither

    modules: dict[str, Provider] = {"nspawn": nspawn, "docker": docker}
    return modules[name]


def of(room_name: str) -> Provider:
    """The provider that made the room of this name; the default one if it is not up."""
    return named(record.read(room_name).get("provider", NAMES[0]))
