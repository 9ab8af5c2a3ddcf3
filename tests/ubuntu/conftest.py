"""A Debian machine that can make guests of Ubuntu, in a sandbox: a stand-in for Ubuntu's archive has its names."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import labroom.machine
from labroom import state
from tests import packages
from tests.sandbox import Sandbox
from tests.ubuntu import archive

_ADDRESS = "198.18.0.1"  # of the archive (RFC 2544: no network has it)
# Without a gateway, whose roles have nothing of Ubuntu's in them: it would take a fifth of the time.
_ROOM = """\
plugin: labroom.labroom.room
name: hubuntu
networks: {private: 192.168.90.0/24, outside: 198.51.100.128/28}
machine_ports: [80]
guests:
  server: {outside: 198.51.100.131}
  alfa: {outside: 198.51.100.132}
"""


@dataclass(frozen=True)
class Machine:
    """The machine.

    Attributes:
        sandbox: where it is.
        folder: what lies there is seen by it: `apt` is its /etc/apt, `keyrings` its /usr/share/keyrings,
            `certificates` its /usr/local/share/ca-certificates.
        archive: the folder of the archive.
    """

    sandbox: Sandbox
    folder: Path
    archive: Path

    @property
    def room(self) -> Path:
        """The file of its room, with guests of any release."""
        return self.folder / "room.yml"

    def run(self, *argv: str, status: int = 0) -> str:
        """Run a command in the checkout, see that its status is `status`, return what it printed."""
        proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
        own = {"LABROOM_STATE_DIR": str(self.folder / "state"), "ANSIBLE_HOME": str(self.folder / "ansible")}
        done = self.sandbox.run(*argv, check=False, env=proxies | own)
        assert done.returncode == status, f"{argv}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def labroom(self, *arguments: str, status: int = 0) -> str:
        """Run `labroom` on its room."""
        return self.run(sys.executable, "-m", "labroom", "--room", str(self.room), *arguments, status=status)


@pytest.fixture(scope="module")
def bare() -> Iterator[Machine]:
    """The machine as Debian is: it has no key of Ubuntu's, and reaches no archive."""
    if labroom.machine.os_release()["ID"] != "debian":
        pytest.skip("the stand-in for Ubuntu's archive is made of Debian's packages")
    packages.install(*archive.PACKAGES)
    folder = archive.file().parent
    with state.locked(folder / "lock", "tests guests of Ubuntu"):
        kept = archive.archive()
        with Sandbox(folder / "ubuntu-machine") as inside:
            machine = Machine(inside, inside.folder, kept)
            _prepare(machine)
            yield machine


def _prepare(machine: Machine) -> None:
    """Give the machine an apt of its own, and cut it off: what it fetches comes from the stand-in or not at all."""
    folder = machine.folder
    machine.room.write_text(_ROOM)
    (folder / "resolv.conf").write_text(f"nameserver {_ADDRESS}\n")
    for name in ("apt.conf.d", "preferences.d", "sources.list.d"):
        (folder / "apt" / name).mkdir(parents=True)
    shutil.copytree("/etc/apt/trusted.gpg.d", folder / "apt/trusted.gpg.d")
    shutil.copytree("/usr/share/keyrings", folder / "keyrings", ignore=shutil.ignore_patterns("ubuntu-*"))
    (folder / "certificates").mkdir()
    subject, certificate = "/CN=labroom's tests", str(folder / "certificates/own.crt")
    key = ("-newkey", "ed25519", "-noenc", "-keyout", "/dev/null")
    machine.sandbox.run("openssl", "req", "-x509", *key, "-subj", subject, "-days", "9", "-out", certificate)
    places = {"apt": "/etc/apt", "keyrings": "/usr/share/keyrings", "certificates": "/usr/local/share/ca-certificates"}
    for here, place in places.items():
        machine.sandbox.run("mount", "--bind", str(folder / here), place)
    machine.sandbox.run("ip", "link", "set", "tap0", "down")


@pytest.fixture(scope="module")
def keyed(bare: Machine) -> Machine:
    """The machine with Ubuntu's key; still it reaches no archive."""
    shutil.copy(bare.archive / archive.KEYRING, bare.folder / "keyrings")
    return bare


@pytest.fixture(scope="module")
def machine(keyed: Machine) -> Machine:
    """The machine with Ubuntu's key, which reaches the archive: every name leads there."""
    inside = keyed.sandbox
    inside.run("ip", "address", "add", f"{_ADDRESS}/32", "dev", "lo")
    served = ("--bind", _ADDRESS, "--directory", str(keyed.archive))
    server = inside.start(sys.executable, "-m", "http.server", *served, "80", log="archive.log")
    options = ("--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--user=root", "--pid-file=")
    names = (f"--listen-address={_ADDRESS}", f"--address=/#/{_ADDRESS}")
    inside.start("dnsmasq", "--keep-in-foreground", *options, *names, log="names.log")
    look = "import urllib.request; urllib.request.urlopen('http://mirror.test/ubuntu/dists/noble/InRelease')"
    inside.wait_for([sys.executable, "-c", look], server, "archive.log")
    return keyed


@pytest.fixture(scope="module")
def room(machine: Machine) -> Iterator[Machine]:
    """The machine with its room up; `up.log` says what `labroom up` said."""
    (machine.folder / "up.log").write_text(machine.labroom("up"))
    yield machine
    machine.labroom("down")
