"""The verb handout: a lab's handout as it is for the room, whether that is up or not."""

import argparse
import sys

from labroom import commands, handouts, labs, room
from labroom.cli.parser import room_file
from labroom.console import Console
from labroom.errors import UsageError
from labroom.fields import did_you_mean


def show(options: argparse.Namespace) -> int:
    """Show a handout: its Markdown, line by line."""
    known = labs.titles()
    if options.lab not in known:
        remedy = f"{commands.labroom('list')} shows the labs"
        raise UsageError(f"no such lab: {options.lab}{did_you_mean(options.lab, known)}", remedy)
    file = room_file(options)
    console = Console(sys.stdout)
    for line in handouts.text(options.lab, options.lang, room.load(file), file).splitlines():
        console.line(line)
    return 0
