"""A machine with a Docker engine, as a fixture."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from labroom.providers import docker
from labroom.resources import ROOT
from tests.docker.engine import compose_v2, engine
from tests.sandbox import Sandbox

#: The guests of the default room.
GUESTS = ("gateway", "server", "alfa", "bravo", "charlie", "outside")


@dataclass(frozen=True)
class Machine:
    """A machine with a Docker engine and both Composes, and what is run there.

    Attributes:
        sandbox: the machine.
        variables: the environment of all that is run there.
    """

    sandbox: Sandbox
    variables: dict[str, str]

    def run(self, *argv: str, status: int = 0, compose: int = 1, env: Mapping[str, str] | None = None) -> str:
        """Run a command in the checkout and return what it printed; `compose` is the version that docker has."""
        plugin = {"DOCKER_CONFIG": str(compose_v2())} if compose == 2 else {}
        done = self.sandbox.run(*argv, check=False, env={**self.variables, **plugin, **(env or {})})
        assert done.returncode == status, f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def labroom(self, *arguments: str, status: int = 0, compose: int = 1, env: Mapping[str, str] | None = None) -> str:
        """Run `labroom`."""
        return self.run(sys.executable, "-m", "labroom", *arguments, status=status, compose=compose, env=env)

    def clear_away(self) -> list[str]:
        """Remove what a test has left; returns what it should not have: all but homes."""
        left = self.left()
        if left:
            self.run("sh", "-c", "docker ps --all --quiet | xargs --no-run-if-empty docker rm --force")
            self.run("docker", "network", "prune", "--force")
        self.run("sh", "-c", "docker volume ls --quiet | xargs --no-run-if-empty docker volume rm --force")
        return left

    def left(self) -> list[str]:
        """The containers, and the networks that are not Docker's own."""
        containers = self.run("docker", "ps", "--all", "--format={{.Names}}").split()
        networks = self.run("docker", "network", "ls", "--filter=type=custom", "--format={{.Name}}").split()
        return containers + networks


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """The machine."""
    with engine(ROOT / "reports" / "docker-engine") as running:
        folder = running.sandbox.folder
        variables = {
            "DOCKER_HOST": "unix:///run/docker.sock",
            "HOME": str(folder),
            "LABROOM_BASE_IMAGE": running.base,
            "LABROOM_CERTIFICATES": docker.certificates(),  # by hand, too: one cache for both
            "LABROOM_STATE_DIR": str(folder / "state"),
            "ANSIBLE_HOME": str(folder / "ansible"),
        }
        yield Machine(running.sandbox, variables)


@pytest.fixture
def fresh(machine: Machine) -> Iterator[Machine]:
    """The machine, with nothing up, as every test leaves it: nothing may be up at the end."""
    yield machine
    assert not machine.clear_away()
