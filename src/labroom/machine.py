"""The host machine, on which labroom runs: its system, its packages, its sources of them, and what it lacks."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from labroom import commands, state
from labroom.errors import MachineError
from labroom.processes import environment, run


def os_release() -> dict[str, str]:
    """What this machine says it is (os-release(5))."""
    text = Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
    return {key: value.strip('"') for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)}


def tool(name: str) -> str:
    """A command that came with labroom's own Python environment."""
    return str(Path(sys.executable).with_name(name))


def ansible(command: str) -> list[str]:
    """One of Ansible's commands ("playbook", "inventory", "adhoc"), by the interpreter that runs labroom.

    Ansible's scripts name that interpreter by a path that a shell may read otherwise.
    """
    return [sys.executable, "-I", "-m", "ansible", command]


def caller() -> tuple[int, int]:
    """User and group of the person for whom this process writes files: who called sudo(8), or whose it is."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    return int(os.environ.get("SUDO_UID", "0")), int(os.environ.get("SUDO_GID", "0"))


def hand_over(descriptor: int) -> None:
    """Give a file that was just made to the person who called sudo."""
    if os.geteuid() == 0:
        os.fchown(descriptor, *caller())


def as_caller(*argv: str) -> list[str]:
    """A command that writes files: under sudo they are the person's who called it, wherever root may write."""
    user, group = caller()
    if user == os.geteuid():
        return [*argv]
    power = "-all,+dac_override,+fowner"  # capabilities(7): what root may do with files
    own = (f"--reuid={user}", f"--regid={group}", "--init-groups", f"--inh-caps={power}", f"--ambient-caps={power}")
    return ["setpriv", *own, "--", *argv]


def require_root(what: str, remedy: str = "") -> None:
    """See that this is root.

    Args:
        what: what needs it.
        remedy: the command that does it as root.

    Raises:
        MachineError: it is not.
    """
    if os.geteuid() != 0:
        raise MachineError(f"{what} needs root", remedy or commands.labroom(what, root=True))


def install(packages: Sequence[str], log: Path) -> None:
    """Install packages with apt-get, its output in `log`.

    Raises:
        MachineError: it failed.
    """
    state.prepare(log.parent)
    with log.open("w", encoding="utf-8") as output:
        for argv in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(DEBIAN_FRONTEND="noninteractive"),
                check=False,
            )
            if done.returncode != 0:
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise MachineError(f"apt-get {argv[1]}: {lines[-1] if lines else 'failed'}", f"the whole log: {log}")


def try_install(*packages: str) -> None:
    """Install packages that would be nice to have, if the machine's package manager has them all."""
    subprocess.run(
        ["apt-get", "install", "-y", "--no-install-recommends", *packages],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(DEBIAN_FRONTEND="noninteractive"),
        check=False,
    )


def apt_proxies() -> list[str]:
    """The HTTP proxies in this machine's apt configuration, as apt options."""
    text = run("apt-config", "dump", "--format=%f=%v%n", "Acquire::http::Proxy", "Acquire::https::Proxy")
    return [f'{name} "{value}"' for name, _, value in (line.partition("=") for line in text.splitlines()) if value]


def certificates() -> list[Path]:
    """The certificates of those whom this machine trusts besides its distribution's (update-ca-certificates(8))."""
    return sorted(file for file in Path("/usr/local/share/ca-certificates").rglob("*.crt") if file.is_file())


def apt_sources(release: str, etc: Path = Path("/etc/apt")) -> str:
    """The sources (sources.list(5)) of `release` in this machine's apt configuration, of its distribution alone.

    Only what a guest can use as well: not a list of mirrors in a file (apt-transport-mirror(1)), as GitHub's runners
    have, and not what somebody else signs, as Docker or a PPA does, whose key no guest has. Empty where there is none,
    as on a machine of another release: then mmdebstrap knows the mirror.
    """
    suites = {release, f"{release}-updates", f"{release}-security"}
    return "".join(
        f"deb {options}{uri} {suite} {components}\n"
        for file in sorted([etc / "sources.list", *etc.glob("sources.list.d/*")])
        for options, uri, suite, components in _sources(file)
        if suite in suites and uri.startswith("http") and _of_distribution(options)
    )


def _sources(file: Path) -> Iterator[tuple[str, str, str, str]]:
    """Options in brackets, URI, suite and components of each source of packages in a file of apt's."""
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    if file.suffix == ".list":
        yield from re.findall(r"^[ \t]*deb[ \t]+(\[[^]\n]*\][ \t]+|)(\S+)[ \t]+(\S+)[ \t]+(\S.*)$", text, re.MULTILINE)
    elif file.suffix == ".sources":
        for stanza in re.split(r"\n\s*\n", text):
            found = re.findall(r"^([\w-]+):(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)  # deb822(5)
            fields = {"Components": "", "Enabled": "", "Signed-By": "", "Suites": "", "Types": "", "URIs": ""}
            fields |= {name: " ".join(value.split()) for name, value in found}
            key = fields["Signed-By"].replace(" ", ",")
            if fields["Enabled"] != "no" and "deb" in fields["Types"].split():
                for uri, suite in product(fields["URIs"].split(), fields["Suites"].split()):
                    yield f"[signed-by={key}] " if key else "", uri, suite, fields["Components"]


def _of_distribution(options: str) -> bool:
    """Whether a source with these options is signed by a key of the distribution's own keyrings, or says nothing."""
    keyrings = re.findall(r'signed-by="?([^]" ]+)', options)
    names = [Path(keyring).name for keyring in ",".join(keyrings).split(",") if keyring]
    return all(name.startswith(("debian-archive-", "ubuntu-archive-")) for name in names)


@dataclass(frozen=True)
class Finding:
    """One thing that a room needs.

    Attributes:
        what: the thing.
        ok: whether the machine has it.
        remedy: the command or the change that repairs it.
    """

    what: str
    ok: bool
    remedy: str = ""
