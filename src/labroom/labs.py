"""The labs of the checkout: a folder each below labs/, with a handout that says what it is about."""

import re
from collections.abc import Collection

from labroom.resources import LABS


def titles() -> dict[str, str]:
    """Each lab's name and, from the first line of its handout ("# name: title"), its title; in alphabetical order."""
    found = {}
    for handout in sorted(LABS.glob("*/README.md")):
        with handout.open(encoding="utf-8") as lines:
            found[handout.parent.name] = next(lines).removeprefix(f"# {handout.parent.name}: ").strip()
    return found


def left_out(labs: Collection[str] | None) -> list[str]:
    """The labs that are not among these; None stands for all."""
    return [] if labs is None else [name for name in titles() if name not in labs]


def having(program: str, lab: str) -> str:
    """The lab whose own a program is: this one, unless it has none of that name and another one has."""
    others = (file.parent.name for file in LABS.glob(f"*/{program}.py"))
    return lab if (LABS / lab / f"{program}.py").exists() else next(others, lab)


def programs(lab: str) -> list[str]:
    """The programs that a lab's contract, "A program of your own", names: the lab's own, else those of other labs."""
    text = (LABS / lab / "README.md").read_text(encoding="utf-8").partition("\n## A program of your own\n")[2]
    text = text.partition("\n### ")[0]  # what is checked names others, too
    named = list(dict.fromkeys(re.findall(r"`(\w+)(?: [^`]*)?`", text)))
    own = [name for name in named if (LABS / lab / f"{name}.py").exists()]
    return own or [name for name in named if list(LABS.glob(f"*/{name}.py"))]
