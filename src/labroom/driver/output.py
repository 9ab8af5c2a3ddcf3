"""What a program has printed: its text, which part of it was expected already, and its lines as events."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from labroom.driver.values import LINE_LIMIT, OUTPUT_LIMIT, short


class Output:
    """What a program has printed on its standard output and standard error.

    Args:
        streams: those that it has.
        event: is told each line, as (stream, text).
    """

    def __init__(self, streams: set[str], event: Callable[[str, str], None]) -> None:
        self.text = {"stdout": "", "stderr": ""}
        self.open = set(streams)  # those whose end has not come
        self._event = event
        self._consumed = {"stdout": 0, "stderr": 0}  # by expect
        self._reported = {"stdout": 0, "stderr": 0}  # as events
        self._decoders = {s: codecs.getincrementaldecoder("utf-8")("backslashreplace") for s in self.text}
        self._received = 0
        self._lines = 0

    @property
    def flooded(self) -> bool:
        """Whether it is more than OUTPUT_LIMIT; the rest is thrown away."""
        return self._received > OUTPUT_LIMIT

    def receive(self, stream: str, data: bytes) -> None:
        """Take in a piece of it; nothing: the end of the stream.

        Raises:
            KeyError: there is no such stream.
        """
        decoder = self._decoders[stream]
        self._received += len(data)
        if not data:
            self.open.discard(stream)
        if self.flooded:
            return
        self.text[stream] += decoder.decode(data)
        if b"\n" in data:
            self.flush(whole_lines=True)

    def take(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        """The first match in what no earlier match has passed: in standard output, else in standard error."""
        for stream, text in self.text.items():
            if match := expression.search(text, self._consumed[stream]):
                self._consumed[stream] = match.end()
                return match
        return None

    def seen(self) -> str:
        """What was printed since the last match, for a message: whole lines."""
        last: list[str] = []
        for stream, text in self.text.items():
            at = self._consumed[stream]
            start = at if text.startswith("\n", at) else text.rfind("\n", 0, at) + 1
            if text[at:].strip("\n"):
                last += filter(None, text[start:].strip("\n").split("\n")[-3:])
        return "; it printed " + " / ".join(repr(short(line)) for line in last) if last else "; it printed nothing more"

    def flush(self, whole_lines: bool = False) -> None:
        """Turn what was printed since into events: whole lines, or also an unfinished one, such as a prompt."""
        for stream, text in self.text.items():
            start = self._reported[stream]
            end = text.rfind("\n") + 1 if whole_lines else len(text)
            if end > start:
                self._reported[stream] = end
                for line in text[start:end].removesuffix("\n").split("\n"):
                    self._lines += 1
                    if self._lines <= LINE_LIMIT:
                        self._event(stream, line)
                    elif self._lines == LINE_LIMIT + 1:
                        self._event("note", f"more than {LINE_LIMIT} lines; the rest is not shown")
