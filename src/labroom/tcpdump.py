"""tcpdump(8), as checks and `labroom capture` start it, and the file that it writes (pcap-savefile(5))."""

import struct
from collections.abc import Sequence

#: Bytes of a file's header, and of each record's.
FILE_HEADER, RECORD_HEADER = 24, 16
#: How a file begins where its numbers are little-endian, or big-endian; each with times in microseconds or nanoseconds.
_LITTLE = (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")
_BIG = (b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d")
_LONGEST = 1 << 18  # bytes of a packet: MAXIMUM_SNAPLEN of libpcap


def command(file: str, *options: str) -> Sequence[str]:
    """The command, for root, that captures on all interfaces into a file, `-` for standard output.

    Each packet is handed over at once, in a slot of -s bytes, of which there are as many as -B KiB hold; and written at
    once (-U). -Z: it stays root, to write into whatever folder.
    """
    always = ("-Z", "root", "-U", "--immediate-mode", "-n", "-i", "any", "-s", "65600", "-B", "16384")
    return ["tcpdump", *always, *options, "-w", file]


class NoCapture(ValueError):
    """What came is no capture file."""


def whole(data: bytes, begun: str = "") -> tuple[int, int, str]:
    """How much of a piece of a capture file can be written, such that the file ends with a whole packet.

    Args:
        data: the piece, which begins with the file's header or with that of a record.
        begun: the order of the file's bytes, as struct(3) has it, if its header was in an earlier piece.

    Returns:
        bytes, packets, and the order of bytes.

    Raises:
        NoCapture: the piece is of no such file.
    """
    end = packets = 0
    if not begun:
        if len(data) < FILE_HEADER:
            return 0, 0, ""
        if data[:4] not in _LITTLE + _BIG:
            raise NoCapture
        begun, end = ("<" if data[:4] in _LITTLE else ">"), FILE_HEADER
    while end + RECORD_HEADER <= len(data):
        (length,) = struct.unpack_from(f"{begun}I", data, end + 8)
        if length > _LONGEST:
            raise NoCapture
        if end + RECORD_HEADER + length > len(data):
            break
        end += RECORD_HEADER + length
        packets += 1
    return end, packets, begun
