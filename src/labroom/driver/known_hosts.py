"""Which host keys known_hosts files have of a host, read as OpenSSH reads them.

A file may hold names that are hashed, patterns, the marks @revoked and @cert-authority, comments in any encoding, and
lines that are broken. ssh-keygen(1) is not asked, since it runs for those alone who are in passwd(5). Source: sshd(8),
SSH_KNOWN_HOSTS FILE FORMAT.
"""

from __future__ import annotations

import binascii
import hmac
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from labroom.endpoint import Endpoint


@dataclass(frozen=True)
class HostKeys:
    """What known_hosts files say of a host.

    Attributes:
        known: type and key of those that it may show.
        revoked: keys that it may not show, whatever else is said.
        certified: whether a certificate authority vouches for it, which paramiko can't check.
    """

    known: frozenset[tuple[str, bytes]]
    revoked: frozenset[bytes]
    certified: bool

    def transport(self, sock: Any, **more: Any) -> paramiko.Transport:
        """A transport of paramiko's that asks first for a key of a type that is known, and for the cheapest cipher."""
        transport = paramiko.Transport(sock, **more)
        types = {kind for kind, _ in self.known}
        types |= {"rsa-sha2-512", "rsa-sha2-256"} if "ssh-rsa" in types else set()  # the same key (RFC 8332)
        options = transport.get_security_options()
        options.key_types = sorted(options.key_types, key=lambda kind: kind not in types)
        options.ciphers = sorted(options.ciphers, key=lambda cipher: "gcm" not in cipher)  # needs no HMAC beside it
        return transport


def of(at: Endpoint) -> HostKeys:
    """What its known_hosts files say of a host."""
    name = at.host_key_alias or at.ssh_host
    with_port = name if at.host_key_alias or at.ssh_port == 22 else f"[{name}]:{at.ssh_port}"
    known: dict[str, set[tuple[str, bytes]]] = {with_port: set(), name: set()}
    revoked, certified = set(), False
    for asked, keys in known.items():
        for mark, names, kind, key in _lines(at.known_hosts):
            if not _means(names, asked.lower()):
                continue
            if mark == "@revoked":
                revoked.add(key)
            elif mark == "@cert-authority":
                certified = True
            elif not mark:
                keys.add((kind, key))
    # OpenSSH, too, takes what is known of the name without its port where nothing is known of it with that.
    return HostKeys(frozenset(known[with_port] or known[name]), frozenset(revoked), certified)


def _lines(files: Sequence[Path]) -> Iterator[tuple[str, str, str, bytes]]:
    """Mark, names, type and key of each line that can be read; OpenSSH, too, passes over all else."""
    for file in files:
        data = b""
        with suppress(OSError):
            data = file.read_bytes()
        for line in data.decode("latin-1").split("\n"):
            fields = line.split()
            mark = fields.pop(0) if line.startswith("@") else ""
            if len(fields) < 3 or fields[0].startswith("#"):
                continue
            with suppress(binascii.Error, ValueError):
                yield mark, fields[0], fields[1], binascii.a2b_base64(fields[2], strict_mode=True)


def _means(names: str, host: str) -> bool:
    """Whether the names of a line mean a host: one that is hashed, or patterns, of which those with a `!` must not."""
    if names.startswith("|1|"):
        try:
            salt, hashed = map(binascii.a2b_base64, names[3:].split("|"))
        except ValueError:
            return False
        return hmac.digest(salt, host.encode(), "sha1") == hashed
    matched = [name for name in names.lower().split(",") if _matches(name.removeprefix("!"), host)]
    return bool(matched) and not any(name.startswith("!") for name in matched)


def _matches(pattern: str, host: str) -> bool:
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), host) is not None
