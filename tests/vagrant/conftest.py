"""Vagrant, as a fixture."""

from collections.abc import Iterator

import pytest

from labroom import state
from tests.vagrant import libvirt
from tests.vagrant.libvirt import Vagrant


@pytest.fixture(scope="session")
def vagrant() -> Iterator[Vagrant]:
    """Vagrant, with no machine at the beginning."""
    with libvirt.vagrant(state.root() / "vagrant") as running:
        yield running
