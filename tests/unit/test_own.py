"""A person's own programs, without a guest: which files are which programs, and which checks are asked of them."""

from pathlib import Path
from typing import Any

import pytest

from labroom.checks import own
from labroom.driver import difference
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
        ("ERROR: it says so itself\n", ""),
        ("", ""),
    ],
)
def test_what_a_sanitizer_finds_is_one_line_with_the_place(output: str, words: str) -> None:
    assert own.finding(output, "server.c") == words


@pytest.mark.parametrize(
    ("wanted", "got", "words"),
    [
        (b"hello", b"", "expected 'hello', and nothing came"),
        (b"hello", b"HELLO", "expected 'hello', got 'HELLO': they differ from byte 1 on"),
        (b"hello", b"hel", "expected 5 bytes, 'hello'; 3 came, 'hel'"),
        (b"hello", b"hello\0", r"expected 'hello'; 1 bytes more came, '\0'"),
        (b"a" * 90 + b"x", b"a" * 90 + b"\x1b", rf"from byte 91 on, expected '{'a' * 20}x', got '{'a' * 20}\x1b'"),
    ],
)
def test_a_difference_is_told_at_the_first_byte(wanted: bytes, got: bytes, words: str) -> None:
    assert difference(wanted, got) == words
