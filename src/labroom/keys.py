"""A room's keys: one key pair to log in with, a host key a guest, and the files that make ssh know and check them."""

import os
from collections.abc import Mapping
from pathlib import Path

from labroom import state
from labroom.endpoint import Endpoint
from labroom.processes import run
from labroom.room import Room

#: The account that students, and the driver, log in to.
STUDENT = "student"


def folder(room: str) -> Path:
    """Where the room's keys are kept, from its first start until `labroom down --purge`."""
    return state.ROOMS / room / "keys"


def identity(room: str) -> Path:
    """The private key that opens every guest of the room."""
    return folder(room) / "id_ed25519"


def known_hosts(room: str) -> Path:
    """The guests' host keys (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    return folder(room) / "known_hosts"


def host_key(room: str, guest: str) -> Path:
    """The private host key of a guest."""
    return folder(room) / f"host_{guest}"


def public(private: Path) -> str:
    """The line of a public key: type, key, comment."""
    return private.with_name(private.name + ".pub").read_text().strip()


def prepare(room: Room) -> None:
    """Make the keys that aren't there yet, and write known_hosts anew.

    Under sudo they belong to the person who called it, so that ssh and Ansible work without sudo too.
    """
    name = room.name
    state.prepare(folder(name))
    folder(name).chmod(0o700)
    for key, comment in [
        (identity(name), f"labroom {name}"),
        *((host_key(name, guest), f"{guest}.{room.domain}") for guest in room.guests),
    ]:
        if not key.with_name(key.name + ".pub").is_file():
            key.unlink(missing_ok=True)  # half a pair, of a start that was cut short
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(key))
    lines = []
    for guest, description in room.guests.items():
        names = [guest, f"{guest}.{room.domain}"]
        names += [str(address) for address in (description.private, description.outside) if address]
        if room.gateway:
            ports = [forward for forward in room.forwarded_ports if forward.guest == guest and forward.target == 22]
            names += [f"[{room.gateway.outside}]:{forward.port}" for forward in ports]
        lines.append(f"{','.join(names)} {' '.join(public(host_key(name, guest)).split()[:2])}\n")
    known_hosts(name).write_text("".join(lines))
    owner = int(os.environ.get("SUDO_UID", "0")), int(os.environ.get("SUDO_GID", "0"))
    for path in (folder(name), *folder(name).iterdir()):
        os.chown(path, *owner)


def client_config(endpoints: Mapping[str, Endpoint]) -> str:
    """What `ssh -F` and VS Code need in order to reach every host by its name, in the form of ssh_config(5)."""
    blocks = []
    for name, at in endpoints.items():
        options = [("HostName", at.ssh_host), ("Port", str(at.ssh_port)), ("User", at.user), *at.ssh_options()]
        blocks.append(f"Host {name}\n" + "".join(f"    {option} {value}\n" for option, value in options))
    return "\n".join(blocks)
