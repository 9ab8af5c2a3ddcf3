"""The command `labroom`: what a person types, and what is shown of it."""

from labroom.cli.main import main

__all__ = ["main"]
