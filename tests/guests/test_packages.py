"""Is on every guest what the role packages was asked for?"""

from typing import Any

testinfra_hosts = ["ansible://guests"]


def test_packages_are_installed(variables: dict[str, Any], installed: set[str]) -> None:
    assert set(variables["packages_names"]) - installed == set()
