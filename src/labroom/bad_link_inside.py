"""Links made bad from inside a host, over SSH, by sudo: for guests whose links are nobody's else to change.

What was done is remembered in a file of root's on the host, which ends with its next boot, as what was done does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labroom import over_ssh
from labroom.bad_link import GOOD, BadLink, Place, as_file, from_file, refusal
from labroom.endpoint import Endpoint
from labroom.errors import RoomFault

_FILE = "/run/labroom-link"
# $1: the new file; $2: one that makes all good; $3: what ssh(1) has in SSH_CONNECTION, which begins with who is spared.
# What was begun is done, whatever becomes of this side.
_MAKE = f"""
trap "" TERM HUP
spared=${{3%% *}}; export spared
umask 022
printf %s "$1" >{_FILE}.new || exit
[ -e {_FILE} ] || printf %s "$2" >{_FILE} || exit
sh {_FILE}.new && {{ mv {_FILE}.new {_FILE}; exit 0; }}
sh {_FILE} >/dev/null 2>&1
rm -f {_FILE}.new; exit 1
"""


def make(at: Endpoint, addresses: Mapping[str, str], links: Mapping[str, BadLink]) -> None:
    """Make a host's links as bad as that.

    Args:
        at: the host.
        addresses: its own address on each network that it has a link to.
        links: how bad the link to each of these is.

    Raises:
        RoomFault: it can't be reached, or refuses.
    """
    places = {network: Place.own_interface(address, "$spared") for network, address in addresses.items()}
    good = dict.fromkeys(links, GOOD)
    status, _, said = over_ssh.answer(at, _MAKE, as_file(places, links), as_file(places, good), root=True)
    if status != 0:
        if "sudo:" in said or status == over_ssh.UNREACHED:
            raise RoomFault(
                f"{at.name}: {said.strip().splitlines()[-1][:200] if said.strip() else 'no answer'}", at.remedy
            )
        raise RoomFault(*refusal(at.name, said))


def made(at: Endpoint, networks: Iterable[str]) -> dict[str, BadLink]:
    """How bad a host's links to these networks were made.

    Raises:
        RoomFault: it can't be reached.
    """
    status, text, said = over_ssh.answer(at, f"head -n 1 {_FILE} 2>/dev/null; exit 0")
    if status != 0:
        raise RoomFault(f"{at.name}: {said.strip()[:200] or 'no answer'}", at.remedy)
    found = from_file(text)
    return {network: found.get(network, GOOD) for network in networks}
