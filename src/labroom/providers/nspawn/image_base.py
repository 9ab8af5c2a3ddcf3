"""The base of the guests' image: a Debian or Ubuntu by mmdebstrap(1) that boots fast and answers SSH."""

import hashlib
import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from labroom import commands, machine, processes, state
from labroom.console import Progress
from labroom.errors import MachineError
from labroom.providers.nspawn import disks, image_tools

#: What it takes to boot, to answer SSH and to be provisioned by Ansible; the rest is the roles' to install.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "iproute2"),
    *("openssh-server", "python3", "python3-apt", "ca-certificates"),
)
_UBUNTU = ("noble", "jammy")
# Of /usr/share, what no image has; of the manual, the translations. dpkg goes by it in the guests, too.
_LEFT_OUT = ("doc/*", "info/*", "locale/*", "man/*")
_MANUAL = "man/man[1-8]/*"
# The manual's index (`man -k`) is made once, by the role toolchain, and not again with each package.
_NO_INDEX = 'echo man-db man-db/auto-update boolean false | chroot "$1" debconf-set-selections'
_KEYS = {"ubuntu": "ubuntu-keyring", "debian": "debian-archive-keyring"}  # the packages of their archives' keys
# Guests trust whom this machine trusts: a mirror, or a proxy that looks into TLS. pip has to be told.
_TRUST = """cp -L --parents %s "$1"
chmod -R a+rX "$1/usr/local/share/ca-certificates"
chroot "$1" update-ca-certificates
printf '[global]\\ncert = /etc/ssl/certs/ca-certificates.crt\\n' >"$1/etc/pip.conf"
"""
# Has the command that follows see the folder $1 as /mnt: apt and dpkg can't read every path.
_AS_MNT = ("sh", "-c", 'mount --bind "$1" /mnt && shift && exec "$@"', "sh")
_UNITS = Path(__file__).parents[1] / "masked_units.txt"
_MASKED_FILES = (
    "etc/tmpfiles.d/systemd-nologin.conf",  # with user sessions: students may log in as soon as sshd answers
    # These start when they are asked for: D-Bus by its socket, logind by D-Bus, as by poweroff(8) and loginctl(1).
    "etc/systemd/system/multi-user.target.wants/dbus.service",
    "etc/systemd/system/multi-user.target.wants/systemd-logind.service",
)
_UNIT_FOLDERS = ("etc/systemd/system", "usr/lib/systemd/system")
_GENERATORS = "usr/lib/systemd/system-generators"  # they look for hardware, partitions and init scripts at each start
_NEEDED_GENERATORS = ("sshd-socket-generator",)  # Ubuntu's, which tells ssh.socket what sshd_config says
_FILES = {
    "etc/systemd/system/labroom-network.service": """\
[Unit]
Description=The guest's links, as room.yml has them
DefaultDependencies=no
Before=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
# Who may ping without privileges (icmp(7)): every group of the guest.
ExecStart=sh -c "echo 0 65534 >/proc/sys/net/ipv4/ping_group_range; exec ip -batch /etc/labroom/network"

[Install]
WantedBy=sysinit.target
""",
    # For sessions that don't come by SSH, such as that of `sudo su -`.
    "etc/default/locale": "LANG=C.UTF-8\n",
    # A volatile journal of at most 4 MB: it lies in memory, and goes with the guest.
    "etc/systemd/journald.conf.d/labroom.conf": """\
[Journal]
Storage=volatile
RuntimeMaxUse=4M
RuntimeMaxFileSize=512K
""",
    # Where memory is short, process 1 and the guest's supervisor go last: the guest would end with them.
    "etc/systemd/system.conf.d/labroom.conf": """\
[Manager]
DefaultOOMScoreAdjust=400
""",
}


def recipe() -> str:
    """Tells one way of making the base from another."""
    modules = [Path(__file__).read_text(encoding="utf-8"), Path(image_tools.__file__).read_text(encoding="utf-8")]
    trusted = [hashlib.sha256(file.read_bytes()).hexdigest() for file in machine.certificates()]
    return hashlib.sha256("\n".join([*modules, *masked_units("nspawn"), *trusted]).encode()).hexdigest()


def masked_units(who: str) -> list[str]:
    """The units of systemd that `who` masks: "nspawn", "container" or "vm"."""
    lines = [line.split() for line in _UNITS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [unit for unit, *kinds in lines if who in kinds]


def bootstrap(release: str, target: Path, packages: Sequence[str], *options: str) -> tuple[list[str], str]:
    """How a Debian or Ubuntu is made by mmdebstrap(1) of this machine's own sources; of documents, it has the manual.

    Args:
        release: its code name.
        target: the folder or tarball that it becomes.
        packages: what is installed besides the essential.
        options: further options.

    Returns:
        The command, and its standard input. What it mounts goes with it, should it be killed: nobody may ever remove a
        tree with /sys in it.
    """
    sources = machine.apt_sources(release)
    command = [*processes.PRIVATE_MOUNTS, "mmdebstrap", "--mode=root", "--variant=minbase"]
    command.append(f"--include={','.join(packages)}")
    command += [f"--aptopt={option}" for option in machine.apt_proxies()]
    command += [f"--dpkgopt=path-exclude=/usr/share/{pattern}" for pattern in _LEFT_OUT]
    command += [f"--dpkgopt=path-include=/usr/share/{_MANUAL}", f"--customize-hook={_NO_INDEX}"]
    if release in _UBUNTU and not sources:
        command.append("--components=main,universe")
    return [*command, *options, release, str(target), *(["-"] if sources else [])], sources


def chosen_release(wanted: str) -> str | None:
    """The release of an image; None where `wanted` is "auto", which has not been decided on this machine yet."""
    if wanted != "auto":
        return wanted
    decided: str | None = state.read_json(_decision()).get("release")
    return decided


def decide_release(wanted: str, progress: Progress) -> str:
    """The release of an image; "auto" becomes Ubuntu 24.04 if it can be had, else this machine's own release."""
    if release := chosen_release(wanted):
        return release
    own = machine.os_release()
    release, reason = own.get("VERSION_CODENAME", ""), ""
    if release != "noble":
        if not _keys_are_known("noble"):
            reason = "Ubuntu's keyring can't be had here"
        elif not _archive_answers("noble"):
            reason = "Ubuntu's archive can't be reached from here"
        else:
            release = "noble"
    if reason:
        progress.note(f"{reason}: the guests are {own.get('PRETTY_NAME', release)}, as this machine is")
    return release


def remember_release(release: str) -> None:
    """What "auto" means on this machine, for good: its base is made."""
    state.write_json(_decision(), {"release": release})


def _decision() -> Path:
    return state.images() / "auto.json"


def _keys_are_known(release: str) -> bool:
    """Whether mmdebstrap can check the packages of a release; those of another family by packages of this machine's."""
    family = _family(release)
    if machine.os_release().get("ID") == family or machine.apt_sources(release):
        return True
    keyring = Path(f"/usr/share/keyrings/{family}-archive-keyring.gpg")
    if not (keyring.exists() and shutil.which("gpg")):
        # mmdebstrap knows by distro-info-data whose release it is, and by gpg that apt must be told of the keys.
        machine.try_install(_KEYS[family], "distro-info-data", "gpg")
    return keyring.exists() and shutil.which("gpg") is not None


def _family(release: str) -> str:
    return "ubuntu" if release in _UBUNTU else "debian"


def _archive_answers(release: str) -> bool:
    try:
        processes.run("mmdebstrap", "--simulate", "--variant=essential", release, "/dev/null", timeout=40)
    except MachineError:
        return False
    return True


def create(layer: str, release: str, progress: Progress) -> None:
    """Make the base, as the layer of this name.

    Raises:
        MachineError: the keys of the release can't be had, or mmdebstrap failed.
    """
    if not _keys_are_known(release):
        package = _KEYS[_family(release)]
        raise MachineError(
            f"this machine lacks the keys of {release}: the packages {package} and gpg",
            f"{commands.as_root(f'apt-get install {package} gpg distro-info-data')}, "
            "or choose another image.release in room.yml",
        )
    tree = image_tools.partial(layer) / "tree"
    tree.parent.mkdir()
    log = image_tools.log(layer)
    seen = Path("/mnt", tree.name)
    trusted = shlex.join(map(str, machine.certificates()))
    hooks = [f"--customize-hook={_TRUST % trusted}"] if trusted else []
    command, sources = bootstrap(release, seen, PACKAGES, "--aptopt=APT::Install-Recommends false", *hooks)
    with progress.phase(f"base of the guests' image ({release})", log):
        image_tools.run_logged([*processes.PRIVATE_MOUNTS, *_AS_MNT, str(tree.parent), *command], log, stdin=sources)
    with progress.phase("made to boot as a guest"):
        _make_bootable(tree)
        image_tools.forget_identity(tree)
        _shift_owners(tree)
    image_tools.finish(layer)


def mask(tree: Path, who: str) -> None:
    """Mask what a machine whose files are in `tree` never needs: `masked_units`, and generators.

    No target wants the units any more, either: each would still be looked for at each start.
    """
    generators = {path.name for path in (tree / _GENERATORS).iterdir()} - set(_NEEDED_GENERATORS)
    masked = [
        *(f"etc/systemd/system/{unit}" for unit in masked_units(who)),
        *(f"etc/systemd/system-generators/{name}" for name in sorted(generators)),
        *_MASKED_FILES,
    ]
    for path in masked:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).unlink(missing_ok=True)
        (tree / path).symlink_to("/dev/null")
    for folder in _UNIT_FOLDERS:
        for unit in masked_units(who):
            for wanted in (tree / folder).glob(f"*.wants/{unit}"):
                wanted.unlink()


def _make_bootable(tree: Path) -> None:
    mask(tree, "nspawn")
    for path, text in _FILES.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text, encoding="utf-8")
    wants = tree / "etc/systemd/system/sysinit.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "labroom-network.service").symlink_to("../labroom-network.service")
    (tree / "etc/systemd/system/default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    (tree / "etc/labroom").mkdir()


def _shift_owners(tree: Path) -> None:
    """Give every file to the user of the machine that its owner will be in a guest."""
    for folder, folders, files in os.walk(tree):
        for path in (Path(folder), *(Path(folder, name) for name in (*folders, *files))):
            status = path.lstat()
            if status.st_uid < disks.UID_COUNT:  # not yet: hard links come by twice
                os.lchown(path, disks.UID_BASE + status.st_uid, disks.UID_BASE + status.st_gid)
                if status.st_mode & 0o6000 and not path.is_symlink():  # which lchown clears
                    path.chmod(status.st_mode & 0o7777)
