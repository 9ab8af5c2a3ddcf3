"""Where the files that labroom works with lie: roles, playbooks, labs, their checks, the default room file.

In a checkout, and in a collection that Ansible installed, they lie in it. An installed package has them in its folder
`share`, which is laid out as Ansible wants a collection to be. Nothing is ever written there.
"""

import re
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parents[1]
#: What Ansible calls the collection, as folders.
_COLLECTION = Path("ansible_collections", "labroom", "labroom")

#: Whether this is a checkout, or a collection, which is one without its tests, and not an installed package.
_IN_CHECKOUT = (_CHECKOUT / "room.yml").is_file()
#: The folder that holds the files.
ROOT = _CHECKOUT if _IN_CHECKOUT else _PACKAGE / "share" / _COLLECTION
#: Where Ansible finds the collection labroom.labroom (COLLECTIONS_PATHS): a checkout has a link to itself there.
COLLECTIONS = ROOT.parents[2] if ROOT.parts[-3:] == _COLLECTION.parts else ROOT / "collections"

LABS = ROOT / "labs"
ROLES = ROOT / "roles"
PLAYBOOKS = ROOT / "playbooks"
#: The checks of the labs, one file per lab, and their conftest.py.
CHECKS = ROOT / "tests" / "labs"
#: Where reports go: in the checkout, or in the folder where an installed labroom was called.
REPORTS = (ROOT if _IN_CHECKOUT else Path.cwd()) / "reports"


def version() -> str:
    """Labroom's version, which galaxy.yml alone says; an installed collection has MANIFEST.json instead, made of it."""
    for file in (ROOT / "galaxy.yml", ROOT / "MANIFEST.json"):
        if file.is_file() and (found := re.search(r'^ *"?version"?: "?([^\s",]+)', file.read_text(), re.MULTILINE)):
            return found[1]
    return "unknown"
