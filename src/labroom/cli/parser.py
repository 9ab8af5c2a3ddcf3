"""The words that the command understands, and what they choose: a room file, or machines that exist already."""

import argparse
import sys
from pathlib import Path
from typing import Any

from labroom import providers
from labroom.console import Console
from labroom.errors import UsageError
from labroom.resources import version

_EPILOG = """exit status: 0 all is well; 1 a lab failed; 2 usage or room file; 3 the room or the machine;
130 interrupted. Each error is one line that says what is wrong, and one that says what repairs it."""


class _Parser(argparse.ArgumentParser):
    """argparse's, whose messages reach the terminal as all others do."""

    def _print_message(self, message: str, file: Any = None) -> None:
        console = Console(file or sys.stderr)
        for line in message.splitlines():
            console.line(line)


class _Version(argparse.Action):
    """--version, which alone reads it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        Console(sys.stdout).line(f"labroom {version()}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The parser; what it returns has, as `run`, the module and the function of the verb ("labroom.cli.labs:check")."""
    parser = _Parser(
        prog="labroom",
        description="A lab of guests on a private network behind NAT, and checks that drive lab programs across it.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    parser.add_argument(
        "--room", type=Path, metavar="FILE", help="the room file (room.yml here, else the checkout's own)"
    )
    rooms = _Parser(
        add_help=False
    )  # after the verb, too; without a default, which would take away what was said before it
    rooms.add_argument("--room", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the room file")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    machines = _Parser(add_help=False)
    machines.add_argument("--provider", choices=("ssh",), help="machines that exist already, instead of the room")
    machines.add_argument("-i", "--inventory", metavar="INVENTORY", help="Ansible's inventory of these machines")
    machines.add_argument("--limit", metavar="PATTERN", help="only these machines and groups of it")

    def verb(name: str, run: str, text: str, *options: _Parser) -> argparse.ArgumentParser:
        said = text[0].upper() + text[1:] + "."
        sub = verbs.add_parser(name, help=text, description=said, parents=(rooms, *options))
        sub.set_defaults(run=f"labroom.cli.{run}")
        return sub

    up = verb("up", "room:up", "create the room, or repair it where something is missing")
    up.add_argument("--check", action="store_true", help="then drive the labs across it")
    up.add_argument("--provider", choices=providers.NAMES, help="what makes the guests (nspawn)")
    down = verb("down", "room:down", "take the room down; nothing of it stays but its image and keys")
    down.add_argument("--purge", action="store_true", help="remove the image and the keys too")
    check = verb("check", "labs:check", "drive the labs across the room and say what happened", machines)
    check.add_argument("labs", nargs="*", metavar="LAB", help="which (labroom list); all if none is named")
    check.add_argument("-k", dest="words", default="", metavar="WORDS", help="only the checks that say this")
    check.add_argument(
        "--own", metavar="[GUEST:]PATH", help="judge your own programs of LAB: a folder or a file, here or on a guest"
    )
    check.add_argument("--as", dest="program", default="", metavar="PROGRAM", help="which program of LAB the file is")
    check.add_argument("--watch", action="store_true", help="again whenever a file there is saved")
    play = verb("play", "labs:play", "run a lab for an audience, at lecture pace, one column per host", machines)
    play.add_argument("lab", metavar="LAB", help="which (labroom list)")
    verb("status", "room:status", "show the guests, their addresses and the forwarded ports")
    verb("list", "labs:show", "show the labs")
    handout = verb("handout", "handout:show", "show a lab's handout, with the room's own addresses")
    handout.add_argument("lab", metavar="LAB", help="which (labroom list)")
    handout.add_argument("--lang", choices=("en", "ko"), default="en", help="in English (en) or Korean (ko)")
    ssh = verb("ssh", "login:ssh", "log in to a guest, or run a command there", machines)
    ssh.add_argument("guest", metavar="GUEST")
    ssh.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    verb("ssh-config", "login:ssh_config", "print what `ssh -F` and VS Code need to reach the guests", machines)
    verb("doctor", "room:doctor", "show what this machine lacks, and the command that brings it")
    test = verb("test", "project:test", "run the project's own tests")
    test.add_argument("pytest", nargs=argparse.REMAINDER, metavar="…", help="suites, or what is for pytest")
    return parser


def room_file(options: argparse.Namespace) -> Path:
    """The room file that was named, or the one that is used where none is."""
    from labroom import room  # half of the time that `labroom list` would take

    file: Path | None = options.room
    return file.absolute() if file else room.default_file()


def inventory(options: argparse.Namespace) -> str | None:
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
