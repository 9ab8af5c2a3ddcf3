"""Vagrant, as a fixture."""

from collections.abc import Iterator

import pytest

from labroom import state
from tests.vagrant.libvirt import Vagrant


@pytest.fixture(scope="session")
def vagrant() -> Iterator[Vagrant]:
    """Vagrant, with no machine at the beginning."""
    with Vagrant(state.ROOT / "vagrant") as vagrant:
        yield vagrant
