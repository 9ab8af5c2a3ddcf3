"""`molecule test` with guests made by Docker: is the room's scenario the same as on those of nspawn?"""

import re
import sys
from pathlib import Path

from tests.docker.conftest import Machine


def test_the_rooms_scenario(fresh: Machine) -> None:
    script = "PATH=$1:$PATH LABROOM_PROVIDER=docker; export LABROOM_PROVIDER; exec molecule test"
    said = fresh.run("sh", "-c", script, "sh", str(Path(sys.executable).parent))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    for step in ("create", "check", "converge", "idempotence", "verify", "destroy"):
        assert re.search(rf"default ➜ {step}.*Executed: Successful", plain), plain
