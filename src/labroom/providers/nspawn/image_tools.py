"""Making a layer of the guests' image: where tools run for it, what no guest may inherit, when it is finished."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from labroom import keys, state
from labroom.errors import MachineError
from labroom.processes import environment
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.resources import ROOT

# What each guest gets for itself, and what an installation leaves behind (glob patterns).
_NOT_OF_AN_IMAGE = f"""
    etc/ssh/ssh_host_*
    etc/machine-id
    etc/hostname
    etc/hosts
    etc/resolv.conf
    etc/labroom/network
    root/.ssh
    root/.ansible
    home/{keys.STUDENT}/.ssh/authorized_keys
    run/*
    tmp/*
    var/cache/apt/*.bin
    var/cache/apt/archives/*.deb
    var/cache/debconf/*-old
    var/lib/apt/lists/*
    var/lib/dbus/machine-id
    var/lib/dpkg/*-old
    var/lib/systemd/random-seed
    var/log/**/*.log
    var/log/journal/*
    var/log/btmp
    var/log/lastlog
    var/log/wtmp
"""


def builder_name() -> str:
    """The room, and control group, in which images are made: one for each place that keeps them, each with its lock.

    No room.yml can have this name.
    """
    return f"build-{hashlib.sha256(str(state.root()).encode()).hexdigest()[:6]}"


def tree(layer: str) -> Path:
    """The files of the layer of this name, which is there once it is finished."""
    return state.images() / layer / "tree"


def partial(layer: str) -> Path:
    """Where the layer of this name is while it is made: a folder that has, or gets, a `tree`."""
    return state.images() / f"{layer}.partial"


def log(layer: str) -> Path:
    """What the tools printed that made the layer of this name."""
    return state.images() / f"{layer}.log"


def finish(layer: str) -> None:
    """Make what is in `partial` known as the layer of this name, its list of packages beside it."""
    folder = partial(layer)
    installed = (folder / "tree/var/lib/dpkg/status").read_text(encoding="utf-8").split("\n\n")
    fields = [dict(re.findall(r"^(Package|Version): (.*)$", block, re.MULTILINE)) for block in installed]
    packages = sorted(f"{field['Package']} {field['Version']}\n" for field in fields if "Version" in field)
    (folder / "packages.txt").write_text("".join(packages), encoding="utf-8")
    folder.replace(state.images() / layer)


def forget_identity(layer_tree: Path) -> None:
    """Remove what each guest gets for itself, and what an installation leaves behind."""
    for pattern in _NOT_OF_AN_IMAGE.split():
        for path in layer_tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def run_logged(argv: list[str], output_log: Path, stdin: str = "", **variables: str) -> None:
    """Run a tool that makes an image, in the control group of all that does, its output in `output_log`.

    An image is made of what the checkout says: of the caller's environment it gets where programs and proxies are.

    Args:
        argv: the tool and its arguments; it runs in `ROOT`.
        output_log: where what it prints goes.
        stdin: what it reads.
        variables: what its environment has besides.

    Raises:
        MachineError: it failed; the message has its last lines.
    """
    group = Cgroup(builder_name(), "tools")
    group.create()
    env = {
        name: value
        for name, value in environment().items()
        if name in ("HOME", "LC_ALL", "PATH") or name.lower().endswith("_proxy")
    }
    with output_log.open("wb") as output:
        done = subprocess.run(
            group.entering(*argv),
            input=stdin.encode(),
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env | variables,
            cwd=ROOT,
            start_new_session=True,
            check=False,
        )
    if done.returncode != 0:
        tool = "mmdebstrap" if "mmdebstrap" in argv else "ansible-playbook"
        raise failure(tool, done.returncode, output_log)


def failure(tool: str, status: int, output_log: Path) -> MachineError:
    """What is wrong where a tool that makes an image has failed, by what it printed."""
    text = output_log.read_text(encoding="utf-8", errors="replace")
    if "No space left on device" in text:
        return MachineError(f"the disk is full: {tool} found no space left for {state.images()}", "free some space")
    unreachable = re.search(
        r"(Could not resolve|Temporary failure resolving|Could not connect|Unable to connect).*", text
    )
    if unreachable:
        return MachineError(
            f"no network for the first image: {unreachable.group(0).strip()}",
            "the package mirror of this machine's apt must answer, once: try apt-get update",
        )
    if unknown := re.search(r'"the release has no package ([^"]+)"', text):
        return MachineError(
            f"the guests' release has no package {unknown[1]}",
            "write it as the release does, or take it out of the field packages of the room file",
        )
    last = "".join(f"\n    {line}" for line in text.strip().splitlines()[-8:])
    return MachineError(f"{tool} failed (exit status {status}); its output ends:{last}", f"the whole log: {output_log}")
