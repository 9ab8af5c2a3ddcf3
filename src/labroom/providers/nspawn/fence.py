"""What keeps slirp4netns from the services of the machine: a filter of what its control group sends (bpf(2)).

slirp4netns calls on behalf of guests, as a process of the machine: who listens here would be called from the machine
itself, by whatever address it has. All packets to an address of the machine's own leave by its loopback interface,
whichever addresses it has just now (rtnetlink(7): table local), so these are dropped, but for the name service that
slirp4netns asks and the ports that room.yml opens. The filter ends with its control group. It is no rule of the
machine's firewall, so no `nft flush ruleset` and no restart of ufw, firewalld or docker opens the way.

Its thirty instructions are put together here, since nothing that would do it fits: systemd's IPAddressDeny= is for its
own units, knows no ports and needs systemd as process 1; nft's `socket cgroupv2` would be a rule of that firewall; and
clang or bpftool would be one more dependency, of a hundred megabytes, whose output is still loaded by these two calls.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from labroom.errors import MachineError

# <linux/bpf.h>
_PROG_LOAD, _PROG_ATTACH = 5, 8
_CGROUP_SKB, _EGRESS, _ALLOW_MULTI = 8, 1, 2
_SKB_LOAD_BYTES = 26
_IFINDEX = 40  # in struct __sk_buff

# <asm/unistd.h>: elsewhere it is 280, as on every newer architecture (asm-generic/unistd.h).
_BPF_CALL = {"x86_64": 321, "ppc64le": 361, "s390x": 351, "armv7l": 386, "i686": 357}.get(platform.machine(), 280)

_LOOPBACK = 1  # LOOPBACK_IFINDEX in <net/net_namespace.h>
_NAME_SERVICE = 53


def raise_around(group: Path, ports: Sequence[int], name_servers: Sequence[IPv4Address]) -> None:
    """Drop what processes of a control group send to this machine itself.

    Args:
        group: the group, of the unified hierarchy.
        ports: what they may reach nevertheless, by TCP and UDP.
        name_servers: the machine's own; they may reach these by port 53.

    Raises:
        MachineError: the machine refuses it.
    """
    program = _program(ports, name_servers)
    code, licence = ctypes.create_string_buffer(program, len(program)), ctypes.create_string_buffer(b"")
    try:
        load = struct.pack("=IIQQ", _CGROUP_SKB, len(program) // 8, ctypes.addressof(code), ctypes.addressof(licence))
        filter_fd = _bpf(_PROG_LOAD, load.ljust(72, b"\0"))
        group_fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _bpf(_PROG_ATTACH, struct.pack("=IIII", group_fd, filter_fd, _EGRESS, _ALLOW_MULTI))
        finally:
            os.close(filter_fd)
            os.close(group_fd)
    except OSError as error:
        raise MachineError(
            f"this machine refuses what keeps guests from its own services: bpf: {os.strerror(error.errno or 0)}",
            "internet: false in room.yml, or run on the machine itself instead of in a container",
        ) from error


def _bpf(command: int, attributes: bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(
        _BPF_CALL, command, ctypes.create_string_buffer(attributes, len(attributes)), len(attributes)
    )
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return result


def _program(ports: Sequence[int], name_servers: Sequence[IPv4Address]) -> bytes:
    """The filter: returns 1 for what may pass, 0 for what is dropped.

    slirp4netns sends IPv4 without options: addresses and ports are at fixed places (RFC 791, 3.1).
    """

    def loaded(packed: bytes) -> int:  # as a register has it
        return int.from_bytes(packed, sys.byteorder)

    # Registers: 6 the packet, 7 where it goes, 8 the port there. A jump is to one of the two ends, by its name.
    steps: list[tuple[int, int, int, int | str, int]] = [  # code, target, source, offset, value
        (0xBF, 6, 1, 0, 0),
        (0x61, 2, 6, _IFINDEX, 0),
        (0x56, 2, 0, "pass", _LOOPBACK),  # unless equal
        (0xBF, 1, 6, 0, 0),  # eight bytes from byte 16 on: to whom, from which port, to which
        (0xB7, 2, 0, 0, 16),
        (0xBF, 3, 10, 0, 0),
        (0x07, 3, 0, 0, -8),
        (0xB7, 4, 0, 0, 8),
        (0x85, 0, 0, 0, _SKB_LOAD_BYTES),
        (0x56, 0, 0, "drop", 0),
        (0x61, 7, 10, -8, 0),
        (0x69, 8, 10, -2, 0),
    ]
    for port in ports:
        steps.append((0x16, 8, 0, "pass", loaded(struct.pack(">H", port))))  # if equal
    steps.append((0x56, 8, 0, "drop", loaded(struct.pack(">H", _NAME_SERVICE))))
    for server in name_servers:
        steps.append((0x16, 7, 0, "pass", loaded(server.packed)))
    # 127.0.0.0/8, which slirp4netns calls for the name service alone (--disable-host-loopback).
    steps.append((0x54, 7, 0, 0, loaded(b"\xff\0\0\0")))
    steps.append((0x16, 7, 0, "pass", loaded(b"\x7f\0\0\0")))
    ends = {"drop": len(steps), "pass": len(steps) + 2}
    steps += [(0xB7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0), (0xB7, 0, 0, 0, 1), (0x95, 0, 0, 0, 0)]
    code = b""
    for number, (operation, target, source, offset, value) in enumerate(steps):
        registers = target | source << 4 if sys.byteorder == "little" else target << 4 | source
        jump = offset if isinstance(offset, int) else ends[offset] - number - 1
        code += struct.pack("=BBhI", operation, registers, jump, value & 0xFFFFFFFF)
    return code
