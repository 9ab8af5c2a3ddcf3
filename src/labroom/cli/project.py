"""The verb for those who change labroom itself: test."""

import argparse
import os
import sys

from labroom import machine
from labroom.errors import UsageError
from labroom.resources import ROOT


def test(options: argparse.Namespace) -> int:
    """Become the runner of the project's tests."""
    if not (ROOT / "tests" / "run.py").is_file():  # a wheel and a collection have none
        raise UsageError("labroom test needs a checkout", "in a checkout: ./labroom test")
    if not options.pytest:
        machine.require_root("test")
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "tests.run", *options.pytest])  # noqa: S606 (no shell is meant)
