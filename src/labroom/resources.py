"""Where the files that labroom works with lie: roles, playbooks, labs, their checks, the default room file.

In a checkout they lie in it. An installed package has them in its folder `share`, which is laid out as Ansible wants a
collection to be. Nothing is ever written there.
"""

import re
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parents[1]

#: Whether this is a checkout, and not an installed package.
IN_CHECKOUT = (_CHECKOUT / "galaxy.yml").is_file()
#: Where Ansible finds the collection labroom.labroom (COLLECTIONS_PATHS).
COLLECTIONS = _CHECKOUT / "collections" if IN_CHECKOUT else _PACKAGE / "share"
#: The folder that holds the files.
ROOT = _CHECKOUT if IN_CHECKOUT else COLLECTIONS / "ansible_collections" / "labroom" / "labroom"

LABS = ROOT / "labs"
ROLES = ROOT / "roles"
PLAYBOOKS = ROOT / "playbooks"
#: The checks of the labs, a file a lab, and their conftest.py.
CHECKS = ROOT / "tests" / "labs"
#: Where reports go: in the checkout, or in the folder where an installed labroom was called.
REPORTS = (ROOT if IN_CHECKOUT else Path.cwd()) / "reports"


def version() -> str:
    """Labroom's version, which galaxy.yml alone says."""
    found = re.search(r"^version: (\S+)$", (ROOT / "galaxy.yml").read_text(), re.MULTILINE)
    return found[1] if found else "unknown"
