"""room.yml as Ansible sees it: hosts, groups, how to reach them, and the roles' variables."""

import shlex
from collections.abc import Mapping
from typing import Any

from labroom import handouts, keys, labs
from labroom.endpoint import Endpoint
from labroom.room import Room


def guest_variables(room: Room) -> dict[str, Any]:
    """The variables of every guest's roles: what an image is provisioned with."""
    variables: dict[str, Any] = {"student_account_name": keys.STUDENT}
    if not room.sudo:
        variables["student_account_sudo"] = False
    if room.packages:
        variables["toolchain_more_packages"] = list(room.packages)
    if room.labs is not None:
        variables["lab_programs_left_out"] = labs.left_out(room.labs)
    return variables


def gateway_variables(room: Room, gateway: str, name_server: str) -> dict[str, Any]:
    """The variables of a gateway's roles besides.

    Args:
        room: the room.
        gateway: the gateway.
        name_server: whom it asks for names that are not the room's (`Provider.NAME_SERVER`).
    """
    hosts = {name: [str(guest.address)] for name, guest in room.guests.items()}
    hosts |= {name: [hosts[target][0] for target in targets] for name, targets in room.names.items()}
    inside = [str(room.networks.subnets[link]) for link in room.routes.inside(gateway)]
    own = {link: str(address) for link, address in room.guests[gateway].addresses.items()}
    far_side = own.pop(room.routes.far_sides[gateway])
    return {
        "nat_gateway_inside": inside if len(inside) > 1 else inside[0],
        "nat_gateway_outside_address": far_side,
        "nat_gateway_forwarded_ports": [
            {
                "port": forward.port,
                "to": str(room.forwarded_to(gateway, forward.guest)),
                "to_port": forward.target,
                "protocol": "tcp",
            }
            for forward in room.forwards(gateway)
        ],
        "name_service_domain": room.domain,
        "name_service_listen_addresses": list(own.values()),
        "name_service_hosts": hosts,
        "name_service_aliases": dict(room.aliases),
        "name_service_upstream": [name_server] if room.internet else [],
    }


def inventory(
    room: Room, endpoints: Mapping[str, Endpoint], name_server: str, gateways: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """An inventory of the room, in the shape of Ansible's YAML inventories: {group: {hosts: …, vars: …}}.

    Args:
        room: the room.
        endpoints: the hosts, and where they answer SSH; the keys that open them are the student's too.
        name_server: as for `gateway_variables`.
        gateways: which of the hosts become what which gateway of the room is; by default these themselves.
    """
    is_image = gateways is not None  # on which other rooms lie, too
    if gateways is None:
        gateways = {name: name for name in room.gateways}
    own = {host: gateway_variables(room, gateway, name_server) for host, gateway in gateways.items()}
    every = next(iter(own.values()), {})
    shared = {name: value for name, value in every.items() if all(value == each[name] for each in own.values())}
    login: dict[str, Any] = {"ansible_user": "root"}
    identities = {identity for at in endpoints.values() for identity in at.identity_files if identity.is_file()}
    if identities:
        login["student_account_authorized_keys"] = [keys.public(identity) for identity in sorted(identities)]
    if not is_image and (here := handouts.words(room)):
        login["lab_programs_words"] = here
    return {
        "guests": {
            "hosts": {name: _connection(at) for name, at in endpoints.items()},
            "vars": guest_variables(room) | login,
        },
        "gateways": {
            "hosts": {
                host: {name: value for name, value in variables.items() if name not in shared}
                for host, variables in own.items()
            },
            "vars": shared,
        },
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
