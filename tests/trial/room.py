"""A small room of its own for tests of `labroom` itself: another name, other networks than the default room."""

import os
import re
import subprocess
from pathlib import Path

from labroom import rooms
from tests.helpers import labroom, start_labroom

ROOM = """\
name: trial
networks: {private: 192.168.75.0/24, outside: 198.51.100.0/28}
internet: false
guests:
  one: {private: 192.168.75.10}
  two: {private: 192.168.75.11}
"""
# The same, with the guests that labs are driven on.
LABS_ROOM = """\
plugin: labroom.labroom.room
name: trial
networks: {private: 192.168.75.0/24, outside: 198.51.100.0/28}
internet: false
guests:
  server: {private: 192.168.75.10}
  alfa: {private: 192.168.75.11}
"""


class Trial:
    """The room file of the trial room, and `labroom` on it."""

    name = "trial"

    def __init__(self, file: Path) -> None:
        self.file = file
        self.file.write_text(ROOM)

    def start(
        self, *arguments: str, before: tuple[str, ...] = (), env: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start `labroom` on the room and go on."""
        return start_labroom("--room", str(self.file), *arguments, before=before, env=env)

    def run(
        self, *arguments: str, before: tuple[str, ...] = (), env: dict[str, str] | None = None, status: int | None = 0
    ) -> str:
        """Run `labroom` on the room to its end, see that its status is `status` (None: any), return its output."""
        done = labroom("--room", str(self.file), *arguments, before=before, env=env, status=status)
        return done.stdout + done.stderr

    def up(self) -> None:
        """Bring the room up, for tests of what a room is."""
        rooms.up(self.file)

    def down(self) -> None:
        """Take the room down."""
        rooms.down(self.file)


def traces(
    name: str = Trial.name, addresses: str = r"192\.168\.75\.|198\.51\.100\.(\d|1[0-5])\b"
) -> dict[str, list[str]]:
    """What a room may leave on this machine, by kind; every list is empty where it left nothing.

    Args:
        name: the room's.
        addresses: how those of its networks begin, as a regular expression.
    """

    def lines(*command: str) -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    def about(found: list[str]) -> list[str]:
        own = rf"\b{name}\b|labroom.{name}|\b({addresses})"
        return [line for line in found if re.search(own, line)]

    # By os.walk, which does not mind that groups of other rooms vanish meanwhile.
    groups = [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if name in Path(folder).name]
    running = [line for line in lines("ps", "-ww", "-eo", "stat,args") if not line.startswith(("Z", "STAT"))]
    # Nobody's mount namespace counts: a guest's ends with the guest.
    return {
        "processes": [line for line in about(running) if "systemd-nspawn" in line or "slirp4netns" in line],
        "mounts": about(Path("/proc/mounts").read_text(encoding="utf-8").splitlines()),
        "interfaces": about(lines("ip", "-oneline", "address")),
        "routes": about(lines("ip", "route", "show", "table", "all")) + about(lines("ip", "rule")),
        "nftables": about(lines("nft", "list", "ruleset")),
        "control groups": groups,
    }
