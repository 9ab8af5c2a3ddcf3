"""Is every guest what the roles of playbooks/guest.yml promise?"""

import hashlib
import ipaddress
import json
from pathlib import Path
from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://guests"]

LABS = Path(__file__).parents[2] / "labs"

# A TCP connection over loopback, in C: what students write, through every header and call it needs.
PROGRAM = r"""
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    char text[6] = "";
    int listening = socket(PF_INET, SOCK_STREAM, 0), client = socket(PF_INET, SOCK_STREAM, 0), server;
    if (bind(listening, (struct sockaddr *)&address, length) || listen(listening, 5)) return 1;
    if (getsockname(listening, (struct sockaddr *)&address, &length)) return 1;
    if (connect(client, (struct sockaddr *)&address, length)) return 1;
    if ((server = accept(listening, NULL, NULL)) < 0 || write(server, "hello", 5) != 5) return 1;
    if (read(client, text, 5) != 5) return 1;
    puts(text);
    return 0;
}
"""

# Resolves the names of the first argument and the addresses of the second, and prints the answers.
ASK = """
import json, socket, sys
answers = {}
for function, keys in zip((socket.gethostbyname_ex, socket.gethostbyaddr), sys.argv[1:]):
    for key in json.loads(keys):
        try:
            answers[key] = function(key)
        except OSError:
            answers[key] = None
print(json.dumps(answers))
"""

# Connects to one port of many addresses at once and prints those that answered within two seconds.
CONNECT = """
import select, socket, sys, time
port, addresses = int(sys.argv[1]), sys.argv[2:]
waiting = {}
for address in addresses:
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex((address, port))
    waiting[connection] = address
answered, deadline = [], time.monotonic() + 2
while waiting and time.monotonic() < deadline:
    for connection in select.select([], waiting, [], deadline - time.monotonic())[1]:
        address = waiting.pop(connection)
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            answered.append(address)
print(*[address for address in addresses if address in answered])
"""


def test_booted_without_a_failed_unit(host: Host) -> None:
    state = host.run("timeout 30 systemctl is-system-running --wait; systemctl --failed --plain --no-legend")
    assert state.stdout == "running\n"


def test_packages_are_installed(host: Host, variables: dict[str, Any]) -> None:
    wanted = {*variables["toolchain_packages"], "openssh-server", "sudo"}
    found = host.check_output("dpkg-query --show --showformat '${Package} ${db:Status-Status}\\n'").splitlines()
    assert wanted - {line.removesuffix(" installed") for line in found if line.endswith(" installed")} == set()


def test_sshd_runs_with_the_settings_of_the_role(host: Host, variables: dict[str, Any]) -> None:
    effective = dict(line.split(maxsplit=1) for line in host.check_output("sshd -T").splitlines() if " " in line)
    root_login = variables["ssh_server_permit_root_login"]
    wanted = {
        "port": str(variables["ssh_server_port"]),
        "permitrootlogin": "without-password" if root_login == "prohibit-password" else root_login,
        "passwordauthentication": "yes" if variables["ssh_server_password_authentication"] else "no",
        "kbdinteractiveauthentication": "no",
        "maxsessions": str(variables["ssh_server_max_sessions"]),
        "usedns": "no",
    }
    if "persourcepenalties" in effective:  # since OpenSSH 9.8
        wanted["persourcepenalties"] = "no"
    assert {name: effective[name] for name in wanted} == wanted


def test_listens_where_it_should_and_nowhere_else(host: Host, variables: dict[str, Any]) -> None:
    wanted = {("tcp", "any", str(variables["ssh_server_port"]))}
    if "gateways" in variables["group_names"]:
        wanted |= {
            (udp_tcp, ip, "53") for udp_tcp in ("udp", "tcp") for ip in variables["name_service_listen_addresses"]
        }
    sockets = host.check_output("ss --no-header --tcp --udp --listening --numeric").splitlines()
    listening = [(fields[0], *fields[4].rsplit(":", 1)) for fields in map(str.split, sockets)]
    everywhere = ("*", "[::]", "0.0.0.0")  # noqa: S104 (what ss prints)
    assert wanted == {
        (protocol, "any" if address in everywhere else address, port)
        for protocol, address, port in listening
        if not address.startswith(("127.", "[::1]"))
    }


def test_student_logs_in_by_key_and_may_use_sudo(host: Host, variables: dict[str, Any]) -> None:
    student = variables["student_account_name"]
    account, keys_mode, *keys, sudo = host.check_output(
        "getent passwd %s; cd ~%s/.ssh; stat --format '%%U %%a' authorized_keys; cat authorized_keys; "
        "su %s -c 'sudo --non-interactive id --user || echo no'",
        *[student] * 3,
    ).splitlines()
    assert account.rpartition(":")[2] == variables["student_account_shell"]
    assert (keys_mode, keys) == (f"{student} 600", variables["student_account_authorized_keys"])
    assert sudo == ("0" if variables["student_account_sudo"] else "no")


def test_nobody_has_a_password_that_was_not_asked_for(host: Host, variables: dict[str, Any]) -> None:
    fields = [line.split(":")[:2] for line in host.check_output("getent shadow").splitlines()]
    with_password = {name: crypt for name, crypt in fields if not crypt.startswith(("!", "*"))}
    asked_for = variables["student_account_password_hash"]
    assert with_password == ({} if asked_for == "*" else {variables["student_account_name"]: asked_for})


def test_labs_are_those_of_the_checkout(host: Host, variables: dict[str, Any]) -> None:
    checkout = {
        str(path.relative_to(LABS)): f"root {'755' if path.stat().st_mode & 0o100 else '644'} {digest(path)}"
        for path in LABS.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    found = host.check_output(
        "cd %s && find . -type f -printf '%%P %%u %%m ' -exec sh -c 'sha256sum < \"$1\"' sh {} ';'",
        variables["lab_programs_destination"],
    )
    in_place = [line.removesuffix("  -").split(" ", 1) for line in found.splitlines() if "__pycache__" not in line]
    assert dict(in_place) == checkout


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_student_compiles_and_runs_a_c_program(host: Host, variables: dict[str, Any]) -> None:
    script = f"""
folder=$(mktemp --directory) && trap 'rm -r "$folder"' EXIT && cd "$folder" &&
cat > hello.c <<'END' && gcc -Wall -Wextra -Werror -g hello.c -o hello && ./hello{PROGRAM}END
"""
    run = host.run("su - %s -c %s", variables["student_account_name"], script)
    assert (run.rc, run.stdout) == (0, "hello\n"), run.stderr


def test_asks_the_name_service_of_the_room_when_inside(host: Host, gateway: dict[str, Any], is_inside: bool) -> None:
    lines = [line.split() for line in host.file("/etc/resolv.conf").content_string.splitlines()]
    servers = {line[1] for line in lines if line[:1] == ["nameserver"]}
    assert bool(servers & set(gateway["name_service_listen_addresses"])) is is_inside
    if not is_inside:
        return
    domain, hosts = gateway["name_service_domain"], gateway["name_service_hosts"]
    true_name = {name: name for name in hosts} | gateway["name_service_aliases"]
    own_name = {addresses[0]: f"{name}.{domain}" for name, addresses in hosts.items() if len(addresses) == 1}
    names = [form for name in true_name for form in (name, f"{name}.{domain}")]
    # glibc's gethostbyname and gethostbyaddr, as the labs use them: [name, aliases, addresses], or null.
    answers = json.loads(host.check_output("python3 -c %s %s %s", ASK, json.dumps(names), json.dumps(list(own_name))))
    assert {form: answers[form] and [answers[form][0], sorted(answers[form][2])] for form in names} == {
        form: [f"{true_name[name]}.{domain}", sorted(hosts[true_name[name]])]
        for name in true_name
        for form in (name, f"{name}.{domain}")
    }
    assert {address: answers[address] and answers[address][0] for address in own_name} == own_name
    assert host.run("getent hosts %s", f"nobody.{domain}").rc == 2


def test_forwarded_ports_lead_to_the_right_guest(
    host: Host, gateway: dict[str, Any], host_keys: dict[str, str]
) -> None:
    """From the far side, from inside and from the gateway itself; a guest is known by its host key."""
    outside_address = gateway["nat_gateway_outside_address"]
    wanted = {
        f"[{outside_address}]:{forward['port']}": host_keys[forward["to"]]
        for forward in gateway["nat_gateway_forwarded_ports"]
        if forward.get("to_port", forward["port"]) == gateway["ssh_server_port"]
    }
    assert wanted, "no forwarded port leads to an sshd"
    ports = " ".join(name.rpartition(":")[2] for name in wanted)
    scan = f"for port in {ports}; do ssh-keyscan -t ed25519 -p $port {outside_address} 2>&1 | grep -v '^#'; done"
    assert dict(line.split(" ", 1) for line in host.run(scan).stdout.splitlines()) == wanted


def test_inside_is_reached_from_inside_alone(
    host: Host, gateway: dict[str, Any], is_inside: bool, host_keys: dict[str, str]
) -> None:
    """Even a host on the far side that sends packets for the private network to the gateway reaches nobody there."""
    inside = ipaddress.ip_network(gateway["nat_gateway_inside"])
    targets = [address for address in host_keys if ipaddress.ip_address(address) in inside]
    connect = f"python3 -c %s {gateway['ssh_server_port']} {' '.join(targets)}"
    if not is_inside:
        route = f"ip route replace {inside} via {gateway['nat_gateway_outside_address']}"
        connect = f"{route} && trap 'ip route del {inside}' EXIT && {connect}"
    assert host.check_output(connect, CONNECT).split() == (targets if is_inside else [])
