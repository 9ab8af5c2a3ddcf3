"""What .ci/release-notes makes of a tag: the notes of a release, or a refusal."""

import shutil
import subprocess
from pathlib import Path

import pytest

from labroom.resources import ROOT

CHANGELOG = """\
# Changelog

## [Unreleased]

- Not yet.

## [0.10.0] - 2027-02-01

## [0.2.0] - 2027-01-31

### Added

- `labroom grade`.

### Fixed

- A bug.

## [0.1.0] - 2026-11-26

- All of it.
"""


def release_notes(folder: Path, version: str, tag: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a checkout of its own, of that version."""
    script = folder / ".ci/release-notes"
    script.parent.mkdir()
    shutil.copy(ROOT / ".ci/release-notes", script)
    (folder / "galaxy.yml").write_text(f"name: labroom\nversion: {version}\nreadme: README.md\n")
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    return subprocess.run([script, tag], capture_output=True, text=True, check=False)


def test_are_the_section_of_the_version_and_nothing_else(tmp_path: Path) -> None:
    done = release_notes(tmp_path, "0.2.0", "v0.2.0")
    assert done.stdout == "### Added\n\n- `labroom grade`.\n\n### Fixed\n\n- A bug.\n", done.stderr


@pytest.mark.parametrize(
    ("version", "tag", "why"),
    [
        ("0.2.0", "v0.1.0", "the tag is v0.1.0, and galaxy.yml says version 0.2.0"),
        ("0.2.0", "0.2.0", "the tag is 0.2.0, and galaxy.yml says version 0.2.0"),
        ("0.3.0", "v0.3.0", 'CHANGELOG.md has no line "## [0.3.0] - YEAR-MONTH-DAY"'),
        ("0.10.0", "v0.10.0", "CHANGELOG.md says nothing of 0.10.0"),
    ],
)
def test_refuse_a_release_that_is_not_ready(tmp_path: Path, version: str, tag: str, why: str) -> None:
    done = release_notes(tmp_path, version, tag)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"release-notes: {why}\n")


def test_of_this_checkout_s_own_changelog_are_there() -> None:
    """The version that galaxy.yml names can be released at any time."""
    version = (ROOT / "galaxy.yml").read_text().split("\nversion: ")[1].split()[0]
    done = subprocess.run([ROOT / ".ci/release-notes", f"v{version}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
