"""Bytes, counts and processes in words: as a message shows them, and where two texts first differ."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from labroom.driver.values import Process

#: How a line of a message begins that says what a person can do.
HINT = "hint: "

_LONG, _HEAD = 200, 150  # bytes: of what is longer, a message shows its head
_WHOLE = 60  # bytes: of longer ones, what surrounds the first difference is shown
_AROUND = 20  # bytes shown on either side of it
_REPLACED = "\ufffd".encode()

_NUMBERED = (
    "zero bytes came that nobody sent: send as many bytes as recv() returned, or strlen() says, not the whole buffer"
)
_MORE = {
    b"\n": "the newline is a byte, too: fgets() leaves it in the line, puts() and print() add one",
    b"\0": "a string's zero byte is not part of the message: it has strlen(s) bytes, and sizeof counts more",
}
_BEFORE = "what the buffer held from before was sent again: send as many bytes as were read into it, not all of it"
_CUT = 'strlen(), strcpy() and printf("%s") stop at a zero byte: use the number of bytes that recv() returned'
_STRIPPED = "blanks and newlines are bytes like others: strip() and rstrip() take them away"
_ADDED = (
    "before this came a blank or a newline that nobody had sent: send back the bytes that recv() gave, and no other"
)
_DECODED = "the bytes were decoded to text and encoded again: send back the bytes as they came"


def shown(data: bytes) -> str:
    r"""Bytes as a person reads them, in quotes: text as it is, `\n`, `\0` and no text as escapes; cut if long."""
    cut = f"… ({len(data)} bytes)" if len(data) > _LONG else ""
    text = (data[:_HEAD] if cut else data).decode("utf-8", "backslashreplace")
    for plain, escape in (("\n", r"\n"), ("\r", r"\r"), ("\t", r"\t"), ("\0", r"\0")):
        text = text.replace(plain, escape)
    text = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
    text += cut
    return f"{text!r}".replace("\\\\", "\\") if "'" in text else f"'{text}'"


def counted(number: int, what: str) -> str:
    """So many of a thing: `1 byte`, `2 bytes`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def difference(wanted: bytes, got: bytes) -> str:
    """In words, how what came differs from what should have come.

    Both stand one below the other, the first difference is marked, and a hint follows where it tells its cause.
    """
    if wanted == got:
        return f"expected {shown(wanted)}, and that came"
    pairs = enumerate(zip(wanted, got, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), min(len(wanted), len(got)))
    if not got:
        what = "nothing came"
    elif same == len(got):
        what = f"{len(got)} came, of {counted(len(wanted), 'byte')}"
    elif same == len(wanted):
        what = f"{counted(len(got) - same, 'byte')} more came"
    else:
        what = f"they differ from byte {same + 1} on"
    hint = _hint(wanted, got, same)
    return "\n".join([*_marked(wanted, got, same, what), *([HINT + hint] if hint else [])])


def _marked(wanted: bytes, got: bytes, same: int, what: str) -> list[str]:
    whole = max(len(wanted), len(got)) <= _WHOLE
    start, end = (0, None) if whole else (_letter(wanted, max(same - _AROUND, 0)), same + _AROUND)

    def part(data: bytes) -> str:
        more = "…" if end is not None and end < len(data) else ""
        return f"{'…' if start else ''}{shown(data[start:end])}{more}"

    before = shown(wanted[start : _letter(wanted, same)])[:-1]
    column = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in before) + bool(start)
    return [f"expected  {part(wanted)}", f"got       {part(got)}", f"{' ' * (10 + column)}^ {what}"]


def _letter(data: bytes, at: int) -> int:
    """Where the letter begins that byte `at` of UTF-8 is in."""
    while 0 < at < len(data) and data[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _hint(wanted: bytes, got: bytes, same: int) -> str:
    """Why they differ, where the difference tells that."""
    if (_REPLACED in got and _REPLACED not in wanted) or got == wanted.decode(errors="ignore").encode():
        return _DECODED
    if same == len(got):
        return _CUT if got and wanted[same] == 0 else _STRIPPED if got and wanted[same:].isspace() else ""
    if got[:1].isspace() and same == 0 and wanted.startswith(got.lstrip()):
        return _ADDED
    if same == len(wanted) and got[same:] in _MORE:
        return _MORE[got[same:]]
    if b"\0" in got[same:] and b"\0" not in wanted:
        return _NUMBERED
    return _BEFORE if same == len(wanted) and len(got) > same + 1 and got[same:] in wanted else ""


def grouped(processes: Sequence[Process]) -> list[str]:
    """Processes in words, those of a kind together: `730 ./server 9090`, `5 zombies, children of 730`."""
    kinds = Counter((process.ppid, "" if process.state == "Z" else process.command) for process in processes)
    found = []
    for process in processes:
        kind = process.ppid, "" if process.state == "Z" else process.command
        number = kinds.pop(kind, 0)
        of = f"{'child' if number == 1 else 'children'} of {process.ppid}"
        if number and not kind[1]:
            found.append(f"{counted(number, 'zombie')}, {of}")
        elif number > 1:
            found.append(f"{number} {of}: {process.command}")
        elif number:
            found.append(f"{process.pid} {process.command}")
    return found
