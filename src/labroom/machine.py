"""The machine that runs the room: what it has, what it lacks, and the command that mends it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from labroom import state
from labroom.console import Progress
from labroom.errors import MachineError
from labroom.processes import run
from labroom.providers.nspawn import cgroups

# What the nspawn provider runs, and the package of it in Debian and Ubuntu.
_COMMANDS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "slirp4netns": "slirp4netns",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "umount": "mount",
}


def os_release() -> dict[str, str]:
    """What this machine says it is (os-release(5))."""
    text = Path("/etc/os-release").read_text()
    return {key: value.strip('"') for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)}


def tool(name: str) -> str:
    """A command that came with labroom's own Python environment."""
    return str(Path(sys.executable).with_name(name))


def missing_packages() -> list[str]:
    """The packages that would bring the commands that aren't there."""
    return sorted({package for command, package in _COMMANDS.items() if not shutil.which(command)})


def require_root(what: str) -> None:
    """See that this is root.

    Raises:
        MachineError: it is not.
    """
    if os.geteuid() != 0:
        raise MachineError(f"{what} needs root", f"sudo ./labroom {what}")


def install_missing(progress: Progress) -> None:
    """Install the packages that the room needs, with the machine's package manager.

    Raises:
        MachineError: there is none that labroom knows, or it failed.
    """
    packages = missing_packages()
    if not packages:
        return
    if not shutil.which("apt-get"):
        raise MachineError(
            f"{', '.join(packages)}: not installed, and apt-get is the only package manager that labroom knows",
            "install what brings: " + " ".join(command for command in _COMMANDS if not shutil.which(command)),
        )
    state.prepare(state.ROOT)
    log = state.ROOT / "apt.log"
    with progress.phase(f"packages: {' '.join(packages)}"[:50], log), log.open("w") as output:
        for argv in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                check=False,
            )
            if done.returncode != 0:
                lines = log.read_text().strip().splitlines()
                raise MachineError(f"apt-get {argv[1]}: {lines[-1] if lines else 'failed'}", f"the whole log: {log}")


def try_install(*packages: str) -> None:
    """Install packages that would be nice to have, if the machine's package manager has them all."""
    subprocess.run(
        ["apt-get", "install", "-y", "--no-install-recommends", *packages],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        check=False,
    )


def apt_proxies() -> list[str]:
    """The HTTP proxies in this machine's apt configuration, as apt options."""
    text = run("apt-config", "dump", "--format=%f=%v%n", "Acquire::http::Proxy", "Acquire::https::Proxy")
    return [f'{name} "{value}"' for name, _, value in (line.partition("=") for line in text.splitlines()) if value]


def apt_sources(release: str, etc: Path = Path("/etc/apt")) -> str:
    """The sources (sources.list(5)) of `release` in this machine's apt configuration, of its distribution alone.

    Only what a guest can reach as well: not a list of mirrors in a file (apt-transport-mirror(1)), as GitHub's runners
    have. Empty where there is none, as on a machine of another release: then mmdebstrap knows the mirror.
    """
    suites = {release, f"{release}-updates", f"{release}-security"}
    found = []
    for file in sorted([etc / "sources.list", *etc.glob("sources.list.d/*")]):
        text = file.read_text() if file.is_file() else ""
        if file.suffix == ".list":
            for line in text.splitlines():
                words = re.sub(r"\[[^]]*\]", "", line).split()
                if len(words) > 3 and words[0] == "deb" and words[2] in suites and words[1].startswith("http"):
                    found.append(line)
        elif file.suffix == ".sources":
            for stanza in re.split(r"\n\s*\n", text):
                fields = dict(re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
                own = set(fields.get("Suites", "").split()) & suites
                if not own or fields.get("Enabled") == "no":
                    continue
                keyring = fields.get("Signed-By", "")
                options = f"[signed-by={keyring}] " if keyring.startswith("/") else ""
                found += [
                    f"deb {options}{uri} {suite} {fields['Components']}"
                    for uri in fields["URIs"].split()
                    if uri.startswith("http")
                    for suite in sorted(own)
                ]
    return "".join(f"{line}\n" for line in found)


@dataclass(frozen=True)
class Finding:
    """One thing that a room needs.

    Attributes:
        what: the thing.
        ok: whether the machine has it.
        remedy: the command or the change that mends it.
    """

    what: str
    ok: bool
    remedy: str = ""


def _user_namespaces() -> Finding:
    """Whether a process here can have a user namespace of its own (user_namespaces(7)): in a chroot none can."""
    try:
        run("unshare", "--user", "true")
        ok = True
    except MachineError:
        ok = False
    remedy = "sysctl user.max_user_namespaces=10000; in a chroot there is none: use systemd-nspawn or pivot_root"
    return Finding("user namespaces", ok, remedy)


def require_user_namespaces() -> None:
    """See that guests can have users of their own.

    Raises:
        MachineError: they can't.
    """
    finding = _user_namespaces()
    if not finding.ok:
        raise MachineError("this machine allows no user namespaces, which guests need", finding.remedy)


def examine() -> list[Finding]:
    """Everything a room on this machine needs, and whether it is there."""
    findings = [Finding("root", os.geteuid() == 0, "sudo ./labroom …")]
    manager = shutil.which("apt-get")
    for command, package in _COMMANDS.items():
        remedy = f"apt-get install {package}" if manager else f"install what brings {command}"
        findings.append(Finding(command, shutil.which(command) is not None, remedy))
    kinds = Path("/proc/filesystems").read_text().split()
    overlay = "overlay" in kinds or Path(f"/lib/modules/{os.uname().release}/kernel/fs/overlayfs").exists()
    findings.append(Finding("overlay file systems", overlay, "modprobe overlay"))
    findings.append(_user_namespaces())
    missing = cgroups.missing_controllers()
    findings.append(
        Finding(
            "control groups that limit processes and memory", not missing, f"boot with cgroup: {', '.join(missing)}"
        )
    )
    place = next(path for path in (state.ROOT, *state.ROOT.parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    findings.append(
        Finding(f"2 GiB free at {state.ROOT}", free >= 2 << 30, "free some space, or set LABROOM_STATE_DIR")
    )
    return findings
