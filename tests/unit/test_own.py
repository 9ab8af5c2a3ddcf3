"""A person's own programs, without a guest: which files are which programs, and which checks are asked of them."""

from pathlib import Path
from typing import Any

import pytest

from labroom.checks import own, submission
from labroom.driver import Process, difference
from labroom.driver.words import grouped
from labroom.errors import UsageError

pytest_plugins = ["pytester"]

MAIN = "int main(void) { return 0; }\n"


def found(folder: Path, lab: str = "tcp_hello", program: str = "", **files: str) -> dict[str, str]:
    """The main file of each program that is found in a folder with these files (`__` stands for a dot)."""
    for name, text in files.items():
        path = folder / name.replace("__", ".").replace("_SLASH_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {name: source.main for name, source in own.find(folder, lab, program).items()}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"hello_server__c": MAIN}, {"hello_server": "hello_server.c"}),
        ({"hello_client__py": "x"}, {"hello_client": "hello_client.py"}),
        ({"server__c": MAIN, "client__c": MAIN}, {"hello_server": "server.c", "hello_client": "client.c"}),
        ({"tcp_serv__c": MAIN, "util__c": "int x;"}, {"hello_server": "tcp_serv.c"}),
        ({"hello_server (1)__c": MAIN}, {"hello_server": "hello_server (1).c"}),
        ({"Hello_Server__C": MAIN}, {"hello_server": "Hello_Server.C"}),
        ({"__MACOSX_SLASH_server__c": MAIN, "server__c": MAIN}, {"hello_server": "server.c"}),
        ({"a folder_SLASH_서버_server__c": MAIN}, {"hello_server": "a folder/서버_server.c"}),
        ({"Makefile": "hello_client: src/main.o\n", "src_SLASH_main__c": MAIN}, {"hello_client": "src/main.c"}),
        ({"Makefile": "NAME = my_server\n", "src_SLASH_main__c": MAIN}, {"hello_server": "src/main.c"}),
    ],
)  # fmt: skip
def test_programs_are_found_by_their_names(tmp_path: Path, files: dict[str, str], expected: dict[str, str]) -> None:
    assert found(tmp_path, **files) == expected


@pytest.mark.parametrize(
    ("lab", "files", "words", "remedy"),
    [
        ("tcp_hello", {}, "has no program of tcp_hello", "hello_server.c or hello_server.py"),
        (
            "tcp_hello",
            {"hello_server__c": MAIN, "hello_server__py": "x"},
            "several files are hello_server",
            "--own FILE",
        ),
        ("tcp_echo", {"server__c": MAIN}, "which program of the lab is server.c", "--as echo_server"),
        ("tcp_hello", {"own__yml": "hello_serve: {}"}, "the lab has no program hello_serve", "hello_server"),
        ("tcp_hello", {"own__yml": "hello_server: {begin: x}"}, "begin: not known", "start"),
        ("tcp_hello", {"own__yml": "hello_server: {file: x.c}"}, "there is no file x.c", ""),
        ("tcp_hello", {"own__yml": "{"}, "own.yml: ", ""),
        ("tcp_hello", {"own__yml": "[" * 100_000}, "own.yml: line 1: more than 16 lists", ""),
        ("tcp_hello", {"own__yml": "hello_server: {file: a.c, file: b.c}"}, "hello_server.file: written twice", ""),
    ],
)
def test_what_is_wrong_is_said_with_a_remedy(
    tmp_path: Path, lab: str, files: dict[str, str], words: str, remedy: str
) -> None:
    with pytest.raises(UsageError) as error:
        found(tmp_path, lab, **files)
    assert words in str(error.value)
    assert remedy in error.value.remedy


def test_a_file_is_what_it_is_told_to_be(tmp_path: Path) -> None:
    file = tmp_path / "mine.c"
    file.write_text(MAIN)
    (source,) = own.find(file, "tcp_echo", "iterative_server").values()
    assert (source.program, source.main) == ("iterative_server", "mine.c")
    with pytest.raises(UsageError, match="tcp_echo has no program hello_server"):
        own.find(file, "tcp_echo", "hello_server")


def test_own_yml_says_how_a_program_is_built_and_started(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text(MAIN)
    (tmp_path / "own.yml").write_text("hello_server: {file: x.c, start: '-p {port}', build: 'cc x.c', typed: '{port}'}")
    (source,) = own.find(tmp_path, "tcp_hello").values()
    assert (source.main, source.start, source.build, list(source.typed)) == ("x.c", "-p {port}", "cc x.c", ["{port}"])


def test_a_makefile_builds_what_lies_below_it(tmp_path: Path) -> None:
    found(tmp_path, Makefile="x:", src_SLASH_hello_server__c=MAIN, src_SLASH_a__c="int a;", include_SLASH_a__h="")
    (source,) = own.find(tmp_path, "tcp_hello").values()
    assert (source.kind, source.folder, source.build_command) == ("make", "", "make")
    assert (source.parts, source.header_folders) == (["src/a.c", "src/hello_server.c"], ["include"])


def test_nothing_outside_of_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "server.c").write_text(MAIN)
    (folder / "link").symlink_to("../secret")
    (source,) = own.find(folder, "tcp_hello").values()
    assert set(source.files) == {"server.c"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
def test_sources_may_be_in_any_encoding(encoding: str) -> None:
    assert own.decoded("// 안녕\n".encode(encoding)) == "// 안녕\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [("", 4), ("comes back", 2), ("late", 3), ("nothing says this", 0)],
)
def test_words_choose_checks_and_what_they_need(pytester: Any, words: str, expected: int) -> None:
    pytester.makepyfile(
        test_lab="""
        import pytest
        from labroom.checks.claims import claim
        @claim("lesson", "mine")
        def test_listens(): "It listens."
        @claim("lesson", "mine", needs=["listens"])
        def test_answers(): "All comes back."
        @claim("lesson", "mine", needs=["answers"])
        def test_late(): "It may be read late."
        def test_other(): "A demonstration."
        """
    )
    pytester.makeconftest(
        f"""
        from labroom.checks import plugin
        from labroom.checks.claims import Chosen
        def pytest_configure(config):
            config.stash[plugin.SETTING] = plugin.Setting(None, None, Chosen(words={words!r}))
        """
    )
    done = pytester.inline_run(
        "-plabroom.checks.plugin", "--import-mode=importlib", "-pno:cacheprovider", "--collect-only"
    )
    assert len([item for call in done.getcalls("pytest_collection_finish") for item in call.session.items]) == expected


ASAN = """\
=================================================================
==7==ERROR: AddressSanitizer: stack-buffer-overflow on address 0x7ffc at pc 0x40 bp 0x7f sp 0x7f
WRITE of size 1 at 0x7ffc thread T0
    #0 0x401 in __interceptor_strcpy ../asan/asan.cpp:42
    #1 0x402 in serve /tmp/labroom-x/server.c:31
    #2 0x403 in main /tmp/labroom-x/server.c:60
"""


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (ASAN, "/tmp/labroom-x/server.c:31: stack-buffer-overflow, WRITE of size 1 (found by ASan)"),  # noqa: S108
        (
            "server.c:26:11: runtime error: index 9 out of bounds\n",
            "server.c:26: index 9 out of bounds (found by UBSan)",
        ),
        (
            "message from client : 0123server.c:26:11: runtime error: index 9 out of bounds\n",
            "server.c:26: index 9 out of bounds (found by UBSan)",
        ),
        ("ERROR: it says so itself\n", ""),
        ("", ""),
    ],
)
def test_what_a_sanitizer_finds_is_one_line_with_the_place(output: str, words: str) -> None:
    source = own.Source("echo_server", "server.c", "c", {"server.c": b""})
    assert submission.finding(output, source) == words


@pytest.mark.parametrize(
    ("wanted", "got", "words"),
    [
        (b"hello", b"hello", ["expected 'hello', and that came"]),
        (b"hello", b"", ["expected  'hello'", "got       ''", "           ^ nothing came"]),
        (b"hello", b"hEllo", ["expected  'hello'", "got       'hEllo'", "            ^ they differ from byte 2 on"]),
        (b"hello", b"hel", ["expected  'hello'", "got       'hel'", "              ^ 3 came, of 5 bytes"]),
        (b"hi", b"hi!", ["expected  'hi'", "got       'hi!'", "             ^ 1 byte more came"]),
        ("강!".encode(), "강".encode(), ["expected  '강!'", "got       '강'", "             ^ 3 came, of 4 bytes"]),
        ("강".encode(), "갈".encode(), ["expected  '강'", "got       '갈'", "           ^ they differ from byte 3 on"]),
        (
            b"a" * 90 + b"x" + b"a" * 90,
            b"a" * 90 + b"\x1b",
            [
                f"expected  …'{'a' * 20}x{'a' * 19}'…",
                rf"got       …'{'a' * 20}\x1b'",
                f"{' ' * 32}^ they differ from byte 91 on",
            ],
        ),
    ],
)
def test_a_difference_is_marked_at_the_first_byte(wanted: bytes, got: bytes, words: list[str]) -> None:
    assert difference(wanted, got).split("\n") == words


@pytest.mark.parametrize(
    ("wanted", "got", "hint"),
    [
        (b"hello", b"hello\0", "strlen(s) bytes"),
        (b"hello", b"hello\n", "fgets() leaves it"),
        (b"hello", b"hello\0\0xy", "not the whole buffer"),
        (b"again", b"\0\0again", "not the whole buffer"),
        (b"one two three", b"one two three!!", ""),
        (b"one two three", b"one two three two ", "what the buffer held from before"),
        (b"hello\n", b"hello", "blanks and newlines are bytes like others"),
        (b"again", b"\n", "that nobody had sent"),
        (b"one \0 two", b"one ", "stop at a zero byte"),
        (b"\xff\xfe", "\ufffd\ufffd".encode(), "send back the bytes as they came"),
    ],
)
def test_a_difference_that_tells_its_cause_has_a_hint(wanted: bytes, got: bytes, hint: str) -> None:
    found = difference(wanted, got).partition("\nhint: ")[2]
    assert hint in found
    assert bool(hint) == bool(found)


def test_processes_of_a_kind_are_told_together() -> None:
    server = Process(730, 1, "S", "./server 9090")
    children = [Process(731 + number, 730, "S", "./server 9090") for number in range(2)]
    zombies = [Process(740 + number, 730, "Z", "[server]") for number in range(5)]
    assert grouped([server]) == ["730 ./server 9090"]
    assert grouped([server, *children, *zombies]) == [
        "730 ./server 9090",
        "2 children of 730: ./server 9090",
        "5 zombies, children of 730",
    ]
    assert grouped(zombies[:1]) == ["1 zombie, child of 730"]
