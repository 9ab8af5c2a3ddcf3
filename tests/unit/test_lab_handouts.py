"""The labs as they lie in their folders: handouts in two languages, programs that any guest can run, shared helpers."""

import ast
import collections
import importlib
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
    assert re.search(rf"(?<!\w){name}\.py\b", text), f"nothing is said of {name}.py"
    assert {parameter.option for parameter in parameters(name) if parameter.option not in text} == set()


@programs
def test_a_program_is_a_command(name: str) -> None:
    assert os.access(PROGRAMS[name], os.X_OK)
    assert PROGRAMS[name].read_text().startswith(f'#!/usr/bin/env python3\n"""{name}.py')


@programs
def test_python_3_8_and_its_standard_library_are_enough(name: str) -> None:
    program = ast.parse(PROGRAMS[name].read_bytes(), feature_version=(3, 8))
    assert isinstance(program.body[1], ast.ImportFrom)
    assert program.body[1].module == "__future__"  # annotations, which are never evaluated then
    for node in ast.walk(program):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
    tree = list(ast.walk(program))
    imports = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    imports |= {str(node.module) for node in tree if isinstance(node, ast.ImportFrom)}
    assert {module.partition(".")[0] for module in imports} <= sys.stdlib_module_names
    subscripted = {ast.unparse(node.value) for node in tree if isinstance(node, ast.Subscript)}
    assert not subscripted & {"dict", "frozenset", "list", "set", "tuple", "type"}, "as types, new in Python 3.9"
    attributes = {node.attr for node in tree if isinstance(node, ast.Attribute)}
    assert not attributes & {"removeprefix", "removesuffix", "to_thread", "waitstatus_to_exitcode"}, "new in Python 3.9"


# Each program is read alone, so what programs share is copied into each of them: one name, one text.

OWN = {  # what each program writes for itself, though others have something of that name
    "OPTIONS": "the socket options that the lab is about",
    "close": "select, poll, epoll and selectors each keep a list of clients, and take one out in their own way",
    "count": "what load_client takes as an argument, and what thread_server does with each message",
    "echo": "how one client is served is what the labs about servers compare",
    "end": "what SIGINT does, which depends on what would outlive the server; in file_server the end of a file",
    "main": "the program itself",
    "parse_arguments": "the program's own arguments",
    "read_from": "as close: each is told in its own way that a client is owed an answer",
    "serve": "the tasks of asyncio_server, and one client of small_writes_server",
    "size": "of a buffer up to the highest int, and of a datagram",
    "welcome": "as close: each takes a client in in its own way; and select has a limit of its own",
    "write_to": "as close: each is told in its own way that a client has its answer",
}
VARIANTS = {  # a second text of what is shared, known by words that the first doesn't have
    "perror": {"os._exit(1)": "in a thread, sys.exit() ends the thread alone"},
    "reap": {"-> bool": "in the lab about reaping it takes one child a call, and says which"},
    "say": {
        "line: bytes": "what others have sent or written need not be text; a string is what the program itself says"
    },
    "survive": {"S : {call}": "each line of staged_server begins with who says it"},
    "write": {"data[os.write(": "a file is longer than a line: one call may not take all of it"},
}


def definitions() -> dict[str, dict[str, list[str]]]:
    """Return the functions, classes and constants of all programs: name, text, programs that have it so."""
    found: dict[str, dict[str, list[str]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    for program, path in PROGRAMS.items():
        lines = path.read_text().splitlines()
        for node in ast.parse("\n".join(lines)).body:
            first = node.lineno
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names = [node.name]
                first = min([first, *(decorator.lineno for decorator in node.decorator_list)])
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            else:
                continue
            for name in names:
                found[name]["\n".join(lines[first - 1 : node.end_lineno])].append(program)
    return found


DEFINITIONS = definitions()
IN_SEVERAL = sorted(name for name, texts in DEFINITIONS.items() if sum(map(len, texts.values())) > 1)


@pytest.mark.parametrize("name", [name for name in IN_SEVERAL if name not in OWN])
def test_what_programs_share_has_one_text(name: str) -> None:
    variants = VARIANTS.get(name, {})
    shared = [programs for text, programs in DEFINITIONS[name].items() if not any(words in text for words in variants)]
    fewer = [program for programs in sorted(shared, key=len)[:-1] for program in programs]
    assert len(shared) == 1, f"{name} of {fewer} differs from that of the other programs without a listed reason"
    for words in variants:
        having = [programs for text, programs in DEFINITIONS[name].items() if words in text]
        assert len(having) == 1, f"{name} with {words!r} is no one text, or needs no exception any more: {having}"


def test_each_exception_is_still_needed() -> None:
    for name in OWN:
        assert name in IN_SEVERAL, f"{name} is in one program, or in none"
        assert len(DEFINITIONS[name]) > 1, f"{name} has one text by now"
    assert set(VARIANTS) <= set(IN_SEVERAL) - set(OWN)


# Claims: what a lab asks of programs of any hand.

KINDS = {"lesson": "핵심", "robustness": "견고성", "interface": "형식"}
CLAIMS = {
    lab: [
        (marker.args[0], check.__doc__.strip().partition("\n")[0])
        for check in vars(importlib.import_module(f"tests.labs.test_{lab}")).values()
        for marker in getattr(check, "pytestmark", [])
        if marker.name == "claim"
    ]
    for lab in LAB_FOLDERS
}


def listed(lab: Path, handout: str) -> list[tuple[str, str, str]]:
    """The claims that a handout lists: kind, sentence, programs."""
    section = (lab / handout).read_text().partition("\n### ")[2]
    text = re.sub(r"\n  ", " ", section)
    return re.findall(r"^- (\w+): (.*) \((`[^()]*`)\)$", text, re.MULTILINE)


@labs
def test_a_handout_lists_the_claims_that_are_checked(lab: Path) -> None:
    expected = [
        (claim.kind, sentence, ", ".join(f"`{name}`" for name in claim.programs))
        for claim, sentence in CLAIMS[lab.name]
    ]
    assert listed(lab, "README.md") == expected
    korean = [(KINDS[kind], programs) for kind, _, programs in expected]
    assert [(kind, programs) for kind, _, programs in listed(lab, "README.ko.md")] == korean
    sentences = zip(expected, listed(lab, "README.ko.md"), strict=True)
    quoted = [(re.findall("`[^`]+`", one[1]), re.findall("`[^`]+`", other[1])) for one, other in sentences]
    assert all(sorted(one) == sorted(other) for one, other in quoted), "they quote different words"


@labs
def test_what_a_claim_needs_is_a_claim_before_it(lab: Path) -> None:
    names: list[str] = []
    module = importlib.import_module(f"tests.labs.test_{lab.name}")
    for name, check in vars(module).items():
        for marker in getattr(check, "pytestmark", []):
            if marker.name == "claim":
                assert set(marker.args[0].needs) <= set(names), name
                names.append(name.removeprefix("test_"))


def test_each_lab_with_claims_has_lessons() -> None:
    assert {lab for lab, claims in CLAIMS.items() if claims and all(c.kind != "lesson" for c, _ in claims)} == set()
