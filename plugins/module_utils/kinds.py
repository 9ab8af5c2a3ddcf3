"""What the roles' variables may hold: they become paths, names of files, patterns and lines of configurations.

Nothing here is sent to a host: it runs where Ansible runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Any

# useradd(8) of Debian; a dot is common in the names of people.
_LOGIN = re.compile(r"[a-z_][a-z0-9_-]*(\.[a-z0-9_-]+)*")
_SHELL = re.compile(r"(/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)+")
_LOCALE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.@-]*)?")  # locale(1)
# crypt(5): no blank, colon, semicolon, star, exclamation mark or backslash; passwd(1) puts ! before one that is locked.
_HASH = re.compile(r"\*|!!?|!?\$[^\s:;*!\\]+\$[^\s:;*!\\]+")
# sshd(8), AUTHORIZED_KEYS FILE FORMAT: options, type, key in base64, comment.
_KEY = re.compile(r"(?:\S.* )?(ssh-\w+|ecdsa-sha2-\w+|sk-[\w-]+@openssh\.com) AAAA[A-Za-z0-9+/]+={0,3}( .*)?")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # RFC 1035, 2.3.4
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LAB = re.compile(r"[a-z][a-z0-9_]*")
# Debian's policy, 5.6.1, and an architecture as dpkg(1) has it.
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:(?!any$|native$|all$)[a-z0-9-]+)?")
# Folders of the system, as far as nothing may take their place: what is below them, too, or so many levels (hier(7)).
_SYSTEMS = {
    *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "lost+found"),
    *("proc", "run", "sbin", "sys"),
}
_LEVELS = {"home": 3, "var": 3, "usr": 3, "opt": 2, "srv": 2, "mnt": 2, "media": 2, "root": 2, "tmp": 2}
_USR = re.compile(r"/usr/(share/[^/]+|local/(?!(bin|etc|games|include|lib|man|sbin|share|src)$)[^/]+)(/.*)?")


def _matches(pattern: re.Pattern[str], longest: int = 255) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and len(value) <= longest and bool(pattern.fullmatch(value))


def _is_folder(value: Any) -> bool:
    if not isinstance(value, str) or not value.isprintable():
        return False
    path = value.rstrip("/")
    steps = path.split("/")[1:]
    if not path.startswith("/") or set(steps) & {"", ".", ".."} or steps[0] in _SYSTEMS:
        return False
    return len(steps) >= _LEVELS.get(steps[0], 1) and (steps[0] != "usr" or bool(_USR.fullmatch(path)))


def _are_words(value: Any) -> bool:
    every = [*value, *value.values()] if isinstance(value, dict) else [None]
    return all(isinstance(word, str) and word and word.isprintable() for word in every)


def _is_number(value: Any, most: int = 65535) -> bool:
    text = str(value)
    return not isinstance(value, bool) and text.isascii() and text.isdecimal() and 1 <= int(text) <= most


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and _is(ip_address, value)


def _is_ipv4(value: Any) -> bool:
    return isinstance(value, str) and _is(IPv4Address, value)


def _is_network(value: Any) -> bool:
    return isinstance(value, str) and "/" in value and _is(IPv4Network, value)


def _is(make: Callable[[str], object], value: str) -> bool:
    try:
        make(value)
    except ValueError:
        return False
    return True


def _is_server(value: Any) -> bool:
    """An address, and perhaps the port there, as dnsmasq(8) has it."""
    address, sign, port = str(value).partition("#")
    return _is_address(address) and (not sign or _is_number(port))


def _is_key(value: Any) -> bool:
    """A public key, or the lines of a file of them."""
    lines = [line.strip() for line in value.strip().splitlines()] if isinstance(value, str) else ["?"]
    return all(not line or line.startswith("#") or _KEY.fullmatch(line) for line in lines)


def _is_host_name(value: Any) -> bool:
    return _matches(_HOST)(value) and value != "localhost"


_WORDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "login_name": (
        "a login name: lower-case letters, digits, _ and -, and dots between them, 32 in all; not root",
        lambda value: _matches(_LOGIN, 32)(value) and value != "root",
    ),
    "shell": ("an absolute path of letters, digits and . _ + -", _matches(_SHELL)),
    "locale": ("a locale such as C.UTF-8, or nothing", _matches(_LOCALE)),
    "folder": (
        "the absolute path of a folder that is not the system's or somebody's home, without . and ..",
        _is_folder,
    ),
    "password_hash": ("a hash of crypt(5), such as mkpasswd prints, or *", _matches(_HASH, 4096)),
    "keys": ("public keys, each as in a file that ends in .pub", _is_key),
    "packages": ("names of Debian packages, without versions and patterns", _matches(_PACKAGE)),
    "labs": ("names of labs", _matches(_LAB)),
    "words": ("words, each with the one that takes its place", _are_words),
    "number": ("a number from 1 to 65535", _is_number),
    "domain": ("a domain such as lab.test", lambda value: _is_host_name(value) and len(value) <= 190),
    "addresses": ("IP addresses", _is_address),
    "servers": ("IP addresses, with #PORT behind one or not", _is_server),
    "address": ("an IPv4 address", _is_ipv4),
    "networks": ("IPv4 networks in CIDR notation, such as 192.168.74.0/24", _is_network),
    "hosts": ("names, each with a list of its IP addresses", lambda _: True),
    "aliases": ("names, each with the name of a host that it stands for", lambda _: True),
    "forwarded_ports": ("a list of {port, to, to_port, protocol}", lambda _: True),
}
_LISTS = ("keys", "packages", "labs", "addresses", "servers", "networks")
_SECRET = "password_hash"  # noqa: S105 (a kind's name)
#: What kinds of values there are.
KINDS = tuple(_WORDS)


def complaints(given: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is wrong with variables: for each mistake a line that names the variable and what was expected.

    Args:
        given: kind of a value -> name of a variable -> its value.
    """
    hosts = {name for variables in [given.get("hosts") or {}] for value in variables.values() for name in value}
    return [
        f"{variable}: {words}"
        for kind, variables in given.items()
        for variable, value in (variables or {}).items()
        for words in _complaints(kind, value, hosts)
    ]


def _complaints(kind: str, value: Any, hosts: set[str]) -> Iterator[str]:
    words, is_one = _WORDS[kind]
    if kind == "hosts":
        yield from _of_hosts(value)
    elif kind == "aliases":
        yield from _of_aliases(value, hosts)
    elif kind == "forwarded_ports":
        yield from _of_ports(value)
    elif kind in _LISTS and not isinstance(value, list):
        yield f"expected a list of {words}, not {value!r}"
    else:
        for each in value if kind in _LISTS else [value]:
            if not is_one(each):
                yield f"expected {words}{'' if kind == _SECRET else f', not {each!r}'}"


def _of_hosts(value: Mapping[str, Any]) -> Iterator[str]:
    for name, addresses in value.items():
        if not _is_host_name(name):
            yield f"{name!r} is no name of a host: letters, digits and hyphens"
        if not isinstance(addresses, list) or not addresses or not all(map(_is_address, addresses)):
            yield f"expected a list of {name}'s IP addresses, not {addresses!r}"


def _of_aliases(value: Mapping[str, Any], hosts: set[str]) -> Iterator[str]:
    for name, stands_for in value.items():
        if not _is_host_name(name):
            yield f"{name!r} is no name of a host: letters, digits and hyphens"
        elif name in hosts:
            yield f"{name} has addresses of its own already"
        if stands_for not in hosts:
            yield f"{name} stands for {stands_for!r}, which has no addresses"


def _of_ports(value: list[Mapping[str, Any]]) -> Iterator[str]:
    seen = set()
    for forward in value:
        port = forward.get("port")
        for field in ("port", "to_port"):
            if forward.get(field) is not None and not _is_number(forward[field]):
                yield f"{field}: expected a number from 1 to 65535, not {forward[field]!r}"
        if not _is_ipv4(forward.get("to")):
            yield f"to: expected an IPv4 address, not {forward.get('to')!r}"
        if (key := (str(port), forward.get("protocol") or "tcp")) in seen:
            yield f"port: {port} is forwarded already"
        seen.add(key)
