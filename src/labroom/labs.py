"""The labs of the checkout: a folder each below labs/, with a handout that says what it is about."""

from labroom.resources import LABS


def titles() -> dict[str, str]:
    """Each lab's name and, from the first line of its handout ("# name: title"), its title; in alphabetical order."""
    found = {}
    for handout in sorted(LABS.glob("*/README.md")):
        with handout.open(encoding="utf-8") as lines:
            found[handout.parent.name] = next(lines).removeprefix(f"# {handout.parent.name}: ").strip()
    return found
