"""Claims: what a check asks of programs, of whatever hand, and which programs it is run on.

A claim is a check whose programs are not ours alone:

    @claim("lesson", "echo_server", "iterative_server", needs=["listens"])
    def test_sends_back_every_byte(running: Server, alfa: Host) -> None:
        \"\"\"Every byte comes back, unchanged.\"\"\"

It is run once for each of these programs: ours and, but for wording, its twin in C; or, with `--own`, the person's. Its
sentence stands in the lab's handout, in both languages. What a claim needs has its verdict first; where that failed, it
is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from labroom.checks.own import COMPILED, Source
from labroom.checks.programs import TWINS
from labroom.checks.submission import OWN, SANITIZED

#: `lesson`: what the lab is about. `robustness`: what a client or a server may do to it. `interface`: prompt, wording,
#: exit status. The latter two are remarks where a person's own program is judged.
Kind = Literal["lesson", "robustness", "interface"]


@dataclass(frozen=True)
class Claim:
    """What a check is marked with: see `claim`."""

    kind: Kind
    programs: tuple[str, ...]
    needs: tuple[str, ...]
    hint: str = ""


@dataclass(frozen=True)
class Chosen:
    """Which checks of a lab are run, and on what.

    Attributes:
        own: a person's programs, by the lab's names; none: ours.
        words: only checks in whose sentence or name these words are; empty: all.
    """

    own: Mapping[str, Source] = field(default_factory=dict)
    words: str = ""


#: All checks, on our own programs.
ALL = Chosen()


def claim(kind: Kind, *programs: str, needs: Sequence[str] = (), hint: str = "") -> Callable[[Any], Any]:
    """Mark a check as a claim.

    Args:
        kind: of the claim.
        programs: that it is about, by the lab's names.
        needs: claims without which it makes no sense: names of checks of the same file, without `test_`.
        hint: what a student can do where it fails, unless what was seen tells more (`labroom.checks.hints`).
    """
    return pytest.mark.claim(Claim(kind, programs, tuple(needs), hint))


def claim_of(item: pytest.Item) -> Claim | None:
    """The claim that a check is; None if it is a demonstration."""
    marker = item.get_closest_marker("claim")
    return marker.args[0] if marker else None


def subjects(claim: Claim, chosen: Chosen) -> list[str]:
    """On which programs a claim is run: names for `programs.resolve`. A lesson: on a person's second build, too."""
    if chosen.own:
        own = [name for name in claim.programs if name in chosen.own]
        compiled = [name for name in own if chosen.own[name].kind in COMPILED and claim.kind == "lesson"]
        return [name + OWN for name in own] + [name + SANITIZED for name in compiled]
    twins = [] if claim.kind == "interface" else [name for name in claim.programs if (TWINS / f"{name}.c").exists()]
    return [*claim.programs, *(f"{name}.c" for name in twins)]


def select(items: list[pytest.Item], chosen: Chosen, sentence: Callable[[pytest.Item], str]) -> list[pytest.Item]:
    """The checks to run: with programs of a person only claims; with words only those, and what they need."""
    found = [item for item in items if not chosen.own or claim_of(item)]
    if chosen.words:
        words = chosen.words.lower()
        wanted = [
            item for item in found if words in sentence(item).lower() or words in item.name.replace("_", " ").lower()
        ]
        needed = {name for item in wanted for name in _needs(item, found)}
        found = [item for item in found if item in wanted or (item.path, _base(item), _subject(item)) in needed]
    return found


def _base(item: pytest.Item) -> str:
    return item.name.partition("[")[0].removeprefix("test_")


def _subject(item: pytest.Item) -> str:
    return str(getattr(getattr(item, "callspec", None), "params", {}).get("subject", ""))


def _needs(item: pytest.Item, items: Sequence[pytest.Item]) -> set[tuple[object, str, str]]:
    """All that a claim needs, directly or not, for the same program."""
    needed: set[tuple[object, str, str]] = set()
    left = [item]
    while left:
        now = left.pop()
        marked = claim_of(now)
        for name in marked.needs if marked else ():
            key = (item.path, name, _subject(item))
            if key not in needed:
                needed.add(key)
                left += [other for other in items if (other.path, _base(other), _subject(other)) == key]
    return needed


class Ledger:
    """What became of the claims of a run so far, for those that need them."""

    def __init__(self) -> None:
        self._failed: dict[tuple[object, str, str], str] = {}

    def missing(self, item: pytest.Item) -> str:
        """The sentence of a claim that this one needs and that did not pass; empty if there is none."""
        marked = claim_of(item)
        for name in marked.needs if marked else ():
            if sentence := self._failed.get((item.path, name, _subject(item))):
                return sentence
        return ""

    def note(self, item: pytest.Item, sentence: str) -> None:
        """A claim did not pass."""
        self._failed[item.path, _base(item), _subject(item)] = sentence
