"""A room's keys: a pair to log in with, one for inside the room, a host key a guest; and what makes ssh know them."""

import base64
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from labroom import machine, state
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


def inside(room_name: str) -> Path:
    """The private key that students have in each guest: it opens their account in the others, and nothing else."""
    return folder(room_name) / "inside_ed25519"


def known_hosts(room_name: str) -> Path:
    """The guests' host keys (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    return folder(room_name) / "known_hosts"


def host_key(room_name: str, guest: str) -> Path:
    """The private host key of a guest."""
    return folder(room_name) / f"host_{guest}"


def check_lock(room_name: str) -> Path:
    """The lock of who runs labs in the room: whoever may use its keys."""
    return folder(room_name) / "check.lock"


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
    """Make the key pairs to log in with, if they aren't there yet, in the room's folder of keys.

    The folder is root's where root makes it, though the keys are of the person who called sudo: so nobody can put a
    link in the place of a file that root writes or gives away.
    """
    own = folder(room_name)
    state.prepare(own)
    if os.geteuid() == 0:
        os.chown(own, 0, 0)
        own.chmod(0o711)
        for path in own.iterdir():  # of a labroom that gave the folder away
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
                state.remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    else:
        own.chmod(0o700)
    _make_pair(identity(room_name), f"labroom {room_name}")
    _make_pair(inside(room_name), f"inside {room_name}")


def _make_pair(private: Path, comment: str) -> None:
    """Make a key pair where there is no whole one: a start that was cut short, or a power cut, leaves half of one."""
    if not _whole(private):
        for file in (private, private.with_name(private.name + ".pub")):
            file.unlink(missing_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(private))


def _whole(private: Path) -> bool:
    """Whether both files of a key pair are there, and of one pair: a private key holds its public one."""
    try:  # openssh-key-v1, PROTOCOL.key of OpenSSH
        first, *body, last = private.read_text(encoding="utf-8").split("\n")[:-1]
        held = base64.b64decode("".join(body), validate=True)
        own = base64.b64decode(public(private).split()[1], validate=True)
        framed = first.startswith("-----BEGIN ") and last.startswith("-----END ")
        return framed and len(own).to_bytes(4) + own in held
    except (OSError, ValueError, IndexError):
        return False


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
        names += [str(address) for address in description.addresses.values()]
        other = [alias for alias, target in room.aliases.items() if target == guest]
        other += [shared for shared, targets in room.names.items() if guest in targets]
        names += [form for each in other for form in (each, f"{each}.{room.domain}")]
        for gateway in room.gateways:
            ports = [each.port for each in room.forwards(gateway) if each.guest == guest and each.target == 22]
            names += [f"[{room.far_address(gateway)}]:{port}" for port in ports]
        names += [f"[127.0.0.1]:{port}" for port in (forwarded or {}).get(guest, [])]
        lines.append(f"{','.join(names)} {' '.join(host_keys[guest].split()[:2])}\n")
    known_hosts(name).write_text("".join(lines), encoding="utf-8")
    known_hosts(name).chmod(0o600)
    check_lock(name).touch(0o600)
    if os.geteuid() == 0:
        for path in folder(name).iterdir():
            os.chown(path, *machine.caller(), follow_symlinks=False)


def client_config(endpoints: Mapping[str, Endpoint]) -> str:
    """What `ssh -F` and VS Code need in order to reach every host by its name, in the form of ssh_config(5)."""
    blocks = []
    for name, at in endpoints.items():
        options = [("HostName", at.ssh_host), ("Port", str(at.ssh_port)), ("User", at.user), *at.ssh_options()]
        blocks.append(f"Host {name}\n" + "".join(f"    {option} {value}\n" for option, value in options))
    return "\n".join(blocks)
