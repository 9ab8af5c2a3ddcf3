"""The lab room that exists already: lab PCs of an Ansible inventory, driven over SSH as they are.

Lab PCs are seated by groups: each group below the group `seats` is a room of its own, in which those that can be
reached play the server and its clients. Without that group, they play the part of their own name.
"""

from __future__ import annotations

import getopt
import json
import os
import pwd
import re
import shlex
import socket
import subprocess
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from labroom import commands, keys
from labroom.checks.bring import PLACE
from labroom.driver import Driver
from labroom.endpoint import Endpoint
from labroom.errors import RoomFault, UsageError
from labroom.machine import ansible
from labroom.processes import environment
from labroom.resources import COLLECTIONS, ROOT

#: What the lab PCs of a seat play, in the order of the inventory.
PARTS = ("server", "alfa", "bravo", "charlie")

# Those of ssh(1), in the form of getopt(3).
_SSH_OPTIONS = "1246AaB:b:Cc:D:E:e:F:fGgI:i:J:KkL:l:Mm:NnO:o:P:p:Q:qR:S:sTtVvW:w:XxYy"
# It says what it has found, in JSON, and nothing else; whatever else a configuration of the user's says.
_PLAIN = {
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_DEBUG": "0",
    "ANSIBLE_FORCE_COLOR": "0",
    "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
    "ANSIBLE_INVENTORY_EXPORT": "0",
    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0",
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_VERBOSITY": "0",
    "COLUMNS": "10000",  # it wraps its messages
}
# Ansible's variables that say how a host is reached (its connection plug-in `ssh`), and two of labroom's.
_VARIABLES = {
    *("ansible_host", "ansible_port", "ansible_ssh_private_key_file", "ansible_private_key_file"),
    *("ansible_ssh_common_args", "ansible_ssh_extra_args", "student_account_name", "labroom_address"),
}


@dataclass(frozen=True)
class LabRoom:
    """The lab PCs of an inventory.

    Attributes:
        inventory: the inventory, as Ansible's option -i has it.
        lab_pcs: how each is reached, by its name in the inventory.
        seats: name of a seat -> names of its lab PCs; one seat without a name where there is no group `seats`.
        parts: lab PC -> the part that its name or group gives it; the others of a seat take the rest of `PARTS`.
    """

    inventory: str
    lab_pcs: dict[str, Endpoint]
    seats: dict[str, list[str]]
    parts: dict[str, str]

    def cast(self, seat: str, present: Container[str]) -> dict[str, str]:
        """Who plays what in a seat: part -> lab PC, of those present. Those beyond the last part play nothing."""
        there = [name for name in self.seats[seat] if name in present]
        free = [name for name in there if name not in self.parts]
        return dict(zip(PARTS, free, strict=False)) | {self.parts[name]: name for name in there if name in self.parts}

    def endpoints(self, cast: Mapping[str, str]) -> dict[str, Endpoint]:
        """How the lab PCs of a seat are reached, under the names of the parts that they play."""
        return {part: replace(self.lab_pcs[name], name=part) for part, name in cast.items()}


def read(inventory: str, limit: str | None = None) -> LabRoom:
    """Read an inventory: YAML, INI, a folder, a script, room.yml: whatever Ansible reads.

    Args:
        inventory: as Ansible's option -i has it.
        limit: only these hosts and groups (a host pattern, as Ansible's option --limit has it).

    Raises:
        UsageError: Ansible can't read it, it has no such host, or says of one what can't be done.
    """
    if "," not in inventory and not Path(inventory).exists():
        raise UsageError(
            f"there is no inventory {inventory}",
            shlex.join(["cp", commands.shown(ROOT / "inventory/lab-room.example.yml"), inventory]),
        )
    narrowed = ["--limit", limit] if limit else []
    groups = json.loads(_ansible("inventory", inventory, "--list", *narrowed))
    variables: dict[str, dict[str, Any]] = groups.pop("_meta")["hostvars"]
    names = _members(groups, "all")
    if not names:
        raise UsageError(f"{inventory} has no hosts" + (f" that match {limit}" if limit else ""))
    known = {name: {key: variables[name][key] for key in _VARIABLES & variables.get(name, {}).keys()} for name in names}
    if re.search(r"\{\{|__ansible_vault", json.dumps(known)):
        known = _filled_in(inventory, known)
    with ThreadPoolExecutor(len(names)) as pool:  # names that no server answers for take seconds each
        lab_pcs = dict(zip(names, pool.map(lambda name: _endpoint(inventory, name, known[name]), names), strict=True))
    local = [name for name, at in lab_pcs.items() if at.address.startswith("127.")]
    if local and len(names) > 1:
        raise UsageError(
            f"{local[0]} is reached at {lab_pcs[local[0]].address}, where the other machines find themselves",
            "say where they find it: the variable labroom_address",
        )
    parts = dict.fromkeys(_members(groups, "gateways"), "gateway")
    parts |= dict.fromkeys(_members(groups, "outside"), "outside")
    seats = {seat: _members(groups, seat) for seat in groups.get("seats", {}).get("children", [])}
    if "seats" not in groups:
        parts = {name: name for name in names if name in (*PARTS, "gateway", "outside")} | parts
        seats = {"": [name for name in names if name in parts]}
    seats = {seat: there for seat, there in seats.items() if there}
    if not seats:
        raise UsageError(
            f"no host of {inventory} plays a part" + (f" among those that match {limit}" if limit else ""),
            f"name them {', '.join(PARTS)}, or put groups of them below a group `seats`: docs/lab-room.md",
        )
    return LabRoom(inventory, lab_pcs, seats, parts)


def _members(groups: Mapping[str, Any], group: str) -> list[str]:
    """The hosts of a group and of the groups below it, in the order of the inventory, each once."""
    found = groups.get(group, {})
    below = [name for child in found.get("children", []) for name in _members(groups, child)]
    return list(dict.fromkeys([*found.get("hosts", []), *below]))


def _ansible(command: str, inventory: str, *arguments: str) -> str:
    """What one of Ansible's commands prints about an inventory.

    Raises:
        UsageError: it failed; the message has its own words.
    """
    done = subprocess.run(
        [*ansible(command), "-i", inventory, *arguments],
        stdin=subprocess.DEVNULL,
        env=_environment(),
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    said = done.stdout + done.stderr
    if "no vault secrets" in said:
        raise UsageError(
            f"{inventory}: some of it is encrypted by vault",
            "name the file with the password in the environment: ANSIBLE_VAULT_PASSWORD_FILE=FILE",
        )
    errors = re.findall(r"^\[ERROR\]: (?:Task failed: )?(.*)", said, re.MULTILINE)
    by_plugin = dict(re.findall(r"Failed to parse inventory with '(\w+)' plugin: (.*)", said))  # each tries the file
    form = "yaml" if inventory.endswith((".yml", ".yaml")) else "ini"
    reason = by_plugin.get(form) or next(iter(errors), "Ansible can't read it")
    raise UsageError(
        f"{inventory}: {reason}", f"{commands.tool('ansible-inventory', '-i', inventory, '--list')} says more"
    )


def _environment() -> dict[str, str]:
    """The environment in which Ansible reads an inventory: the user's configuration holds, but for how it talks."""
    told = environment()
    collections = [str(COLLECTIONS)] if "ANSIBLE_CONFIG" not in told else []
    if theirs := told.get("ANSIBLE_COLLECTIONS_PATH"):
        collections = [str(COLLECTIONS), theirs]
    if collections:
        told["ANSIBLE_COLLECTIONS_PATH"] = ":".join(collections)
    return {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")} | told | _PLAIN


def _filled_in(inventory: str, known: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The variables of hosts filled in and decrypted: all by one host's task, which is as fast as for one."""
    each = {
        host: ", ".join(f"{name!r}: hostvars[{host!r}][{name!r}]" for name in variables)
        for host, variables in known.items()
    }
    wanted = ", ".join(f"{host!r}: {{ {values} }}" for host, values in each.items())
    said = _ansible(
        "adhoc", inventory, next(iter(known)), "-m", "ansible.builtin.debug", "-a", f"msg={{{{ {{ {wanted} }} }}}}"
    )
    found: dict[str, dict[str, Any]] = json.loads(said[said.index("{") :])["msg"]
    return found


def _endpoint(inventory: str, name: str, variables: Mapping[str, Any]) -> Endpoint:
    """How OpenSSH would reach a host, given what Ansible gives it and the user's own ssh_config(5)."""
    arguments = ["-l", str(variables.get("student_account_name", keys.STUDENT))]
    if port := variables.get("ansible_port"):
        arguments += ["-p", str(port)]
    if key := variables.get("ansible_ssh_private_key_file", variables.get("ansible_private_key_file")):
        arguments += ["-o", f'IdentityFile="{key}"']
    for more in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        arguments += shlex.split(variables.get(more, ""))
    host = str(variables.get("ansible_host", name))
    found = _client_options(*arguments, host)
    identities = found.get("identityfile", [])
    if identities == _client_options("-F", "none", "localhost").get("identityfile"):
        identities = []
    tokens = _tokens(found, host)
    files = [file for key in ("user", "global") for file in _paths(found[f"{key}knownhostsfile"][0])]
    hostname, port = found["hostname"][0], int(found["port"][0])
    at = variables.get("labroom_address")
    return Endpoint(
        name=name,
        address=str(at) if at else _address(hostname),
        ssh_host=hostname,
        ssh_port=port,
        user=found["user"][0],
        identity_files=tuple(Path(_filled(file, tokens)).expanduser() for file in identities if file != "none"),
        known_hosts=tuple(filter(_is_file, files)) or tuple(files[:1]),
        bind_address=found["bindaddress"][0] if "bindaddress" in found else None,
        proxy_command=_proxy_command(found, tokens, _config(arguments)),
        host_key_alias=found["hostkeyalias"][0] if "hostkeyalias" in found else None,
        remedy=f"is it on? {commands.labroom('ssh', name, inventory=inventory)} says more",
        provision=f"{commands.playbook('room.yml', Path(inventory))} --limit {shlex.quote(name)}",
    )


@cache
def _client_options(*arguments: str) -> dict[str, list[str]]:
    """What OpenSSH's client makes of its arguments and configuration (ssh -G): option in lower case -> its values.

    Raises:
        UsageError: it refuses them.
    """
    done = subprocess.run(
        ["ssh", "-G", *arguments],
        stdin=subprocess.DEVNULL,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",  # paths, above all
        check=False,
    )
    if done.returncode != 0:
        raise UsageError(f"ssh {shlex.join(arguments)}: {done.stderr.strip().partition(chr(10))[0]}")
    options: dict[str, list[str]] = {}
    for line in done.stdout.split("\n"):
        option, _, value = line.partition(" ")
        options.setdefault(option, []).append(value)
    return options


def _way(*arguments: str) -> list[list[str]]:
    """How a host is reached, of all that `_client_options` knows."""
    options = _client_options(*arguments)
    names = "hostname port user identityfile userknownhostsfile hostkeyalias proxyjump proxycommand"
    return [options.get(name, []) for name in names.split()]


def _config(arguments: Sequence[str]) -> list[str]:
    """The option -F among those of ssh, which goes to a jump host's ssh as well."""
    given, _ = getopt.getopt(list(arguments), _SSH_OPTIONS)
    return [word for option, value in given if option == "-F" for word in (option, value)]


def _tokens(options: Mapping[str, Sequence[str]], host: str) -> dict[str, str]:
    """What the tokens of ssh_config(5) stand for, where `ssh -G` leaves them as they are."""
    here = socket.gethostname()
    return {
        "%": "%",
        "d": str(Path.home()),
        "h": options["hostname"][0],
        "i": str(os.getuid()),
        "k": options.get("hostkeyalias", [host])[0],
        "L": here.partition(".")[0],
        "l": here,
        "n": host,
        "p": options["port"][0],
        "r": options["user"][0],
        "u": pwd.getpwuid(os.getuid()).pw_name,
    }


def _filled(text: str, tokens: Mapping[str, str]) -> str:
    """A value of ssh_config(5) with its tokens and variables filled in; what is not known stays."""
    return re.sub(
        r"%(.)|\$\{(\w+)\}",
        lambda found: tokens.get(found[1], found[0]) if found[1] else os.environ.get(found[2], found[0]),
        text,
    )


def _paths(line: str) -> list[Path]:
    """The files of a line of `ssh -G`, with blanks between them and perhaps in them: those that are there tell."""
    files = []
    words = line.split(" ")
    while words:
        counts = range(len(words), 0, -1)
        count = next((count for count in counts if _is_file(Path(" ".join(words[:count])).expanduser())), 1)
        files.append(Path(" ".join(words[:count])).expanduser())
        words = words[count:]
    return files


def _is_file(path: Path) -> bool:
    with suppress(OSError):  # such as a name that is too long for one, or a folder that is another user's
        return path.is_file()
    return False


def _proxy_command(
    options: Mapping[str, Sequence[str]], tokens: Mapping[str, str], config: Sequence[str]
) -> str | None:
    """What leads to a host that is not reached directly: its ProxyCommand, or the one that ProxyJump stands for."""
    if "proxyjump" in options:
        jumps = options["proxyjump"][0].split(",")
        targets = [jump if jump.startswith("ssh://") else f"ssh://{jump}" for jump in jumps]
        if all(_way(target) == _way(*config, target) for target in targets):
            config = ()  # says no more of them than the user's own
        more = ["-J", ",".join(jumps[:-1])] if jumps[1:] else []
        at = f"[{options['hostname'][0]}]:{options['port'][0]}"
        return shlex.join(["ssh", *config, *more, "-W", at, targets[-1]])
    if "proxycommand" in options:
        return re.sub("%(.)", lambda found: tokens.get(found[1], found[0]), options["proxycommand"][0])
    return None


def _address(host: str) -> str:
    """The IPv4 address of a host; its name where there is none, which nobody can reach then."""
    try:
        return socket.gethostbyname(host)
    except OSError:
        return host


def absent(lab_pcs: Mapping[str, Endpoint]) -> dict[str, RoomFault]:
    """Try lab PCs side by side, as checks will reach them: those that can't play, and why not."""
    with ThreadPoolExecutor(max(len(lab_pcs), 1)) as pool:
        reasons = dict(zip(lab_pcs, pool.map(_try, lab_pcs.values()), strict=True))
    return {name: reason for name, reason in reasons.items() if reason}


def _try(at: Endpoint) -> RoomFault | None:
    driver = Driver({at.name: at})
    host = driver.hosts[at.name]
    try:
        if host.run("test", "-d", PLACE).status != 0:
            return RoomFault(f"{at.name} ({at.ssh_host}) has no {PLACE}", at.provision)
    except RoomFault as reason:
        return reason
    finally:
        driver.close()
    return None
