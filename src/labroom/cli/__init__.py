"""The command `labroom`."""
