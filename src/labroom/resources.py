"""Where the files that labroom works with lie: roles, playbooks, labs, their checks, the default room file."""

from pathlib import Path

#: The folder that holds them.
ROOT = Path(__file__).resolve().parents[2]

LABS = ROOT / "labs"
ROLES = ROOT / "roles"
PLAYBOOKS = ROOT / "playbooks"
#: The checks of the labs, a file a lab, and their conftest.py.
CHECKS = ROOT / "tests" / "labs"
