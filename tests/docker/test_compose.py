"""docker-compose.yml, without an engine: is it what room.yml says?"""

import pytest
import yaml

from labroom import room
from labroom.inventory import guest_variables
from labroom.providers import compose
from labroom.resources import ROOT


def test_compose_file_is_in_step_with_room_yml() -> None:
    committed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert committed == compose.project(room.load(ROOT / "room.yml"))


def test_guests_image_needs_no_room() -> None:
    """It is provisioned with the roles' defaults: a changed room.yml builds the gateway's image alone."""
    defaults: dict[str, object] = {}
    for file in ROOT.glob("roles/*/defaults/main.yml"):
        defaults |= yaml.safe_load(file.read_text())
    variables = guest_variables(room.load(ROOT / "room.yml"))
    assert {name: defaults[name] for name in variables} == variables


@pytest.mark.parametrize("release", ["noble", "jammy", "bookworm", "trixie"])
def test_base_image_is_the_release_that_room_yml_asks_for(release: str) -> None:
    image = {"noble": "ubuntu:24.04", "jammy": "ubuntu:22.04", "bookworm": "debian:12", "trixie": "debian:13"}[release]
    wanted = room.load(ROOT / "room.yml")
    wanted = wanted.model_copy(update={"image": wanted.image.model_copy(update={"release": release})})
    build = compose.project(wanted)["services"]["server"]["build"]
    assert build["args"]["BASE_IMAGE"] == f"${{LABROOM_BASE_IMAGE:-{image}}}"
