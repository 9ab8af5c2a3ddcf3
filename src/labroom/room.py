"""The model of room.yml: the one description of a room, read and validated."""

import os
import re
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from labroom.errors import RoomFileError
from labroom.resources import ROOT

Port = Annotated[int, Field(ge=1, le=65535)]
# A guest's name is a DNS label (RFC 1123, 2.1) and, with a prefix, an interface name.
Name = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$")]
Link = Literal["private", "outside"]
LINKS: tuple[Link, ...] = ("private", "outside")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Image(_Strict):
    """What the guests' image is made of.

    Attributes:
        release: the distribution's release; auto: see docs/room.md.
        provisioned: whether the roles are in it; else guests have sshd and python3, for Ansible to begin with.
    """

    release: Literal["auto", "noble", "jammy", "bookworm", "trixie"] = "auto"
    provisioned: bool = True


class Networks(_Strict):
    """The room's two links, each an IPv4 subnet."""

    private: IPv4Network
    outside: IPv4Network

    @field_validator("private", "outside")
    @classmethod
    def _has_room(cls, network: IPv4Network) -> IPv4Network:
        if network.prefixlen > 28:
            raise ValueError("must be a /28 or larger")
        return network

    @model_validator(mode="after")
    def _disjoint(self) -> "Networks":
        if self.private.overlaps(self.outside):
            raise ValueError("private and outside overlap")
        return self

    def machine(self, link: Link) -> IPv4Address:
        """The address on `link` of the machine that runs the room: the first of the subnet."""
        network: IPv4Network = getattr(self, link)
        return network.network_address + 1

    @property
    def router(self) -> IPv4Address:
        """The far side's router to the internet: the last address of the outside subnet."""
        return self.outside.broadcast_address - 1


class Guest(_Strict):
    """One host of the room.

    Attributes:
        part: what it plays: `gateway` (NAT and name service) or `guest`.
        private: its address on the private network, if it has one.
        outside: its address on the far side, if it has one.
    """

    part: Literal["guest", "gateway"] = "guest"
    private: IPv4Address | None = None
    outside: IPv4Address | None = None

    @model_validator(mode="after")
    def _linked(self) -> "Guest":
        if self.part == "gateway" and not (self.private and self.outside):
            raise ValueError("a gateway needs an address on both networks, private and outside")
        if self.part == "guest" and bool(self.private) == bool(self.outside):
            raise ValueError("a guest needs an address on one network, private or outside")
        return self

    @property
    def address(self) -> IPv4Address:
        """The address at which the machine reaches it."""
        address = self.private or self.outside
        assert address is not None  # noqa: S101 (_linked saw to it)
        return address

    @property
    def link(self) -> Link:
        """The network of `address`."""
        return "private" if self.private else "outside"


class Limits(_Strict):
    """What one guest may use at most."""

    processes: Annotated[int, Field(ge=50)] = 400
    memory_mib: Annotated[int, Field(ge=64)] = 1024
    disk_mib: Annotated[int, Field(ge=64)] = 4096
    files: Annotated[int, Field(ge=1000)] = 200_000


class ForwardedPort(_Strict):
    """A TCP port of the gateway's outside address that leads to a guest's port."""

    port: Port
    guest: Name
    guest_port: Port | None = None

    @property
    def target(self) -> int:
        """The guest's port: the same one unless room.yml says otherwise."""
        return self.guest_port or self.port


class Room(_Strict):
    """A room, as room.yml describes it."""

    plugin: Literal["labroom.labroom.room"] = "labroom.labroom.room"
    # 7 letters, so that "<name>-private" is an interface name (15 bytes, IFNAMSIZ in netdevice(7)).
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,6}$")]
    domain: Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)*$")] = "lab.test"
    image: Image = Image()
    networks: Networks
    internet: bool = True
    machine_ports: tuple[Port, ...] = ()
    guests: dict[Name, Guest]
    limits: Limits = Limits()
    forwarded_ports: tuple[ForwardedPort, ...] = ()
    names: dict[Name, tuple[Name, ...]] = {}
    aliases: dict[Name, Name] = {}

    @field_validator("guests")
    @classmethod
    def _some(cls, guests: dict[str, Guest]) -> dict[str, Guest]:
        if not guests:
            raise ValueError("a room needs at least one guest")
        return guests

    # Rules between fields, a validator each. A complaint begins with the field it is about, so that load() can point
    # at its line.

    @model_validator(mode="after")
    def _addresses_are_hosts_and_each_guests_own(self) -> "Room":
        taken = {self.networks.router: "the outside network's router"}
        taken |= {self.networks.machine(link): "this machine" for link in LINKS}
        for name, guest in self.guests.items():
            for link in LINKS:
                address: IPv4Address | None = getattr(guest, link)
                if address is None:
                    continue
                network: IPv4Network = getattr(self.networks, link)
                field = f"guests.{name}.{link}"
                if address not in network or address in (network.network_address, network.broadcast_address):
                    raise ValueError(f"{field}: {address} is not a host of {network}")
                if address in taken:
                    raise ValueError(f"{field}: {address} is taken by {taken[address]}")
                taken[address] = name
        return self

    @model_validator(mode="after")
    def _one_gateway_at_most(self) -> "Room":
        if len([name for name, guest in self.guests.items() if guest.part == "gateway"]) > 1:
            raise ValueError("guests: at most one may be the gateway")
        return self

    @model_validator(mode="after")
    def _forwarded_ports_lead_to_private_guests_once_each(self) -> "Room":
        seen: set[int] = set()
        for index, forward in enumerate(self.forwarded_ports):
            field = f"forwarded_ports.{index}"
            if self.gateway is None:
                raise ValueError(f"{field}: a forwarded port needs a guest with part: gateway")
            if forward.guest not in self.guests or not self.guests[forward.guest].private:
                raise ValueError(f"{field}.guest: {forward.guest!r} is no guest of the private network")
            if forward.port in seen:
                raise ValueError(f"{field}.port: {forward.port} is forwarded already")
            seen.add(forward.port)
        return self

    @model_validator(mode="after")
    def _names_are_of_guests_and_no_guests_own(self) -> "Room":
        for name, targets in self.names.items():
            for target in targets:
                if target not in self.guests:
                    raise ValueError(f"names.{name}: there is no guest {target!r}")
        for name, target in self.aliases.items():
            if target not in self.guests:
                raise ValueError(f"aliases.{name}: there is no guest {target!r}")
        for field, own in (("names", self.names), ("aliases", self.aliases)):
            for name in own:
                if name in self.guests:
                    raise ValueError(f"{field}.{name}: is a guest's own name")
        return self

    @cached_property
    def gateway(self) -> Guest | None:
        """The gateway, if the room has one."""
        return next((guest for guest in self.guests.values() if guest.part == "gateway"), None)


def default_file() -> Path:
    """The room file used where none is named: the one in the current folder, else the checkout's own."""
    here = Path("room.yml").absolute()
    return here if here.is_file() else ROOT / "room.yml"


def load(file: Path) -> Room:
    """Read and validate a room file.

    Raises:
        RoomFileError: the file can't be read, is no YAML, or is no valid room; the message names the file, the line,
            the field and what was expected.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise RoomFileError(f"{_show(file)}: {os.strerror(error.errno or 0)}") from error
    except UnicodeDecodeError as error:
        raise RoomFileError(f"{_show(file)}: not UTF-8 text") from error
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        data = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise RoomFileError(f"{_show(file)}{where}: not valid YAML: {getattr(error, 'problem', error)}") from error
    try:
        return Room.model_validate(data)
    except ValidationError as error:
        raise RoomFileError(_first_complaint(file, root, error)) from error


def _first_complaint(file: Path, root: yaml.Node | None, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    path = [str(step) for step in first["loc"] if step != "[key]"]
    # Our own cross-field checks say which field they mean.
    if match := re.match(r"(?P<path>[a-z_]+(\.[a-z0-9_-]+)*): (?P<rest>.*)", message) if not path else None:
        path, message = match["path"].split("."), match["rest"]
    field = ".".join(path)
    given = first.get("input")
    if first["type"] not in ("value_error", "missing") and isinstance(given, str | int | float | bool):
        message += f", not {given!r}"
    if first["type"] == "extra_forbidden":
        message = "no such field"
    if first["type"] == "missing":
        message = "is required"
    extra = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{_show(file)}:{_line(root, path)}: {field + ': ' if field else ''}{message}{extra}"


def _line(node: Any, path: list[str]) -> int:
    """The line, from 1, of the deepest node of `path` that exists."""
    line = node.start_mark.line if node is not None else 0
    for step in path:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == step]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
            node = node.value[int(step)]
            line = node.start_mark.line
        else:
            break
    return int(line) + 1


def _show(file: Path) -> str:
    try:
        return str(file.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(file)
