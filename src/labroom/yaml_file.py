"""A YAML file that a person has written: read within bounds, and each mistake with its line.

Python, Ansible and Vagrant (Ruby) read the same files, by rules of their own. What they would take differently is a
mistake here: a key that is written twice; what is no text and no plain number in YAML 1.1 (dates, fractions, 0700,
1:30); anchors and aliases, which YAML.load_file of Ruby's Psych 4 refuses as it refuses dates. https://yaml.org/spec/1.1/
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_BYTES = 1 << 20  # a room of 250 guests has 15 kB
_DEPTH = 16  # of folders, lists and mappings in one another; libyaml's composer recurses, and ends the process
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
#: The end of an address, such as .128: text, though it looks like a fraction. Its readers take it as it is written.
ADDRESS_END = re.compile(r"(\.[0-9]{1,3}){1,3}")
#: What one of the readers, or YAML 1.2, takes for a number, though it is not a whole one in plain decimal digits.
_NUMBER = re.compile(r"[-+]?(\.[0-9]|[0-9])[0-9_,]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|0[xob][0-9a-fA-F_]+")

Place = tuple[str, ...]
"""Where in a file something stands: the keys that lead there; the items of a list are counted from 0."""


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake of a file: in which line, counted from 1, at which place, and what is wrong there."""

    line: int
    place: Place
    words: str

    def __str__(self) -> str:
        place = ".".join(step if step.isprintable() else repr(step) for step in self.place)
        return f"{self.line}: {place and place + ': '}{self.words}"


@dataclass
class Document:
    """What a file says.

    Attributes:
        data: dictionaries by text, lists, text, whole numbers, booleans and None.
        mistakes: what no reader should take; `data` has None in such places.
        readable: whether it is YAML at all; if not, that is the only mistake.
        lines: of each place, from 1.
    """

    data: Any = None
    mistakes: list[Mistake] = field(default_factory=list)
    readable: bool = True
    lines: dict[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """The line of a place; of the nearest one around it, where the file has no such place."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(file: Path) -> str:
    """The text of a file.

    Raises:
        OSError: it can't be read, is no file (a folder, a pipe, a device) or far too large; strerror says which.
        UnicodeDecodeError: it is not UTF-8.
    """
    # O_NONBLOCK: a pipe that nobody writes to would be waited for (fifo(7)).
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(file))
        data = stream.read(_BYTES + 1)
    if len(data) > _BYTES:
        raise OSError(errno.EFBIG, f"Larger than {_BYTES >> 20} MiB", str(file))
    return data.decode("utf-8-sig")


def parse(text: str) -> Document:
    """Read YAML, all mistakes of the file at once."""
    try:
        shared = list(_shared(text))
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except _TooDeep as error:
        words = f"more than {_DEPTH} lists and mappings in one another"
        return Document(mistakes=[Mistake(error.line, (), words)], readable=False)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        position = getattr(error, "position", None)  # of a character that no YAML may have
        line = mark.line + 1 if mark else text.count("\n", 0, position) + 1
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        if "cannot start any token" in what and "\t" in text.splitlines()[line - 1]:
            what = "a tab: indent with spaces"
        return Document(mistakes=[Mistake(line, (), f"not valid YAML: {what}")], readable=False)
    document = Document()
    if root is not None:
        document.data = _Reader(document).value(root, ())
    for line, words in shared:
        at = next((place for place, first in document.lines.items() if place and first == line), ())
        document.mistakes.append(Mistake(line, at, words))
    return document


class _TooDeep(Exception):
    """The file can't be composed."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def _shared(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line of each anchor and alias, and what is wrong with it; looks at events, which takes no recursion.

    Raises:
        _TooDeep: libyaml's composer, which recurses, would end the process.
        yaml.YAMLError: it is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:
            raise _TooDeep(_line(event))
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            kind = (
                f"*{event.anchor} is an alias"
                if isinstance(event, yaml.AliasEvent)
                else f"&{event.anchor} is an anchor"
            )
            yield _line(event), f"{kind} of YAML's, which not every reader takes: write out what it stands for"


def _line(thing: Any) -> int:
    return int(thing.start_mark.line) + 1


class _Reader:
    """Makes a document's data of nodes, and notes what is wrong with one, and where each stands."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._known: dict[int, Any] = {}  # by id: with aliases a few nodes would be millions

    def value(self, node: yaml.Node, place: Place) -> Any:
        """What a node stands for."""
        self.document.lines.setdefault(place, _line(node))
        if id(node) not in self._known:
            self._known[id(node)] = None  # for an alias in what it stands for
            self._known[id(node)] = self._new(node, place)
        return self._known[id(node)]

    def _new(self, node: yaml.Node, place: Place) -> Any:
        tag = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and tag == "map":
            return dict(self._pairs(node, place))
        if isinstance(node, yaml.SequenceNode) and tag == "seq":
            return [self.value(each, (*place, str(at))) for at, each in enumerate(node.value)]
        if tag == "str" and not _like_a_number(node):
            return node.value
        if tag == "float" and ADDRESS_END.fullmatch(node.value):
            return node.value
        if tag == "int" and _INT.fullmatch(node.value):
            return int(node.value)
        if tag == "bool":
            return node.value.lower() in ("yes", "true", "on")
        if tag != "null":
            self._wrong(node, place, _why_not(tag, str(node.value)))
        return None

    def _pairs(self, node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, Any]]:
        """A mapping's keys and values; of a key that is written twice, the first."""
        first: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            tag = key.tag.removeprefix(_TAG)
            here = (*place, name)
            if tag == "merge":
                self._wrong(
                    key, here, "a merge key of YAML's, which not every reader takes: write out what it stands for"
                )
            elif tag in ("bool", "null"):
                self._wrong(key, here, f"not a name: to YAML it is {tag}; in quotes it is text")
            elif tag != "str" or _like_a_number(key):
                self._wrong(key, here, "not a name: a name is text")
            elif name in first:
                self._wrong(key, here, f"written twice, first in line {first[name]}")
            else:
                first[name] = self.document.lines[here] = _line(key)
                yield name, self.value(value, here)

    def _wrong(self, node: yaml.Node, place: Place, words: str) -> None:
        self.document.mistakes.append(Mistake(_line(node), place, words))


def _like_a_number(node: Any) -> bool:
    return bool(not node.style and _NUMBER.fullmatch(node.value) and not ADDRESS_END.fullmatch(node.value))


def _why_not(tag: str, text: str) -> str:
    if tag == "timestamp":
        return f"{text} is a date to YAML; in quotes it is text"
    if tag in ("int", "float", "str"):
        return f"{text[:20]} is not the same to every reader: write a whole number in decimal digits, or text in quotes"
    if tag in ("merge", "value"):
        return f"{text} has a meaning of its own to YAML; in quotes it is text"
    return f"!{tag.removeprefix('!')} is a tag of YAML's, which is of no use here"
