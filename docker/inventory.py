#!/tmp/venv/bin/python
"""The inventory of docker/provision for the gateway's image: this image, and what room.yml means for its roles."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from labroom import room
from labroom.inventory import inventory
from labroom.providers.compose import NAME_SERVER

described = room.load(Path("room.yml"))
gateway = os.environ.get("GATEWAY") or next(iter(described.gateways))
groups = inventory(described, {}, NAME_SERVER, gateways={"localhost": gateway})
print(json.dumps({"gateways": {"hosts": ["localhost"], "vars": groups["gateways"]["vars"]}}))
