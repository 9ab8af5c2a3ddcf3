"""A person's own programs: which programs of a lab a folder or a file holds, and how they are built and started.

What is read here is data, never run on this machine; `submission` builds it on guests.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labroom import yaml_file
from labroom.driver import Driver
from labroom.endpoint import Endpoint
from labroom.errors import UsageError
from labroom.labs import programs

_FILES, _BYTES = 500, 20 << 20  # of a folder
_SOURCES = {".c": "c", ".cc": "c++", ".cpp": "c++", ".cxx": "c++", ".py": "python"}  # .C is C++ to g++, and C to people
#: Kinds of which a second build is made, with sanitizers.
COMPILED = ("c", "c++", "make")
#: Of the compilers, told as remarks.
WARNINGS = ("-Wall", "-Wextra")
_PARTS = {"server": ("server", "serv", "svr", "srv"), "client": ("client", "clnt", "cli")}
_OWN = "own.yml"


@dataclass(frozen=True)
class Source:
    """A program of a lab, as a person has written it.

    Attributes:
        program: the lab's name for it, such as `echo_server`.
        main: the path, in `files`, of the file that it is.
        kind: `c`, `c++`, `python`, `make` (a Makefile builds `main`) or `program` (it is run as it is).
        files: all files of its folder: path -> content.
        start: its arguments, such as `{host} {port}`; empty if that is not said.
        build: the command that builds it; empty if that is not said.
        typed: lines that it asks for before it serves, such as `{port}`.
    """

    program: str
    main: str
    kind: str
    files: Mapping[str, bytes] = field(repr=False)
    start: str = ""
    build: str = ""
    typed: Sequence[str] = ()

    @property
    def text(self) -> str:
        """The source, as far as it is text."""
        return decoded(self.files.get(self.main, b""))

    @property
    def folder(self) -> str:
        """The folder, of its files, in which it is built and run: that of its Makefile, if one builds it."""
        folder = posixpath.dirname(self.main)
        return _made_in(folder, self.files) or "" if self.kind == "make" else folder

    @property
    def parts(self) -> list[str]:
        """The sources beside it of which it is compiled, as they are called in its folder."""
        folder = posixpath.dirname(self.main)
        return [
            posixpath.relpath(path, self.folder or ".")
            for path, data in self.files.items()
            if posixpath.dirname(path) == folder
            and posixpath.splitext(path)[1].lower() in (".c", ".cc", ".cpp", ".cxx")
            and (path == self.main or not _is_program(path, data))
        ]

    @property
    def header_folders(self) -> list[str]:
        """The folders that hold headers, as they are called in its folder."""
        headers = (path for path in self.files if path.endswith((".h", ".hpp")))
        return sorted({posixpath.relpath(posixpath.dirname(path) or ".", self.folder or ".") for path in headers})

    @property
    def compiler(self) -> str:
        """The compiler of its language."""
        return "g++" if self.kind == "c++" or self.main.endswith((".cc", ".cpp", ".cxx")) else "gcc"

    @property
    def build_command(self) -> str:
        """The command by which a person builds it; nothing if it is run as it is."""
        if self.build or self.kind == "make":
            return self.build or "make"
        if self.kind not in ("c", "c++"):
            return ""
        binary = posixpath.splitext(posixpath.basename(self.main))[0]
        return shlex.join([self.compiler, "-g", *WARNINGS, "-pthread", "-o", binary, *self.parts])

    def has_number(self, number: int) -> bool:
        """Whether one of its files, or what is said of its start, has this number."""
        texts = [self.start, *self.typed, *map(decoded, self.files.values())]
        return any(str(number) in text for text in texts)

    def lines_with(self, pattern: str) -> Iterator[tuple[int, str]]:
        """The lines of its source that match a pattern (regular expression), with their numbers."""
        for number, line in enumerate(self.text.splitlines(), start=1):
            if re.search(pattern, line):
                yield number, line.strip()


def decoded(data: bytes) -> str:
    """Text in whatever encoding it may be."""
    for encoding in ("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "utf-8", "cp949"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


# -- finding ----------------------------------------------------------------------------------------------------


def find(path: Path, lab: str, program: str = "") -> dict[str, Source]:
    """The programs of a lab that a folder or a file holds.

    Args:
        path: the folder, or the file.
        lab: the lab.
        program: what the file is, if that is said (`--as`).

    Raises:
        UsageError: there is none, or it can't be told which; the message says what is looked for.
    """
    wanted = programs(lab)
    if program and program not in wanted:
        raise UsageError(f"{lab} has no program {program}", f"its programs: {', '.join(wanted)}")
    if not path.exists():
        raise UsageError(f"{path}: No such file or directory")
    folder = path if path.is_dir() else path.parent
    files = _read(folder) if path.is_dir() else _read_beside(path)
    said = _said(files.pop(_OWN, b""), folder / _OWN, wanted)
    found = _in_folder(files, wanted, program) if path.is_dir() else {_what(path.name, wanted, program): path.name}
    for name, words in said.items():
        if words.get("file"):
            found[name] = str(words["file"])
            if found[name] not in files and not words.get("build"):
                raise UsageError(f"{folder / _OWN}: {name}: there is no file {found[name]}")
    if not found:
        looked_for = ", ".join(f"{name}.c or {name}.py" for name in wanted)
        raise UsageError(f"{path} has no program of {lab}", f"looked for: {looked_for}; or name one: --as {wanted[0]}")
    return {name: _source(name, main, files, said.get(name, {})) for name, main in found.items()}


def fetch(endpoint: Endpoint, path: str, folder: Path) -> Path:
    """Copy a folder or a file from a guest, from its user's home, into a folder here; returns where it is.

    Raises:
        UsageError: it isn't there.
        RoomFault: the guest does not answer.
    """
    with closing(Driver({endpoint.name: endpoint})) as driver:
        host = driver.hosts[endpoint.name]
        look = ("find", "-L", path, "-type", "f", "-not", "-path", "*/.*", "-size", f"-{_BYTES}c", "-printf", "%P\\0")
        found = host.run(*look)
        if found.status != 0 and not found.stdout:
            raise UsageError(
                f"{endpoint.name}:{path}: {found.stderr.strip().rpartition(': ')[2] or 'nothing is there'}"
            )
        names = found.stdout.split("\0")[:-1]
        if len(names) > _FILES:
            raise UsageError(f"{endpoint.name}:{path} holds more than {_FILES} files", "name the folder of one lab")
        home = host.run("pwd").stdout.strip()
        for name in names:
            target = folder / (name or posixpath.basename(path))
            if not target.resolve().is_relative_to(folder.resolve()):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(host.read_file(posixpath.join(home, path, name) if name else posixpath.join(home, path)))
    return folder if names != [""] else folder / posixpath.basename(path)


def _read(folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    size = 0
    try:
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            if any(part.startswith(".") or part in ("__pycache__", "__MACOSX") for part in relative.parts):
                continue
            if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
                continue
            size += path.stat().st_size
            if len(files) >= _FILES or size > _BYTES:
                raise UsageError(
                    f"{folder} holds more than {_FILES} files, or {_BYTES >> 20} MiB", "name the folder of one lab"
                )
            files[str(relative)] = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: {error.strerror}") from error
    return files


def _read_beside(path: Path) -> dict[str, bytes]:
    """A file, and what it may be built of: headers and own.yml beside it."""
    try:
        beside = [file for file in path.parent.iterdir() if file.suffix in (".h", ".hpp") or file.name == _OWN]
        return {file.name: file.read_bytes() for file in [*beside, path] if file.is_file()}
    except OSError as error:
        raise UsageError(f"{error.filename or path}: {error.strerror}") from error


def _said(data: bytes, file: Path, wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What own.yml says of each program."""
    document = yaml_file.parse(decoded(data))
    if document.mistakes:
        raise UsageError("\n".join(f"{file}: line {mistake}" for mistake in document.mistakes))
    said = document.data or {}
    keys = {"file", "start", "build", "typed"}
    if not isinstance(said, dict) or not all(isinstance(words, dict) for words in said.values()):
        raise UsageError(f"{file}: it must say, for each program, {', '.join(sorted(keys))}")
    for name, words in said.items():
        if name not in wanted:
            raise UsageError(f"{file}: the lab has no program {name}", f"its programs: {', '.join(wanted)}")
        if unknown := words.keys() - keys:
            raise UsageError(f"{file}: {name}: {', '.join(map(str, unknown))}: not known", f"known: {', '.join(keys)}")
    return said


def _stem(name: str) -> str:
    """A file's name without folder, ending and what browsers add: `dir/Echo_Server (1).c` -> `echo_server`."""
    return re.sub(r"\s*\(\d+\)$|-\d$", "", posixpath.splitext(posixpath.basename(name))[0]).lower()


def _is_program(name: str, data: bytes) -> bool:
    suffix = posixpath.splitext(name)[1].lower()
    if suffix in (".c", ".cc", ".cpp", ".cxx"):
        return bool(re.search(r"\bmain\s*\(", decoded(data)))
    return suffix == ".py" or data.startswith((b"\x7fELF", b"#!"))


def _part(name: str) -> str:
    """Whether a name is a server's or a client's."""
    words = name.lower()
    return next((part for part, forms in _PARTS.items() if any(form in words for form in forms)), "")


def _in_folder(files: Mapping[str, bytes], wanted: Sequence[str], program: str) -> dict[str, str]:
    candidates = [name for name, data in files.items() if _is_program(name, data)]
    found: dict[str, str] = {}
    for name in wanted:
        exact = [file for file in candidates if _stem(file) == name]
        sources = [file for file in exact if posixpath.splitext(file)[1]] or exact
        if len(sources) > 1:
            raise UsageError(f"several files are {name}: {', '.join(sources)}", "name one of them: --own FILE")
        if sources:
            found[name] = sources[0]
    left = [file for file in candidates if file not in found.values() and _stem(file) not in wanted]
    if program and program not in found:
        if len(left) != 1:
            raise UsageError(
                f"which of these is {program}: {', '.join(left) or 'no file'}?", f"--own FILE --as {program}"
            )
        return {program: left[0]}
    for part in _PARTS:
        of_part = [name for name in wanted if _part(name) == part]
        own = [file for file in left if _part(_stem(file)) == part]
        if len(of_part) == 1 and len(own) == 1 and of_part[0] not in found:
            found[of_part[0]] = own[0]
        elif own and not any(name in found for name in of_part):
            raise UsageError(
                f"which program of the lab is {', '.join(own)}: {' or '.join(of_part)}?",
                f"--own {own[0]} --as {of_part[0]}" if of_part else "",
            )
    if not found and len(wanted) == len(left) == 1:
        found[wanted[0]] = left[0]
    if not found and len(left) == 1 and (named := _named_by_makefile(files, wanted)):
        found[named] = left[0]
    return {program: found[program]} if program else found


def _makefile(folder: str, files: Mapping[str, bytes]) -> str | None:
    """The Makefile in a folder."""
    paths = (posixpath.join(folder, name) for name in ("GNUmakefile", "makefile", "Makefile"))
    return next((path for path in paths if path in files), None)


def _named_by_makefile(files: Mapping[str, bytes], wanted: Sequence[str]) -> str:
    """The program of the lab that the folder's Makefile names; nothing if there is none, or more than one."""
    words = set(re.findall(r"\w+", decoded(files.get(_makefile("", files) or "", b""))))
    parts = [_part(name) for name in wanted]
    named = [name for name in wanted if name in words] or [
        name
        for name, part in zip(wanted, parts, strict=True)
        if part and parts.count(part) == 1 and part in map(_part, words)
    ]
    return named[0] if len(named) == 1 else ""


def _made_in(folder: str, files: Mapping[str, bytes]) -> str | None:
    """The folder whose Makefile builds what lies in a folder: that itself, or the nearest one around it."""
    while _makefile(folder, files) is None:
        if not folder:
            return None
        folder = posixpath.dirname(folder)
    return folder


def _what(file: str, wanted: Sequence[str], program: str) -> str:
    """Which program of the lab a file is."""
    if program:
        return program
    if _stem(file) in wanted:
        return _stem(file)
    part = _part(_stem(file))
    fitting = [name for name in wanted if not part or _part(name) == part]
    if len(fitting) != 1:
        raise UsageError(f"{file}: which program of the lab is it?", f"--as {' or --as '.join(fitting or wanted)}")
    return fitting[0]


def _source(program: str, main: str, files: Mapping[str, bytes], said: Mapping[str, Any]) -> Source:
    kind = _SOURCES.get(posixpath.splitext(main)[1].lower(), "program")
    if kind in ("c", "c++") and _made_in(posixpath.dirname(main), files) is not None:
        kind = "make"
    typed = said.get("typed", ())
    return Source(
        program,
        main,
        kind,
        files,
        start=str(said.get("start", "")),
        build=str(said.get("build", "")),
        typed=[str(line) for line in ([typed] if isinstance(typed, str | int) else typed)],
    )
