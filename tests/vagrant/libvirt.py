"""Vagrant with libvirt in a sandbox: a checkout as users have it, the box that was made here, and emulated machines."""

import contextlib
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from labroom.resources import ROOT
from tests import packages, sandbox
from tests.sandbox import Sandbox
from tests.vagrant import box

#: What it takes in Debian and Ubuntu.
PACKAGES = (
    *sandbox.PACKAGES,
    *box.PACKAGES,
    "dnsmasq-base",
    "iptables",
    "libvirt-clients",
    "libvirt-daemon-system",
    "qemu-system-x86",
    "rsync",
    "vagrant",
    "vagrant-libvirt",
)
_BOX = "bento/ubuntu-24.04"  # the Vagrantfile's
RELEASE = "trixie"  # of the box that takes its place: its Ansible can run the roles, as Ubuntu 24.04's can
# What a user's checkout has not, at its top and below it.
_NOT_USERS = (".git", ".venv", ".vagrant", ".ansible", ".hypothesis", ".*_cache", "dist", "reports")
_CACHES = shutil.ignore_patterns("__pycache__")

# $1: a folder of the sandbox. All that libvirt keeps lies there; QEMU runs as root, without further confinement.
_PREPARE = """
mkdir -p /run/libvirt "$1/home"
for place in etc var/lib var/cache var/log; do
    mkdir -p "$1/libvirt/$place"
    mount --bind "$1/libvirt/$place" "/$place/libvirt"
done
mkdir /var/lib/libvirt/images
cat >/etc/libvirt/qemu.conf <<END
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
END
"""


class Vagrant:
    """Vagrant in a sandbox.

    Attributes:
        sandbox: where all of it runs.
        checkout: a copy of this checkout, where `vagrant` is run.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.checkout = sandbox.folder / "labroom"

    @property
    def inventory(self) -> Path:
        """The inventory that Vagrant writes for Ansible."""
        return self.checkout / ".vagrant/provisioners/ansible/inventory/vagrant_ansible_inventory"

    def run(self, *arguments: str, status: int = 0, timeout: float = 120) -> str:
        """Run `vagrant` and return what it printed."""
        return self.run_other("vagrant", *arguments, status=status, timeout=timeout)

    def run_other(self, *argv: str, status: int = 0, timeout: float = 120, env: Mapping[str, str] | None = None) -> str:
        """Run another command in the checkout and return what it printed."""
        folder = self.sandbox.folder
        own = {
            "HOME": str(folder / "home"),
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "VAGRANT_HOME": str(folder / "vagrant"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "ANSIBLE_HOME": str(folder / "ansible"),
        }
        # The sandbox has its own mounts: `env` changes to the checkout in there.
        done = self.sandbox.run(
            *("env", f"--chdir={self.checkout}", *argv), check=False, timeout=timeout, env={**own, **(env or {})}
        )
        said = re.sub(r"(\r?\x1b\[K|\r).*?Progress: [^\r\x1b]*", "", done.stdout + done.stderr)
        assert done.returncode == status, f"{' '.join(argv)}: status {done.returncode}\n{said[-6000:]}"
        return said

    def left(self) -> list[str]:
        """What libvirt still has of the checkout's machines: domains, disks, and networks of the room."""
        lists = [("list", "--all", "--name"), ("vol-list", "default"), ("net-list", "--all", "--name")]
        found = [self.run_other("virsh", "--connect=qemu:///system", *words).split() for words in lists]
        name = self.checkout.name
        return [word for words in found for word in words if word.startswith(name)]


def _ignored(folder: str, names: list[str]) -> set[str]:
    ignored = set(_CACHES(folder, names))
    return ignored | shutil.ignore_patterns(*_NOT_USERS)(folder, names) if Path(folder) == ROOT else ignored


@contextlib.contextmanager
def vagrant(folder: Path) -> Iterator[Vagrant]:
    """Run libvirt for Vagrant, with no machine at the beginning; those that are left end with it."""
    packages.install(*PACKAGES)
    kept = box.box(RELEASE)
    with Sandbox(folder) as inside:
        vagrant = Vagrant(inside)
        shutil.copytree(ROOT, vagrant.checkout, symlinks=True, ignore=_ignored)
        (vagrant.checkout / ".venv").symlink_to(ROOT / ".venv")  # `./labroom` has been run in it
        inside.run("sh", "-ec", _PREPARE, "sh", str(folder))
        _, libvirtd = [inside.start(name, log=f"{name}.log") for name in ("virtlogd", "libvirtd")]
        inside.wait_for(["virsh", "--connect=qemu:///system", "uri"], libvirtd, "libvirtd.log")
        vagrant.run("box", "add", "--name", _BOX, str(kept))
        yield vagrant
