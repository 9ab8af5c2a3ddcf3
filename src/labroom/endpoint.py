"""Where and how a host answers SSH: all that the driver needs to know of a provider."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Endpoint:
    """One host's SSH address.

    Attributes:
        name: the host's name in room.yml.
        address: IPv4 address, dotted.
        port: TCP port of its sshd.
        user: account to log in as.
        identity_file: private key, readable by its owner alone.
        known_hosts: file with the host's key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
        bind_address: the machine's own address in the room's network. Connecting from it fails at once when the
            room is down, so that nothing meant for a guest can leave by the machine's default route. None: any.
    """

    name: str
    address: str
    port: int
    user: str
    identity_file: Path
    known_hosts: Path
    bind_address: str | None = None
