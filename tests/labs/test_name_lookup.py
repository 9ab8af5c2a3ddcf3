"""name_lookup across hosts: the guests ask the name service on the gateway, but /etc/hosts comes first.

The room's name service knows every guest, the name www of several addresses, and the alias echo.
"""

import re
import shlex
import socket

import dpkt
import pytest

from labroom.checks.programs import argv
from labroom.driver import Completed, Driver, Host, Packet, Program


@pytest.fixture
def domain(gateway: Host, alfa: Host) -> str:
    """The domain of the room's names."""
    if gateway.address not in alfa.read_file("/etc/resolv.conf").decode().split():
        pytest.skip("alfa asks another name server than the gateway")
    found = gateway.run("hostname", "--domain").stdout.strip()
    return found or pytest.skip("the gateway's own name has no domain")


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
    command = shlex.join([*argv(host, program), argument])
    return host.run("sudo", "unshare", "--mount", "sh", "-c", f"mount --bind {host.scratch}/file {file} && {command}")


def addresses(looked_up: Program | Completed) -> set[str]:
    """The addresses printed. Their order means nothing: a name server changes it from answer to answer."""
    return set(re.findall(r"^Address \d+: (.*)", looked_up.stdout, re.MULTILINE))


def answers(packets: list[Packet], name: str) -> list[dpkt.dns.DNS]:
    """The name server's answers about this name."""
    messages = [dpkt.dns.DNS(packet.payload) for packet in packets if packet.source[1] == 53]
    return [message for message in messages if message.qd[0].name == name]


@pytest.mark.play
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


def test_all_addresses(server: Host, alfa: Host, bravo: Host, charlie: Host, domain: str) -> None:
    """Every guest is told the official name, address type 2 and all addresses of www."""
    expected = {server.address, alfa.address, bravo.address}
    for guest in alfa, bravo, charlie:
        www = look_up(guest, "host_by_name", "www")
        assert www.lines[:2] == [f"Official name: www.{domain}", "Address type: 2"], f"{guest.name} printed {www.lines}"
        assert addresses(www) == expected, f"www has the addresses {expected}; {guest.name} printed {www.lines}"


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


def test_unknown(bravo: Host, domain: str, nobody: str) -> None:
    """A name or an address that nobody has is a message on standard error, and status 1."""
    for program, argument, message in (
        ("host_by_name", f"nobody.{domain}", "gethostbyname: Unknown host\n"),
        ("name_by_address", nobody, "gethostbyaddr: Unknown host\n"),
    ):
        unknown = look_up(bravo, program, argument, status=1)
        assert unknown.stderr == message, f"of {argument}, bravo said {unknown.stderr!r}"
        assert not unknown.stdout, f"nobody has {argument}, and bravo printed {unknown.lines}"


def test_output_that_fails(alfa: Host) -> None:
    """Where the answer can't be written, that is said, and the status is 1."""
    for program, argument in ("host_by_name", alfa.run("hostname").stdout.strip()), ("name_by_address", alfa.address):
        command = shlex.join([*argv(alfa, program), argument])
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


def test_in_c(server: Host, alfa: Host, domain: str, nobody: str) -> None:
    """In C, gethostbyname and gethostbyaddr find the same, and fail with the same words."""
    for program, argument in (
        *(("host_by_name", name) for name in (f"www.{domain}", "echo", f"nobody.{domain}")),
        *(("name_by_address", address) for address in (server.address, nobody)),
    ):
        in_c = alfa.start(f"{program}.c", argument)
        in_python = alfa.start(program, argument)
        assert in_c.wait() == in_python.wait(), f"of {argument}, C makes {in_c.status}, Python {in_python.status}"
        assert in_c.stderr == in_python.stderr, f"of {argument}, C says {in_c.stderr!r}, Python {in_python.stderr!r}"
        assert addresses(in_c) == addresses(in_python), f"of {argument}, C says {in_c.lines}, Python {in_python.lines}"
        names = [[line for line in found.lines if "name" in line or "Alias" in line] for found in (in_c, in_python)]
        assert names[0] == names[1], f"of {argument}, C says {names[0]}, Python {names[1]}"
