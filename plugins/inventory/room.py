"""The inventory plug-in that lets Ansible read room.yml: `ansible-playbook -i room.yml playbooks/room.yml`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

DOCUMENTATION = """
name: room
short_description: A labroom room as inventory
description:
  - Reads a room.yml and gives its guests as hosts, in the groups C(guests) (all of them) and C(gateways),
    with the way to reach them and the variables of labroom's roles.
  - The room has to be up, since its keys are made at its first start.
options:
  plugin:
    description: The name of this plug-in, by which Ansible recognises the file.
    required: true
    choices: [labroom.labroom.room]
"""

EXAMPLES = """
plugin: labroom.labroom.room
name: lab
networks: {private: 192.168.74.0/24, outside: 203.0.113.0/28}
guests:
  server: {private: 192.168.74.128}
"""


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]  # Ansible has no types
    """Hosts and variables of a room."""

    NAME = "labroom.labroom.room"
    trusted_by_default = True  # room.yml is a file of the user's own, as playbooks are

    def verify_file(self, path: str) -> bool:
        """Whether `path` may be a room: the `plugin:` line in it decides the rest."""
        return bool(super().verify_file(path)) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill `inventory` from the room at `path`."""
        super().parse(inventory, loader, path, cache)
        # The package lies beside this file in the collection, installed or not.
        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
        try:
            from labroom import inventory as room_inventory
            from labroom import providers, room
            from labroom.errors import LabroomError
        except ImportError as error:
            root = Path(__file__).resolve().parents[2]
            playbook = root / ".venv/bin/ansible-playbook"
            made = "" if playbook.exists() else f", which {root}/labroom --version makes"
            message = f"{error.name} is not installed where Ansible runs: use {playbook}{made}"
            raise AnsibleParserError(message) from error
        try:
            described = room.load(Path(path))
            made_by = providers.of(described.name)
            groups = room_inventory.inventory(described, made_by.endpoints(described), made_by.NAME_SERVER)
        except LabroomError as error:
            raise AnsibleParserError(str(error)) from error
        for group, content in groups.items():
            inventory.add_group(group)
            for name, value in content["vars"].items():
                inventory.set_variable(group, name, value)
            for host, variables in content["hosts"].items():
                inventory.add_host(host, group=group)
                for name, value in variables.items():
                    inventory.set_variable(host, name, value)
