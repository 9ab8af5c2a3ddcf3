"""`labroom new`: a room file to begin with, on networks that nobody has."""

import os
from pathlib import Path

import pytest

from labroom import new_room, room
from labroom.errors import MachineError, UsageError
from labroom.providers import record
from labroom.resources import ROOT
from tests.helpers import labroom


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder without any room."""
    monkeypatch.setenv("LABROOM_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_it_is_the_default_room_on_other_networks(tmp_path: Path) -> None:
    file = tmp_path / "exam.yml"
    done = labroom("new", "exam", "--file", str(file)).stdout.splitlines()
    made, default = room.load(file), room.load(ROOT / "room.yml")
    assert done[0] == f"{file}: room exam, private {made.networks.private}, outside {made.networks.outside}"
    assert done[-1].endswith(f"labroom --room {file} up")
    moved = made.model_dump(exclude={"name", "networks"})
    for link, network in default.networks.subnets.items():
        own = made.networks.subnets[link]
        assert own.prefixlen == network.prefixlen
        assert not own.overlaps(network)
        for name, guest in default.guests.items():
            if link in guest.addresses:
                host = int(guest.addresses[link]) - int(network.network_address)
                assert moved["guests"][name][link] == own[host]
                moved["guests"][name][link] = guest.addresses[link]
    assert moved == default.model_dump(exclude={"name", "networks"})
    text = file.read_text()
    assert "server: { private: .128 }" in text
    assert "VMware's NAT address plan" not in text  # which it isn't
    assert "-i room.yml" not in text


def test_rooms_that_are_not_up_yet_can_be_up_side_by_side(tmp_path: Path) -> None:
    rooms = [new_room.write(name, tmp_path / f"{name}.yml") for name in ("one", "two", "exam")]
    every = [subnet for one in rooms for subnet in one.networks.subnets.values()]
    assert not [pair for at, pair in enumerate(every) for other in every[at + 1 :] if pair.overlaps(other)]


def test_what_this_machine_uses_is_left_out(tmp_path: Path, own_state: Path) -> None:
    """Links, routes, name servers, and rooms of which nothing is seen here."""
    first = new_room.write("exam", tmp_path / "first.yml").networks
    record.path("other").parent.mkdir(parents=True)
    record.write("other", {"provider": "docker", "file": "/other.yml", "networks": [str(first.private)]})
    second = new_room.write("exam", tmp_path / "second.yml").networks
    assert second.private != first.private
    assert second.outside == first.outside
    script = f"""
    ip link add lan0 type bridge && ip link set lan0 up && ip addr add {second.private[77]}/16 dev lan0
    ip route add {second.outside} dev lan0
    exec "$@"
    """
    own = ("unshare", "--user", "--map-root-user", "--net", "sh", "-ec", script, "sh")
    labroom("new", "exam", "--file", str(tmp_path / "third.yml"), before=own)
    third = room.load(tmp_path / "third.yml").networks
    assert not {third.private, third.outside} & {first.private, second.private, second.outside}


def test_where_no_network_is_free_that_is_said(tmp_path: Path) -> None:
    record.path("other").parent.mkdir(parents=True)
    record.write("other", {"provider": "docker", "file": "/other.yml", "networks": ["192.168.0.0/16"]})
    with pytest.raises(MachineError, match="no network is free for private"):
        new_room.write("exam", tmp_path / "exam.yml")
    assert not (tmp_path / "exam.yml").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "exam.yml"
    file.write_text("mine")
    (tmp_path / "link.yml").symlink_to("nowhere.yml")
    for taken in (file, tmp_path / "link.yml"):
        error = labroom("new", "exam", "--file", str(taken), status=2).stderr.splitlines()
        assert error[0] == f"labroom: {taken} is there already"
        assert error[1].endswith("new exam --file FILE")
    assert file.read_text() == "mine"
    assert not (tmp_path / "nowhere.yml").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives files away")
def test_a_file_is_the_persons_who_called_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "61234")
    monkeypatch.setenv("SUDO_GID", "61235")
    new_room.write("exam", tmp_path / "exam.yml")
    written = (tmp_path / "exam.yml").stat()
    assert (written.st_uid, written.st_gid) == (61234, 61235)


def test_a_name_that_no_room_can_have_is_refused(tmp_path: Path) -> None:
    for name in ("Exam", "exam-1", "examination", "1", "", "../x"):
        with pytest.raises(UsageError, match="is no name of a room: a letter"):
            new_room.write(name, tmp_path / "exam.yml")
    record.path("exam").parent.mkdir(parents=True)
    record.write("exam", {"provider": "docker", "file": "/other.yml", "networks": ["10.2.0.0/24"]})
    with pytest.raises(MachineError, match=r"a room named exam is up already, of /other\.yml") as refused:
        new_room.write("exam", tmp_path / "exam.yml")
    assert refused.value.remedy.endswith("--room /other.yml down, or another name")
    assert not list(tmp_path.glob("*.yml"))


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    mounted = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec")
    script = f"""mount -t tmpfs -o size=4k,nr_inodes=10 none {tmp_path}
    head -c 4096 /dev/zero >{tmp_path}/full
    set +e; "$@"; status=$?
    [ ! -e {tmp_path}/exam.yml ] && exit $status"""
    state = {"LABROOM_STATE_DIR": os.devnull}
    before = (*mounted, script, "sh")
    error = labroom("new", "exam", "--file", str(tmp_path / "exam.yml"), before=before, env=state, status=3).stderr
    assert "No space left on device" in error
