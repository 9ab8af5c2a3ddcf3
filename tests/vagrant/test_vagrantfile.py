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
# Addresses that YAML takes for fractions, two of them for the same one.
WIDER = """
name: wider
networks: {private: 10.77.0.0/16, middle: 10.78.0.0/24, outside: 203.0.113.0/28}
guests:
  alfa: {private: .1.10}
  bravo: { private: .10 }
  charlie: {private: 10.77.1.100}
  router: {part: router, private: .2, middle: .2}
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


@pytest.fixture
def wider(vagrant: Vagrant) -> Path:
    """A folder with the Vagrantfile and a room of more networks, whose addresses are written by their ends."""
    folder = vagrant.sandbox.folder / "wider"
    folder.mkdir(exist_ok=True)
    shutil.copy(vagrant.checkout / "Vagrantfile", folder)
    (folder / "room.yml").write_text(WIDER)
    return folder


def test_reads_addresses_as_labroom_does(vagrant: Vagrant, wider: Path) -> None:
    read = 'eval(File.read(ARGV[0]).partition("# Ansible of").first, binding, ARGV[0]); puts ADDRESSES.values'
    said = vagrant.run_other("ruby", "-e", read, str(wider / "Vagrantfile"))
    guests = room.load(wider / "room.yml").guests
    assert said.split() == [str(guests[name].address) for name in ("alfa", "bravo", "charlie")]


def test_says_which_networks_it_can_not_make(vagrant: Vagrant, wider: Path) -> None:
    said = vagrant.run_other("vagrant", "up", "alfa", status=1, env={"VAGRANT_CWD": str(wider)})
    assert "room.yml: virtual machines have the private network alone, not middle: `vagrant up`" in said
