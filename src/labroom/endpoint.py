"""Where and how a host answers SSH: all that the driver and Ansible need to know of a provider."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from labroom import commands
from labroom.errors import MachineError
from labroom.resources import ROOT


@dataclass(frozen=True)
class Endpoint:
    """One host, as the others of its room reach it and as this machine logs in to it.

    Attributes:
        name: the host's name in the room.
        address: IPv4 address, dotted, at which the other hosts of the room reach it.
        ssh_host: address or name at which this machine reaches its sshd: the same one, unless that is forwarded.
        ssh_port: TCP port there.
        user: account to log in as.
        identity_files: private keys to offer; none: those of the user's agent and of ~/.ssh.
        known_hosts: files, one of which has the host's key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT).
        bind_address: the machine's own address in the room's network. Connecting from it fails at once when the
            room is down, so that nothing meant for a guest can leave by the machine's default route. None: any.
        proxy_command: what leads to its sshd in place of a TCP connection (ProxyCommand in ssh_config(5)), run by sh.
        host_key_alias: the name under which known_hosts has its key, if not `ssh_host` and its port.
        left_out: labs that the host has not, since its room file leaves them out.
        sudo: whether a room file lets the student use it there.
        remedy: the command or the change that repairs it when it can't be reached.
        provision: the command that brings it what labs need.
    """

    name: str
    address: str
    ssh_host: str
    ssh_port: int
    user: str
    identity_files: tuple[Path, ...]
    known_hosts: tuple[Path, ...]
    bind_address: str | None = None
    proxy_command: str | None = None
    host_key_alias: str | None = None
    left_out: tuple[str, ...] = ()
    sudo: bool = True
    remedy: str = field(default_factory=lambda: commands.labroom("up"))
    provision: str = field(default_factory=lambda: commands.playbook("room.yml", ROOT / "room.yml"))

    def ssh_options(self) -> list[tuple[str, str]]:
        """The options of ssh_config(5) with which OpenSSH reaches it as the driver does, besides host, port, user.

        Their values are in that file's own form, in which a blank, a quote or a % may mean something else.

        Raises:
            MachineError: the path of a key can't be said in that form.
        """
        options = [("IdentityFile", _argument(file)) for file in self.identity_files]
        if self.identity_files:
            options.append(("IdentitiesOnly", "yes"))
        options += [
            ("UserKnownHostsFile", " ".join(map(_argument, self.known_hosts))),
            ("GlobalKnownHostsFile", "/dev/null"),
            ("StrictHostKeyChecking", "yes"),
            ("PasswordAuthentication", "no"),
        ]
        if self.bind_address:
            options.append(("BindAddress", self.bind_address))
        if self.proxy_command:
            options.append(("ProxyCommand", self.proxy_command.replace("%", "%%")))
        if self.host_key_alias:
            options.append(("HostKeyAlias", self.host_key_alias))
        return options


def _argument(file: Path) -> str:
    """A path as an argument in ssh_config(5): % begins a token, and blanks, quotes and # need quotes."""
    text = str(file).replace("%", "%%")
    if "${" in text or "\n" in text:  # OpenSSH puts variables in, and nothing stops it
        raise MachineError(
            f"OpenSSH can't be told of {file}: its path has ${{ or a line break",
            "keep it in another folder; LABROOM_STATE_DIR says where labroom keeps its own",
        )
    if not re.search(r"[\s\"'\\#=]", text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
