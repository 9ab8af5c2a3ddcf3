"""A stand-in for Ubuntu's archive: packages of Debian 13 (trixie) under the name of Ubuntu 24.04 (noble).

CI can't reach Ubuntu's own. What labroom meets there is as it is at Ubuntu's: names of suites and components, the way
from the key in its keyring to each package, packages compressed by zstd (those that are changed), guests that call
themselves Ubuntu 24.04, an sshd for which systemd listens. What is in the packages is Debian's: that Ubuntu's own
versions do their work, this can't show. The archive is kept between runs.
"""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from labroom import machine, state
from labroom.providers.nspawn import image_base
from labroom.providers.nspawn.requirements import COMMANDS
from labroom.resources import ROOT
from tests import sandbox

#: What it takes in Debian to make it, and to make guests of it; `labroom up` then installs nothing.
PACKAGES = (*sandbox.PACKAGES, *COMMANDS.values(), "distro-info-data", "dnsmasq-base", "dpkg", "gpg", "gpg-agent")
#: Where the key is that apt is to trust: in Ubuntu, and below the folder of the archive.
KEYRING = "usr/share/keyrings/ubuntu-archive-keyring.gpg"
#: A package that Ubuntu has in the component universe; it isn't in the image.
IN_UNIVERSE = "sl"

_RELEASE = "trixie"  # a year younger than noble, and like it where bookworm isn't: /bin and /lib are base-files' links
_COMPONENTS = ("main", "restricted", "universe", "multiverse")
_SUITES = ("noble", "noble-updates", "noble-security")  # the latter two are empty
#: What a machine with Ubuntu 24.04 says it is (os-release(5)).
OS_RELEASE = """\
PRETTY_NAME="Ubuntu 24.04 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION="24.04 LTS (Noble Numbat)"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME=noble
"""
# As in Ubuntu 24.04: systemd listens, on the addresses that the generator takes from sshd_config.
_SOCKET = """\
[Unit]
Description=OpenBSD Secure Shell server socket
Before=sockets.target ssh.service
ConditionPathExists=!/etc/ssh/sshd_not_to_be_run

[Socket]
ListenStream=0.0.0.0:22
ListenStream=[::]:22
BindIPv6Only=ipv6-only
Accept=no
FreeBind=yes

[Install]
WantedBy=sockets.target
RequiredBy=ssh.service
"""
# Ubuntu's is made of OpenSSH's own code. This one does the same: it writes a drop-in, unless all is as in the unit.
_GENERATOR = r"""#!/bin/sh
# A stand-in for Ubuntu's (systemd.generator(7)).
settings=$({ sshd -G || { mkdir -p /run/sshd && sshd -T; }; } 2>/dev/null)
listen=$(echo "$settings" | sed -n 's/^listenaddress /ListenStream=/p' | sort)
case $listen in
'' | 'ListenStream=0.0.0.0:22
ListenStream=[::]:22') exit ;;
esac
mkdir -p "$1/ssh.socket.d"
printf '[Socket]\nListenStream=\n%s\n' "$listen" >"$1/ssh.socket.d/addresses.conf"
"""
_KEYRING_CONTROL = """\
Package: ubuntu-keyring
Version: 2023.11.28.1
Architecture: all
Maintainer: The labroom contributors
Priority: important
Provides: debian-archive-keyring
Description: a stand-in for the keys of Ubuntu's archive
"""


def archive() -> Path:
    """The archive: a folder with `ubuntu`, which a web server hands out, and `KEYRING`. Made if it isn't there.

    Whoever calls holds a lock: what else lies beside it goes.
    """
    kept = file()
    if not kept.is_dir():
        for older in kept.parent.glob("*/"):
            shutil.rmtree(older)
        partial = kept.with_name("partial")
        _make(partial)
        partial.rename(kept)
    return kept


def file() -> Path:
    """Where it is kept; the name has a digest of all that goes into it."""
    inputs = [Path(__file__).read_text(encoding="utf-8"), _sources(), *_wanted()]
    return state.root() / "ubuntu" / f"noble-{hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]}"


def _sources() -> str:
    """Where the packages come from: this machine's own mirrors."""
    own = machine.os_release()["VERSION_CODENAME"]
    return machine.apt_sources(own).replace(own, _RELEASE)


def _wanted() -> list[str]:
    """The packages that an image is made of, without those that they need, and those that any Debian has."""
    found = {*image_base.PACKAGES, IN_UNIVERSE}
    for role in ROOT.glob("roles/*"):
        for task in yaml.safe_load((role / "tasks/main.yml").read_text()):
            names = task.get("labroom.labroom.packages", {}).get("names", [])
            found.update(names if isinstance(names, list) else [])
        for variable, value in yaml.safe_load((role / "defaults/main.yml").read_text()).items():
            found.update(value if variable.endswith("_packages") else [])
    return sorted(found)


def _make(folder: Path) -> None:
    top = folder / "ubuntu"
    gnupg = Path(tempfile.mkdtemp())  # of a short name, as its agent's socket must have one (unix(7))
    gpg = ("gpg", "--batch", "--quiet", f"--homedir={gnupg}")
    try:
        _run(*gpg, "--passphrase=", "--quick-generate-key", "Stand-in for Ubuntu's archive", "ed25519", "sign", "never")
        (folder / KEYRING).parent.mkdir(parents=True)
        _run(*gpg, f"--output={folder / KEYRING}", "--export")
        index = {suite: dict.fromkeys(_COMPONENTS, "") for suite in _SUITES}
        for component, stanza in _fill(top, folder / KEYRING):
            index["noble"][component] += stanza + "\n"
        for suite, components in index.items():
            release = _write_suite(top / "dists" / suite, suite, components)
            _run(*gpg, f"--output={release.with_name('InRelease')}", "--clearsign", str(release))
    finally:
        _run("gpgconf", f"--homedir={gnupg}", "--kill", "all")
        shutil.rmtree(gnupg)


def _fill(top: Path, keyring: Path) -> Iterable[tuple[str, str]]:
    """Fill the pool; yields component and stanza (deb822(5)) of each package."""
    for component in _COMPONENTS:
        (top / "pool" / component).mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=top) as place:
        apt = Path(place)
        for stanza in _fetch(apt):
            name, architecture = (_field(stanza, field) for field in ("Package", "Architecture"))
            if name == "debian-archive-keyring":  # Ubuntu's is in its place
                continue
            component = "universe" if name == IN_UNIVERSE else "main"
            pool = f"pool/{component}/{name}_{architecture}.deb"
            (fetched,) = (apt / "cache/archives").glob(f"{name}_*.deb")
            fetched.rename(top / pool)
            if name in _CHANGES:
                _repack(top / pool, apt / name, _CHANGES[name])
                stanza = _run("dpkg-deb", "--field", str(top / pool)) + _digest(top / pool)
            yield component, re.sub(r"^Filename: .*\n?", "", stanza, flags=re.MULTILINE) + f"Filename: {pool}\n"
        own = top / "pool/main/ubuntu-keyring_all.deb"
        tree = apt / "keyring"
        (tree / KEYRING).parent.mkdir(parents=True)
        shutil.copy(keyring, tree / KEYRING)
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN/control").write_text(_KEYRING_CONTROL)
        _pack(tree, own)
        yield "main", f"{_KEYRING_CONTROL}{_digest(own)}Filename: {own.relative_to(top)}\n"


def _fetch(apt: Path) -> list[str]:
    """Fetch all packages by this machine's own sources, into `apt`; returns what these say of each (deb822(5))."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "sources.list").write_text(_sources())
    settings = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": apt / "state",
        "Dir::State::status": "/dev/null",  # nothing is installed: all that a package needs comes with it
        "Dir::Cache": apt / "cache",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    (apt / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
    configured = {"APT_CONFIG": str(apt / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}
    _run("apt-get", "update", **configured)
    available = _run("apt-cache", "dumpavail", **configured).split("\n\n")
    required = [_field(stanza, "Package") for stanza in available if "\nPriority: required\n" in stanza]
    _run("apt-get", "install", "--yes", "--download-only", "apt", *required, *_wanted(), **configured)
    names = sorted(path.name.partition("_")[0] for path in apt.glob("cache/archives/*.deb"))
    shown = _run("apt-cache", "show", "--no-all-versions", *names, **configured)
    return [f"{stanza}\n" for stanza in shown.strip().split("\n\n")]


def _field(stanza: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)$", stanza, re.MULTILINE)
    return found[1] if found else ""


def _digest(package: Path) -> str:
    content = package.read_bytes()
    return f"Size: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"


def _become_ubuntu(tree: Path) -> None:
    (tree / "usr/lib/os-release").write_text(OS_RELEASE)


def _listen_by_socket(tree: Path) -> None:
    (unit,) = tree.rglob("ssh.socket")
    unit.write_text(_SOCKET)
    generator = tree / "usr/lib/systemd/system-generators/sshd-socket-generator"
    generator.parent.mkdir(parents=True, exist_ok=True)
    generator.write_text(_GENERATOR)
    generator.chmod(0o755)
    # Debian enables ssh.service, and ssh.socket where it was enabled before; Ubuntu the other way about.
    script = tree / "DEBIAN/postinst"
    other = {"'ssh.service'": "'ssh.socket'", "'ssh.socket'": "'ssh.service'"}
    script.write_text(re.sub("|".join(other), lambda found: other[found[0]], script.read_text()))


_CHANGES: dict[str, Callable[[Path], None]] = {"base-files": _become_ubuntu, "openssh-server": _listen_by_socket}


def _repack(package: Path, tree: Path, change: Callable[[Path], None]) -> None:
    _run("dpkg-deb", "--raw-extract", str(package), str(tree))
    change(tree)
    _pack(tree, package)


def _pack(tree: Path, package: Path) -> None:
    _run("dpkg-deb", "--root-owner-group", "-Zzstd", "--build", str(tree), str(package))


def _write_suite(folder: Path, suite: str, components: dict[str, str]) -> Path:
    """Write a suite's lists of packages and the file Release, which is returned."""
    architecture = _run("dpkg", "--print-architecture").strip()
    lines = ""
    for component, stanzas in components.items():
        place = folder / component / f"binary-{architecture}"
        place.mkdir(parents=True)
        for name, content in {"Packages": stanzas.encode(), "Packages.gz": gzip.compress(stanzas.encode())}.items():
            (place / name).write_bytes(content)
            lines += f" {hashlib.sha256(content).hexdigest()} {len(content)} {component}/{place.name}/{name}\n"
    release = folder / "Release"
    release.write_text(
        f"Origin: Ubuntu\nLabel: Ubuntu\nSuite: {suite}\nVersion: 24.04\nCodename: noble\n"
        f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S UTC', time.gmtime())}\n"
        f"Architectures: {architecture}\nComponents: {' '.join(components)}\nSHA256:\n{lines}"
    )
    return release


def _run(*argv: str, **variables: str) -> str:
    environment = os.environ | {"LC_ALL": "C.UTF-8"} | variables
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"{argv[:3]}: status {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}"
    return done.stdout
