"""The model of room.yml: the one description of a room, read and validated.

It is one module, longer than others: the model, what of it contradicts what, and how mistakes are told know each other.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations
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
from labroom.bad_link import BadLink
from labroom.errors import RoomFileError
from labroom.fields import (
    SHORT_NAME,
    SHORT_NAME_IN_WORDS,
    Address,
    Domain,
    Name,
    Network,
    Number,
    Package,
    Port,
    ShortName,
    Switch,
    Text,
    closest,
    did_you_mean,
    expects,
    one_of,
    shown,
    whole,
)
from labroom.labs import titles
from labroom.resources import ROOT
from labroom.routes import Joint, Routes
from labroom.yaml_file import Mistake, Place

# What goes by a guest's name besides, and would be taken for it.
_RESERVED = {
    **dict.fromkeys(("all", "ungrouped", "guests", "gateways", "students", "seats"), "a group of Ansible's inventory"),
    "localhost": "each guest's name for itself",
    "student": "Vagrant's machine for a student",
    **dict.fromkeys(("uplink", "keeper", "tools", "builder", "tasks"), "a part of the room itself"),
}
# What goes by a network's name besides; interfaces of Linux's own are in every network namespace.
_NO_NETWORKS = {
    **dict.fromkeys(
        ("lo", "all", "default", "tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip6tnl0", "ip6gre0"),
        "a name of Linux's own",
    ),
    **dict.fromkeys(("host", "uplink", "tap0"), "a part of the room itself"),
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


# A network's name in room.yml; one that each room has comes first.
Link = str
LINKS: tuple[Link, ...] = ("private", "outside")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True, defer_build=True)


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


class Networks(_Strict, extra="allow"):
    """The room's links, each an IPv4 subnet: these two, and others of any name."""

    __pydantic_extra__: dict[str, Network] = Field(init=False)
    private: Network
    outside: Network

    @model_validator(mode="after")
    def _disjoint(self) -> "Networks":
        pairs = combinations(self.subnets.items(), 2)
        if found := [f"{one} and {other} overlap" for (one, a), (other, b) in pairs if a.overlaps(b)]:
            raise ValueError(", ".join(found))
        return self

    @property
    def subnets(self) -> dict[Link, IPv4Network]:
        """All of them."""
        return {"private": self.private, "outside": self.outside, **self.__pydantic_extra__}

    def machine(self, link: Link) -> IPv4Address:
        """The address on `link` of the machine that runs the room: the first of the subnet."""
        return self.subnets[link].network_address + 1

    @property
    def router(self) -> IPv4Address:
        """The far side's router to the internet: the last address of the outside subnet."""
        return self.outside.broadcast_address - 1


class BadLinks(BadLink, extra="allow"):
    """What is bad about a guest's links: what is said of all, or, under the name of a network, of the one to that."""

    __pydantic_extra__: dict[str, BadLink] = Field(init=False)


class Guest(_Strict, extra="allow"):
    """One host of the room.

    Attributes:
        part: what it plays: `gateway` (NAT and name service), `router` or `guest`.
        private: its address on the private network, if it has one.
        outside: its address on the far side, if it has one.
        bad_link: what is bad about its links, to all its networks or some (`link` in the file).
    """

    __pydantic_extra__: dict[str, Address] = Field(init=False)  # those on other networks
    part: Annotated[Literal["guest", "gateway", "router"], one_of("guest", "gateway", "router")] = "guest"
    private: Address | None = None
    outside: Address | None = None
    bad_link: BadLinks = Field(default=BadLinks(), alias="link")

    @property
    def addresses(self) -> dict[Link, IPv4Address]:
        """Its address on each network that it is on; the far side comes last."""
        every = {"private": self.private, **self.__pydantic_extra__, "outside": self.outside}
        return {link: address for link, address in every.items() if address}

    @property
    def bad_links(self) -> dict[Link, BadLink]:
        """How bad the link to each of its networks is meant to be."""
        every = BadLink(**self.bad_link.model_dump(include={*BadLink.model_fields}))
        return {link: self.bad_link.__pydantic_extra__.get(link, every) for link in self.addresses}

    @property
    def address(self) -> IPv4Address:
        """The address at which the machine reaches it."""
        return next(iter(self.addresses.values()))

    @property
    def link(self) -> Link:
        """The network of `address`."""
        return next(iter(self.addresses))


def _none_or_enough(mib: int) -> int:
    if 0 < mib < 64:
        raise ValueError("too little for a file system with a journal")
    return mib


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
    home_mib: Annotated[
        Number,
        Field(ge=0, le=1 << 24),
        AfterValidator(_none_or_enough),
        expects("0, which keeps none, or a whole number from 64 to 16777216"),
    ] = 4096


class ForwardedPort(_Strict):
    """A TCP port of a gateway's address on its far side that leads to a guest's port."""

    port: Port
    guest: Name
    guest_port: Port | None = None
    gateway: Name | None = None

    @property
    def target(self) -> int:
        """The guest's port: the same one unless room.yml says otherwise."""
        return self.guest_port or self.port


class Room(_Strict):
    """A room, as room.yml describes it."""

    plugin: Annotated[Literal["labroom.labroom.room"], one_of("labroom.labroom.room")] = "labroom.labroom.room"
    name: ShortName
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

    @model_validator(mode="before")
    @classmethod
    def _whole_addresses(cls, data: Any) -> Any:
        """Complete the addresses that are written by their ends."""
        guests, networks = (data.get(field) if isinstance(data, dict) else None for field in ("guests", "networks"))
        if not isinstance(guests, dict):
            return data
        subnets: dict[str, Any] = networks if isinstance(networks, dict) else {}
        fields = {*_fields(Guest)} - {*LINKS}
        completed = {
            name: {at: value if at in fields else whole(value, subnets.get(at)) for at, value in guest.items()}
            for name, guest in guests.items()
            if isinstance(guest, dict)
        }
        return {**data, "guests": guests | completed}

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
    def gateways(self) -> dict[str, Guest]:
        """The gateways, by name."""
        return {name: guest for name, guest in self.guests.items() if guest.part == "gateway"}

    @cached_property
    def gateway(self) -> Guest | None:
        """The gateway, if the room has one; of several the first."""
        return next(iter(self.gateways.values()), None)

    @cached_property
    def routes(self) -> Routes:
        """Which way leads where."""
        joining = {name: guest for name, guest in self.guests.items() if guest.part != "guest"}
        return Routes({name: Joint(tuple(each.addresses), each.part == "gateway") for name, each in joining.items()})

    def far_address(self, gateway: str) -> IPv4Address:
        """A gateway's address on its far side."""
        return self.guests[gateway].addresses[self.routes.far_sides[gateway]]

    def forwards(self, gateway: str) -> tuple[ForwardedPort, ...]:
        """The forwarded ports of a gateway."""
        return tuple(each for each in self.forwarded_ports if each.gateway in (None, gateway))

    def forwarded_to(self, gateway: str, guest: str) -> IPv4Address | None:
        """A guest's address inside a gateway, to which its forwarded ports lead; None if it has none."""
        inside = self.routes.inside(gateway)
        return next((at for link, at in self.guests[guest].addresses.items() if link in inside), None)


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
            complaints = [*_complaints(error, document.data), *_more_contradictions(document.data, error)]
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
    room: Room,
    guests: Collection[str] = (),
    networks: Collection[str] = (),
    forwarded: Sequence[int] = (),
    *,
    gateway: bool = False,
) -> Iterator[tuple[Place, str]]:
    """What two fields say that can't both be true.

    Args:
        room: the room, or what is left of it (`_Rest`).
        guests: the guests that the file names; those of the room, if not given.
        networks: the networks that the file names; those of the room, if not given.
        forwarded: where in the file's list each forwarded port stands; in this order, if not given.
        gateway: whether a guest of the file that isn't left is meant as the gateway.
    """
    guests = guests or room.guests.keys()
    networks = networks or (room.networks.subnets.keys() if isinstance(room.networks, Networks) else ())
    yield from _network_names(networks)
    found = [*_linked(room, networks), *_addresses(room)]
    yield from found
    drawn = not found and isinstance(room.networks, Networks) and room.guests.keys() == guests
    if drawn and (found := [(("guests", name), words) for name, words in room.routes.mistakes()]):
        yield from found
        drawn = False
    longest = max(guests, key=len, default="")
    if len(f"{longest}.{room.domain}") > _HOST_NAME:
        yield ("domain",), f"too long: {longest}'s whole name would have more than {_HOST_NAME} characters"
    if "server" in guests and room.limits.processes < _SERVERS_PROCESSES:
        words = f"the labs need {_SERVERS_PROCESSES} on the guest server: a process for each of many clients"
        yield ("limits", "processes"), words
    if room.forwarded_ports and room.gateway is None and not gateway:
        yield ("forwarded_ports",), "a forwarded port needs a guest with part: gateway"
    yield from _forwarded(room, guests, forwarded or range(len(room.forwarded_ports)), drawn=drawn)
    yield from _other_names(room, guests)


def _network_names(networks: Collection[str]) -> Iterator[tuple[Place, str]]:
    for name in networks:
        field_of = "guests" if name in _fields(Guest) else "link" if name in _fields(BadLink) else None
        taken = _NO_NETWORKS.get(name) or (field_of and f"a field of {field_of}")
        if taken and name not in LINKS:
            yield ("networks", name), f"{name} is {taken}: choose another name"
        elif not SHORT_NAME.fullmatch(name):
            yield ("networks", name), f"no name of a network: {SHORT_NAME_IN_WORDS}"


def _linked(room: Room, networks: Collection[str]) -> Iterator[tuple[Place, str]]:
    for name, guest in room.guests.items():
        if unknown := [link for link in guest.addresses if networks and link not in networks]:
            yield from ((("guests", name, link), _no_such_field(link, Guest, networks)) for link in unknown)
        elif guest.part == "guest" and len(guest.addresses) != 1:
            yield ("guests", name), f"a guest needs an address on one network, {' or '.join(networks or LINKS)}"
        elif guest.part != "guest" and len(guest.addresses) < 2:
            all_or_some = "both networks, private and outside" if len(networks) <= 2 else "two networks or more"
            yield ("guests", name), f"a {guest.part} needs an address on {all_or_some}"
        for link in guest.bad_link.__pydantic_extra__.keys() - guest.addresses.keys():
            yield ("guests", name, "link", link), _no_such_field(link, BadLink, guest.addresses)


def _addresses(room: Room) -> Iterator[tuple[Place, str]]:
    if not isinstance(room.networks, Networks):
        return
    subnets = room.networks.subnets
    taken = {room.networks.router: "the outside network's router"}
    taken |= {room.networks.machine(link): "this machine" for link in subnets}
    for name, guest in room.guests.items():
        for link, address in guest.addresses.items():
            place = ("guests", name, link)
            network = subnets.get(link)
            if network is None:  # said already
                continue
            if address not in network or address in (network.network_address, network.broadcast_address):
                yield place, f"{address} is not a host of {network}"
            elif address in taken:
                yield place, f"{address} is taken by {taken[address]}"
            else:
                taken[address] = name


def _forwarded(
    room: Room, guests: Collection[str], places: Sequence[int], *, drawn: bool
) -> Iterator[tuple[Place, str]]:
    """What is wrong with forwarded ports; only where the room can be `drawn` it is known which way answers take."""
    gateways = room.gateways
    seen: set[tuple[str | None, int]] = set()
    for index, forward in zip(places, room.forwarded_ports, strict=True):
        place = ("forwarded_ports", str(index))
        by = forward.gateway or (next(iter(gateways)) if len(gateways) == 1 else None)
        if by is None and gateways:
            yield (*place, "gateway"), f"is required where there are several: {' or '.join(gateways)}"
        elif forward.gateway and forward.gateway not in gateways and room.guests.keys() == guests:
            yield (*place, "gateway"), f"there is no gateway {by!r}{did_you_mean(by, gateways)}"
        elif wrong := _wrong_target(room, by if drawn and by in gateways else None, forward.guest, guests):
            yield (*place, "guest"), wrong
        if (by, forward.port) in seen:
            yield (*place, "port"), f"{forward.port} is forwarded already"
        seen.add((by, forward.port))


def _wrong_target(room: Room, gateway: str | None, guest: str, guests: Collection[str]) -> str | None:
    """Why no port of a gateway can lead to a guest; None if one can, or it isn't known."""
    if gateway is None:
        return None if guest in guests else f"there is no guest {guest!r}{did_you_mean(guest, guests)}"
    inside = [name for name in room.guests if room.forwarded_to(gateway, name)]
    if guest not in inside:
        networks = " or ".join(room.routes.inside(gateway))
        return f"{guest!r} is no guest of the {networks} network{did_you_mean(guest, inside)}"
    answers = room.routes.gateway(guest, tuple(room.guests[guest].addresses))
    if answers and guest != gateway and answers.name != gateway:
        return f"{guest} would answer by way of {answers.name}, not of {gateway}"
    return None


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


def _complaints(error: ValidationError, data: Any) -> Iterator[tuple[Place, str]]:
    networks = _keys(data, "networks")
    for each in error.errors(include_url=False):
        place = tuple(str(step) for step in each["loc"] if step != "[key]")
        model = _FIELDS[place[0]] if len(place) > 1 and place[0] in _FIELDS else Room
        if each["type"] == "contradictions":
            yield from each["ctx"]["found"]
        elif each["type"] == "missing":
            written = closest(place[-1], {*_keys(data, *place[:-1])}.difference(_fields(model)))
            if model is not Room or not written:  # else that is said to be no such field
                yield place, f"is required{f', and {written} is another name' if written else ''}"
        elif each["type"] == "extra_forbidden":
            yield place, _no_such_field(place[-1], BadLink if "link" in place[2:-1] else model)
        elif model is Guest and place[2:3] == ("link",) and {*place[3:4]} - {*_fields(BadLink), *networks}:
            yield place[:4], _no_such_field(place[3], BadLink, networks)
        elif model is Guest and networks and len(place) > 2 and place[2] not in {*_fields(Guest), *networks}:
            yield place[:3], _no_such_field(place[2], Guest, networks)
        elif each["type"] in _KINDS:
            yield place, f"expected {_KINDS[each['type']]}, not {shown(each['input'])}"
        else:
            yield place, each["msg"].removeprefix("Value error, ")


def _fields(model: type[BaseModel]) -> list[str]:
    """The fields of a model, as the file has them."""
    return [described.alias or name for name, described in model.model_fields.items()]


def _no_such_field(name: str, model: type[BaseModel], networks: Collection[str] = ()) -> str:
    """The complaint about a field that a model has not, nor a guest as the name of one of the `networks`."""
    known = [*dict.fromkeys((*_fields(model), *networks))]
    others = f"; there are {', '.join(known)}"
    return f"no such field{did_you_mean(name, known) or others}"


def _keys(data: Any, *place: str) -> list[str]:
    """The names of the fields that the file has at a place; none, where it has no fields there."""
    for step in place:
        data = data.get(step) if isinstance(data, dict) else None
    return list(data) if isinstance(data, dict) else []


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
        context["guests"], context["networks"] = data["guests"].keys(), _keys(data, "networks")
        context["gateway"] = any(
            guest.get("part") == "gateway" for guest in data["guests"].values() if isinstance(guest, dict)
        )
    else:  # whom the others mean can't be said
        context = {}
        rest = {field: value for field, value in rest.items() if field not in ("forwarded_ports", "names", "aliases")}
    try:
        _Rest.model_validate(rest, context=context)
    except ValidationError as more:
        yield from _complaints(more, data)


def _path(file: Path) -> str:
    """A file as it is named in messages: from the current folder, where it is below that."""
    try:
        return str(file.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):  # the current folder may be gone
        return str(file)
