"""The errors a person can cause or meet, each with its exit status and its remedy; and whose fault an error is.

LabroomError
├── UsageError       2  the command line
├── RoomFileError    2  room.yml
├── MachineError     3  the machine lacks something or refuses it
└── RoomFault        3  a guest or the room's network is at fault, never the lab that met it
    └── Lacking         a host, or the room by its file, is without what a check needs, which is skipped
AssertionError
└── CheckFailed      1  a lab did not do what it should; no error of labroom's, so `labroom check` goes on
    └── WaitFailed  what was waited for did not come: looked at twice (labroom.checks.plugin)
        └── Settled  and never will
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


class Lacking(RoomFault):
    """A host, or the room by its file, is without what a check needs; where that is no fault, the check is skipped."""


class CheckFailed(AssertionError):
    """A lab did not do what it should; the message says in plain words what was seen instead."""


class WaitFailed(CheckFailed):
    """What a lab should do did not come in time."""


class Settled(WaitFailed):
    """It will never come: all programs of the lab wait for ever, and nothing is on its way to them."""


def is_late(error: BaseException | None, *, settled: bool) -> bool:
    """Whether a check failed since something did not come, and not by what was seen.

    Args:
        error: what ended the check.
        settled: whether that includes what will never come.
    """
    if error is None:
        return False
    late = isinstance(error, WaitFailed) and (settled or not isinstance(error, Settled))
    return late or is_late(error.__cause__, settled=settled)


# What the system says of a file or a process that it was told: it isn't there, or isn't what it should be (errno(3)).
_NAMED = frozenset(
    {"E2BIG", "EACCES", "EEXIST", "EINVAL", "EISDIR", "ELOOP", "ENAMETOOLONG", "ENOENT", "ENOEXEC"}
    | {"ENOTDIR", "ENXIO", "EPERM", "ESRCH", "ETXTBSY"}
)
# What a guest runs out of: disk, quota, processes, memory.
_SCARCE = frozenset(("ENOSPC", "EDQUOT", "EAGAIN", "ENOMEM"))
_MOST = 0.5  # of what ran out: who holds more has used it up


def fault_of(error: str, *, named: bool = False, share: float = 0) -> type[CheckFailed] | type[RoomFault]:
    """Whose fault an error of a guest's system is: the only place that decides it.

    It is the room's, unless the program under check brought it about: it is itself not there or can't be run, it did
    not write the file that the check reads, or its own processes and files have used up what the guest ran out of.
    All else (EIO, EROFS, ENFILE …) no lab can bring about.

    Args:
        error: the errno's name, such as `ENOSPC`; numbers differ between architectures.
        named: the error is about a file or a process that the check named as the program's.
        share: of what ran out, how much the check's own processes and files hold: 0 to 1.
    """
    if error in _SCARCE:
        return CheckFailed if share > _MOST else RoomFault
    return CheckFailed if named and error in _NAMED else RoomFault
