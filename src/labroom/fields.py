"""What the fields of a file may hold: types for pydantic that say, in words of the file, what they expect."""

import difflib
import re
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from labroom.yaml_file import ADDRESS_END

# Networks that no room can have: RFC 6890, and what leads rooms to the internet.
_NEVER = {
    "0.0.0.0/8": "addresses of no network",
    "127.0.0.0/8": "the loopback",
    "169.254.0.0/16": "link-local",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "10.0.2.0/24": "the way to the internet (slirp4netns)",
}
# Domains that resolvers ask no name service for, or not the room's: RFC 6761, 6762, 7686, 9476.
_NOBODYS = ("localhost", "local", "invalid", "onion", "arpa", "alt")


def expects(words: str, guess: Callable[[Any], str | None] = lambda _: None) -> WrapValidator:
    """Says, in words of the file, what was expected where something else stands, and what was perhaps meant."""

    def validate(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            meant = guess(value)
            perhaps = f"; did you mean {meant}?" if meant and meant != value else ""
            raise ValueError(f"expected {words}, not {shown(value)}{perhaps}") from error

    return WrapValidator(validate)


def one_of(*choices: str) -> WrapValidator:
    """As `expects`, for a field that holds one of a few words."""
    return expects(" or ".join(choices), lambda value: closest(value, choices))


def closest(value: object, choices: Collection[str]) -> str | None:
    """The one of some words that was perhaps meant by another."""
    return next(iter(difflib.get_close_matches(str(value).lower(), choices, n=1)), None)


def did_you_mean(value: object, choices: Collection[str]) -> str:
    """The end of a complaint about a word that isn't among some others: which of them was perhaps meant, if any."""
    meant = closest(value, choices)
    return f"; did you mean {meant}?" if meant else ""


def shown(value: object) -> str:
    """A value as a person knows it from the file."""
    if isinstance(value, str):
        return repr(value if len(value) <= 50 else f"{value[:40]}…")
    if isinstance(value, bool):
        return str(value).lower()
    kinds = {type(None): "nothing", dict: "fields", list: "a list"}
    return kinds.get(type(value), str(value))


def _is_text(value: Any) -> Any:
    if not isinstance(value, str | IPv4Address | IPv4Network):  # a number would be taken for an address, too
        raise ValueError("no text")  # noqa: TRY004 (what pydantic makes a complaint of)
    return value


def _has_prefix(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(
        r"[0-9.]+/(0|[1-9][0-9]?)", value
    ):  # no netmask: Vagrant's reads none
        raise ValueError("no prefix")
    return value


def _around(value: Any) -> str | None:
    """The network that an address with a prefix is in."""
    try:
        return str(IPv4Network(_has_prefix(_is_text(value)), strict=False))
    except ValueError:
        return None


def whole(address: Any, network: object) -> Any:
    """An address that is written by its end (`.129`) with the beginning that a network has; others as they are.

    Args:
        address: what stands in the file.
        network: the network, or what stands in the file for it.
    """
    if not isinstance(address, str) or not ADDRESS_END.fullmatch(address):
        return address
    beginning = str(network).partition("/")[0].split(".")
    if len(beginning) != 4:  # a mistake of its own
        beginning = ["0"] * 4
    return ".".join(beginning[: 4 - address.count(".")]) + address


def _usable(network: IPv4Network) -> IPv4Network:
    if not 8 <= network.prefixlen <= 28:
        raise ValueError(f"expected a network from /8 to /28, not {network}")
    for never, what in _NEVER.items():
        if network.overlaps(IPv4Network(never)):
            raise ValueError(f"{network} can't be a room's: {never} is {what}")
    return network


def _somebodys(domain: str) -> str:
    last = domain.rpartition(".")[2]
    if last in _NOBODYS or last.isdigit():
        why = "looks like an address" if last.isdigit() else "is no domain that a name service is asked for"
        raise ValueError(f"{domain!r} {why}: expected one such as lab.test")
    return domain


#: A room's name, and a network's: "<room>-<network>" is the name of an interface (15 bytes, IFNAMSIZ in netdevice(7)).
SHORT_NAME = re.compile(r"[a-z][a-z0-9]{0,6}")
SHORT_NAME_IN_WORDS = "a letter, then letters and digits, 7 in all, lower-case"

Text = Annotated[str, Field(strict=True)]
Number = Annotated[int, Field(strict=True)]
Port = Annotated[Number, Field(ge=1, le=65535), expects("a port from 1 to 65535")]
Switch = Annotated[bool, Field(strict=True), expects("a boolean, true or false")]
# A guest's name is a DNS label (RFC 1123, 2.1) and, with a prefix, an interface name.
Name = Annotated[
    Text,
    Field(pattern=r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$"),
    expects("a name: a letter, then letters, digits and hyphens, 32 in all, lower-case"),
]
ShortName = Annotated[Text, Field(pattern=rf"^{SHORT_NAME.pattern}$"), expects(SHORT_NAME_IN_WORDS)]
# Debian's policy, 5.6.1, and an architecture as dpkg(1) has it.
Package = Annotated[
    Text,
    Field(pattern=r"^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?$", max_length=255),
    expects("the name of a Debian package, without a version"),
]
Domain = Annotated[
    Text,
    Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$"),
    expects("a domain such as lab.test: between dots 1 to 63 letters, digits and hyphens, lower-case"),
    AfterValidator(_somebodys),
]
Address = Annotated[
    IPv4Address,
    BeforeValidator(_is_text),
    expects("an IPv4 address such as 192.168.74.129, or its end, .129"),
]
Network = Annotated[
    IPv4Network,
    BeforeValidator(_has_prefix),
    BeforeValidator(_is_text),
    expects("an IPv4 network such as 192.168.74.0/24", _around),
    AfterValidator(_usable),
]
