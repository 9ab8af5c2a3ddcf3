"""What is started where a check names a program: decided here, and nowhere else.

"echo_server" is our own, echo_server.py in its lab's folder on the guest; "../tcp_echo/line_client" is one of another
lab, as a person would write it there; "echo_server.c" is its twin in C; "echo_server@own" is that of the person who is
judged, and "echo_server@sanitized" its second build.
"""

import functools
import hashlib
import posixpath
from collections.abc import Mapping
from pathlib import Path

from labroom import labs
from labroom.checks.bring import PLACE, bring
from labroom.checks.submission import Submission
from labroom.driver import CheckFailed, Host, Launch, Program
from labroom.errors import Lacking, RoomFault
from labroom.resources import CHECKS

#: The twins' sources, NAME.c, and lab.h, which they share.
TWINS = CHECKS / "c"

COMPILER = "gcc"
_OPTIONS = (
    *("-std=c11", "-D_POSIX_C_SOURCE=200809L", "-pthread", "-g", "-Wall", "-Wextra", "-Werror"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
)


def resolve(host: Host, name: str, submission: Submission | None = None) -> Launch:
    """What is started on a host by this name.

    Args:
        host: where.
        name: of the program.
        submission: whose programs those of a person are.

    Raises:
        CheckFailed: it is a twin, or a person's program, that can't be built.
        RoomFault: the host has no C compiler, has other labs that can't be replaced, or does not answer.
    """
    if "@" in name and submission:
        return submission.launch(host, name)
    if name.endswith(".c"):
        return twin(host, name.removesuffix(".c"))
    bring(host)
    return ours(host, name)


def ours(host: Host, name: str) -> Launch:
    """The lab's own program, or one of another lab that it is about, too; run in the folder of its lab.

    Raises:
        Lacking: the room is without its lab.
    """
    lab = labs.having(name.rpartition("/")[2], host.driver.lab)
    if lab in host.endpoint.left_out:
        raise Lacking(f"this room is without the lab {lab}")
    if "/" in name:
        return Launch((f"{name}.py",), f"{PLACE}/{host.driver.lab}", name.rpartition("/")[2])
    return Launch((f"./{name}.py",), f"{PLACE}/{lab}", name)


@functools.cache  # of a host object, so for one driver
def twin(host: Host, name: str, folder: Path = TWINS) -> Launch:
    """Its twin in C, run in the user's home: compiled on the guest, once for as long as its sources stay the same.

    Raises:
        CheckFailed: it does not compile.
        RoomFault: the host has no C compiler, can't keep what was compiled, or does not answer.
    """
    sources = {file: (folder / file).read_bytes() for file in ("lab.h", f"{name}.c")}
    digest = hashlib.sha256(b"".join(sources.values()) + " ".join((COMPILER, *_OPTIONS)).encode()).hexdigest()[:12]
    binary = f".cache/labroom/{name}-{digest}"
    look = _ask(host, 'pwd; test -x "$0"', binary)  # in the user's home
    there = look.wait() == 0
    home = look.stdout.strip()
    if not there:
        _compile(host, sources, f"{home}/{binary}")
    return Launch((f"{home}/{binary}",), home, f"{name}.c")


def _compile(host: Host, sources: Mapping[str, bytes], binary: str) -> None:
    if _ask(host, 'command -v "$0"', COMPILER).wait() != 0:
        raise RoomFault(f"{host.name} has no {COMPILER}", host.endpoint.provision)
    for file, content in sources.items():
        host.write_file(f"{host.scratch}/{file}", content)
    *_, source = sources
    compiled = f"{host.scratch}/{source}.out"
    gcc = host.run(
        *(COMPILER, *_OPTIONS, "-o", compiled, f"{host.scratch}/{source}"), timeout=host.driver.patience + 20
    )
    if gcc.status != 0:
        raise CheckFailed(f"{COMPILER} on {host.name} does not compile {source}: {gcc.stderr}")
    # Moved in the end, for another worker may be at the same.
    keep = 'mkdir -p "${0%/*}" && cp "$1" "$0.$2" && mv "$0.$2" "$0"'
    kept = _ask(host, keep, binary, compiled, posixpath.basename(host.scratch))
    if kept.wait() != 0:
        raise RoomFault(f"{host.name} can't keep {binary}: {kept.stderr.strip()}")


def _ask(host: Host, script: str, *arguments: str) -> Program:
    """Run a shell script on a host that is not part of what the check shows."""
    return host.start_command(["sh", "-c", script, *arguments], name="compilation", quiet=True)
