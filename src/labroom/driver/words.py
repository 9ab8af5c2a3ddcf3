"""Bytes in words: as a message shows them, and where two texts first differ."""

from __future__ import annotations

_LONG, _HEAD = 200, 150  # bytes: of what is longer, a message shows its head
_AROUND = 20  # bytes shown on either side of a difference


def shown(data: bytes) -> str:
    r"""Bytes as a person reads them, in quotes: text as it is, `\n`, `\0` and no text as escapes; cut if long."""
    cut = f"… ({len(data)} bytes)" if len(data) > _LONG else ""
    text = (data[:_HEAD] if cut else data).decode("utf-8", "backslashreplace")
    for plain, escape in (("\n", r"\n"), ("\r", r"\r"), ("\t", r"\t"), ("\0", r"\0")):
        text = text.replace(plain, escape)
    text = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
    text += cut
    return f"{text!r}".replace("\\\\", "\\") if "'" in text else f"'{text}'"


def difference(wanted: bytes, got: bytes) -> str:
    """In words, how what came differs from what should have come: the first byte that differs, and its surroundings."""
    if not got:
        return f"expected {shown(wanted)}, and nothing came"
    if wanted == got:
        return f"expected {shown(wanted)}, and that came"
    same = next((at for at, (one, other) in enumerate(zip(wanted, got, strict=False)) if one != other), None)
    if same is None:
        same = min(len(wanted), len(got))
        if len(got) < len(wanted):
            return f"expected {len(wanted)} bytes, {shown(wanted)}; {len(got)} came, {shown(got)}"
        return f"expected {shown(wanted)}; {len(got) - same} bytes more came, {shown(got[same:])}"
    if len(wanted) <= 2 * _AROUND and len(got) <= 2 * _AROUND:
        return f"expected {shown(wanted)}, got {shown(got)}: they differ from byte {same + 1} on"
    start = max(same - _AROUND, 0)
    parts = (shown(text[start : same + _AROUND]) for text in (wanted, got))
    return "from byte {} on, expected {}, got {}".format(same + 1, *parts)
