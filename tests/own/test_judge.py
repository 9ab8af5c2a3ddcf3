"""The judge, judged: programs as students write them, right ones and wrong ones, held against the claims of their lab.

Each is a file, or a folder with about.txt, of LAB/right or LAB/wrong. The first lines say what it is: `as:` which
program of the lab; for a wrong one `fails:` which claim must fail, by the name of its check, and `says:` words of the
failure; `note:` what is remarked about how it was started.

They repeat one another on purpose: each is handed in by itself, as a student's is, and a wrong one differs from a right
one by its one bug.
"""

import re
from pathlib import Path

import pytest

from labroom import room, rooms
from labroom.checks import own, run
from labroom.checks.claims import Chosen
from labroom.checks.verdicts import Check
from labroom.room import Room

HERE = Path(__file__).parent
RIGHT, WRONG = (sorted(HERE.glob(f"*/{kind}/*")) for kind in ("right", "wrong"))


def said(file: Path) -> dict[str, str]:
    """What the first lines of a program say of it."""
    text = (file / "about.txt" if file.is_dir() else file).read_text()
    return dict(re.findall(r"^(?://|#) (as|fails|says|note): (.*)$", text, re.MULTILINE))


def judged(place: Room, file: Path, results: Path, words: str = "") -> list[Check]:
    """What came of a program's claims in a room, which others that run labs there wait for."""
    lab = file.parts[-3]
    chosen = Chosen(own.find(file, lab, said(file)["as"]), words)
    with rooms.locked_for_labs(place):
        (found,) = run.run(rooms.endpoints(place), [lab], results, chosen_checks=chosen).labs
    return found.checks


@pytest.fixture(scope="module")
def place() -> Room:
    """The default room, which has to be up."""
    return room.load(room.default_file())


@pytest.mark.parametrize("file", RIGHT, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
def test_a_right_program_passes_every_lesson(place: Room, file: Path, tmp_path: Path) -> None:
    checks = judged(place, file, tmp_path)
    lessons = [check for check in checks if check.kind == "lesson"]
    assert lessons
    assert {check.claim: check.words for check in lessons if check.verdict not in ("passed", "skipped")} == {}
    assert "passed" in {check.verdict for check in lessons}
    assert said(file).get("note", "") in "\n".join(remark for check in checks for remark in check.remarks)


@pytest.mark.parametrize("file", WRONG, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
def test_a_wrong_program_fails_the_right_claim(place: Room, file: Path, tmp_path: Path) -> None:
    expected = said(file)
    checks = judged(place, file, tmp_path, expected["fails"].replace("_", " "))
    failed: dict[str, str] = {}
    for check in checks:
        if check.verdict == "failed":  # with sanitizers, too
            name = check.name.partition("[")[0].removeprefix("test_")
            failed[name] = f"{failed.get(name, '')}\n{check.words}"
    assert expected["fails"] in failed, failed
    assert expected["says"] in failed[expected["fails"]]
    assert "labroom-" not in "\n".join(failed.values()), "a path of ours is shown"
