"""room.yml as Ansible sees it: hosts, groups, how to reach them, and the roles' variables."""

import shlex
from collections.abc import Collection, Mapping
from typing import Any

from labroom import handouts, keys, labs
from labroom.endpoint import Endpoint
from labroom.room import Room


def role_variables(room: Room, name_server: str) -> dict[str, dict[str, Any]]:
    """The roles' variables, by the group that they belong to: what an image is provisioned with.

    Args:
        room: the room.
        name_server: whom its gateway asks for names that are not the room's (`Provider.NAME_SERVER`).
    """
    guests: dict[str, Any] = {"student_account_name": keys.STUDENT}
    if not room.sudo:
        guests["student_account_sudo"] = False
    if room.packages:
        guests["toolchain_more_packages"] = list(room.packages)
    if room.labs is not None:
        guests["lab_programs_left_out"] = labs.left_out(room.labs)
    if room.gateway is None:
        return {"guests": guests, "gateways": {}}
    hosts = {
        name: [str(address) for address in (guest.private, guest.outside) if address][:1]
        for name, guest in room.guests.items()
    }
    hosts |= {name: [hosts[target][0] for target in targets] for name, targets in room.names.items()}
    gateways = {
        "nat_gateway_inside": str(room.networks.private),
        "nat_gateway_outside_address": str(room.gateway.outside),
        "nat_gateway_forwarded_ports": [
            {
                "port": forward.port,
                "to": str(room.guests[forward.guest].private),
                "to_port": forward.target,
                "protocol": "tcp",
            }
            for forward in room.forwarded_ports
        ],
        "name_service_domain": room.domain,
        "name_service_listen_addresses": [str(room.gateway.private)],
        "name_service_hosts": hosts,
        "name_service_aliases": dict(room.aliases),
        "name_service_upstream": [name_server] if room.internet else [],
    }
    return {"guests": guests, "gateways": gateways}


def inventory(
    room: Room, endpoints: Mapping[str, Endpoint], name_server: str, gateways: Collection[str] | None = None
) -> dict[str, Any]:
    """An inventory of the room, in the shape of Ansible's YAML inventories: {group: {hosts: …, vars: …}}.

    Args:
        room: the room.
        endpoints: the hosts, and where they answer SSH; the keys that open them are the student's too.
        name_server: as for `role_variables`.
        gateways: which of the hosts become what the room's gateway is; by default that one.
    """
    own = gateways is None  # the room itself, and no image, which other rooms lie on, too
    if gateways is None:
        gateways = [name for name, guest in room.guests.items() if guest.part == "gateway"]
    variables = role_variables(room, name_server)
    login: dict[str, Any] = {"ansible_user": "root"}
    identities = {identity for at in endpoints.values() for identity in at.identity_files if identity.is_file()}
    if identities:
        login["student_account_authorized_keys"] = [keys.public(identity) for identity in sorted(identities)]
    if own and (here := handouts.words(room)):
        login["lab_programs_words"] = here
    return {
        "guests": {
            "hosts": {name: _connection(at) for name, at in endpoints.items()},
            "vars": {**variables["guests"], **login},
        },
        "gateways": {"hosts": {name: {} for name in gateways}, "vars": variables["gateways"]},
    }


def _connection(at: Endpoint) -> dict[str, Any]:
    """The variables by which Ansible reaches a host."""
    options = at.ssh_options()
    return {
        "ansible_host": at.ssh_host,
        "ansible_port": at.ssh_port,
        # All that matters is here: what a person's own ssh_config(5) says is for other hosts.
        "ansible_ssh_common_args": " ".join(["-F none", *(f"-o {option}={_word(value)}" for option, value in options)]),
    }


def _word(text: str) -> str:
    """A word of a shell's command line that Jinja, which sees it first, takes for no template."""
    return shlex.quote(text).replace("{", "{''")
