"""What an archive of homes may hold, and which of two paths of `labroom copy` is a guest's."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from labroom import homes, room
from labroom.cli import work
from labroom.endpoint import Endpoint
from labroom.errors import RoomFileError, UsageError
from labroom.providers.nspawn import disks
from labroom.room import Room

ROOM = """\
name: own
networks: {private: 192.168.75.0/24, outside: 198.51.100.0/28}
guests: {one: {private: 192.168.75.10}, two: {private: 192.168.75.11}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A room file."""
    (tmp_path / "own.yml").write_text(ROOM, encoding="utf-8")
    return tmp_path / "own.yml"


@pytest.fixture
def own(file: Path) -> Room:
    """Its room."""
    return room.load(file)


def _archive(file: Path, *members: tuple[str, bytes, Callable[[tarfile.TarInfo], object]]) -> Path:
    """An archive: of each member the name, the type (tarfile), and what is changed of it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, kind, change in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            change(member)
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    archive = file.with_name("work.tar.gz")
    archive.write_bytes(gzip.compress(packed.getvalue()))
    return archive


def _nothing(member: tarfile.TarInfo) -> None:
    pass


HOME = ("one", tarfile.DIRTYPE, _nothing)
STRANGE = {
    "a path from the root": ("/one/x", tarfile.REGTYPE, _nothing),
    "a path that leads out": ("one/../../x", tarfile.REGTYPE, _nothing),
    "a link to another's file": ("one/x", tarfile.LNKTYPE, lambda link: setattr(link, "linkname", "two/x")),
    "a link that leads out": ("one/x", tarfile.LNKTYPE, lambda link: setattr(link, "linkname", "one/../x")),
    "a device": ("one/x", tarfile.CHRTYPE, lambda device: setattr(device, "devminor", 3)),
    "a disk": ("one/x", tarfile.BLKTYPE, _nothing),
    "a home that is a file": ("two", tarfile.REGTYPE, _nothing),
    "a home that is a link": ("two", tarfile.SYMTYPE, lambda link: setattr(link, "linkname", "/etc")),
}


@pytest.mark.parametrize("what", STRANGE)
def test_an_archive_has_nothing_that_a_home_has_not(file: Path, own: Room, what: str) -> None:
    archive = _archive(file, HOME, STRANGE[what])
    with pytest.raises(UsageError, match=r"is no backup: .* can't be in a home"):
        homes.in_archive(archive, own, file)


def test_an_archive_of_homes_is_taken(file: Path, own: Room) -> None:
    many = [(f"one/{number}", tarfile.REGTYPE, lambda each: setattr(each, "size", 600)) for number in range(100)]
    deleted = ("one/student/.profile", tarfile.CHRTYPE, _nothing)  # character device 0, 0
    link = ("one/x", tarfile.SYMTYPE, lambda link: setattr(link, "linkname", "/etc/../../shadow"))
    archive = _archive(file, HOME, *many, deleted, link, ("two", tarfile.DIRTYPE, _nothing))
    assert homes.in_archive(archive, own, file) == ["one", "two"]
    assert homes.in_archive(archive, own, file, ["two"]) == ["two"]
    with pytest.raises(UsageError, match=r"has no home of three"):
        homes.in_archive(archive, own, file, ["three"])


def test_a_home_that_comes_in_two_parts_is_none(file: Path, own: Room) -> None:
    archive = _archive(file, HOME, ("two", tarfile.DIRTYPE, _nothing), ("one/x", tarfile.REGTYPE, _nothing))
    with pytest.raises(UsageError, match=r"one comes twice"):
        homes.in_archive(archive, own, file)


def test_a_home_larger_than_the_rooms_is_refused(file: Path) -> None:
    file.write_text(f"{ROOM}limits: {{home_mib: 64, files: 1000}}\n", encoding="utf-8")
    large = ("one/large", tarfile.REGTYPE, lambda each: setattr(each, "size", 66 << 20))
    archive = _archive(file, HOME, large)
    with pytest.raises(UsageError, match=r"the home of one is larger than limits.home_mib"):
        homes.in_archive(archive, room.load(file), file)


def test_a_guest_that_the_room_does_not_have_is_named(file: Path, own: Room) -> None:
    archive = _archive(file, HOME, ("gone", tarfile.DIRTYPE, _nothing))
    with pytest.raises(UsageError, match=r"room own has no gone, whose homes are in .*work.tar.gz") as error:
        homes.in_archive(archive, own, file)
    assert error.value.remedy.endswith(f"restore {archive} one")


@pytest.mark.parametrize("spoil", ["cut", "no gzip", "no tar", "nothing", "no home"])
def test_what_is_no_archive_is_said(file: Path, own: Room, spoil: str) -> None:
    archive = _archive(file, HOME)
    whole = archive.read_bytes()
    spoilt = {
        "cut": whole[:-20],
        "no gzip": b"x" * 1000,
        "no tar": gzip.compress(b"x" * 1000),
        "nothing": b"",
        "no home": gzip.compress(bytes(10240)),
    }
    archive.write_bytes(spoilt[spoil])
    with pytest.raises(UsageError, match=r"work.tar.gz"):
        homes.in_archive(archive, own, file)


@pytest.mark.parametrize(
    ("path", "guest", "there"),
    [
        ("alfa:", "alfa", ""),
        ("alfa:a b/\ud55c:x", "alfa", "a b/\ud55c:x"),
        ("./alfa:x", "", "./alfa:x"),
        ("a/b:c", "", "a/b:c"),
        ("x", "", "x"),
        ("all:x", "all", "x"),
    ],
)
def test_a_guests_path_is_known_by_its_colon(path: str, guest: str, there: str) -> None:
    at = Endpoint("alfa", "192.168.75.10", "192.168.75.10", 22, "student", (), ())
    assert work._split(path, {"alfa": at}, everybody=True) == (guest, there)


def test_who_copies_from_nobody_is_told(tmp_path: Path) -> None:
    at = Endpoint("alfa", "192.168.75.10", "192.168.75.10", 22, "student", (), ())
    with pytest.raises(UsageError, match=r"there is no guest 'alpha'"):
        work._split("alpha:x", {"alfa": at})


@pytest.mark.parametrize(("mib", "fine"), [("0", True), ("64", True), ("63", False), ("false", False), ("-1", False)])
def test_a_home_is_large_enough_or_not_kept(file: Path, mib: str, *, fine: bool) -> None:
    file.write_text(f"{ROOM}limits: {{home_mib: {mib}}}\n", encoding="utf-8")
    if fine:
        assert room.load(file).limits.home_mib == int(mib)
    else:
        with pytest.raises(
            RoomFileError, match=r"limits.home_mib: expected 0, which keeps none, or a whole number from"
        ):
            room.load(file)


@pytest.mark.skipif(os.getuid() != 0, reason="homes are root's")
def test_a_home_is_brought_back_to_a_machine_that_has_never_had_a_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABROOM_STATE_DIR", str(tmp_path / "state"))
    assert disks.empty(64, 1000, lasting=True).stat().st_size == 64 << 20
