#!/tmp/venv/bin/python
"""The inventory of docker/provision for the gateway's image: this image, and what room.yml means for its roles."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from labroom import inventory, room
from labroom.providers import docker

variables = inventory.role_variables(room.load(Path("room.yml")), docker.NAME_SERVER)
print(json.dumps({"gateways": {"hosts": ["localhost"], "vars": variables["gateways"]}}))
