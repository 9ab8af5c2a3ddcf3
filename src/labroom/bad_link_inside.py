"""Links made bad from inside a host, over SSH, by sudo: for guests whose links are nobody's else to change.

What was done is remembered in a file of root's on the host, which ends with its next boot, as what was done does.
"""

from __future__ import annotations

from labroom import over_ssh
from labroom.bad_link import BadLink, Place, as_file, from_file, refusal
from labroom.endpoint import Endpoint
from labroom.errors import RoomFault

_FILE = "/run/labroom-link"
# $1: the new file; $2: what ssh(1) has in SSH_CONNECTION, which begins with who is spared. What was begun
# is done, whatever becomes of this side.
_MAKE = f"""
trap "" TERM HUP
spared=${{2%% *}}; export spared
umask 022
printf %s "$1" >{_FILE}.new || exit
sh {_FILE}.new && {{ mv {_FILE}.new {_FILE}; exit 0; }}
[ -e {_FILE} ] && sh {_FILE} >/dev/null 2>&1
rm -f {_FILE}.new; exit 1
"""


def make(at: Endpoint, link: BadLink) -> None:
    """Make a host's link as bad as that.

    Raises:
        RoomFault: it can't be reached, or refuses.
    """
    place = Place.own_interface(at.address, "$spared")
    status, _, said = over_ssh.answer(at, _MAKE, as_file(link, place.script(link)), root=True)
    if status != 0:
        if "sudo:" in said or status == over_ssh.UNREACHED:
            raise RoomFault(
                f"{at.name}: {said.strip().splitlines()[-1][:200] if said.strip() else 'no answer'}", at.remedy
            )
        raise RoomFault(*refusal(at.name, said))


def made(at: Endpoint) -> BadLink:
    """How bad a host's link was made.

    Raises:
        RoomFault: it can't be reached.
    """
    status, text, said = over_ssh.answer(at, f"head -n 1 {_FILE} 2>/dev/null; exit 0")
    if status != 0:
        raise RoomFault(f"{at.name}: {said.strip()[:200] or 'no answer'}", at.remedy)
    return from_file(text)
