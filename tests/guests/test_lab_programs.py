"""Are the labs on every guest what the role lab_programs promises?"""

import hashlib
from pathlib import Path
from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://guests"]

LABS = Path(__file__).parents[2] / "labs"


def test_labs_are_those_of_the_checkout(host: Host, variables: dict[str, Any]) -> None:
    checkout = {
        str(path.relative_to(LABS)): f"root {'755' if path.stat().st_mode & 0o100 else '644'} {digest(path)}"
        for path in LABS.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    found = host.check_output(
        "cd %s && find . -type f -printf '%%P %%u %%m ' -exec sh -c 'sha256sum < \"$1\"' sh {} ';'",
        variables["lab_programs_destination"],
    )
    in_place = [line.removesuffix("  -").split(" ", 1) for line in found.splitlines() if "__pycache__" not in line]
    assert dict(in_place) == checkout


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
