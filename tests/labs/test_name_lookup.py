"""name_lookup across hosts: the guests ask the name service on the gateway, but /etc/hosts comes first.

The room's name service knows every guest, the name www of several addresses, and the alias echo.
"""

import re
import shlex
import socket

import dpkt
import pytest

from labroom.checks.claims import claim
from labroom.checks.subjects import Subject
from labroom.driver import Completed, Driver, Host, Packet, Program


@pytest.fixture
def domain(gateway: Host, alfa: Host) -> str:
    """The domain of the room's names."""
    if gateway.address not in alfa.read_file("/etc/resolv.conf").decode().split():
        pytest.skip("alfa asks another name server than the gateway")
    found = gateway.run("hostname", "--domain").stdout.strip()
    return found or pytest.skip("the gateway's own name has no domain")


@pytest.fixture
def www(alfa: Host, domain: str) -> None:
    """The name `www` is needed."""
    needs_name(alfa, f"www.{domain}", "names")


@pytest.fixture
def echo(alfa: Host, domain: str) -> None:
    """The alias `echo` is needed."""
    needs_name(alfa, f"echo.{domain}", "aliases")


def needs_name(host: Host, name: str, field: str) -> None:
    if host.run("getent", "ahostsv4", name).status != 0:
        pytest.skip(f"this room has no {name}: see {field} in room.yml")


@pytest.fixture
def nobody(server: Host) -> str:
    """An address of the private network that no guest has."""
    return server.address.rpartition(".")[0] + ".99"


def look_up(host: Host, program: str, argument: str, status: int = 0) -> Program:
    looked_up = host.start(program, argument)
    looked_up.expect_exit(status)
    return looked_up


def with_own_file(host: Host, file: str, content: str, program: str, argument: str) -> Completed:
    """Run a program that finds this in a file of /etc (mount_namespaces(7)); the guest's own file stays as it is."""
    host.write_file(f"{host.scratch}/file", f"{content}\n".encode())
    command = shlex.join([*host.launch(program).anywhere, argument])
    return host.run("sudo", "unshare", "--mount", "sh", "-c", f"mount --bind {host.scratch}/file {file} && {command}")


def addresses(looked_up: Program | Completed) -> set[str]:
    """The addresses printed. Their order means nothing: a name server changes it from answer to answer."""
    return set(re.findall(r"^Address \d+: (.*)", looked_up.stdout, re.MULTILINE))


def answers(packets: list[Packet], name: str) -> list[dpkt.dns.DNS]:
    """The name server's answers about this name."""
    messages = [dpkt.dns.DNS(packet.payload) for packet in packets if packet.source[1] == 53]
    return [message for message in messages if message.qd[0].name == name]


@pytest.mark.play
@pytest.mark.usefixtures("www", "echo")
def test_the_gateway_answers(driver: Driver, gateway: Host, server: Host, alfa: Host, domain: str) -> None:
    """A lookup is a datagram to port 53 of the gateway, and one back, in which is all that the program prints."""
    with gateway.capture(f"udp port 53 and host {alfa.address}") as wire:
        driver.note("a name of several addresses")
        www = look_up(alfa, "host_by_name", f"www.{domain}")
        packets = wire.wait_for(
            lambda packets: answers(packets, f"www.{domain}"), f"an answer to alfa about www.{domain}"
        )
        sent = {socket.inet_ntoa(record.ip) for record in answers(packets, f"www.{domain}")[0].an}
        assert sent == addresses(www), f"the gateway sent {sent}, alfa printed {www.lines}"
        driver.note("captured on the gateway: a query to its UDP port 53, and an answer with these addresses")

        driver.note("an alias leads to the official name")
        look_up(alfa, "host_by_name", f"echo.{domain}").expect(f"Official name: server.{domain}\n")

        driver.note("back from an address to its name")
        look_up(alfa, "name_by_address", server.address).expect(f"Official name: server.{domain}\n")
        reverse = ".".join(reversed(server.address.split("."))) + ".in-addr.arpa"
        packets = wire.wait_for(lambda packets: answers(packets, reverse), f"an answer to alfa about {reverse}")
        sent = {record.ptrname for record in answers(packets, reverse)[0].an}
        assert sent == {f"server.{domain}"}, f"about {reverse}, the gateway sent {sent}"
        driver.note(f"captured on the gateway: a query for {reverse}, the address backwards")

        driver.note("a name that no host has")
        look_up(alfa, "host_by_name", f"nobody.{domain}", status=1).expect("gethostbyname: Unknown host\n")
        wire.wait_for(
            lambda packets: any(
                answer.rcode == dpkt.dns.DNS_RCODE_NXDOMAIN for answer in answers(packets, f"nobody.{domain}")
            ),
            f"the answer NXDOMAIN to alfa about nobody.{domain}",
        )


@pytest.mark.usefixtures("www")
def test_all_addresses(server: Host, alfa: Host, bravo: Host, charlie: Host, domain: str) -> None:
    """Every guest is told the official name, address type 2 and all addresses of www."""
    expected = {server.address, alfa.address, bravo.address}
    for guest in alfa, bravo, charlie:
        www = look_up(guest, "host_by_name", "www")
        assert www.lines[:2] == [f"Official name: www.{domain}", "Address type: 2"], f"{guest.name} printed {www.lines}"
        assert addresses(www) == expected, f"www has the addresses {expected}; {guest.name} printed {www.lines}"


@pytest.mark.usefixtures("echo")
def test_alias(server: Host, charlie: Host, domain: str) -> None:
    """The alias echo leads to the official name of server, and to its address."""
    echo = look_up(charlie, "host_by_name", f"echo.{domain}")
    assert echo.lines == [
        f"Official name: server.{domain}",
        f"Alias 1: echo.{domain}",
        "Address type: 2",
        f"Address 1: {server.address}",
    ], f"of echo.{domain}, charlie printed {echo.lines}"


def test_reverse(server: Host, alfa: Host, bravo: Host, charlie: Host, domain: str) -> None:
    """The address of each guest leads back to its name."""
    for guest in server, alfa, bravo:
        found = look_up(charlie, "name_by_address", guest.address)
        assert found.lines == [f"Official name: {guest.name}.{domain}"], f"{guest.address} has the name {found.lines}"


def test_output_that_fails(alfa: Host) -> None:
    """Where the answer can't be written, that is said, and the status is 1."""
    for program, argument in ("host_by_name", alfa.run("hostname").stdout.strip()), ("name_by_address", alfa.address):
        command = shlex.join([*alfa.launch(program).anywhere, argument])
        failed = alfa.run("sh", "-c", f"exec {command} >/dev/full")
        assert (failed.status, failed.stderr) == (1, "write: No space left on device\n"), (
            f"{program} ended with status {failed.status} and said {failed.stderr!r}"
        )


def test_hosts_file_first(gateway: Host, alfa: Host, bravo: Host, domain: str) -> None:
    """Alfa finds its own name in its /etc/hosts and asks nobody; bravo has to ask for it."""
    with gateway.capture("udp port 53") as wire:
        for guest in alfa, bravo:
            own_name = f"{guest.address} {guest.name}.{domain}"
            found = with_own_file(guest, "/etc/hosts", own_name, "host_by_name", f"alfa.{domain}")
            assert addresses(found) == {alfa.address}, f"of alfa.{domain}, {guest.name} printed {found.stdout}"
        packets = wire.wait_for(lambda packets: answers(packets, f"alfa.{domain}"), f"an answer about alfa.{domain}")
    told = {packet.destination[0] for packet in packets if answers([packet], f"alfa.{domain}")}
    assert alfa.address not in told, "alfa asked for its own name, although that is in its /etc/hosts"
    assert bravo.address in told, f"bravo did not ask for alfa's name: the name server answered {told}"


def test_hosts_file_is_believed(charlie: Host, domain: str, nobody: str) -> None:
    """What /etc/hosts says of a name is believed, although the name server knows better."""
    misled = with_own_file(charlie, "/etc/hosts", f"{nobody} www.{domain}", "host_by_name", f"www.{domain}")
    assert misled.stdout.splitlines() == [f"Official name: www.{domain}", "Address type: 2", f"Address 1: {nobody}"], (
        f"with {nobody} for www.{domain} in its /etc/hosts, charlie printed {misled.stdout}{misled.stderr}"
    )


def test_no_name_server(server: Host, charlie: Host, domain: str) -> None:
    """Where no name server listens, the failure is another than of an unknown name; /etc/hosts still answers."""
    nobody_listens = f"nameserver {server.address}"
    failed = with_own_file(charlie, "/etc/resolv.conf", nobody_listens, "host_by_name", f"www.{domain}")
    assert (failed.status, failed.stderr) == (1, "gethostbyname: Host name lookup failure\n"), (
        f"without a name server, charlie ended with status {failed.status} and said {failed.stderr!r}"
    )
    own_name = charlie.run("hostname").stdout.strip()
    found = with_own_file(charlie, "/etc/resolv.conf", nobody_listens, "host_by_name", own_name)
    assert found.status == 0, f"without a name server, charlie did not find itself: {found.stderr!r}"


# -- claims -----------------------------------------------------------------------------------------------------


def look_up_by(program: Subject, argument: str) -> None:
    """Have the program look something up, and wait until it has ended."""
    ran = program.start(argument)
    status = ran.wait()
    assert status >= 0, f"of {argument}, it printed {ran.lines} and {ran.ending}"


def shows(program: Subject, word: str) -> None:
    """See that the program, which has ended, has printed this name or address, whatever stands around it."""
    pattern = rf"(?<![\w.-]){re.escape(word)}(?![\w-]|[.]\w)"
    assert program.program.saw(pattern), f"{word} is not in what it printed: {program.program.lines}"


@claim("lesson", "host_by_name")
@pytest.mark.usefixtures("www")
def test_addresses(program: Subject, server: Host, alfa: Host, bravo: Host, domain: str) -> None:
    """All addresses of a name are printed."""
    look_up_by(program, f"www.{domain}")
    for host in server, alfa, bravo:
        shows(program, host.address)


@claim("lesson", "host_by_name")
@pytest.mark.usefixtures("echo")
def test_official_name(program: Subject, server: Host, domain: str) -> None:
    """Of an alias, the official name is printed, and its address."""
    look_up_by(program, f"echo.{domain}")
    shows(program, f"server.{domain}")
    shows(program, server.address)


@claim("lesson", "host_by_name", needs=["official_name"])
@pytest.mark.usefixtures("echo")
def test_prints_alias(program: Subject, domain: str) -> None:
    """The alias itself is printed, too."""
    look_up_by(program, f"echo.{domain}")
    shows(program, f"echo.{domain}")


@claim("lesson", "name_by_address")
def test_name_of_an_address(program: Subject, alfa: Host, bravo: Host, domain: str) -> None:
    """Of an address, the name of the host that has it is printed."""
    for host in alfa, bravo:
        look_up_by(program, host.address)
        shows(program, f"{host.name}.{domain}")


@claim("robustness", "host_by_name", "name_by_address")
def test_unknown(program: Subject, domain: str, nobody: str) -> None:
    """Of a name or an address that nobody has, no answer is printed, and no signal ends the program."""
    by_name = program.name.startswith("host_by_name")
    ran = program.start(f"nobody.{domain}" if by_name else nobody, tty=False)
    status = ran.wait()
    assert status >= 0, f"nobody has that name or address; it {ran.ending}: is NULL looked at?"
    answered = re.search(r"(?:\d+[.]){3}\d+" if by_name else rf"[\w-]+[.]{re.escape(domain)}", ran.stdout)
    assert not answered, f"nobody has that name or address, and it printed {answered[0] if answered else ''}"


@claim("interface", "host_by_name", "name_by_address")
def test_herror(program: Subject, domain: str, nobody: str) -> None:
    """It then says on stderr what `herror` says, and exits with 1."""
    argument, call = (
        (f"nobody.{domain}", "gethostbyname") if program.name.startswith("host_by_name") else (nobody, "gethostbyaddr")
    )
    ran = program.start(argument, tty=False)
    ran.expect_exit(1)
    assert ran.stderr == f"{call}: Unknown host\n", f"of {argument}, it said {ran.stderr!r}"


@claim("interface", "host_by_name", "name_by_address")
@pytest.mark.usefixtures("echo")
def test_lines(program: Subject, server: Host, alfa: Host, domain: str) -> None:
    """It prints exactly the lines of the handout, and exits with 0."""
    if program.name.startswith("host_by_name"):
        argument = f"echo.{domain}"
        lines = [f"Official name: server.{domain}", f"Alias 1: echo.{domain}"]
        lines += ["Address type: 2", f"Address 1: {server.address}"]
    else:
        argument, lines = alfa.address, [f"Official name: {alfa.name}.{domain}"]
    ran = program.start(argument)
    ran.expect_exit(0)
    assert ran.lines == lines, f"of {argument}, it printed {ran.lines}"


@claim("interface", "host_by_name", "name_by_address")
def test_arguments(program: Subject) -> None:
    """Without an argument, with two, or with one that is no address where one must be, it exits with 2."""
    wrong = [[], ["a", "b"]]
    if program.role == "name_by_address":  # the last three: inet_aton takes them for addresses
        wrong += [["192.168.0.256"], ["www"], ["192.168.1"], ["1"], ["0300.0250.0.1"]]
    for arguments in wrong:
        program.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
