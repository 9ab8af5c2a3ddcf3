"""The playbooks on the default room, which has to be up: beside `labroom`, without changing what the image holds."""

import os
import re
import subprocess

import pytest

from labroom.machine import tool
from labroom.resources import ROOT
from labroom.room import load

GUESTS = list(load(ROOT / "room.yml").guests)


@pytest.mark.parametrize(
    ("options", "guests"),
    [([], GUESTS), (["--check", "--diff", "--limit=gateway,alfa"], ["gateway", "alfa"])],
    ids=["run", "check mode"],
)
def test_the_playbooks_find_nothing_to_change(options: list[str], guests: list[str]) -> None:
    done = subprocess.run(
        [tool("ansible-playbook"), "-i", "room.yml", "playbooks/room.yml", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recap = dict(re.findall(r"^(\w+) +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0", done.stdout, re.MULTILINE))
    assert recap == dict.fromkeys(guests, "0"), done.stdout
