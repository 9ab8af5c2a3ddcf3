"""Which addresses the labs' handouts are to have: those of hosts that exist already.

For rooms `labroom.handouts` says that. This filter has a table of its own, since roles need ansible-core alone, and not
what that module imports; a test holds the two in step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address

DOCUMENTATION = """
name: handout_words
short_description: Words of the labs' handouts, each with the one that takes its place
description:
  - Handouts are written for a room of fixed addresses. For hosts that have others, this returns what to put in their
    place, in each form in which handouts have an address - as numbers, backwards as in names of C(in-addr.arpa), and
    in hexadecimal digits as tcpdump(1) shows it.
options:
  _input:
    description: Names of the handouts' hosts (C(gateway), C(server), C(alfa) …), each with a list of its addresses.
    type: dict
    required: true
author: The labroom contributors
"""

EXAMPLES = """
- name: Bring the labs
  labroom.labroom.copy_folder:
    src: "{{ playbook_dir }}/labs"
    dest: /opt/labs
    words: "{{ {'server': ['192.168.91.11']} | labroom.labroom.handout_words }}"
"""

RETURN = """
_value:
  description: Each word of the handouts, with the one that takes its place.
  type: dict
"""

#: The hosts of the room that handouts are written for; the gateway has two addresses.
WRITTEN = {
    "gateway": ["192.168.74.2", "203.0.113.2"],
    "server": ["192.168.74.128"],
    "alfa": ["192.168.74.129"],
    "bravo": ["192.168.74.130"],
    "charlie": ["192.168.74.131"],
    "outside": ["203.0.113.10"],
}


def words(hosts: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Words of handouts for which these hosts have others."""
    found: dict[str, str] = {}
    for name, written in WRITTEN.items():
        for there, here in zip(written, hosts.get(name, []), strict=False):
            found |= dict(zip(_forms(there), _forms(here), strict=True))
    return {word: here for word, here in found.items() if word != here}


def _forms(address: str) -> list[str]:
    digits = IPv4Address(address).packed.hex()
    pairs = [digits[:2], digits[2:4], digits[4:6], digits[6:]]
    return [address, ".".join(reversed(address.split("."))), f"{digits[:4]} {digits[4:]}", " ".join(pairs)]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[[Mapping[str, Sequence[str]]], dict[str, str]]]:
        """The filter by its name."""
        return {"handout_words": words}
