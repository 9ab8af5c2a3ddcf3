"""Where the files that labroom works with lie: roles, playbooks, labs, their checks, the default room file.

In a checkout, and in a collection that Ansible installed, they lie in it. An installed package has them in its folder
`share`, which is laid out as Ansible wants a collection to be. Nothing is ever written there.
"""

import os
import re
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

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


def _reports() -> Path:
    with suppress(OSError, RuntimeError):  # the current folder may have been removed; not everybody has a home
        folder = (ROOT if _IN_CHECKOUT else Path.cwd()) / "reports"
        if os.access(folder if folder.exists() else folder.parent, os.W_OK | os.X_OK):
            return folder
    with suppress(RuntimeError):
        return Path.home() / ".local/state/labroom/reports"
    return ROOT / "reports"


#: Where reports go: in the checkout, or in the folder where an installed labroom was called; where that can't be
#: written, as in a checkout of root's, in the person's home.
REPORTS = _reports()


def hand_over_reports() -> None:
    """Give what root has written there to who owns the folder that it is in, and works there without sudo, too."""
    if os.geteuid() != 0 or not REPORTS.is_dir():
        return
    owner = REPORTS.parent.stat()
    if owner.st_uid != 0:
        for path in (REPORTS, *REPORTS.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def module_utils(name: str) -> ModuleType:
    """A module that Ansible's modules share: they have it on hosts that have no labroom, and so it can't be in it.

    Args:
        name: its name in plugins/module_utils.
    """
    spec = spec_from_file_location(f"labroom_{name}", ROOT / "plugins/module_utils" / f"{name}.py")
    assert spec  # noqa: S101 (of a file's name there is one)
    assert spec.loader  # noqa: S101
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def version() -> str:
    """Labroom's version, which galaxy.yml alone says; an installed collection has MANIFEST.json instead, made of it."""
    for file in (ROOT / "galaxy.yml", ROOT / "MANIFEST.json"):
        if file.is_file() and (
            found := re.search(r'^ *"?version"?: "?([^\s",]+)', file.read_text(encoding="utf-8"), re.MULTILINE)
        ):
            return found[1]
    return "unknown"
