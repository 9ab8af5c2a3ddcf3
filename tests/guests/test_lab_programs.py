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
    folder = variables["lab_programs_destination"]
    files = host.check_output("cd %s && find . -type f -printf './%%P %%u %%m\\n'", folder).splitlines()
    sums = host.check_output("cd %s && find . -type f -exec sha256sum {} +", folder).splitlines()
    digests = {line.partition("  ")[2]: line.partition("  ")[0] for line in sums}
    in_place = {
        name.removeprefix("./"): f"{words} {digests[name]}"
        for name, _, words in (line.partition(" ") for line in files)
        if "__pycache__" not in name
    }
    assert in_place == checkout


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
