"""Debian packages that tests need beyond those of labroom itself, installed where they are missing."""

import os
import subprocess


def install(*packages: str) -> None:
    """Install those of the packages that aren't there, without what they recommend.

    Raises:
        RuntimeError: apt-get failed; the message has the end of what it said.
    """
    show = ("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *packages)
    found = subprocess.run(show, capture_output=True, text=True, check=False).stdout.splitlines()
    missing = sorted(set(packages) - {line.removesuffix(" installed") for line in found if line.endswith(" installed")})
    if not missing:
        return
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        done = subprocess.run(
            ["apt-get", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"apt-get {words[0]}: {(done.stdout + done.stderr)[-2000:]}")
