"""Is the Vagrantfile right for every provider, with Ansible on the host and without, and in step with room.yml?"""

import re
import shutil
from pathlib import Path

import pytest

from labroom import room
from tests.vagrant.libvirt import Vagrant

# Vagrant asks VirtualBox for its version, and VMware's plug-in is its vendor's: neither is packaged for this machine.
VIRTUALBOX = "#!/bin/sh\necho 7.0.20r163906\n"
VMWARE = """
class VMware < Vagrant.plugin("2")
  name "vmware_desktop"
  config(:vmware_desktop, :provider) do
    Class.new(Vagrant.plugin("2", :config)) { def vmx = (@vmx ||= {}) }
  end
  provider(:vmware_desktop) do
    Class.new(Vagrant.plugin("2", :provider)) { def state = Vagrant::MachineState.new(:not_created, "none", "none") }
  end
end
"""


@pytest.fixture(scope="module")
def variables(vagrant: Vagrant) -> dict[str, str]:
    """The environment in which Vagrant finds all three providers."""
    home = vagrant.sandbox.folder / "all-providers"
    home.mkdir()
    (home / "Vagrantfile").write_text(VMWARE)
    (home / "VBoxManage").write_text(VIRTUALBOX)
    (home / "VBoxManage").chmod(0o755)
    return {"VAGRANT_HOME": str(home), "PATH": f"{home}:/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.fixture(scope="module", params=["ansible on the host", "ansible in the machine"])
def folder(vagrant: Vagrant, request: pytest.FixtureRequest) -> Path:
    """A folder with the Vagrantfile, with Ansible or without."""
    if request.param == "ansible on the host":
        return vagrant.checkout
    folder = vagrant.sandbox.folder / "without-ansible"
    folder.mkdir()
    for name in ("Vagrantfile", "room.yml"):
        shutil.copy(vagrant.checkout / name, folder)
    return folder


@pytest.mark.parametrize("provider", ["virtualbox", "vmware_desktop", "libvirt"])
def test_is_valid(vagrant: Vagrant, variables: dict[str, str], folder: Path, provider: str) -> None:
    settings = variables | {"VAGRANT_CWD": str(folder), "VAGRANT_DEFAULT_PROVIDER": provider}
    assert "validated successfully" in vagrant.run_other("vagrant", "validate", env=settings)


def test_has_the_machines_of_the_room(vagrant: Vagrant) -> None:
    said = vagrant.run("status", "--machine-readable")
    guests = room.load(vagrant.checkout / "room.yml").guests.items()
    machines = [name for name, guest in guests if guest.part == "guest" and guest.private]
    assert set(re.findall(r"^\d+,(\w+),state,", said, re.MULTILINE)) == {"student", *machines}
