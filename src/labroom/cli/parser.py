"""The words that the command understands, and what they choose: a room file, or machines that exist already."""

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from labroom import providers
from labroom.console import Console
from labroom.errors import UsageError
from labroom.resources import version

_EPILOG = """exit status: 0 all is well; 1 a lab failed; 2 usage or room file; 3 the room or the machine;
130 interrupted. Each error is one line that says what is wrong, and one that says what repairs it."""


class _Parser(argparse.ArgumentParser):
    """argparse's, whose messages reach the terminal as all others do.

    Attributes:
        mixed: whether options may stand among the other words, of which none may be for somebody else then.
    """

    mixed = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if not self.mixed:
            return super().parse_known_args(args, namespace)
        self.mixed = False  # for what argparse itself asks of us
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.mixed = True

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

    def verb(name: str, run: str, text: str, *options: _Parser) -> _Parser:
        said = text[0].upper() + text[1:] + "."
        sub = verbs.add_parser(name, help=text, description=said, parents=(rooms, *options))
        sub.set_defaults(run=f"labroom.cli.{run}")
        return sub

    new = verb("new", "room:new", "write a room file to begin with, on networks that are free on this machine")
    new.add_argument("name", metavar="NAME", help="the room's")
    new.add_argument("--file", type=Path, metavar="FILE", help="where (NAME.yml here); never over another file")
    up = verb("up", "room:up", "create the room, or repair it where something is missing")
    up.add_argument("--check", action="store_true", help="then drive the labs across it")
    up.add_argument("--provider", choices=providers.NAMES, help="what makes the guests (nspawn)")
    down = verb("down", "room:down", "take the room down; nothing of it stays but its image, keys and homes")
    down.add_argument("--purge", action="store_true", help="remove the image, the keys and the homes too")
    down.add_argument("--yes", action="store_true", help="without asking")
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
    status = verb("status", "room:status", "show the guests, their addresses and the forwarded ports")
    graph = verb("graph", "room:graph", "draw the room: hosts, networks, forwarded ports")
    graph.add_argument("--format", choices=("svg", "mermaid"), default="svg", help="svg, for a file, or mermaid")
    shown = verb("list", "labs:show", "show the labs")
    for each in (status, shown):
        each.add_argument("--json", action="store_true", help="for a program: docs/wire.md")
    handout = verb("handout", "handout:show", "show a lab's handout, with the room's own addresses")
    handout.add_argument("lab", metavar="LAB", help="which (labroom list)")
    handout.add_argument("--lang", choices=("en", "ko"), default="en", help="in English (en) or Korean (ko)")
    ssh = verb("ssh", "login:ssh", "log in to a guest, or run a command there", machines)
    ssh.add_argument("guest", metavar="GUEST")
    ssh.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    execute = verb("exec", "together:execute", "run a command on several guests side by side", machines)
    execute.add_argument("--all", action="store_true", help="on all guests")
    execute.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="[GUEST …] -- COMMAND", help="for the guests' shell"
    )
    shell = verb("shell", "together:shell", "open tmux with a pane for each guest", machines)
    shell.add_argument("guests", nargs="*", metavar="GUEST", help="which; all if none is named")
    capture = verb("capture", "wire:capture", "capture packets on a guest, for Wireshark", machines)
    capture.add_argument("guest", metavar="GUEST")
    capture.add_argument("filter", nargs="*", metavar="FILTER", help="which packets, as pcap-filter(7) has it")
    capture.add_argument(
        "-w", dest="write", type=Path, metavar="FILE", help="a file, or -; by default a new file, or where a pipe leads"
    )
    capture.add_argument("--seconds", type=_seconds, metavar="N", help="end after so long")
    capture.add_argument("--packets", type=_packets, metavar="N", help="end after so many")
    link = verb("link", "wire:link", "make guests' links bad, or good again; or show how bad they are", machines)
    link.add_argument("guests", nargs="*", metavar="GUEST")
    link.add_argument("--all", action="store_true", help="the links of all guests")
    link.add_argument("--network", metavar="NAME", help="only those to this network, of guests that have several")
    link.add_argument("--delay", metavar="TIME", help="each packet arrives later, in each direction: 50ms")
    link.add_argument("--jitter", metavar="TIME", help="by how much that varies, either way: 5ms")
    link.add_argument("--loss", metavar="SHARE", help="so many packets get lost, in each direction: 2%%")
    link.add_argument("--rate", metavar="RATE", help="no more passes, in each direction: 1mbit")
    link.add_argument("--down", action="store_true", help="nothing passes")
    link.add_argument("--up", action="store_true", help="again, as badly as before")
    link.add_argument("--clear", action="store_true", help="nothing is bad but what is named")
    capture.mixed = link.mixed = True
    verb("ssh-config", "login:ssh_config", "print what `ssh -F` and VS Code need to reach the guests", machines)
    reset = verb("reset", "work:reset", "make guests new; their homes are kept")
    reset.add_argument("guests", nargs="*", metavar="GUEST", help="which; all if none is named")
    reset.add_argument("--home", action="store_true", help="remove their homes, too")
    reset.add_argument("--yes", action="store_true", help="without asking")
    backup = verb("backup", "work:backup", "write the guests' homes to an archive")
    restore = verb("restore", "work:restore", "put the homes of an archive in place of those that there are")
    for each in (backup, restore):
        each.add_argument("file", metavar="FILE", help="the archive: a tar, compressed by gzip")
        each.add_argument("guests", nargs="*", metavar="GUEST", help="whose; all if none is named")
    restore.add_argument("--yes", action="store_true", help="without asking")
    copy = verb("copy", "work:copy", "copy files and folders from a guest, or to one or all", machines)
    copy.add_argument("paths", nargs="+", metavar="PATH", help="SOURCE … DESTINATION: GUEST:PATH, all:PATH, or here")
    verb("doctor", "room:doctor", "show what this machine lacks, and the command that brings it")
    test = verb("test", "project:test", "run the project's own tests")
    test.add_argument("pytest", nargs=argparse.REMAINDER, metavar="…", help="suites, or what is for pytest")
    return parser


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) < 1e6:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text} is no number of seconds")


def _packets(text: str) -> int:
    if text.isascii() and text.isdecimal() and 0 < int(text) < 1 << 31:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is no number of packets")


def room_file(options: argparse.Namespace) -> Path:
    """The room file that was named, or the one that is used where none is."""
    from labroom import room  # half of the time that `labroom list` would take

    file: Path | None = options.room
    # By whatever way its folder is named, it is one file: rooms are known by theirs.
    return file.parent.resolve() / file.name if file else room.default_file()


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
