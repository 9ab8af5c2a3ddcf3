"""The errors a person can cause or meet, each with its exit status and one line of help.

A lab that fails is no error of labroom's: `labroom check` then ends with status 1.

LabroomError
├── UsageError       2  the command line
├── RoomFileError    2  room.yml
├── MachineError     3  the machine lacks something or refuses it
└── RoomFault        3  a guest or the room's network is at fault, never the lab that met it
"""


class LabroomError(Exception):
    """Base of the errors that `labroom` shows as one line, without a traceback.

    Args:
        message: what is wrong, one line.
        remedy: what to do about it, one line; empty when the message says it all.
    """

    status = 3

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class UsageError(LabroomError):
    """The command line asks for something that does not exist."""

    status = 2


class RoomFileError(LabroomError):
    """room.yml is missing, unreadable or invalid."""

    status = 2


class MachineError(LabroomError):
    """The machine lacks something that the room needs, or refuses it."""


class RoomFault(LabroomError):
    """A guest or the room's network is at fault; the lab that met it is not judged."""
