"""The labs as they lie in their folders: handouts in English and in Korean, and programs that any guest can run."""

import ast
import itertools
import os
import re
import sys
from pathlib import Path

import pytest

from tests.unit.lab_program import LABS, PROGRAMS, parameters

LAB_FOLDERS = {folder.name: folder for folder in sorted(LABS.iterdir())}
labs = pytest.mark.parametrize("lab", LAB_FOLDERS.values(), ids=LAB_FOLDERS)
programs = pytest.mark.parametrize("name", PROGRAMS)

HANDOUTS = {
    "README.md": (
        ["Programs?", "Hosts?", "Ports?", "Time", "Shown by", "Checked by"],
        ["What you will see", "By hand", "What to try next", "A program of your own"],
    ),
    "README.ko.md": (
        ["프로그램", "호스트", "포트", "시간", "시연", "검사"],
        ["무엇을 보게 되나", "직접 해 보기", "더 해 볼 것", "직접 만든 프로그램이라면"],
    ),
}


@labs
def test_a_lab_is_programs_and_two_handouts(lab: Path) -> None:
    files = {file.name for file in lab.iterdir() if file.suffix != ".py" and file.name != "__pycache__"}
    assert files == set(HANDOUTS)


def test_each_program_has_a_name_of_its_own() -> None:
    assert sorted(program.stem for program in LABS.glob("*/*.py")) == sorted(PROGRAMS)


@labs
@pytest.mark.parametrize("handout", HANDOUTS)
def test_a_handout_has_a_title_a_table_and_four_sections(lab: Path, handout: str) -> None:
    text = (lab / handout).read_text()
    rows, sections = HANDOUTS[handout]
    assert re.match(rf"# {lab.name}: \S.*\n\n\| \| \|\n", text)
    table = re.findall(r"^\| (\w[^|]*?) \|", text.partition("\n## ")[0], re.MULTILINE)
    assert re.fullmatch(" ".join(rows), " ".join(table)), table
    assert f"`labroom play {lab.name}`" in text
    assert f"`labroom check {lab.name}`" in text
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == sections


@labs
def test_both_handouts_show_the_same_commands_and_output(lab: Path) -> None:
    english, korean = (code_blocks((lab / handout).read_text()) for handout in HANDOUTS)
    assert english
    assert korean == english


def code_blocks(text: str) -> list[str]:
    """Return the blocks of lines that are indented by four spaces."""
    blocks = itertools.groupby(text.splitlines(), key=lambda line: line.startswith("    "))
    return ["\n".join(lines) for indented, lines in blocks if indented]


@programs
@pytest.mark.parametrize("handout", HANDOUTS)
def test_a_handout_names_each_program_and_each_option(name: str, handout: str) -> None:
    text = PROGRAMS[name].with_name(handout).read_text()
    assert f"{name}.py" in text
    assert {parameter.option for parameter in parameters(name) if parameter.option not in text} == set()


@programs
def test_a_program_is_a_command(name: str) -> None:
    assert os.access(PROGRAMS[name], os.X_OK)
    assert PROGRAMS[name].read_text().startswith(f'#!/usr/bin/env python3\n"""{name}.py')


@programs
def test_python_3_8_and_its_standard_library_are_enough(name: str) -> None:
    tree = list(ast.walk(ast.parse(PROGRAMS[name].read_bytes(), feature_version=(3, 8))))
    imports = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    imports |= {str(node.module) for node in tree if isinstance(node, ast.ImportFrom)}
    assert {module.partition(".")[0] for module in imports} <= sys.stdlib_module_names
    subscripted = {ast.unparse(node.value) for node in tree if isinstance(node, ast.Subscript)}
    assert not subscripted & {"dict", "frozenset", "list", "set", "tuple", "type"}, "as types, new in Python 3.9"
    attributes = {node.attr for node in tree if isinstance(node, ast.Attribute)}
    assert not attributes & {"removeprefix", "removesuffix", "to_thread", "waitstatus_to_exitcode"}, "new in Python 3.9"
