"""The driver: runs programs on the hosts of a room over SSH, and waits for what they do."""

from labroom.driver.capture import Capture, Packet
from labroom.driver.driver import (
    SLOWNESS,
    CheckFailed,
    Completed,
    Driver,
    Event,
    Host,
    Process,
    Program,
    Socket,
)

__all__ = [
    "SLOWNESS",
    "Capture",
    "CheckFailed",
    "Completed",
    "Driver",
    "Event",
    "Host",
    "Packet",
    "Process",
    "Program",
    "Socket",
]
