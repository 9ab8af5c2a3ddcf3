"""A Docker engine of the tests' own, in a sandbox, and a base image made by mmdebstrap(1) from this machine's mirrors.

No image registry is needed. What is expensive, the base, Compose v2 and the engine's images and build cache, is kept in
a folder between runs; all else that a run leaves goes with its sandbox, or at the next start.
"""

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labroom import machine, state
from labroom.providers.nspawn import image_base
from tests import packages, sandbox
from tests.sandbox import Sandbox

_KEPT = state.root() / "docker"
_PARTIAL = _KEPT / "partial.tar"
#: What it takes in Debian and Ubuntu.
PACKAGES = (*sandbox.PACKAGES, "docker.io", "docker-compose", "mmdebstrap")
_SOCKET = "unix:///run/docker.sock"
_CERTIFICATES = Path("/usr/local/share/ca-certificates")


@dataclass(frozen=True)
class Engine:
    """The engine.

    Attributes:
        sandbox: where it runs, and where what talks to it must run too.
        base: the image that the Dockerfile begins with, in place of one of a registry.
    """

    sandbox: Sandbox
    base: str


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """Run an engine, with no container of an earlier one; `folder` is for its sandbox's files."""
    packages.install(*PACKAGES)
    tree = _base()
    base = f"labroom-base:{tree.stem}"
    with Sandbox(folder) as inside:
        start(inside, _KEPT / "engine")
        # What the last one left, which ended at once.
        left = inside.run("docker", "ps", "--all", "--quiet").stdout.split()
        if left:
            inside.run("docker", "rm", "--force", *left)
        for kind in ("network", "image"):
            inside.run("docker", kind, "prune", "--force")
        homes = inside.run("docker", "volume", "ls", "--quiet").stdout.split()
        if homes:
            inside.run("docker", "volume", "rm", *homes)
        if inside.run("docker", "image", "inspect", base, check=False).returncode != 0:
            inside.run("docker", "import", str(tree), base)
        yield Engine(inside, base)


def start(inside: Sandbox, data: Path, *options: str) -> None:
    """Start dockerd in a sandbox, with its data in a folder, and wait until it answers.

    Raises:
        SandboxError: it does not; the message has the last lines of its log.
    """
    argv = ["dockerd", f"--host={_SOCKET}", f"--data-root={data}", "--exec-root=/run/docker"]
    daemon = inside.start(*argv, "--pidfile=/run/docker.pid", *options, log="dockerd.log")
    inside.wait_for(["docker", "version"], daemon, "dockerd.log")


def base_file() -> Path:
    """Where the base image is kept; its name has a digest of all that goes into it."""
    return _recipe()[2]


def _recipe() -> tuple[list[str], str, Path]:
    """The command that creates the base image as partial.tar, what it reads, and the file that it becomes.

    It is a Debian of this machine's release, as small as a registry's, which reaches the registries of packages: the
    mirrors of apt, the certificate authorities and pip's configuration are this machine's own.
    """
    release = machine.os_release()["VERSION_CODENAME"]
    authorities = sorted(_CERTIFICATES.glob("*.crt"))
    pip = [file for file in [Path("/etc/pip.conf")] if file.is_file()]
    copies = [(authorities, _CERTIFICATES), (pip, Path("/etc"))]
    hooks = [f"copy-in {' '.join(map(str, files))} {folder}" for files, folder in copies if files]
    options = [f"--customize-hook={hook}" for hook in (*hooks, 'chroot "$1" update-ca-certificates')]
    command, sources = image_base.bootstrap(release, _PARTIAL, ["ca-certificates"], *options)
    inputs = [sources, *command, *(file.read_text() for file in (*authorities, *pip))]
    digest = hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]
    return command, sources, _KEPT / f"{release}-{digest}.tar"


def _base() -> Path:
    """The base image, created if it isn't there."""
    command, sources, tree = _recipe()
    if tree.is_file():
        return tree
    _KEPT.mkdir(parents=True, exist_ok=True)
    for old in _KEPT.glob("*.tar"):
        old.unlink()
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    subprocess.run(command, input=sources, text=True, check=True, capture_output=True, env=environment)
    _PARTIAL.rename(tree)
    return tree


def compose_v2() -> Path:
    """A configuration folder of Docker's client that has Compose v2 as plug-in: Debian 13's, unchanged."""
    config = _KEPT / "compose-v2"
    plugin = config / "cli-plugins" / "docker-compose"
    if plugin.exists():
        return config
    apt, unpacked = config / "apt", config / "package"
    (apt / "lists/partial").mkdir(parents=True, exist_ok=True)
    plugin.parent.mkdir(exist_ok=True)
    release = machine.os_release()["VERSION_CODENAME"]
    (apt / "sources.list").write_text(machine.apt_sources(release).replace(release, "trixie"))
    folders = {"Etc::sourcelist": apt / "sources.list", "Etc::sourceparts": "/dev/null", "State::lists": apt / "lists"}
    (apt / "apt.conf").write_text("".join(f'Dir::{name} "{path}";\n' for name, path in folders.items()))
    for arguments in (["update"], ["download", "docker-compose"]):
        environment = os.environ | {"APT_CONFIG": str(apt / "apt.conf")}
        subprocess.run(["apt-get", *arguments], cwd=apt, env=environment, check=True, capture_output=True)
    (package,) = apt.glob("docker-compose_*.deb")
    subprocess.run(["dpkg-deb", "--extract", str(package), str(unpacked)], check=True)
    plugin.symlink_to("../package/usr/libexec/docker/cli-plugins/docker-compose")
    return config
