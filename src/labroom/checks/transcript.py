"""A transcript as lines of text: what happened on the hosts during a check, in order of time."""

from collections.abc import Sequence

from labroom.driver import Event

#: What shows a person the sockets and the processes of a host.
LOOK = "ss -tuan; ps fx"

#: What a line of a transcript is: printed by the program, its errors, given to it, or done with it.
SIGNS = {"stdout": " ", "stderr": "!", "stdin": "<", "start": "$", "signal": "*", "exit": "*", "note": "*"}


def aligned(transcript: Sequence[Event]) -> list[str]:
    """A transcript as lines of text, in columns: seconds, host, program, what."""
    hosts = max((len(event.host) for event in transcript), default=0)
    programs = max((len(event.program) for event in transcript), default=0)
    lines = (
        f"{event.time:7.3f}  {event.host:{hosts}}  {event.program:{programs}}  {SIGNS[event.stream]} {event.text}"
        for event in transcript
    )
    return [line.rstrip() for line in lines]


def by_hand(transcript: Sequence[Event], program: str = "", build: str = "") -> dict[str, list[str]]:
    """What a person types on each host to see the same.

    Args:
        transcript: what happened.
        program: the program that has to be built first, as events name it.
        build: the command that builds it.
    """
    commands: dict[str, list[str]] = {}
    for event in transcript:
        if event.stream == "start":
            typed = commands.setdefault(event.host, [])
            built = [build] if build and event.program.partition("#")[0] == program else []
            typed += [command for command in (*built, event.text) if command not in typed]
    return commands
