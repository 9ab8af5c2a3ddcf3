"""The model of room.yml: the one description of a room, read and validated."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from labroom import yaml_file
from labroom.errors import RoomFileError
from labroom.fields import (
    Address,
    Domain,
    Name,
    Network,
    Number,
    Package,
    Port,
    Switch,
    Text,
    did_you_mean,
    expects,
    one_of,
    shown,
)
from labroom.labs import titles
from labroom.resources import ROOT
from labroom.yaml_file import Mistake, Place

# What goes by a guest's name besides, and would be taken for it.
_RESERVED = {
    **dict.fromkeys(("all", "ungrouped", "guests", "gateways", "students", "seats"), "a group of Ansible's inventory"),
    "localhost": "each guest's name for itself",
    "student": "Vagrant's machine for a student",
    **dict.fromkeys(("uplink", "keeper", "tools", "builder", "tasks"), "a part of the room itself"),
}
_SERVERS_PROCESSES = 100  # measured: all labs pass; with 50, some that serve many clients at once don't
_HOST_NAME = 64  # characters of a host's whole name: HOST_NAME_MAX of gethostname(2)


def _free(name: str) -> str:
    if name in _RESERVED:
        raise ValueError(f"{name} is {_RESERVED[name]}: choose another name")
    return name


def _lab(name: str) -> str:
    if name not in titles():
        raise ValueError(f"there is no lab {name!r}{did_you_mean(name, titles())}")
    return name


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

    release: Annotated[
        Literal["auto", "noble", "jammy", "bookworm", "trixie"],
        one_of("auto", "noble", "jammy", "bookworm", "trixie"),
    ] = "auto"
    provisioned: Switch = True


class Networks(_Strict):
    """The room's two links, each an IPv4 subnet."""

    private: Network
    outside: Network

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

    part: Annotated[Literal["guest", "gateway"], one_of("guest", "gateway")] = "guest"
    private: Address | None = None
    outside: Address | None = None

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
    """What one guest may use at most; measured: with 64 MiB sshd itself fails while a lab runs."""

    processes: Annotated[
        Number, Field(ge=50, le=4194304), expects("a whole number from 50, which a guest needs, to 4194304")
    ] = 400
    memory_mib: Annotated[
        Number, Field(ge=128, le=1 << 30), expects("a whole number from 128, which the labs need, to 1073741824")
    ] = 1024
    disk_mib: Annotated[Number, Field(ge=64, le=1 << 24), expects("a whole number from 64 to 16777216")] = 4096
    files: Annotated[Number, Field(ge=1000, le=1 << 31), expects("a whole number from 1000 to 2147483648")] = 200_000


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

    plugin: Annotated[Literal["labroom.labroom.room"], one_of("labroom.labroom.room")] = "labroom.labroom.room"
    # 7 letters, so that "<name>-private" is an interface name (15 bytes, IFNAMSIZ in netdevice(7)).
    name: Annotated[
        Text,
        Field(pattern=r"^[a-z][a-z0-9]{0,6}$"),
        expects("a letter, then letters and digits, 7 in all, lower-case"),
    ]
    domain: Domain = "lab.test"
    image: Image = Image()
    networks: Networks
    internet: Switch = True
    machine_ports: tuple[Port, ...] = ()
    packages: tuple[Package, ...] = ()
    labs: tuple[Annotated[Text, AfterValidator(_lab)], ...] | None = None  # all
    sudo: Switch = True
    guests: dict[Annotated[Name, AfterValidator(_free)], Guest]
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

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> "Room":
        if found := list(_contradictions(self, **(info.context or {}))):
            words = "; ".join(f"{'.'.join(place)}: {what}" for place, what in found)
            raise PydanticCustomError("contradictions", "{words}", {"words": words, "found": found})
        return self

    @cached_property
    def gateway(self) -> Guest | None:
        """The gateway, if the room has one."""
        return next((guest for guest in self.guests.values() if guest.part == "gateway"), None)


def default_file() -> Path:
    """The room file used where none is named: what is in the current folder, else the checkout's own."""
    here = Path("room.yml").absolute()
    return here if os.path.lexists(here) else ROOT / "room.yml"


def load(file: Path) -> Room:
    """Read and validate a room file.

    Raises:
        RoomFileError: the file can't be read, is no YAML, or is no valid room; the message has a line for each mistake,
            which names the file, the line, the field and what was expected.
    """
    try:
        document = yaml_file.parse(yaml_file.read(file))
    except OSError as error:
        raise RoomFileError(f"{_path(file)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RoomFileError(f"{_path(file)}: not UTF-8 text") from error
    room, found = None, list(document.mistakes)
    if document.readable:
        try:
            room = Room.model_validate(document.data)
        except ValidationError as error:
            said = {mistake.place for mistake in found}
            complaints = [*_complaints(error), *_more_contradictions(document.data, error)]
            found += [Mistake(document.line(at), at, words) for at, words in complaints if at not in said]
    if room is None or found:
        found.sort(key=lambda mistake: mistake.line)
        raise RoomFileError("\n".join(dict.fromkeys(f"{_path(file)}:{mistake}" for mistake in found)))
    return room


# --- what contradicts what, each with its place, so that load() can point at its line -----------------------


class _Rest(Room):
    """What is left of a room whose other fields have mistakes of their own."""

    name: str = ""
    networks: Networks | None = None  # type: ignore[assignment]  # which no Room goes without
    guests: dict[Name, Guest] = {}

    @field_validator("guests")
    @classmethod
    def _some(cls, guests: dict[str, Guest]) -> dict[str, Guest]:
        return guests  # none may be left


def _contradictions(
    room: Room, guests: Collection[str] = (), forwarded: Sequence[int] = (), *, gateway: bool = False
) -> Iterator[tuple[Place, str]]:
    """What two fields say that can't both be true.

    Args:
        room: the room, or what is left of it (`_Rest`).
        guests: the guests that the file names; those of the room, if not given.
        forwarded: where in the file's list each forwarded port stands; in this order, if not given.
        gateway: whether a guest of the file that isn't left is meant as the gateway.
    """
    guests = guests or room.guests.keys()
    yield from _addresses(room)
    gateways = [name for name, guest in room.guests.items() if guest.part == "gateway"]
    if len(gateways) > 1:
        yield ("guests",), f"at most one may be the gateway, not {' and '.join(gateways)}"
    longest = max(guests, key=len, default="")
    if len(f"{longest}.{room.domain}") > _HOST_NAME:
        yield ("domain",), f"too long: {longest}'s whole name would have more than {_HOST_NAME} characters"
    if "server" in guests and room.limits.processes < _SERVERS_PROCESSES:
        words = f"the labs need {_SERVERS_PROCESSES} on the guest server: a process for each of many clients"
        yield ("limits", "processes"), words
    if room.forwarded_ports and room.gateway is None and not gateway:
        yield ("forwarded_ports",), "a forwarded port needs a guest with part: gateway"
    yield from _forwarded(room, guests, forwarded or range(len(room.forwarded_ports)))
    yield from _other_names(room, guests)


def _addresses(room: Room) -> Iterator[tuple[Place, str]]:
    if not isinstance(room.networks, Networks):
        return
    taken = {room.networks.router: "the outside network's router"}
    taken |= {room.networks.machine(link): "this machine" for link in LINKS}
    for name, guest in room.guests.items():
        for link in LINKS:
            address: IPv4Address | None = getattr(guest, link)
            if address is None:
                continue
            network: IPv4Network = getattr(room.networks, link)
            place = ("guests", name, link)
            if address not in network or address in (network.network_address, network.broadcast_address):
                yield place, f"{address} is not a host of {network}"
            elif address in taken:
                yield place, f"{address} is taken by {taken[address]}"
            else:
                taken[address] = name


def _forwarded(room: Room, guests: Collection[str], places: Sequence[int]) -> Iterator[tuple[Place, str]]:
    seen: set[int] = set()
    for index, forward in zip(places, room.forwarded_ports, strict=True):
        place = ("forwarded_ports", str(index))
        if forward.guest not in guests or (forward.guest in room.guests and not room.guests[forward.guest].private):
            private = [name for name, guest in room.guests.items() if guest.private]
            yield (
                (*place, "guest"),
                f"{forward.guest!r} is no guest of the private network{did_you_mean(forward.guest, private)}",
            )
        if forward.port in seen:
            yield (*place, "port"), f"{forward.port} is forwarded already"
        seen.add(forward.port)


def _other_names(room: Room, guests: Collection[str]) -> Iterator[tuple[Place, str]]:
    for field, targets_of in (("names", room.names), ("aliases", {name: (to,) for name, to in room.aliases.items()})):
        for name, targets in targets_of.items():
            place = (field, name)
            if name in guests:
                yield place, "is a guest's own name"
            elif name == "localhost":
                yield place, f"localhost is {_RESERVED[name]}: choose another name"
            elif field == "aliases" and name in room.names:
                yield place, "has addresses already, by names: one of the two is possible"
            if not targets:
                yield place, "a name needs at least one guest"
            for index, target in enumerate(targets):
                if target not in guests:
                    yield place, f"there is no guest {target!r}{did_you_mean(target, guests)}"
                elif target in targets[:index]:
                    yield place, f"{target} is named twice"


# --- mistakes in words of the file ----------------------------------------------------------------------------------

_KINDS = {"tuple_type": "a list", **dict.fromkeys(("dict_type", "model_type"), "fields, one a line (`name: value`)")}
_FIELDS: Mapping[str, type[BaseModel]] = {
    "image": Image,
    "networks": Networks,
    "limits": Limits,
    "guests": Guest,
    "forwarded_ports": ForwardedPort,
}


def _complaints(error: ValidationError) -> Iterator[tuple[Place, str]]:
    for each in error.errors(include_url=False):
        place = tuple(str(step) for step in each["loc"] if step != "[key]")
        if each["type"] == "contradictions":
            yield from each["ctx"]["found"]
        elif each["type"] == "missing":
            yield place, "is required"
        elif each["type"] == "extra_forbidden":
            known = (_FIELDS[place[0]] if len(place) > 1 else Room).model_fields
            others = f"; there are {', '.join(known)}"
            yield place, f"no such field{did_you_mean(place[-1], known) or others}"
        elif each["type"] in _KINDS:
            yield place, f"expected {_KINDS[each['type']]}, not {shown(each['input'])}"
        else:
            yield place, each["msg"].removeprefix("Value error, ")


def _more_contradictions(data: Any, error: ValidationError) -> Iterator[tuple[Place, str]]:
    """The contradictions of what is left without the fields that have mistakes, of which pydantic judges no more."""
    complaints = error.errors(include_url=False)
    if not isinstance(data, dict) or any(each["type"] == "contradictions" for each in complaints):
        return
    missing = {each["loc"] for each in complaints if each["type"] == "missing"}
    wrong = {each["loc"][:2] for each in complaints if each["loc"] not in missing or len(each["loc"]) > 1}
    whole = {loc[0] for loc in wrong if len(loc) == 1 or loc[0] in ("networks", "limits", "image")}
    rest: dict[str, Any] = {field: value for field, value in data.items() if field not in whole}
    context: dict[str, Any] = {}
    for field, value in rest.items():
        if isinstance(value, dict):
            rest[field] = {key: each for key, each in value.items() if (field, key) not in wrong}
        elif isinstance(value, list):
            context["forwarded"] = [at for at in range(len(value)) if (field, at) not in wrong]
            rest[field] = [value[at] for at in context["forwarded"]]
    if "guests" in rest:
        context["guests"] = data["guests"].keys()
        context["gateway"] = any(
            guest.get("part") == "gateway" for guest in data["guests"].values() if isinstance(guest, dict)
        )
    else:  # whom the others mean can't be said
        context = {}
        rest = {field: value for field, value in rest.items() if field not in ("forwarded_ports", "names", "aliases")}
    try:
        _Rest.model_validate(rest, context=context)
    except ValidationError as more:
        yield from _complaints(more)


def _path(file: Path) -> str:
    """A file as it is named in messages: from the current folder, where it is below that."""
    try:
        return str(file.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):  # the current folder may be gone
        return str(file)
