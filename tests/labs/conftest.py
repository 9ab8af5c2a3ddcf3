"""The checks of the labs: what they can use, and how they are judged, is in a pytest plug-in of labroom's."""

import pytest


def pytest_plugin_registered(manager: pytest.PytestPluginManager) -> None:
    """Have the plug-in also where nobody said `-p labroom.checks.plugin`, as in `pytest tests/labs`."""
    manager.import_plugin("labroom.checks.plugin")
