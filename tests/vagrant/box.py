"""A Vagrant box for libvirt, made here of a Debian release, since no box can be downloaded in CI.

It boots under emulation in a few seconds: no boot loader (libvirt hands the kernel to QEMU), an initrd that loads two
drivers, and no unit that a machine of a lab never needs. It has Ansible and the packages of the roles, which apt would
need minutes to install there. Its own Vagrantfile carries what emulation needs, so that the project's is tested as
users have it. It takes apt, pip and the certificates as they are configured on this machine.
"""

import hashlib
import json
import lzma
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from labroom import machine, processes, state
from labroom.providers.nspawn import image_base
from labroom.resources import ROOT

#: What making a box takes in Debian and Ubuntu.
PACKAGES = ("cpio", "e2fsprogs", "mmdebstrap", "qemu-utils")

_INCLUDED = """
    linux-image-cloud-amd64 systemd-sysv udev kmod dbus busybox-static
    openssh-server sudo ca-certificates rsync ansible-core
"""
_ROLES = ("toolchain", "labroom_command")  # whose packages it has too
_DRIVERS = ("virtio_pci", "virtio_blk")  # what it takes to mount the disk; udev loads the others
_DISK_BYTES = 8 << 30  # sparse
_FILES = {
    "etc/hostname": "box\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/machine-id": f"{'b0' * 16}\n",  # without one, it is a first start, which takes PID 1 half a minute
    "etc/resolv.conf": "nameserver 192.168.121.1\n",  # libvirt's own, on the network that Vagrant makes
    "etc/sudoers.d/vagrant": "vagrant ALL=(ALL) NOPASSWD: ALL\n",
    "etc/modprobe.d/box.conf": "blacklist kvm_amd\nblacklist powernow_k8\n",  # which the emulated processor asks for
    "etc/systemd/system/ssh.service.d/host-keys.conf": """\
[Service]
ExecStartPre=
# Of one kind alone: an RSA key takes seconds there.
ExecStartPre=sh -c "[ -e $KEY ] || exec ssh-keygen -q -t ed25519 -N '' -f $KEY"
Environment=KEY=/etc/ssh/ssh_host_ed25519_key
""",
    # Not each device of the machine: its network alone, whose driver comes with it.
    "etc/systemd/system/systemd-udev-trigger.service.d/network.conf": """\
[Service]
ExecStart=
ExecStart=udevadm trigger --action=add --subsystem-match=virtio --subsystem-match=net
""",
    "etc/systemd/network/10-eth0.network": "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n[DHCPv4]\nClientIdentifier=mac\n",
}
_INIT = """\
#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
for driver in /drivers/*; do busybox insmod $driver; done
busybox mount -t ext4 /dev/vda /root
exec busybox switch_root /root /sbin/init
"""
# What defends a kernel against its programs takes an emulated one a tenth of its time.
_UNDEFENDED = "mitigations=off init_on_alloc=0 randomize_kstack_offset=off apparmor=0 audit=0"
_VAGRANTFILE = f"""\
Vagrant.configure("2") do |config|
  config.vm.guest = :debian
  config.vm.boot_timeout = 300
  config.ssh.connect_timeout = 120
  config.ssh.insert_key = false
  config.vm.provider :libvirt do |libvirt|
    libvirt.driver = "qemu"
    libvirt.cpu_mode = "custom"
    libvirt.cpu_model = "qemu64"
    libvirt.machine_type = "q35"
    libvirt.graphics_type = "none"
    libvirt.video_type = "none"
    libvirt.kernel = File.expand_path("vmlinuz", __dir__)
    libvirt.initrd = File.expand_path("initrd.img", __dir__)
    libvirt.cmd_line = "root=/dev/vda rw net.ifnames=0 console=ttyS0 quiet {_UNDEFENDED}"
  end
end
"""


def box(release: str) -> Path:
    """The box of a Debian release: kept with labroom's state, created if it isn't there."""
    kept = file(release)
    with state.locked(kept.with_name("lock"), "makes a box"):
        if not kept.is_file():
            for older in kept.parent.glob("*.box"):
                older.unlink()
            with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
                _make(release, Path(folder)).replace(kept)
    return kept


def file(release: str) -> Path:
    """Where the box of a release is kept; its name has a digest of all that goes into it."""
    inputs = [Path(__file__), _public_key(), *_configuration().values(), *map(_defaults, _ROLES)]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in inputs))
    command, sources = image_base.bootstrap(release, Path("tree"), [])
    digest.update("\n".join([*command, sources, image_base.recipe(), *image_base.masked_units("vm")]).encode())
    return state.root() / "boxes" / f"{release}-{digest.hexdigest()[:12]}.box"


def _public_key() -> Path:
    """The public half of the key that Vagrant logs in with."""
    files = processes.run("dpkg", "--listfiles", "vagrant").splitlines()
    return next(Path(file) for file in files if file.endswith("keys/vagrant.pub"))


def _defaults(role: str) -> Path:
    return ROOT / "roles" / role / "defaults" / "main.yml"


def _configuration() -> dict[str, Path]:
    """This machine's own certificates and pip configuration: files here, by where they lie in the box."""
    found = [*machine.certificates(), Path("/etc/pip.conf")]
    return {str(path.relative_to("/")): path for path in sorted(found) if path.is_file()}


def _make(release: str, folder: Path) -> Path:
    tree = folder / "tree"
    _bootstrap(release, tree)
    (kernel,) = (tree / "boot").glob("vmlinuz-*")
    shutil.copy(kernel, folder / "vmlinuz")
    _make_initrd(tree, kernel.name.removeprefix("vmlinuz-"), folder / "initrd.img")
    options = ("-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=0", "-N", "300000")
    _run("mke2fs", *options, "-d", str(tree), str(folder / "disk"), str(_DISK_BYTES >> 10))
    _run("qemu-img", "convert", "-O", "qcow2", str(folder / "disk"), str(folder / "box.img"))
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": _DISK_BYTES >> 30}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    (folder / "Vagrantfile").write_text(_VAGRANTFILE)
    parts = ("metadata.json", "Vagrantfile", "box.img", "vmlinuz", "initrd.img")
    _run("tar", "-C", str(folder), "-cf", str(folder / "new.box"), *parts)
    return folder / "new.box"


def _bootstrap(release: str, tree: Path) -> None:
    of_roles = [
        package for role in _ROLES for package in yaml.safe_load(_defaults(role).read_text())[f"{role}_packages"]
    ]
    command, sources = image_base.bootstrap(
        release, tree, [*_INCLUDED.split(), *of_roles], "--aptopt=APT::Install-Recommends false", "--quiet"
    )
    _run(*command, stdin=sources)
    for name, path in _configuration().items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tree / name)
    for name, text in _FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "etc/sudoers.d/vagrant").chmod(0o440)
    image_base.mask(tree, "vm")
    (tree / "key").write_text(_public_key().read_text())
    script = """
        useradd --create-home --shell /bin/bash --password '*' vagrant
        install -d -o vagrant -g vagrant -m 700 /home/vagrant/.ssh
        install -o vagrant -g vagrant -m 600 /key /home/vagrant/.ssh/authorized_keys
        systemctl --quiet enable ssh systemd-networkd
        systemctl --quiet set-default multi-user
        update-ca-certificates
        rm -rf /key /var/lib/apt/lists/* /var/cache/apt/*.bin /etc/ssh/ssh_host_*
    """
    _run("chroot", str(tree), "sh", "-ec", script)


def _make_initrd(tree: Path, version: str, initrd: Path) -> None:
    """Write an initrd (initramfs of the kernel's documentation) of busybox and the drivers of the disk."""
    content = initrd.with_name("initrd")
    for name in ("bin", "dev", "root", "drivers"):
        (content / name).mkdir(parents=True)
    shutil.copy(tree / "bin/busybox", content / "bin/busybox")
    (content / "init").write_text(_INIT)
    (content / "init").chmod(0o755)
    needed: list[Path] = []
    for driver in _DRIVERS:
        shown = _run("chroot", str(tree), "modprobe", f"--set-version={version}", "--show-depends", driver)
        paths = [tree / path.lstrip("/") for path in re.findall(r"^insmod (\S+)", shown, re.MULTILINE)]
        needed += [path for path in paths if path not in needed]
    for number, path in enumerate(needed):
        data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        (content / "drivers" / f"{number:02}-{path.name.removesuffix('.xz')}").write_bytes(data)
    _run("sh", "-c", f"cd '{content}' && find . | cpio --quiet --create --format=newc >'{initrd}'")


def _run(*argv: str, stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv[0]}: status {done.returncode}\n{done.stderr[-4000:]}"
    return done.stdout
