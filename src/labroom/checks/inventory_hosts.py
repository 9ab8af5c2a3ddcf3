"""The lab room that exists already: machines of an Ansible inventory, driven over SSH as they are.

Machines are seated by groups: each group below the group `seats` is a room of its own, in which those that can be
reached play the server and its clients. Without that group, machines play the part of their own name.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, TextIO

from labroom import keys, state
from labroom.checks import run as checks
from labroom.driver.driver import Driver
from labroom.endpoint import Endpoint
from labroom.errors import LabroomError, MachineError, RoomFault, UsageError
from labroom.machine import tool
from labroom.reports.page import CheckResult
from labroom.resources import ROOT

#: What the machines of a seat play, in the order of the inventory.
PARTS = ("server", "alfa", "bravo", "charlie")

# Seats checked at once: their labs mostly wait, and what works is the machines' own processors.
SEATS = 3

_HEARTBEAT = 15.0  # s between signs of life while seats are checked

# Ansible's variables that say how a host is reached (its connection plug-in `ssh`), and two of labroom's.
_VARIABLES = {
    *("ansible_host", "ansible_port", "ansible_ssh_private_key_file", "ansible_private_key_file"),
    *("ansible_ssh_common_args", "ansible_ssh_extra_args", "student_account_name", "labroom_address"),
}


@dataclass(frozen=True)
class LabRoom:
    """The machines of an inventory.

    Attributes:
        inventory: the inventory, as Ansible's option -i has it.
        machines: how each is reached, by its name in the inventory.
        seats: name of a seat -> names of its machines; one seat without a name where there is no group `seats`.
        parts: machine -> the part that its name or group gives it; the others of a seat take the rest of `PARTS`.
    """

    inventory: str
    machines: dict[str, Endpoint]
    seats: dict[str, list[str]]
    parts: dict[str, str]

    def cast(self, seat: str, present: Container[str]) -> dict[str, str]:
        """Who plays what in a seat: part -> machine, of those present. Machines beyond the last part play nothing."""
        there = [name for name in self.seats[seat] if name in present]
        free = [name for name in there if name not in self.parts]
        return dict(zip(PARTS, free, strict=False)) | {self.parts[name]: name for name in there if name in self.parts}

    def endpoints(self, cast: Mapping[str, str]) -> dict[str, Endpoint]:
        """How the machines of a seat are reached, under the names of the parts that they play."""
        return {part: replace(self.machines[name], name=part) for part, name in cast.items()}


def read(inventory: str, limit: str | None = None) -> LabRoom:
    """Read an inventory: YAML, INI, a folder, a script, room.yml: whatever Ansible reads.

    Args:
        inventory: as Ansible's option -i has it.
        limit: only these machines and groups (a host pattern, as Ansible's option --limit has it).

    Raises:
        UsageError: Ansible can't read it, it has no such machine, or says of one what can't be done.
    """
    if "," not in inventory and not Path(inventory).exists():
        raise UsageError(
            f"there is no inventory {inventory}", "cp inventory/lab-room.example.yml inventory/lab-room.yml"
        )
    narrowed = ["--limit", limit] if limit else []
    groups = json.loads(_ansible("ansible-inventory", inventory, "--list", *narrowed))
    variables: dict[str, dict[str, Any]] = groups.pop("_meta")["hostvars"]
    names = _members(groups, "all")
    if not names:
        raise UsageError(f"{inventory} has no hosts" + (f" that match {limit}" if limit else ""))
    known = {name: {key: variables[name][key] for key in _VARIABLES & variables.get(name, {}).keys()} for name in names}
    if "{{" in json.dumps(known):
        known = _filled_in(inventory, known)
    with ThreadPoolExecutor(len(names)) as pool:  # names that no server answers for take seconds each
        machines = dict(zip(names, pool.map(lambda name: _endpoint(inventory, name, known[name]), names), strict=True))
    local = [name for name, at in machines.items() if at.address.startswith("127.")]
    if local and len(names) > 1:
        raise UsageError(
            f"{local[0]} is reached at {machines[local[0]].address}, where the other machines find themselves",
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
    return LabRoom(inventory, machines, seats, parts)


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
        [tool(command), "-i", inventory, *arguments],
        env={
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            **os.environ,
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1",
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "10000",  # it wraps its messages
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    if "no vault secrets" in done.stderr:
        raise UsageError(
            f"{inventory}: some of it is encrypted by vault",
            "name the file with the password in the environment: ANSIBLE_VAULT_PASSWORD_FILE=FILE",
        )
    said = done.stdout + done.stderr
    errors = re.findall(r"^\[ERROR\]: (?:Task failed: )?(.*)", said, re.MULTILINE)
    by_plugin = dict(re.findall(r"Failed to parse inventory with '(\w+)' plugin: (.*)", said))  # each tries the file
    form = "yaml" if inventory.endswith((".yml", ".yaml")) else "ini"
    reason = by_plugin.get(form) or next(iter(errors), "Ansible can't read it")
    raise UsageError(f"{inventory}: {reason}", f"ansible-inventory -i {inventory} --list says more")


def _filled_in(inventory: str, known: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The variables of hosts with their templates filled in: all by one host's task, which is as fast as for one."""
    each = {
        host: ", ".join(f"{name!r}: hostvars[{host!r}][{name!r}]" for name in variables)
        for host, variables in known.items()
    }
    wanted = ", ".join(f"{host!r}: {{ {values} }}" for host, values in each.items())
    said = _ansible(
        "ansible", inventory, next(iter(known)), "-m", "ansible.builtin.debug", "-a", f"msg={{{{ {{ {wanted} }} }}}}"
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
    files = [Path(file).expanduser() for key in ("user", "global") for file in found[f"{key}knownhostsfile"][0].split()]
    hostname, port = found["hostname"][0], int(found["port"][0])
    at = variables.get("labroom_address")
    return Endpoint(
        name=name,
        address=str(at) if at else _address(hostname),
        ssh_host=hostname,
        ssh_port=port,
        user=found["user"][0],
        identity_files=tuple(Path(file).expanduser() for file in identities),
        known_hosts=tuple(file for file in files if file.is_file()) or tuple(files[:1]),
        bind_address=found["bindaddress"][0] if "bindaddress" in found else None,
        proxy_command=_proxy_command(found),
        remedy=f"is it on? ./labroom ssh --provider ssh -i {inventory} {name} says more",
    )


@cache
def _client_options(*arguments: str) -> dict[str, list[str]]:
    """What OpenSSH's client makes of its arguments and configuration (ssh -G): option in lower case -> its values.

    Raises:
        UsageError: it refuses them.
    """
    done = subprocess.run(["ssh", "-G", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UsageError(f"ssh {shlex.join(arguments)}: {done.stderr.strip()}")
    options: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        option, _, value = line.partition(" ")
        options.setdefault(option, []).append(value)
    return options


def _proxy_command(options: Mapping[str, Sequence[str]]) -> str | None:
    """What leads to a host that is not reached directly: its ProxyCommand, or the one that ProxyJump stands for."""
    if "proxyjump" in options:
        jumps, _, last = options["proxyjump"][0].rpartition(",")
        target = last if last.startswith("ssh://") else f"ssh://{last}"
        command = shlex.join(["ssh", *(["-J", jumps] if jumps else []), "-W", "[%h]:%p", target])
    elif "proxycommand" in options:
        command = options["proxycommand"][0]
    else:
        return None
    values = {"%%": "%", "%h": options["hostname"][0], "%p": options["port"][0], "%r": options["user"][0]}
    return re.sub("%[%hpr]", lambda token: values[token[0]], command)


def _address(host: str) -> str:
    """The IPv4 address of a host; its name where there is none, which nobody can reach then."""
    try:
        return socket.gethostbyname(host)
    except OSError:
        return host


def absent(machines: Mapping[str, Endpoint]) -> dict[str, RoomFault]:
    """Try machines side by side, as checks will reach them: those that can't play, and why not."""
    with ThreadPoolExecutor(max(len(machines), 1)) as pool:
        reasons = dict(zip(machines, pool.map(_try, machines.values()), strict=True))
    return {name: reason for name, reason in reasons.items() if reason}


def _try(at: Endpoint) -> RoomFault | None:
    driver = Driver({at.name: at})
    host = driver.hosts[at.name]
    try:
        if host.run("test", "-d", driver.labs).status != 0:
            return RoomFault(f"{at.name} ({at.ssh_host}) has no {driver.labs}", "playbooks/room.yml brings the labs")
    except RoomFault as reason:
        return reason
    finally:
        driver.close()
    return None


def one_seat(inventory: str, limit: str | None) -> dict[str, Endpoint]:
    """How the machines of the one seat of an inventory are reached, by the part that each plays; see `read`.

    Raises:
        UsageError: of `read`, or there are several seats.
    """
    room = read(inventory, limit)
    if len(room.seats) > 1:
        raise UsageError(f"a play is for one seat, not {len(room.seats)}", f"--limit {next(iter(room.seats))}")
    (seat,) = room.seats
    missing = absent({name: room.machines[name] for name in room.seats[seat]})
    _tell_missing("not there", missing, dict.fromkeys(missing, seat))
    return room.endpoints(room.cast(seat, room.machines.keys() - missing.keys()))


def check(inventory: str, limit: str | None, labs: Sequence[str], report_dir: Path) -> int:
    """Check labs in every seat, several seats side by side; show what was found, and who could not be asked.

    Args:
        inventory: as `read` takes it.
        limit: as `read` takes it.
        labs: names of labs.
        report_dir: the report of each seat is in the folder of its name.

    Returns:
        the exit status: 1 a lab failed, 3 none failed but a machine could not be reached or was at fault, else 0.

    Raises:
        LabroomError: of `read` and `checks.run`.
        KeyboardInterrupt: interrupted; nothing of the checks runs on the machines any more.
    """
    room = read(inventory, limit)
    seated = {name: seat for seat, names in room.seats.items() for name in names}
    print(f"{inventory}: {_count(len(seated), 'machine')}", end="")
    print("" if "" in room.seats else f" in {_count(len(room.seats), 'seat')}", flush=True)
    missing = absent({name: room.machines[name] for name in seated})
    _tell_missing("not there", missing, seated)
    casts = {seat: room.cast(seat, seated.keys() - missing.keys()) for seat in room.seats}
    for seat, cast in casts.items():
        print(f"{seat or 'parts'}: {', '.join(f'{part} {name}' for part, name in cast.items()) or 'nobody is there'}")
        if spare := [name for name in room.seats[seat] if name not in missing and name not in cast.values()]:
            print(f"  more than the labs need: {' '.join(spare)}")
    print(flush=True)
    jobs = {
        seat: _Job(room.endpoints(cast), labs, report_dir / seat, _command(inventory, seat))
        for seat, cast in casts.items()
        if cast
    }
    results = _run(jobs)
    if len(results) > 1 or missing:
        print()
    if len(results) > 1:
        for seat in jobs:
            print(f"{seat}: {results[seat].summary}")
    _tell_missing("not checked", missing, seated)
    statuses = {result.status for result in results.values()}
    return 1 if 1 in statuses else 3 if missing or 3 in statuses or not results else 0


def _command(inventory: str, seat: str) -> str:
    words = ["./labroom", "check", "--provider", "ssh", "-i", inventory]
    return shlex.join(words + (["--limit", seat] if seat else []))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _tell_missing(what: str, missing: Mapping[str, RoomFault], seated: Mapping[str, str]) -> None:
    for name, reason in missing.items():
        print(f"{what}{seated[name] and ', ' + seated[name]}: {reason}")
        if reason.help:
            print(f"  help: {reason.help}")


@dataclass(frozen=True)
class _Job:
    """The checks of one seat: the arguments of `checks.run`."""

    endpoints: dict[str, Endpoint]
    labs: Sequence[str]
    report_dir: Path
    command: str

    def run(self, out: TextIO | None = None) -> CheckResult:
        with state.locked(self.report_dir / "check.lock", f"runs labs on these machines: {self.command}"):
            return checks.run(self.endpoints, self.labs, self.report_dir, out=out, command=self.command)

    def send(self, answers: Connection) -> None:
        """Run in a process of its own, and send what was found and what was shown, or the error met."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        out = io.StringIO()
        try:
            answers.send((self.run(out), out.getvalue()))
        except (LabroomError, OSError) as error:
            answers.send((error, ""))
        except KeyboardInterrupt:
            sys.exit(130)


def _run(jobs: Mapping[str, _Job]) -> dict[str, CheckResult]:
    """Run the jobs: several side by side, each in a process of its own; one alone in this one, with its progress."""
    if len(jobs) == 1:
        return {seat: job.run() for seat, job in jobs.items()}
    results: dict[str, CheckResult] = {}
    running: dict[Any, tuple[str, SpawnProcess]] = {}  # by the Connection that it answers on
    ready: Any
    waiting = list(jobs)
    began = time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    try:
        while waiting or running:
            while waiting and len(running) < SEATS:
                seat = waiting.pop(0)
                answers, ours = spawn.Pipe(duplex=False)
                process = spawn.Process(target=jobs[seat].send, args=(ours,), name=seat)
                running[answers] = (seat, process)
                process.start()
                ours.close()
            answered = wait(list(running), _HEARTBEAT)
            if not answered:
                seats = ", ".join(seat for seat, _ in running.values())
                print(f"  {seats}: {time.monotonic() - began:.0f} s so far", flush=True)
            for ready in answered:
                seat, process = running[ready]
                try:
                    found, shown = ready.recv()
                except EOFError:
                    found, shown = MachineError(f"the checks of {seat} were ended from elsewhere"), ""
                process.join()
                del running[ready]
                if isinstance(found, Exception):
                    raise found
                results[seat] = found
                print(f"{seat}\n{shown}", flush=True)
    finally:
        for _, process in running.values():
            if process.pid:
                process.terminate()
                process.join()
    return results
