"""The report of a run of the checks: a page to read (index.html) and the same for programs (report.json)."""

from __future__ import annotations

import json
import shlex
from base64 import b64encode
from dataclasses import asdict
from pathlib import Path

from labroom.checks.transcript import LOOK, SIGNS
from labroom.checks.verdicts import KINDS, VERDICTS, CheckResult


def login(command: str) -> str:
    """How a person gets to the guests of the room that a command checked."""
    words = shlex.split(command)
    verb = words.index("check", words.index("--room") + 2 if "--room" in words[:2] else 1)
    return "log in to these machines" if "--provider" in words[verb:] else shlex.join([*words[:verb], "ssh", "NAME"])


def write(result: CheckResult, folder: Path, command: str) -> Path:
    """Write report.json and index.html, which needs no other file to be read.

    Args:
        result: what was found.
        folder: where to, created if need be; `LabResult.files` are below it.
        command: the command that checked it, without the names of labs.

    Returns:
        path of index.html.
    """
    import jinja2  # slow to import, and of no use to other commands

    folder.mkdir(parents=True, exist_ok=True)
    document = asdict(result)
    for lab, written in zip(result.labs, document["labs"], strict=True):
        written.update(verdict=lab.verdict, seconds=lab.seconds, command=command, again=f"{command} {lab.name}")
    document.update(status=result.status, summary=result.summary)
    _write(folder / "report.json", json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("labroom.reports", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own = [program for lab in result.labs for program in lab.own]
    what = "lessons" if own else "labs"
    passed = "No lesson failed" if own else "All labs passed"
    text = environment.get_template("page.html.j2").render(
        result=result,
        own=own,
        title=passed if result.passed else f"Not all {what} passed",
        summaries=[f"{p.name} ({p.file}): {p.summary}" for p in own] or [f"{result.summary}."],
        headings=dict(zip(KINDS, ("Lessons", "Robustness", "Interface"), strict=True)),
        command=command,
        login=login(command),
        look=LOOK,
        says=VERDICTS,
        signs=SIGNS,
        pictures={
            lab.name: {file: _embedded(folder / file) for file in lab.files if file.endswith(".svg")}
            for lab in result.labs
        },
    )
    page = folder / "index.html"
    _write(page, text)
    return page


def _write(file: Path, text: str) -> None:
    """Write a file in place of the one that is there, which may be another user's; paths in it may be no UTF-8."""
    file.unlink(missing_ok=True)
    file.write_text(text, encoding="utf-8", errors="backslashreplace")


def _embedded(picture: Path) -> str:
    """A picture as the address of itself (RFC 2397). As an image, SVG runs no scripts and fetches nothing."""
    return f"data:image/svg+xml;base64,{b64encode(picture.read_bytes()).decode()}"
