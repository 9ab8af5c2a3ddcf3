"""The driver: runs programs on the hosts of a room over SSH, and waits for what they do.

From the bottom up: `values` and `waiting` (what the hosts share), `connection` (SSH, and `agent`, which is sent over
it), `sockets`, `output`, `packets`, `capture` and `peer`, `host` (with its programs), `driver`.
"""

from labroom.driver.capture import Capture
from labroom.driver.driver import Driver
from labroom.driver.host import Host, Program, Resolve
from labroom.driver.packets import Packet
from labroom.driver.peer import Peer
from labroom.driver.values import PORTS, Completed, Event, Launch, Process, Socket, slowness
from labroom.driver.words import difference, shown
from labroom.errors import CheckFailed

__all__ = [
    "PORTS",
    "Capture",
    "CheckFailed",
    "Completed",
    "Driver",
    "Event",
    "Host",
    "Launch",
    "Packet",
    "Peer",
    "Process",
    "Program",
    "Resolve",
    "Socket",
    "difference",
    "shown",
    "slowness",
]
