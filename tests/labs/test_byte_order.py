"""byte_order on guests: numbers and addresses in memory and on the wire. The values are those of a little-endian host.

What a program says of the network's order is also seen there: captured on another guest, or read back from the kernel.
"""

import re
import socket

import pytest

from labroom.checks.claims import claim
from labroom.checks.subjects import Subject
from labroom.driver import CheckFailed, Driver, Host, Program

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


# -- claims -----------------------------------------------------------------------------------------------------

ARGUMENTS = {
    "byte_order": (["65536"], ["1", "4294967296"], ["x"], ["1", "2", "3"]),
    "address_conversion": ([], ["192.168.0.1", "192.168.0.1"]),
    "sockaddr": ([], ["192.168.0.1"], ["lab", "9090"], ["192.168.0.1", "0"], ["192.168.0.1", "65536"]),
    "send_number": ([], ["127.0.0.1"], ["127.0.0.1", "0"], ["127.0.0.1", "9", "x"]),
}


def value(number: int) -> str:
    """A pattern for a number in hexadecimal digits, with or without `0x` and leading zeros, of either case."""
    return rf"(?i)(?<![0-9a-f])(?:0x)?0*{number:x}(?![0-9a-f])"


def in_bytes(data: bytes) -> str:
    """A pattern for single bytes in hexadecimal digits, however they are parted, if at all: a number has its `0x`."""
    between = r"[\s,:.\[\]-]"
    parted = rf"{between}+".join(rf"(?:0x)?{'0?' * (byte < 16)}{byte:x}" for byte in data)
    grouped = rf"(?<!x){between}*".join([data[:1].hex(), *(f"{byte:02x}" for byte in data[1:])])
    return rf"(?i)(?<![0-9a-f])(?:{parted}|(?<!x){grouped})(?![0-9a-f])"


def shows(program: Subject, pattern: str, what: str) -> None:
    """See that the program, which has ended, has printed this."""
    assert program.program.saw(pattern), f"{what} is not in what it printed: {program.program.lines}"


def ended(program: Subject, *arguments: object, tty: bool = True) -> Program:
    """Start the program, and wait until it has ended."""
    ran = program.start(*arguments, tty=tty)
    status = ran.wait()
    assert status >= 0, f"it {ran.ending}"
    return ran


@claim("lesson", "byte_order")
def test_on_the_wire(program: Subject) -> None:
    """The bytes of 0x12345678 are 78 56 34 12 in memory, and 12 34 56 78 on the wire."""
    ended(program)
    for words in "78 56 34 12", "12 34 56 78":
        shows(program, in_bytes(bytes.fromhex(words)), words)


@claim("lesson", "byte_order")
def test_turns_numbers(program: Subject) -> None:
    """`htons` makes 0x3412 of 0x1234, and `htonl` 0x78563412 of 0x12345678."""
    ended(program)
    for number in 0x1234, 0x3412, 0x12345678, 0x78563412:
        shows(program, value(number), f"{number:#x}")


@claim("lesson", "byte_order", needs=["turns_numbers"])
def test_numbers_of_ones_own(program: Subject) -> None:
    """Numbers that are given are turned, too: 9090 into 0x8223, 2309737967 (0x89abcdef) into 0xefcdab89."""
    ended(program, 9090, 0x89ABCDEF)
    for number in 0x8223, 0xEFCDAB89:
        shows(program, value(number), f"{number:#x}")
    for words in "ef cd ab 89", "89 ab cd ef":
        shows(program, in_bytes(bytes.fromhex(words)), words)


@claim("robustness", "byte_order", needs=["numbers_of_ones_own"])
def test_zero_bytes(program: Subject) -> None:
    """Numbers with zero bytes are turned, too: 0x3400 into 0x34, 0x80000000 into 0x80, 1 into 0x100 or 0x1000000."""
    for arguments, turned in (("0x3400", "0x80000000"), (0x34, 0x80)), (("1", "1"), (0x100, 0x1000000)):
        ended(program, *arguments)
        for number in turned:
            shows(program, value(number), f"{number:#x}, of {' and '.join(arguments)},")
        number = int(arguments[1], 0)
        for data in number.to_bytes(4, "little"), number.to_bytes(4, "big"):
            shows(program, in_bytes(data), data.hex(" "))


@claim("lesson", "address_conversion")
def test_address_as_number(program: Subject) -> None:
    """192.168.0.1 is 0x100a8c0 as a number of this host, and 0xc0a80001 in network order."""
    ended(program, "192.168.0.1")
    for number in 0x0100A8C0, 0xC0A80001:
        shows(program, value(number), f"{number:#x}")


@claim("lesson", "address_conversion", needs=["address_as_number"])
def test_back_to_text(program: Subject) -> None:
    """By `inet_ntoa` it is the same address again."""
    for address in "192.168.0.1", "10.20.30.40":
        ended(program, address)
        shows(program, re.escape(address), address)
        backwards = ".".join(reversed(address.split(".")))
        said = program.program.saw(rf"(?<![\d.]){re.escape(backwards)}(?![\d.])")
        assert not said, f"it prints {backwards} for {address}: inet_ntoa takes the address as inet_aton has stored it"


@claim("robustness", "address_conversion", needs=["address_as_number"])
def test_all_ones(program: Subject) -> None:
    """255.255.255.255 is an address, and not taken for a malformed one."""
    ran = ended(program, "255.255.255.255", tty=False)
    for words in "ffffffff", "255.255.255.255":
        pattern = value(int(words, 16)) if words.isalpha() else re.escape(words)
        assert re.search(pattern, ran.stdout), f"{words} is not in what it printed: {ran.stdout.splitlines()}"


@claim("robustness", "address_conversion", needs=["address_as_number"])
def test_other_forms(program: Subject) -> None:
    """What `inet_aton` takes is an address: 192.168.1 and 0300.0250.0.1, whose numbers are octal, are 192.168.0.1."""
    for address in "192.168.1", "0300.0250.0.1":
        ended(program, address)
        for pattern, what in (value(0xC0A80001), "0xc0a80001"), (r"(?<![\d.])192[.]168[.]0[.]1(?!\d)", "192.168.0.1"):
            shows(program, pattern, f"{what}, of {address},")


@claim("interface", "address_conversion")
def test_malformed(program: Subject) -> None:
    """Of a malformed address nothing is said on stdout, one line on stderr, and the status is 2."""
    for address in "192.168.0.256", "192.168.0.1.2", "lab":
        ran = program.start(address, tty=False)
        ran.expect_exit(2, otherwise=f"{address} is no address")
        assert not ran.stdout, f"{address} is no address, and yet it became {ran.stdout!r}"
        assert ran.stderr.count("\n") == 1, f"of {address} it said {ran.stderr!r}"


@claim("lesson", "sockaddr")
def test_sockaddr_bytes(program: Subject, alfa: Host) -> None:
    """The 16 bytes are family (host order), port and address (network order), and zeros."""
    ended(program, alfa.address, 9090)
    wanted = b"\2\0\x23\x82" + socket.inet_aton(alfa.address) + bytes(8)
    shows(program, in_bytes(wanted), wanted.hex(" "))


@claim("lesson", "sockaddr")
def test_kernel_reads(program: Subject, alfa: Host) -> None:
    """The kernel reads there the address and the port that were given."""
    ended(program, alfa.address, 9090)
    address = re.escape(alfa.address)
    shows(program, rf"{address}\D+9090(?!\d)|(?<!\d)9090\D+{address}(?!\d)", f"{alfa.address} and 9090")


@claim("robustness", "sockaddr", needs=["sockaddr_bytes", "kernel_reads"])
def test_other_ports(program: Subject, alfa: Host) -> None:
    """Of port 1 and of port 65535, too, the bytes are right, and the kernel reads that port."""
    for port in 1, 65535:
        ended(program, alfa.address, port)
        wanted = b"\2\0" + port.to_bytes(2, "big") + socket.inet_aton(alfa.address) + bytes(8)
        shows(program, in_bytes(wanted), wanted.hex(" "))
        shows(program, rf"(?<![\d-]){port}(?!\d)", f"{port}, which the kernel reads,")


@claim("interface", "sockaddr", needs=["kernel_reads"])
def test_without_htons(program: Subject, alfa: Host) -> None:
    """With `--no-htons` the kernel reads port 33315 instead of 9090."""
    ended(program, alfa.address, 9090, "--no-htons")
    shows(program, r"(?<!\d)33315(?!\d)", "33315")


def sent(program: Subject, receiver: Host, *arguments: str) -> bytes:
    """Have the program send a number to another guest; returns the datagram that came there."""
    socket_there = receiver.datagrams()
    ran = program.start(receiver.address, socket_there.address[1], *arguments)
    ran.wait()
    try:
        datagram, _ = socket_there.datagram()
    except CheckFailed as error:
        raise CheckFailed(f"no datagram came; {ran.last_words}") from error
    socket_there.has_nothing("it sent more than one datagram")
    return datagram


@claim("lesson", "send_number")
def test_sends_four_bytes(program: Subject, alfa: Host) -> None:
    """The four bytes of the number are sent in network order, in one UDP datagram."""
    for arguments, wanted in (["0x12345678"], "12 34 56 78"), (["2309737967"], "89 ab cd ef"):
        came = sent(program, alfa, *arguments).hex(" ")
        assert came == wanted, f"of {arguments[0]}, {came} came on the wire, not {wanted}"


@claim("robustness", "send_number", needs=["sends_four_bytes"])
def test_always_four(program: Subject, alfa: Host) -> None:
    """Any number is sent as four bytes: 0, 1, 0x3400 and 0x80000000, too."""
    for number in "0", "1", "0x3400", "0x80000000":
        came = sent(program, alfa, number).hex(" ")
        wanted = int(number, 0).to_bytes(4, "big").hex(" ")
        assert came == wanted, f"of {number}, {came or 'nothing'} came on the wire, not {wanted}"


@claim("interface", "send_number", needs=["sends_four_bytes"])
def test_without_htonl(program: Subject, alfa: Host) -> None:
    """With `--no-htonl` the bytes are sent as they lie in this host's memory."""
    came = sent(program, alfa, "0x12345678", "--no-htonl").hex(" ")
    assert came == "78 56 34 12", f"without htonl, {came} came on the wire"


@claim("interface", "byte_order", "address_conversion", "sockaddr", "send_number")
def test_lines(program: Subject, alfa: Host) -> None:
    """It prints exactly the lines of the handout, and exits with 0."""
    address = socket.inet_aton(alfa.address).hex(" ")
    arguments, lines = {
        "byte_order": (
            [],
            [
                "this host is little-endian",
                "0x12345678 in memory   : 78 56 34 12",
                "0x12345678 on the wire : 12 34 56 78",
                "htons(0x1234) = 0x3412",
                "htonl(0x12345678) = 0x78563412",
                "ntohs(0x3412) = 0x1234",
                "ntohl(0x78563412) = 0x12345678",
            ],
        ),
        "address_conversion": (
            ["192.168.0.1"],
            [
                "inet_addr = 0x100a8c0",
                "ntohl(inet_addr) = 0xc0a80001",
                "inet_aton = 1, in memory: c0 a8 00 01",
                "inet_ntoa = 192.168.0.1",
            ],
        ),
        "sockaddr": (
            [alfa.address, "9090"],
            [
                *("PF_INET = 2", "PF_INET6 = 10", "SOCK_STREAM = 1", "SOCK_DGRAM = 2"),
                f"memset     : 00 00 00 00 00 00 00 00 {NO_BYTES}",
                f"sin_family : 02 00 00 00 00 00 00 00 {NO_BYTES}",
                f"sin_port   : 02 00 23 82 00 00 00 00 {NO_BYTES}",
                f"sin_addr   : 02 00 23 82 {address} {NO_BYTES}",
                f"the kernel reads: address {alfa.address}, port 9090",
            ],
        ),
        "send_number": ([alfa.address, "9090"], ["0x12345678 sent as 12 34 56 78"]),
    }[program.role]
    ran = program.start(*arguments)
    ran.expect_exit(0)
    assert ran.lines == lines, f"it printed {ran.lines}"


@claim("interface", "byte_order", "address_conversion", "sockaddr", "send_number")
def test_arguments(program: Subject) -> None:
    """Without its arguments, or with too many or wrong ones, it exits with 2."""
    for arguments in ARGUMENTS[program.role]:
        program.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
