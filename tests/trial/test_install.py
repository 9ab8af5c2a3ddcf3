"""labroom without its checkout, from a wheel in an environment of its own; and checkouts that are copied or moved."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labroom.resources import ROOT, version
from tests.trial.room import LABS_ROOM, Trial

# As a person's shell has it: nothing leads to this checkout, nor measures coverage of another one.
_OURS = ("COVERAGE_", "PYTHON", "VIRTUAL_ENV")
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def run(*argv: object, cwd: Path, status: int = 0) -> str:
    """Run a command as a person would, and return all that it printed."""
    done = subprocess.run(
        [str(word) for word in argv], cwd=cwd, env=_ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is made of the source distribution, as an index would have both."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of somebody's own, with the wheel in the environment `venv` there."""
    folder = tmp_path_factory.mktemp("somebody")
    run(sys.executable, "-m", "venv", "venv", cwd=folder)
    pip = (folder / "venv/bin/pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile", "--no-deps")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements.lock", cwd=folder)
    run(*pip, wheel, cwd=folder)
    yield folder
    shutil.rmtree(folder)


def test_the_wheel_is_the_same_from_the_checkout_as_from_the_source_distribution(wheel: Path, tmp_path: Path) -> None:
    def content(file: Path) -> dict[str, int]:
        with zipfile.ZipFile(file) as archive:
            return {entry.filename: entry.CRC for entry in archive.infolist() if "dist-info" not in entry.filename}

    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (direct,) = tmp_path.glob("*.whl")
    assert direct.name == f"labroom-{version()}-py3-none-any.whl"
    assert content(direct) == content(wheel)


def test_the_wheel_has_what_the_docker_provider_builds_images_of(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/ansible_collections/labroom/labroom/")[2] for name in archive.namelist()}
    copied = re.findall(r"^COPY (?!--from)(\S+) ", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    copied += re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    missing = [path for path in copied if not any(f"{name}/".startswith(f"{path}/") for name in names)]
    assert len(copied) > 10
    assert missing == []


def test_an_installed_labroom_needs_no_checkout(installed: Path, trial: Trial) -> None:
    labroom = installed / "venv/bin/labroom"
    (share,) = installed.glob("venv/lib/python3*/site-packages/labroom/share")
    before = _listing(share)
    assert run(labroom, "--version", cwd=installed) == f"labroom {version()}\n"
    assert len(run(labroom, "list", cwd=installed).splitlines()) == len(list(ROOT.glob("labs/*/README.md")))
    trial.file.write_text(LABS_ROOM)
    room = (labroom, "--room", trial.file)
    up = run(*room, "up", cwd=installed)
    assert "up: " in up
    assert "playbooks/" not in up  # the image is the one that the checkout has made, since it is made of the same
    checked = run(*room, "check", "-k", "refused", "tcp_hello", "descriptors", cwd=installed)
    assert "2 labs: 2 passed" in checked
    assert f"report: {installed}/reports/index.html" in checked
    assert "Hello World~" in run(*room, "play", "tcp_hello", cwd=installed)
    assert run(*room, "ssh", "alfa", "hostname", cwd=installed) == "alfa\n"
    assert "server" in run(*room, "status", cwd=installed)
    playbook = installed / "venv/bin/ansible-playbook"
    (playbooks,) = share.glob("*/*/*/playbooks")
    said = run("env", f"ANSIBLE_COLLECTIONS_PATH={share}", playbook, "-i", trial.file, playbooks / "room.yml",
               cwd=installed)  # fmt: skip
    assert "failed=0" in said
    assert "down after" in run(*room, "down", cwd=installed)
    assert "labroom test needs a checkout" in run(labroom, "test", cwd=installed, status=2)
    assert _listing(share) == before


def _listing(folder: Path) -> set[str]:
    """What lies in a folder, but for what Python caches."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout with its environment, in a folder whose name has a blank."""
    copy = tmp_path / "a copy" / "labroom"
    copy.parent.mkdir()
    # Hard links where that can be done: what is changed in the copy must not change here.
    linked = subprocess.run(["cp", "--archive", "--link", str(ROOT), str(copy)], capture_output=True, check=False)
    if linked.returncode != 0:
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "--archive", str(ROOT), str(copy)], check=True)
    return copy


def test_a_checkout_that_is_copied_or_moved_runs_its_own_code(checkout: Path) -> None:
    here = (ROOT / ".venv/bin/ansible-playbook").read_bytes()
    moved = checkout.with_name("moved")
    for place in (checkout, moved):
        if place is moved:
            checkout.rename(moved)
        galaxy = place / "galaxy.yml"
        text = re.sub(r"^version: .*", f"version: 9.9.{len(place.name)}", galaxy.read_text(), flags=re.MULTILINE)
        galaxy.unlink()
        galaxy.write_text(text)
        assert run(place / "labroom", "--version", cwd=place.parent) == f"labroom 9.9.{len(place.name)}\n"
        activated = run("sh", "-c", '. "$0"; command -v molecule', place / ".venv/bin/activate", cwd=place.parent)
        assert activated == f"{place}/.venv/bin/molecule\n"
        said = run(place / ".venv/bin/ansible-playbook", "--version", cwd=place.parent)
        assert f"ansible python module location = {place}/.venv/" in said
        assert "passed" in run(place / "labroom", "test", "tests/unit/test_machine.py", cwd=place.parent)
        # Once only: from then on it costs nothing.
        script = place / ".venv/bin/ansible-playbook"
        settled = script.stat().st_ino
        run(place / "labroom", "--version", cwd=place.parent)
        assert script.stat().st_ino == settled
    assert (ROOT / ".venv/bin/ansible-playbook").read_bytes() == here
    assert run(ROOT / "labroom", "--version", cwd=checkout.parent) == f"labroom {version()}\n"


def test_galaxy_yml_alone_says_the_version() -> None:
    found = subprocess.run(
        ["git", "grep", "--files-with-matches", "--fixed-strings", f"{version()}"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    ).stdout.split()  # fmt: skip
    # Examples of a version, and the changelog's headings, are not read by anything.
    examples = {"CHANGELOG.md", ".github/ISSUE_TEMPLATE/bug.yml", ".github/workflows/release.yml", ".ci/release-notes"}
    examples |= {"docs/provision.md", "tests/unit/test_release_notes.py"}
    others = {file for file in found if not file.endswith(".lock")} - examples
    assert others == {"galaxy.yml"}
