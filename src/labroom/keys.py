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


def folder(room_name: str) -> Path:
    """Where the room's keys are kept, from its first start until `labroom down --purge`."""
    return state.rooms() / room_name / "keys"


def identity(room_name: str) -> Path:
    """The private key that opens every guest of the room."""
    return folder(room_name) / "id_ed25519"


def known_hosts(room_name: str) -> Path:
    """The guests' host keys (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    return folder(room_name) / "known_hosts"


def host_key(room_name: str, guest: str) -> Path:
    """The private host key of a guest."""
    return folder(room_name) / f"host_{guest}"


def public(private: Path) -> str:
    """The line of a public key: type, key, comment."""
    return private.with_name(private.name + ".pub").read_text(encoding="utf-8").strip()


def prepare(room: Room) -> None:
    """Make the keys that aren't there yet, and write known_hosts anew."""
    prepare_identity(room.name)
    for guest in room.guests:
        _make_pair(host_key(room.name, guest), f"{guest}.{room.domain}")
    write_known_hosts(room, {guest: public(host_key(room.name, guest)) for guest in room.guests})


def prepare_identity(room_name: str) -> None:
    """Make the key pair to log in with, if it isn't there yet, in the room's folder of keys."""
    state.prepare(folder(room_name))
    folder(room_name).chmod(0o700)
    _make_pair(identity(room_name), f"labroom {room_name}")


def _make_pair(private: Path, comment: str) -> None:
    if not private.with_name(private.name + ".pub").is_file():
        private.unlink(missing_ok=True)  # half a pair, of a start that was cut short
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(private))


def write_known_hosts(
    room: Room, host_keys: Mapping[str, str], forwarded: Mapping[str, list[int]] | None = None
) -> None:
    """Say which host key each guest has, under every name by which it is reached.

    Under sudo it and the keys belong to the person who called it, so that ssh and Ansible work without sudo too.

    Args:
        room: the room.
        host_keys: guest to its public host key.
        forwarded: guest to the ports of 127.0.0.1 that lead to its sshd.
    """
    name = room.name
    lines = []
    for guest, description in room.guests.items():
        names = [guest, f"{guest}.{room.domain}"]
        names += [str(address) for address in (description.private, description.outside) if address]
        if room.gateway:
            ports = [forward for forward in room.forwarded_ports if forward.guest == guest and forward.target == 22]
            names += [f"[{room.gateway.outside}]:{forward.port}" for forward in ports]
        names += [f"[127.0.0.1]:{port}" for port in (forwarded or {}).get(guest, [])]
        lines.append(f"{','.join(names)} {' '.join(host_keys[guest].split()[:2])}\n")
    known_hosts(name).write_text("".join(lines), encoding="utf-8")
    (folder(name) / "check.lock").touch()  # root may take it first, and others after that
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
