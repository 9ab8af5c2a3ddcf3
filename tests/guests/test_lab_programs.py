"""Are the labs on every guest what the role lab_programs promises?"""

import hashlib
from pathlib import Path
from typing import Any

from plugins.module_utils import folder
from testinfra.host import Host

testinfra_hosts = ["ansible://guests"]

LABS = Path(__file__).parents[2] / "labs"


def test_labs_are_those_of_the_checkout(host: Host, variables: dict[str, Any]) -> None:
    words = variables["lab_programs_words"]
    checkout = {
        str(path.relative_to(LABS)): f"root {'755' if path.stat().st_mode & 0o100 else '644'} {digest(path, words)}"
        for path in LABS.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.relative_to(LABS).parts[0] not in variables["lab_programs_left_out"]
    }
    place = variables["lab_programs_destination"]
    files = host.check_output("cd %s && find . -type f -printf './%%P %%u %%m\\n'", place).splitlines()
    sums = host.check_output("cd %s && find . -type f -exec sha256sum {} +", place).splitlines()
    digests = {line.partition("  ")[2]: line.partition("  ")[0] for line in sums}
    in_place = {
        name.removeprefix("./"): f"{words} {digests[name]}"
        for name, _, words in (line.partition(" ") for line in files)
        if "__pycache__" not in name
    }
    assert in_place == checkout


def digest(path: Path, words: dict[str, str]) -> str:
    """Return the SHA-256 of a file's content, a handout's with the words of its room, in hexadecimal."""
    content = path.read_bytes()
    if words and path.suffix == ".md":
        content = folder.reworded(content.decode(), words).encode()
    return hashlib.sha256(content).hexdigest()
