"""The words of commands that a person is told to type: they act on what they were printed for, and can be pasted."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from labroom.resources import COLLECTIONS, PLAYBOOKS, ROOT

_SUDOS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # Debian's secure_path (sudoers(5))


def labroom(
    verb: str,
    *words: str,
    room: Path | str | None = None,
    inventory: str | None = None,
    limit: str | None = None,
    root: bool = False,
) -> str:
    """A command of labroom's that acts on the same room, or on the same machines.

    Args:
        verb: what it does.
        words: what follows, options and names.
        room: the room file; none is named where the command finds it by itself.
        inventory: of machines that exist already, as Ansible's option -i has it.
        limit: only these hosts and groups of it.
        root: whether that is root's.
    """
    own_room = ROOT / "room.yml"
    here = _here() / "room.yml"
    room_words = []
    if room is not None and (Path(room) != own_room or (here != own_room and os.path.lexists(here))):
        room_words = ["--room", shown(Path(room))]
    machines = ["--provider", "ssh", "-i", inventory] if inventory else []
    limits = ["--limit", limit] if limit else []
    sudo = root and os.geteuid() != 0
    command = f"{_program(_SUDOS if sudo else None)} {shlex.join([*room_words, verb, *machines, *limits, *words])}"
    return as_root(command) if root else command


def as_root(command: str) -> str:
    """A command that is root's, as this user types it."""
    return command if os.geteuid() == 0 else f"sudo {command}"


def tool(name: str, *words: str) -> str:
    """A command of labroom's own Python environment, such as ansible-inventory."""
    return shlex.join([shown(Path(sys.executable).with_name(name)), *words])


def playbook(name: str, inventory: Path) -> str:
    """The command that runs one of labroom's playbooks on the hosts of an inventory, such as a room file."""
    command = tool("ansible-playbook", "-i", shown(inventory), shown(PLAYBOOKS / name))
    # In the checkout ansible.cfg says it.
    return command if _here() == ROOT else f"ANSIBLE_COLLECTIONS_PATH={shlex.quote(str(COLLECTIONS))} {command}"


def shown(file: Path) -> str:
    """A path as a word of a command: from the current folder, where it is below that, and never like an option."""
    try:
        inside = str(file.relative_to(_here()))
    except ValueError:
        return str(file)
    return f"./{inside}" if inside.startswith("-") else inside


def _program(path: str | None = None) -> str:
    """What starts this labroom where it is typed: a checkout's launcher, or the command that an installed one has.

    Args:
        path: where the command is looked for, by default in PATH.
    """
    launcher = ROOT / "labroom"
    if launcher.is_file() and _here() == ROOT:
        return "./labroom"
    own = launcher if launcher.is_file() else Path(sys.executable).with_name("labroom")
    found = shutil.which("labroom", path=path)
    if own.exists() and not (found and own.samefile(found)):
        return shlex.quote(str(own))
    return "labroom"


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it was removed
        return Path("/")
