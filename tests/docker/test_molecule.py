"""`molecule test` with guests made by Docker: a role's scenario, from nothing to nothing.

The rooms' playbook is not run on bare containers here: the Dockerfile does that, test_life.py does it for the gateway,
and GitHub's CI runs all scenarios with Docker, on four releases.
"""

import re
import sys
from pathlib import Path

from tests.docker.conftest import Machine


def test_a_roles_scenario(fresh: Machine) -> None:
    script = "PATH=$1:$PATH LABROOM_PROVIDER=docker; export LABROOM_PROVIDER; exec molecule test -s student_account"
    said = fresh.run("sh", "-c", script, "sh", str(Path(sys.executable).parent))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    for step in ("create", "check", "converge", "idempotence", "verify", "destroy"):
        assert re.search(rf"student_account ➜ {step}.*Executed: Successful", plain), plain
