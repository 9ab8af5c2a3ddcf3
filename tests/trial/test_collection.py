"""The checkout as the Ansible collection that it also is: built, installed elsewhere, and used there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from labroom.resources import ROOT, version
from tests.trial.room import Trial

# A guest where it reaches its package mirror. Bare ones are provisioned by the suite lab_room.
ROOM = """\
plugin: labroom.labroom.room
name: trial
networks: {private: 192.168.75.0/24, outside: 198.51.100.0/28}
guests:
  one: {outside: 198.51.100.10}
"""

PLAYBOOK = """\
- name: A playbook of one's own
  hosts: guests
  gather_facts: false
  roles:
    - labroom.labroom.ssh_server
    - labroom.labroom.student_account
    - labroom.labroom.nat_gateway
    - labroom.labroom.name_service
    - role: labroom.labroom.lab_programs
      vars: { lab_programs_destination: /srv/labs }
"""


class Elsewhere:
    """A folder outside of the checkout, with nothing of Ansible's but the collection, installed there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.collection = folder / "collections/ansible_collections/labroom/labroom"

    def run(self, command: str, *arguments: str, environment_of: Path = Path(sys.prefix)) -> str:
        """Run a command of a Python environment there, labroom's own by default, and return what it printed."""
        # What measures coverage of labroom would slow Ansible down.
        ours = ("ANSIBLE_", "COVERAGE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        environment |= {
            "HOME": str(self.folder),
            "GALAXY_IMPORTER_CONFIG": str(self.folder / "importer.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_NOCOLOR": "1",
        }
        done = subprocess.run(
            [environment_of / "bin" / command, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tarball(self) -> str:
        """The name of the collection's file there."""
        (file,) = self.folder.glob("*.tar.gz")
        return file.name


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """The collection, built from the checkout and installed."""
    elsewhere = Elsewhere(tmp_path_factory.mktemp("elsewhere"))
    elsewhere.run("ansible-galaxy", "collection", "build", "--output-path=.", str(ROOT))
    install = ("ansible-galaxy", "collection", "install", "--offline", "--collections-path=collections")
    elsewhere.run(*install, elsewhere.tarball())
    return elsewhere


@pytest.fixture
def oldest_ansible(tmp_path: Path) -> Path:
    """A Python environment with the oldest Ansible that is promised; labroom's own where Python is too new for it."""
    if sys.version_info >= (3, 13):  # which ansible-core knows since 2.18
        return Path(sys.prefix)
    oldest = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"].removeprefix(">=")
    environment = tmp_path / "oldest"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    install = ("install", "--quiet", "--no-compile", f"ansible-core~={oldest}", "pydantic>=2", "PyYAML")
    subprocess.run([environment / "bin/pip", *install], check=True, capture_output=True)
    return environment


def test_holds_what_labroom_runs_with_and_nothing_else(elsewhere: Elsewhere) -> None:
    """The folders of those who change labroom are not in it; what lies about in a checkout in use isn't, either."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = (".", "benchmarks/", "collections/", "extensions/", "galaxy.yml", "requirements-test.lock", "tests/")
    wanted = {file for file in tracked.splitlines() if file.startswith("tests/labs/") or not file.startswith(folders)}
    found = {str(path.relative_to(elsewhere.collection)) for path in elsewhere.collection.rglob("*") if path.is_file()}
    assert found - {"FILES.json", "MANIFEST.json"} == wanted


def test_the_command_works_there(elsewhere: Elsewhere) -> None:
    """With the version, which galaxy.yml says here, and Ansible's manifest there."""
    here = f"import sys; sys.path.insert(0, {str(elsewhere.collection / 'src')!r})"
    code = f"{here}; from labroom.cli import main; sys.exit(main())"
    assert elsewhere.run("python", "-c", code, "--version") == f"labroom {version()}\n"
    assert len(elsewhere.run("python", "-c", code, "list").splitlines()) == len(list(ROOT.glob("labs/*/README.md")))
    asked = f"{here}; from labroom.resources import COLLECTIONS; print(COLLECTIONS)"
    assert elsewhere.run("python", "-c", asked) == f"{elsewhere.folder / 'collections'}\n"


def test_galaxy_takes_it(elsewhere: Elsewhere) -> None:
    """Galaxy's own importer has nothing against it, nor against its documentation."""
    # The linters ask ansible-lint, for its strictest profile.
    (elsewhere.folder / "importer.cfg").write_text("[galaxy-importer]\nrun_ansible_lint = False\n")
    said = elsewhere.run("python", "-m", "galaxy_importer.main", elsewhere.tarball())
    assert not re.findall(r"^(?:WARNING|ERROR|CRITICAL)\b.*", said, re.MULTILINE), said


def test_roles_and_inventory_work_in_a_playbook_of_ones_own(
    elsewhere: Elsewhere, trial: Trial, oldest_ansible: Path
) -> None:
    trial.file.write_text(ROOM)
    (elsewhere.folder / "own.yml").write_text(PLAYBOOK)
    trial.up()
    use = ("ansible-playbook", f"--inventory={trial.file}", "own.yml")
    first = elsewhere.run(*use, environment_of=oldest_ansible)
    assert re.search(r"TASK \[labroom.labroom.name_service : Install .*\n+changed: ", first), first
    again = elsewhere.run(*use, environment_of=oldest_ansible)
    assert re.findall(r"^one +: .* changed=(\d+) ", again, re.MULTILINE) == ["0"], again
    assert trial.run("ssh", "one", "ls", "/srv/labs/tcp_hello").split() == [
        path.name for path in sorted((ROOT / "labs/tcp_hello").iterdir()) if path.is_file()
    ]
