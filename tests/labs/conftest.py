"""What every check of a lab can use: the fixtures and the verdicts of `labroom.checks`."""

from labroom.checks import (
    alfa,
    bravo,
    charlie,
    check,
    driver,
    gateway,
    outside,
    port,
    pytest_runtest_makereport,
    server,
)

__all__ = [
    "alfa",
    "bravo",
    "charlie",
    "check",
    "driver",
    "gateway",
    "outside",
    "port",
    "pytest_runtest_makereport",
    "server",
]
