"""A person's own programs as they are on the guests of one session: put there, built, confined.

They run as a user of their own, within limits, who may do nothing else there.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

from labroom.checks.own import COMPILED, WARNINGS, Source
from labroom.driver import CheckFailed, Completed, Host, Launch, Program
from labroom.errors import RoomFault

T = TypeVar("T")

#: What the name of a person's program ends with, and of its second build, with ASan and UBSan.
OWN, SANITIZED = "@own", "@sanitized"

#: What an own program may use: see getrlimit(2). Memory is not limited where a sanitizer needs all addresses.
LIMITS = {"NPROC": 256, "FSIZE": 64 << 20, "CPU": 60, "CORE": 0}
MEMORY = {"AS": 2 << 30}

#: What the sanitizers are told: servers are killed, which is no leak.
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=0:color=never", "UBSAN_OPTIONS": "color=never"}

BUILD_SECONDS = 60.0


class Way(NamedTuple):
    """How a client reaches the driver's peer.

    Attributes:
        here: whether the peer listens on the client's own host.
        port: the port that the peer listens at; 0: any.
        words: the client's arguments, with {host} and {port}.
        typed: what is typed before all else, likewise.
    """

    here: bool
    port: int
    words: Sequence[str]
    typed: Sequence[str]


class Submission:
    """A person's programs, as they are built on the hosts of one session."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = sources
        self._built: dict[tuple[str, int, str], Launch | CheckFailed] = {}  # host, which agent of it, program
        self._confined: dict[str, bool] = {}
        self.starts: dict[str, Sequence[str]] = {}  # server -> the start line that worked
        self.ways: dict[str, Way] = {}  # client -> the way that worked
        self.ports: dict[str, int] = {}  # server -> the port that it has whatever it is told

    def without_folders(self, text: str) -> str:
        """Text in which files have the names that they have at a person's home, not those of our folders."""
        for built in self._built.values():
            if isinstance(built, Launch):
                text = text.replace(f"{built.directory}/", "")
        return re.sub(r"[\w/]*/labroom-\w{8}/", "", text)  # of `Host.folder`

    def source(self, name: str) -> Source:
        """What a person has written: the source of a program, whichever build of it the name means."""
        return self.sources[name.partition("@")[0]]

    def launch(self, host: Host, name: str) -> Launch:
        """How a program is started, which is built on a host the first time that it is asked for.

        Args:
            host: where.
            name: the lab's name of it, and `OWN` or `SANITIZED`.

        Raises:
            CheckFailed: it can't be built; the same words each time.
        """
        host.connect()
        agent = host.agents
        if (host.name, agent, name) not in self._built:
            source, program = self.source(name), name.partition("@")[0]
            both = (OWN, SANITIZED) if source.kind in COMPILED else (OWN,)
            begun = {
                build: _outcome(partial(begin_build, host, source, sanitized=build == SANITIZED)) for build in both
            }
            for build, wait in begun.items():  # side by side
                done = wait if isinstance(wait, CheckFailed) else _outcome(wait)
                self._built[host.name, agent, program + build] = done
        found = self._built[host.name, agent, name]
        if isinstance(found, CheckFailed):
            raise found
        if host.name not in self._confined:
            self._confined[host.name] = host.is_root
        if self._confined[host.name]:
            return found
        unconfined = f"it ran unconfined, as {host.endpoint.user}, who may not use sudo here"
        return replace(found, remarks=[unconfined, *found.remarks])


def _outcome(do: Callable[[], T]) -> T | CheckFailed:
    try:
        return do()
    except CheckFailed as error:
        return error


def begin_build(host: Host, source: Source, *, sanitized: bool = False) -> Callable[[], Launch]:
    """Put a program's files on a host and begin to build it there, as its Makefile says, else by gcc or g++.

    Returns:
        what waits until it is built, and raises as this does.

    Raises:
        CheckFailed: it can't be built, or is for another system; the message has the compiler's words.
        RoomFault: the host has no compiler, or does not answer.
    """
    folder = host.folder(confined=True)
    for directory in sorted({posixpath.dirname(path) for path in source.files} - {""}):
        _run(host, folder, "mkdir", "-p", "--", directory)
    for path, data in source.files.items():
        script = data.startswith(b"#!")
        if script and b"\r" in data.partition(b"\n")[0]:
            data = data.replace(b"\r\n", b"\n")
        host.write_file(f"{folder}/{path}", data, 0o755 if script or data.startswith(b"\x7fELF") else 0o644)
    here = posixpath.join(folder, source.folder).rstrip("/")
    main = posixpath.basename(source.main)
    if source.build:
        _succeed(_run(host, here, "sh", "-c", source.build), source.build)
        built = _launch(source, here, _built_file(host, here, source))
        return lambda: built
    if source.kind == "python":
        _see_python(source)
        return lambda: _launch(source, here, "python3", main)
    if source.kind == "program":
        return lambda: _launch(source, here, f"./{main}")
    if not source.text.strip():
        raise CheckFailed(f"{source.main} is empty")
    if source.files[source.main][:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise CheckFailed(f"{source.main} is saved as UTF-16, and compilers read UTF-8")
    if windows := next(source.lines_with(r"#\s*include\s*<(winsock2?|windows|conio)\.h>"), None):
        raise CheckFailed(f"{source.main} is written for Windows: line {windows[0]}, {windows[1]}")
    if source.kind == "make" and not sanitized:
        make = _start(host, here, "make")

        def made() -> Launch:
            _succeed(_end(make, "make"), "make")
            return _launch(source, here, _built_file(host, here, source))

        return made
    return _compile(host, source, here, sanitized)


def _launch(source: Source, here: str, *argv: str, warnings: str = "", sanitized: bool = False) -> Launch:
    """How what was built in a folder is started there."""
    return Launch(
        argv,
        here,
        posixpath.basename(source.main),
        env={"HOME": here, **SANITIZERS},
        confined=True,
        limits=LIMITS if sanitized else LIMITS | MEMORY,
        remarks=[f"compiler: {line}" for line in warnings.splitlines() if ": warning: " in line],
    )


def _compile(host: Host, source: Source, here: str, sanitized: bool) -> Callable[[], Launch]:
    compiler = source.compiler
    binary = posixpath.splitext(posixpath.basename(source.main))[0] + (".sanitized" if sanitized else "")
    if posixpath.join(source.folder, binary) in source.files:
        binary += ".out"
    options = ["-g", "-pthread", *WARNINGS, "-o", binary]
    if sanitized:
        options += ["-O1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    if source.kind == "make":  # whose Makefile says where its headers are
        options += [f"-I{folder}" for folder in source.header_folders]
    language = ["-x", "c++" if compiler == "g++" else "c"]
    compiling = _start(host, here, source.compiler, *options, *language, *source.parts, "-lm")

    def compiled() -> Launch:
        done = _end(compiling, source.compiler)
        if done.status == 127 or (done.status != 0 and "not found" in done.stderr and source.compiler in done.stderr):
            raise RoomFault(f"{host.name} has no {source.compiler}", host.endpoint.provision)
        _succeed(done, source.compiler)
        return _launch(source, here, f"./{binary}", warnings=done.stderr, sanitized=sanitized)

    return compiled


def _see_python(source: Source) -> None:
    if not source.text.strip():
        raise CheckFailed(f"{source.main} is empty")
    try:
        ast.parse(source.text)
    except (SyntaxError, ValueError) as error:
        if old := next(source.lines_with(r"^\s*print\s+[^(=\s]|^\s*except\s+\w+\s*,\s*\w+\s*:|\braw_input\("), None):
            raise CheckFailed(f"{source.main} is Python 2: line {old[0]}, {old[1]}") from error
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
        raise CheckFailed(f"{source.main} is no Python: {line}{error.args[0]}") from error


def _built_file(host: Host, here: str, source: Source) -> str:
    """What a Makefile has made: the program's name, its source's, or the only new program."""
    main = posixpath.splitext(posixpath.basename(source.main))[0]
    found = _run(host, here, "find", ".", "-maxdepth", "2", "-type", "f", "-perm", "-u+x", "-printf", "%P\\n")
    made = [name for name in found.stdout.splitlines() if posixpath.join(source.folder, name) not in source.files]
    for wanted in (source.program, main, f"{main}.out"):
        if fitting := [name for name in made if posixpath.basename(name) == wanted]:
            return f"./{fitting[0]}"
    if len(made) == 1:
        return f"./{made[0]}"
    made_words = f"it made {', '.join(made)}" if made else "it made no program"
    raise CheckFailed(f"the Makefile was to make {source.program} or {main}, and {made_words}")


def _start(host: Host, folder: str, *argv: str) -> Program:
    program = host.start_command(
        argv,
        directory=folder,
        name="build",
        quiet=True,
        confined=True,
        limits=LIMITS,
        env={"HOME": folder, "LC_ALL": "C.UTF-8"},
    )
    program.close_stdin()
    return program


def _end(program: Program, command: str) -> Completed:
    seconds = BUILD_SECONDS * program.host.driver.slowness
    status = program.wait(seconds, otherwise=f"{command} does not end")
    return Completed(status, program.stdout, program.stderr)


def _run(host: Host, folder: str, *argv: str) -> Completed:
    return _end(_start(host, folder, *argv), argv[0])


def _succeed(done: Completed, command: str) -> None:
    if done.status != 0:
        said = (done.stderr or done.stdout).strip()
        first = re.search(r"^.*\b(?:error|Error|undefined reference)\b.*$", said, re.MULTILINE)
        raise CheckFailed(f"{command} fails: {first[0] if first else said[-300:]}\n{said[:4000]}")


def finding(output: str, source: Source) -> str:
    """What a sanitizer says in a program's output, in one line: what was done wrong, and where in the source."""
    main = source.main
    files = "|".join(re.escape(posixpath.basename(file)) for file in source.files)
    if found := re.search(rf"((?:{files}):\d+):\d+: runtime error: (.*)", output):  # maybe behind a prompt
        return f"{found[1]}: {found[2].strip()} (found by UBSan)"
    if found := re.search(r"ERROR: AddressSanitizer: (\S+)", output):
        where = re.search(rf" ([^ ]*{re.escape(posixpath.basename(main))}:\d+)", output[found.end() :])
        how = re.search(r"^(READ|WRITE) of size \d+", output, re.MULTILINE)
        return f"{where[1] if where else main}: {found[1]}{f', {how[0]}' if how else ''} (found by ASan)"
    return ""
