"""The room as a picture and as data: everything is in it, and nothing overflows."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labroom import labs, room
from labroom.reports import graph
from labroom.resources import ROOT
from labroom.room import Room
from tests.helpers import labroom

SVG = "{http://www.w3.org/2000/svg}"
LONG = "a-guest-with-as-long-a-name-as-1"


@pytest.fixture(params=["charlie", LONG])
def shown(request: pytest.FixtureRequest, tmp_path: Path) -> Room:
    """The default room, and one with a name as long as one may be."""
    file = tmp_path / "room.yml"
    file.write_text((ROOT / "room.yml").read_text().replace("charlie", request.param))
    return room.load(file)


def test_every_host_is_in_the_picture_with_its_addresses(shown: Room) -> None:
    drawn = ElementTree.fromstring(graph.svg(shown))  # noqa: S314 (our own)
    boxes = {}
    for group in drawn.iter(f"{SVG}g"):
        name, *lines = [text.text for text in group.iter(f"{SVG}text")]
        boxes[name] = lines
    assert next(iter(boxes)) == "this machine"
    assert set(boxes) == {"this machine", "internet", *shown.guests}
    assert boxes["alfa"] == ["private 192.168.74.129"]
    assert boxes["gateway"][:3] == ["private 192.168.74.2", "outside 203.0.113.2", "port 18080 to server:18080"]
    assert boxes["internet"] == ["outside 203.0.113.14"]
    labels = ["".join(text.itertext()) for text in drawn.findall(f"{SVG}text")]
    assert labels == ["private 192.168.74.0/24", "outside 203.0.113.0/28"]


def test_nothing_is_wider_than_its_box_or_the_picture(shown: Room) -> None:
    drawn = ElementTree.fromstring(graph.svg(shown))  # noqa: S314 (our own)
    width, height = (float(drawn.attrib[side]) for side in ("width", "height"))
    for group in drawn.iter(f"{SVG}g"):
        (box,) = group.iter(f"{SVG}rect")
        end = float(box.attrib["x"]) + float(box.attrib["width"])
        assert end < width
        assert float(box.attrib["y"]) + float(box.attrib["height"]) < height
        for text in group.iter(f"{SVG}text"):  # a character of a monospaced font is 0.6 em wide, of 13 px
            assert float(text.attrib["x"]) + 0.6 * 13 * len(text.text or "") < end


def test_each_line_leads_from_a_network_to_a_host_in_it(shown: Room) -> None:
    drawn = ElementTree.fromstring(graph.svg(shown))  # noqa: S314 (our own)
    for group in drawn.iter(f"{SVG}g"):
        name, *lines = [text.text or "" for text in group.iter(f"{SVG}text")]
        networks = [line for line in lines if re.match("private|outside", line)]
        assert len(list(group.iter(f"{SVG}circle"))) == len(networks), name


def test_mermaid(shown: Room) -> None:
    lines = graph.mermaid(shown).splitlines()
    assert lines[0] == "flowchart LR"
    assert '    host_alfa ---|"192.168.74.129"| network_private' in lines
    assert '    host_gateway -.->|"2201 to 22"| host_server' in lines
    nodes = re.findall(r'^    (\w+)[^\w\s]+"', "\n".join(lines), re.MULTILINE)
    assert len(nodes) == len(set(nodes)) == len(shown.guests) + 4
    used = set(re.findall(r"\| (\w+)$|^    (\w+) -", "\n".join(lines), re.MULTILINE))
    assert {name for pair in used for name in pair if name} <= set(nodes)


def test_the_command_prints_a_document(tmp_path: Path) -> None:
    file = tmp_path / "room.yml"
    file.write_text((ROOT / "room.yml").read_text())
    assert labroom("--room", str(file), "graph").stdout == graph.svg(room.load(file))
    assert labroom("--room", str(file), "graph", "--format", "mermaid").stdout == graph.mermaid(room.load(file))


def test_status_as_data_of_a_room_that_is_not_up(tmp_path: Path) -> None:
    file = tmp_path / "room.yml"
    file.write_text((ROOT / "room.yml").read_text().replace("name: lab", "name: nowher", 1))
    found = json.loads(labroom("--room", str(file), "status", "--json").stdout)
    assert (found["room"], found["file"], found["up"], found["internet"]) == ("nowher", str(file), False, True)
    assert found["networks"][0] == {"name": "private", "subnet": "192.168.74.0/24", "machine": "192.168.74.1"}
    (gateway,) = [guest for guest in found["guests"] if guest["part"] == "gateway"]
    assert gateway["addresses"] == {"private": "192.168.74.2", "outside": "203.0.113.2"}
    assert (gateway["up"], gateway["seconds"], gateway["links"]) == (False, None, {})
    assert found["forwarded_ports"][0] == {
        "gateway": "gateway",
        "address": "203.0.113.2",
        "port": 18080,
        "guest": "server",
        "guest_port": 18080,
    }


def test_list_as_data() -> None:
    found = json.loads(labroom("list", "--json").stdout)
    assert {lab["name"]: lab["title"] for lab in found} == labs.titles()
