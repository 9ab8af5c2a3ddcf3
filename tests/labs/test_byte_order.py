"""byte_order on guests: numbers and addresses in memory and on the wire. The values are those of a little-endian host.

What a program says of the network's order is also seen there: captured on another guest, or read back from the kernel.
"""

import socket

import pytest

from labroom.driver import Driver, Host, Program

NO_BYTES = "00 00 00 00 00 00 00 00"


def run(host: Host, program: str, *arguments: object, status: int = 0, otherwise: str = "") -> Program:
    ran = host.start(program, *arguments)
    ran.expect_exit(status, otherwise=otherwise)
    return ran


def on_the_wire(sender: Host, receiver: Host, port: int, *options: str) -> str:
    """Send 0x12345678 to another guest; returns the bytes that were captured there."""
    with receiver.capture(f"udp dst port {port}") as wire:
        run(sender, "send_number", receiver.address, port, "0x12345678", *options)
        (datagram,) = wire.wait_for(bool, f"a datagram from {sender.name}")
    return datagram.payload.hex(" ")


@pytest.mark.play
def test_memory_and_wire(driver: Driver, server: Host, alfa: Host, port: int) -> None:
    """0x12345678 lies in memory as 78 56 34 12 and is sent as 12 34 56 78; without htonl, it is sent as it lies."""
    printed = run(alfa, "byte_order")
    for line in "0x12345678 in memory   : 78 56 34 12", "0x12345678 on the wire : 12 34 56 78":
        assert line in printed.lines, f"{printed} did not print {line!r} but {printed.lines}"

    sent = on_the_wire(alfa, server, port)
    assert sent == "12 34 56 78", f"htonl was called, and what came to the server is {sent}"
    driver.note("captured on the server: 12 34 56 78")
    driver.note("the same number, and htonl forgotten")
    sent = on_the_wire(alfa, server, port, "--no-htonl")
    assert sent == "78 56 34 12", f"htonl was not called, and what came to the server is {sent}"
    driver.note("captured on the server: 78 56 34 12, which ntohl there makes 0x78563412")


def test_htons_and_htonl(bravo: Host) -> None:
    """htons(0x1234) is 0x3412, htonl(0x12345678) is 0x78563412, and ntohs and ntohl turn them back."""
    printed = run(bravo, "byte_order")
    for line in (
        "this host is little-endian",
        "htons(0x1234) = 0x3412",
        "htonl(0x12345678) = 0x78563412",
        "ntohs(0x3412) = 0x1234",
        "ntohl(0x78563412) = 0x12345678",
    ):
        assert line in printed.lines, f"{printed} did not print {line!r} but {printed.lines}"


def test_numbers_of_ones_own(bravo: Host) -> None:
    """A port and an address of one's own: each byte changes its place, zeros too."""
    printed = run(bravo, "byte_order", 9090, 1)
    for line in "htons(0x2382) = 0x8223", "htonl(0x00000001) = 0x01000000":
        assert line in printed.lines, f"given 9090 and 1, {printed} did not print {line!r} but {printed.lines}"


def test_addresses(charlie: Host) -> None:
    """192.168.0.1 is 0x100a8c0 as a number of this host, 0xc0a80001 in network order, and itself again by inet_ntoa."""
    converted = run(charlie, "address_conversion", "192.168.0.1")
    assert converted.lines == [
        "inet_addr = 0x100a8c0",
        "ntohl(inet_addr) = 0xc0a80001",
        "inet_aton = 1, in memory: c0 a8 00 01",
        "inet_ntoa = 192.168.0.1",
    ], f"of 192.168.0.1, {converted} made {converted.lines}"


def test_a_malformed_address(charlie: Host) -> None:
    """A malformed address is an error, INADDR_NONE and 0, and no value."""
    for address in "192.168.0.256", "192.168.0.1.2", "lab":
        refused = run(charlie, "address_conversion", address, status=2, otherwise=f"{address} was taken for an address")
        assert refused.stdout == "", f"{address} is no address, and yet it became {refused.stdout!r}"
        error = "malformed: inet_addr = 0xffffffff (INADDR_NONE), inet_aton = 0\n"
        assert refused.stderr == error, f"of {address}, {refused} said {refused.stderr!r}"


def test_inet_addr_is_ambiguous(charlie: Host) -> None:
    """255.255.255.255 is an address, though inet_addr returns the number of INADDR_NONE for it: inet_aton says 1."""
    converted = run(charlie, "address_conversion", "255.255.255.255", otherwise="255.255.255.255 is an address")
    for line in "inet_addr = 0xffffffff", "inet_aton = 1, in memory: ff ff ff ff":
        assert line in converted.lines, f"{converted} did not print {line!r} but {converted.lines}"


def test_sockaddr_in(alfa: Host) -> None:
    """The 16 bytes of sockaddr_in are zero, then family (host order), port, address (network order), 8 of padding."""
    filled = run(alfa, "sockaddr", alfa.address, 9090)
    assert filled.lines == [
        *("PF_INET = 2", "PF_INET6 = 10", "SOCK_STREAM = 1", "SOCK_DGRAM = 2"),
        f"memset     : 00 00 00 00 00 00 00 00 {NO_BYTES}",
        f"sin_family : 02 00 00 00 00 00 00 00 {NO_BYTES}",
        f"sin_port   : 02 00 23 82 00 00 00 00 {NO_BYTES}",
        f"sin_addr   : 02 00 23 82 {socket.inet_aton(alfa.address).hex(' ')} {NO_BYTES}",
        f"the kernel reads: address {alfa.address}, port 9090",
    ], f"for {alfa.address} and 9090, {filled} printed {filled.lines}"


def test_htons_forgotten(alfa: Host) -> None:
    """Without htons the kernel reads port 33315 instead of 9090."""
    filled = run(alfa, "sockaddr", alfa.address, 9090, "--no-htons")
    line = f"sin_port   : 02 00 82 23 00 00 00 00 {NO_BYTES}"
    assert line in filled.lines, f"without htons, the port should lie there as 82 23: {filled.lines[6]}"
    assert filled.saw("port 33315$"), f"the port was not turned, and the last line is {filled.lines[-1]!r}"
