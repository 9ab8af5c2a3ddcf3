"""What apt has fetched on a base: packages and their lists, lent to bare guests, who would fetch the same again.

It lies beside the base's `tree`, and goes with it. Only making an image adds to it, in a builder that nobody else was
in: a guest has links to the files, which are the machine's own, so that it can't change them.
"""

import contextlib
import os
import shutil
from pathlib import Path

#: Where a guest's apt has them.
PLACES = {"packages": Path("var/cache/apt/archives"), "lists": Path("var/lib/apt/lists")}


def folder(base: Path) -> Path:
    """Where that of the base whose tree this is lies; it may not be there."""
    return base.with_name("apt")


def lend(apt: Path, upper: Path, owner: int) -> None:
    """Put what is in `apt` where a guest's apt looks for it, in folders of `upper` that are there.

    Args:
        apt: where it lies.
        upper: the files of the guest alone.
        owner: the guest's root, as the machine knows him.
    """
    for kind, place in PLACES.items():
        for file in _files(apt / kind):
            lent = upper / place / file.name
            with contextlib.suppress(OSError):  # a newer one has just taken its place: apt fetches what isn't there
                if _is_release(file):  # apt gives it to another account while it asks for a newer one
                    shutil.copy2(file, lent)
                    os.chown(lent, owner, owner)
                else:
                    lent.hardlink_to(file)


def keep(apt: Path, upper: Path) -> None:
    """Take what a builder's apt has fetched from its `upper` to `apt`, newer files in place of older ones."""
    for kind, place in PLACES.items():
        (apt / kind).mkdir(parents=True, exist_ok=True)
        for file in reversed(_files(upper / place)):
            os.chown(file, 0, 0)
            file.replace(apt / kind / file.name)
            package, _, version = file.name.partition("_")
            if version.endswith(".deb"):
                for other in set((apt / kind).glob(f"{package}_*.deb")) - {apt / kind / file.name}:
                    other.unlink()


def _files(place: Path) -> list[Path]:
    """The packages or lists in a folder of apt's, InRelease first: whoever has it from `lend` has no older list by it.

    apt takes the lists beside an InRelease that is still the archive's for those that it names.
    """
    found = [path for path in place.glob("*_*") if path.is_file() and not path.is_symlink()]
    return sorted(found, key=lambda path: (not _is_release(path), path.name))


def _is_release(file: Path) -> bool:
    return file.name.endswith("InRelease")
