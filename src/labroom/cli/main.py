"""The command `labroom`: its verbs, and what each prints."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType

from labroom import providers as provider
from labroom import room, state
from labroom.endpoint import Endpoint
from labroom.errors import LabroomError, MachineError, RoomFault, UsageError
from labroom.resources import IN_CHECKOUT, REPORTS, ROOT, version

_EPILOG = """exit status: 0 all is well; 1 a lab failed; 2 usage or room file; 3 the room or the machine;
130 interrupted. Each error is one line that says what is wrong, and one that says what mends it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `labroom` with `arguments`, those of the process if None, and return its exit status."""
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGINT, _interrupted)
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except LabroomError as error:
        print(f"labroom: {error}", file=sys.stderr)
        if error.remedy:
            print(f"  help: {error.remedy}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("labroom: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # such as a full disk, met where no better words were found for it
        print(f"labroom: {error.strerror}: {error.filename or 'no file named'}", file=sys.stderr)
        return MachineError.status


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="labroom",
        description="A lab of guests on a private network behind NAT, and checks that drive lab programs across it.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"labroom {version()}")
    parser.add_argument(
        "--room", type=Path, metavar="FILE", help="the room file (room.yml here, else the checkout's own)"
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    machines = argparse.ArgumentParser(add_help=False)
    machines.add_argument("--provider", choices=("ssh",), help="machines that exist already, instead of the room")
    machines.add_argument("-i", "--inventory", metavar="INVENTORY", help="Ansible's inventory of these machines")
    machines.add_argument("--limit", metavar="PATTERN", help="only these machines and groups of it")

    def verb(
        name: str, run: Callable[[argparse.Namespace], int], text: str, *options: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", parents=options)
        sub.set_defaults(run=run)
        return sub

    up = verb("up", _up, "make the room, or mend it where something is missing")
    up.add_argument("--check", action="store_true", help="then drive the labs across it")
    up.add_argument("--provider", choices=provider.NAMES, help="what makes the guests (nspawn)")
    down = verb("down", _down, "take the room down; nothing of it stays but its image and keys")
    down.add_argument("--purge", action="store_true", help="remove the image and the keys too")
    check = verb("check", _check, "drive the labs across the room and say what happened", machines)
    check.add_argument("labs", nargs="*", metavar="LAB", help="which (labroom list); all if none is named")
    play = verb("play", _play, "run a lab for an audience, at lecture pace, a column a host", machines)
    play.add_argument("lab", metavar="LAB", help="which (labroom list)")
    verb("status", _status, "show the guests, their addresses and the forwarded ports")
    verb("list", _list, "show the labs")
    ssh = verb("ssh", _ssh, "log in to a guest, or run a command there", machines)
    ssh.add_argument("guest", metavar="GUEST")
    ssh.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    verb("ssh-config", _ssh_config, "print what `ssh -F` and VS Code need to reach the guests", machines)
    verb("doctor", _doctor, "show what this machine lacks, and the command that mends it")
    test = verb("test", _test, "run the project's own tests")
    test.add_argument("pytest", nargs=argparse.REMAINDER, metavar="…", help="for pytest, instead of everything")
    return parser


def _room_file(options: argparse.Namespace) -> Path:
    file: Path | None = options.room
    return file.absolute() if file else room.default_file()


# Modules that only some verbs need are imported by those: `labroom list` starts in a tenth of a second.


def _up(options: argparse.Namespace) -> int:
    from labroom import machine
    from labroom.console import Console, ConsoleProgress

    file = _room_file(options)
    wanted = room.load(file)
    made_by = provider.read_record(wanted.name).get("provider", provider.NAMES[0])
    makes = provider.named(options.provider or made_by)
    if makes.NEEDS_ROOT:
        machine.require_root("up")
    progress = ConsoleProgress(Console(sys.stdout))
    started = time.monotonic()
    with state.locked(_lock(wanted.name), f"brings room {wanted.name} up"):
        record = provider.read_record(wanted.name)
        was_up = bool(record) and provider.named(made_by).exists(wanted.name)
        if was_up and record["file"] != str(file):
            raise MachineError(
                f"a room named {wanted.name} is up already, of {record['file']}",
                f"labroom --room {record['file']} down, or another name in {file}",
            )
        if was_up and options.provider not in (None, made_by):
            raise MachineError(f"room {wanted.name} is up by {made_by}", "labroom down, then labroom up")
        print(f"room {wanted.name}: {len(wanted.guests)} guests, by {file}", flush=True)
        try:
            done = makes.up(wanted, file, progress)
        except BaseException:
            if not was_up:  # half a room is of no use to anybody
                makes.down(wanted.name, at_once=True)
            raise
    for guest, what in done.items():
        if was_up:
            print(f"  {guest} {what}")
    print(f"all in order after {time.monotonic() - started:.1f} s" if not done else f"up: {progress.longest()}")
    status = 0
    if options.check:
        status = _run_checks(options, [])
    elif wanted.image.provisioned:
        print("drive the labs:  ./labroom check")
    else:
        print(f"provision it:    .venv/bin/ansible-playbook -i {file} playbooks/room.yml")
    print("log in:          ./labroom ssh server\nlook:            ./labroom status\ntake it down:    ./labroom down")
    return status


def _lock(name: str) -> Path:
    return state.ROOT / "locks" / name


def _down(options: argparse.Namespace) -> int:
    from labroom import machine

    file = _room_file(options)
    # By the room's record first: room.yml may be gone, broken, or say another name by now.
    names = {
        record.parent.name
        for record in state.ROOMS.glob("*/room.json")
        if state.read_json(record).get("file") == str(file)
    }
    try:
        name = room.load(file).name
    except LabroomError:
        if not names:
            raise
    else:
        other = provider.read_record(name).get("file", str(file))
        if other == str(file):
            names.add(name)
        elif not names:
            raise MachineError(f"room {name} is that of {other}", f"labroom --room {other} down")
    if options.purge or any(provider.of(name).NEEDS_ROOT for name in names):
        machine.require_root("down")
    for name in sorted(names):
        started = time.monotonic()
        with state.locked(_lock(name), f"takes room {name} down"):
            there = provider.of(name).down(name)
            if options.purge:
                state.remove_tree(state.ROOMS / name)
                for log in state.ROOT.glob(f"{name}-*.log"):
                    log.unlink()
        print(f"room {name}: down after {time.monotonic() - started:.1f} s" if there else f"room {name}: was not up")
    if options.purge:
        for other in provider.NAMES:
            provider.named(other).purge()
        print("images and keys removed")
    return 0


def _check(options: argparse.Namespace) -> int:
    if inventory := _inventory(options):
        from labroom.checks import run as checks
        from labroom.console import Console
        from labroom.reports import seats

        return seats.check(inventory, options.limit, checks.chosen(options.labs), REPORTS, Console(sys.stdout))
    return _run_checks(options, options.labs)


def _inventory(options: argparse.Namespace) -> str | None:
    """The inventory of machines that exist already; None where the room is meant.

    Raises:
        UsageError: one of the options for such machines is missing.
    """
    if options.provider and options.inventory:
        return str(options.inventory)
    if options.provider:
        raise UsageError("--provider ssh needs the machines' inventory: -i INVENTORY")
    if options.inventory or options.limit:
        raise UsageError("-i and --limit are for machines that exist already: --provider ssh -i INVENTORY")
    return None


def _run_checks(options: argparse.Namespace, labs: Sequence[str]) -> int:
    from labroom.checks import run as checks
    from labroom.console import Console
    from labroom.reports import lines

    labs = checks.chosen(labs)
    wanted = _running_room(options)
    with _locked_for_labs(wanted):
        return lines.run(provider.of(wanted.name).endpoints(wanted), labs, REPORTS, Console(sys.stdout)).status


def _play(options: argparse.Namespace) -> int:
    from labroom.checks import run as checks
    from labroom.console import Console
    from labroom.reports import play, seats

    checks.chosen([options.lab])
    console = Console(sys.stdout)
    if inventory := _inventory(options):
        return play.run(seats.one_seat(inventory, options.limit, console), options.lab, REPORTS, console)
    wanted = _running_room(options)
    with _locked_for_labs(wanted):
        return play.run(provider.of(wanted.name).endpoints(wanted), options.lab, REPORTS, console)


def _locked_for_labs(wanted: room.Room) -> AbstractContextManager[object]:
    """Two at once would fight for the labs' ports. The lock lies where whoever may use the keys may write."""
    from labroom import keys

    return state.locked(keys.folder(wanted.name) / "check.lock", f"runs labs in room {wanted.name}")


def _running_room(options: argparse.Namespace) -> room.Room:
    """The room, which must be up.

    Raises:
        RoomFault: it isn't.
    """
    wanted = room.load(_room_file(options))
    if not provider.of(wanted.name).exists(wanted.name):
        raise RoomFault(f"room {wanted.name} is not up", "sudo ./labroom up")
    return wanted


def _status(options: argparse.Namespace) -> int:
    wanted = room.load(_room_file(options))
    makes = provider.of(wanted.name)
    if not makes.exists(wanted.name):
        print(f"room {wanted.name} is not up: ./labroom up")
        return 0
    print(f"room {wanted.name}, domain {wanted.domain}, internet {'on' if wanted.internet else 'off'}\n")
    print(f"{'GUEST':<12} {'ADDRESS':<16} {'STATE':<6} {'UP':>8} {'MEMORY':>9} {'CPU':>8} {'PROCESSES':>10}")
    for guest in makes.status(wanted):
        addresses = [wanted.guests[guest.name].private, wanted.guests[guest.name].outside]
        first, *more = [str(address) for address in addresses if address]
        line = f"{guest.name:<12} {first:<16} {'up' if guest.up else 'DOWN':<6}"
        if guest.up:
            minutes, seconds = divmod(int(guest.seconds), 60)
            age = f"{minutes // 60}h{minutes % 60:02}m" if minutes >= 60 else f"{minutes}m{seconds:02}s"
            line += f" {age:>8} {guest.memory_bytes / 2**20:5.1f} MiB {guest.cpu_seconds:6.2f} s {guest.processes:>10}"
        print(line)
        for address in more:
            print(f"{'':<12} {address}")
    if wanted.gateway and wanted.forwarded_ports:
        print(f"\nforwarded by the gateway, {wanted.gateway.outside}:")
        for forward in wanted.forwarded_ports:
            print(f"  {forward.port:>5} -> {forward.guest}:{forward.target}")
    return 0


def _list(options: argparse.Namespace) -> int:
    from labroom import labs

    for name, title in labs.titles().items():
        print(f"{name:<16} {title}")
    return 0


def _ssh(options: argparse.Namespace) -> int:
    endpoints = _endpoints(options)
    if options.guest not in endpoints:
        raise UsageError(f"there is no guest {options.guest!r}", f"the guests: {', '.join(endpoints)}")
    at = endpoints[options.guest]
    ssh_options = [*at.ssh_options(), ("LogLevel", "ERROR"), ("Port", str(at.ssh_port))]
    argv = ["ssh", "-F", "none", *(f"-o{name}={value}" for name, value in ssh_options)]
    sys.stdout.flush()
    os.execvp("ssh", [*argv, f"{at.user}@{at.ssh_host}", *options.command])  # noqa: S606 (no shell is meant)


def _ssh_config(options: argparse.Namespace) -> int:
    from labroom import keys

    print(keys.client_config(_endpoints(options)), end="")
    return 0


def _endpoints(options: argparse.Namespace) -> dict[str, Endpoint]:
    """How each host is reached, by its name: of an inventory, or of the room, which must be up."""
    if inventory := _inventory(options):
        from labroom.checks import inventory_hosts

        return inventory_hosts.read(inventory, options.limit).lab_pcs
    wanted = _running_room(options)
    return provider.of(wanted.name).endpoints(wanted)


def _doctor(options: argparse.Namespace) -> int:
    from labroom import machine
    from labroom.providers.nspawn import links as network

    wanted = room.load(_room_file(options))
    findings = machine.examine()
    try:
        network.check_free(wanted)
        findings.append(machine.Finding("the room's networks are free", ok=True))
    except MachineError as error:
        findings.append(machine.Finding(f"the room's networks are free: {error}", ok=False, remedy=error.remedy))
    for finding in findings:
        print(f"{'ok ' if finding.ok else 'NO '} {finding.what}{'' if finding.ok else ': ' + finding.remedy}")
    lacking = sum(not finding.ok for finding in findings)
    if lacking:
        raise MachineError(
            f"this machine lacks {lacking} of {len(findings)} things; `labroom up` installs packages itself"
        )
    print("this machine can run a room")
    if not Path(machine.tool("molecule")).exists():
        print("molecule, for tests of the roles, comes with: ./labroom test tests/unit/test_roles.py")
    return 0


def _test(options: argparse.Namespace) -> int:
    from labroom import machine

    if not options.pytest:
        machine.require_root("test")
    if not IN_CHECKOUT:
        raise UsageError("labroom test needs a checkout", "git clone labroom, and ./labroom test there")
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "tests.run", *options.pytest])  # noqa: S606 (no shell is meant)
