"""descriptors on a guest: which number open returns, what its flags allow, and whom the permissions refuse.

All files lie in a folder of the check's own. What open was asked and what it returned is also read from the kernel, by
strace.
"""

import shlex

import pytest

from labroom.checks.claims import claim
from labroom.checks.subjects import Subject
from labroom.driver import CheckFailed, Driver, Host, Program

STANDARD = ["stdin 0", "stdout 1", "stderr 2"]
DIGITS = b"0123456789"


def run(
    host: Host, program: str, *arguments: object, status: int = 0, tty: bool = False, otherwise: str = ""
) -> Program:
    """Run a program of the lab to its end, in a folder where it may create files."""
    ran = host.start(program, *arguments, directory=host.scratch, tty=tty)
    ran.expect_exit(status, otherwise=otherwise)
    return ran


def permissions_of(host: Host, file: str, folder: str = "") -> str:
    """The permissions of a file in a folder, else in the scratch folder, as ls -l prints them."""
    return host.run("ls", "-l", f"{folder or host.scratch}/{file}").stdout.split()[0]


@pytest.mark.play
def test_descriptor_flags_and_permissions(driver: Driver, alfa: Host) -> None:
    """Open returns the lowest free descriptor, its flags say what may be done with it, the permissions say by whom."""

    def on_terminal(program: str, *arguments: str, status: int = 0, otherwise: str = "") -> Program:
        return run(alfa, program, *arguments, status=status, tty=True, otherwise=otherwise)

    driver.note("0, 1 and 2 are taken: the first file that is opened gets 3, the second one 4")
    opened = on_terminal("standard_descriptors", "notes", "more")
    assert opened.lines == [*STANDARD, "notes 3", "more 4"], f"the descriptors were {opened.lines}"
    driver.note("a descriptor that has been closed is free: 0 is now the lowest")
    opened = on_terminal("standard_descriptors", "notes", "--close", "0")
    assert opened.lines[-1] == "notes 0", f"0 had been closed, and open did not return it: {opened.lines}"
    driver.note("write-only: ABC goes to the beginning, and read is refused")
    opened = on_terminal("open_flags", "notes", "O_WRONLY")
    assert opened.saw("^read: Bad file descriptor$"), "a file opened write-only could be read"
    driver.note("read-write and append, two flags in one number: ABC goes to the end")
    opened = on_terminal("open_flags", "notes", "O_RDWR", "O_APPEND")
    assert opened.lines[-1] == "content  ABCABC", f"ABC was not appended: {opened.lines}"
    driver.note("a file that its own owner can neither read nor write")
    refused = on_terminal("permissions", "notes", "--chmod", "6150", status=1, otherwise="its owner could read it")
    assert refused.saw("^open: Permission denied$"), f"---sr-s--- was not refused: {refused.lines}"
    driver.note("chmod mends it")
    on_terminal("permissions", "notes", "--chmod", "0644", otherwise="after chmod its owner still could not read it")


def test_the_kernel_returned_it(alfa: Host) -> None:
    """The kernel is asked to create and to read only, with mode 0644, and returns the descriptor that is printed."""
    file = f"{alfa.scratch}/notes"
    traced = alfa.run("strace", "-e", "trace=openat,open", *alfa.launch("standard_descriptors").anywhere, file)
    assert traced.stdout.endswith(f"{file} 3\n"), f"the program printed {traced.stdout!r}"
    calls = [line for line in traced.stderr.splitlines() if file in line]
    assert len(calls) == 1, f"the file was opened {len(calls)} times: {calls}"
    for part in "O_RDONLY", "O_CREAT", " 0644)", " = 3":
        assert part in calls[0], f"there is no {part!r} in the call that the kernel saw: {calls[0]}"
    assert permissions_of(alfa, "notes") == "-rw-r--r--", f"the new file is {permissions_of(alfa, 'notes')}"


def test_a_descriptor_in_use_is_passed_over(bravo: Host) -> None:
    """A process that is given descriptor 4 as well gets 3, then 5."""
    program = shlex.join(bravo.launch("standard_descriptors").anywhere)
    given_four = bravo.run("sh", "-c", f"cd {bravo.scratch} && {program} a b 4</dev/null")
    assert given_four.stdout.splitlines()[3:] == ["a 3", "b 5"], f"with 4 in use: {given_four.stdout.splitlines()}"


def test_refused_to_its_owner(charlie: Host) -> None:
    """---sr-s--- is refused to its owner, who is not asked as one of the group; the superuser may; chmod mends it."""
    charlie.write_file(f"{charlie.scratch}/secret", DIGITS)
    charlie.run("chmod", "6150", f"{charlie.scratch}/secret")
    assert permissions_of(charlie, "secret") == "---sr-s---", f"ls -l shows {permissions_of(charlie, 'secret')}"
    refused = run(charlie, "permissions", "secret", status=1, otherwise="its owner could read ---sr-s---")
    assert refused.lines[1:] == [
        "special     6 set-user-ID, set-group-ID",
        "owner   --s 1 execute",
        "group   r-s 5 read, execute",
        "others  --- 0",
    ], f"---sr-s--- was explained as {refused.lines}"
    refused = run(charlie, "open_flags", "secret", "O_WRONLY", status=1, otherwise="its owner could write ---sr-s---")
    assert refused.stderr == "open: Permission denied\n", f"writing was refused with {refused.stderr!r}"

    superuser = charlie.run("sudo", *charlie.launch("permissions").anywhere, f"{charlie.scratch}/secret")
    assert superuser.status == 0, f"the superuser was refused as well: {superuser.stderr}"

    charlie.run("chmod", "u+rw", f"{charlie.scratch}/secret")
    mended = run(charlie, "permissions", "secret", otherwise="after chmod u+rw its owner still could not read it")
    assert mended.lines[0] == "-rwsr-s--- 6750", f"after chmod u+rw it is {mended.lines[0]}"


# -- claims -----------------------------------------------------------------------------------------------------

PROGRAMS = ("standard_descriptors", "open_flags", "permissions")
ARGUMENTS = {
    "standard_descriptors": (["notes", "--close", "3"], ["--what"]),
    "open_flags": ([], ["digits"], ["digits", "O_WHAT"]),
    "permissions": ([], ["digits", "--chmod", "9"], ["digits", "more"]),
}


def lay(program: Subject) -> None:
    """Lay a file of ten digits into the program's folder: made by the user who runs it, so that it has their group."""
    program.beside("sh", "-c", f"rm -f digits; printf {DIGITS.decode()} > digits").expect_exit(0)


def content(program: Subject, file: str = "digits") -> str:
    """What is in a file of the program's folder."""
    try:
        return program.host.read_file(f"{program.folder}/{file}").decode(errors="backslashreplace")
    except CheckFailed:
        pytest.fail(f"there is no file {file} now; {program.program.last_words}")


def ended(program: Subject, *arguments: str) -> Program:
    """Start the program in its folder, and wait until it has ended."""
    program.own_folder()
    ran = program.start(*arguments)
    status = ran.wait()
    assert status >= 0, f"it {ran.ending}"
    return ran


def opened_with(program: Subject, *flags: str) -> str:
    """Have a file of ten digits opened with these flags; returns what is in it afterwards."""
    lay(program)
    ended(program, "digits", *flags)
    return content(program)


def shows(program: Subject, pattern: str, what: str) -> None:
    """See that the program, which has ended, has printed this."""
    assert program.program.saw(pattern), f"{what} is not in what it printed: {program.program.lines}"


def shows_descriptor(program: Subject, file: str, number: int) -> None:
    """See that the program has printed a file's descriptor: behind its name, or before it in the same line."""
    shows(program, rf"{file}\D*{number}(?!\d)|(?<!\d){number}(?!\d)[^\d\n]*{file}", f"{file} {number}")


@claim("lesson", "standard_descriptors")
def test_lowest_free(program: Subject) -> None:
    """0, 1 and 2 are in use: the first file that is opened gets 3, the next one 4."""
    ended(program, "notes", "more")
    for file, number in ("notes", 3), ("more", 4):
        shows_descriptor(program, file, number)


@claim("lesson", "standard_descriptors", needs=["lowest_free"])
def test_closed_is_free(program: Subject) -> None:
    """With `--close 0`, the first file gets 0, and the next one 3."""
    ended(program, "notes", "more", "--close", "0")
    for file, number in ("notes", 0), ("more", 3):
        shows_descriptor(program, file, number)


@claim("lesson", "standard_descriptors", needs=["lowest_free"], hint="O_CREAT | O_RDONLY, and the mode in octal: 0644")
def test_creates(program: Subject) -> None:
    """A file that isn't there is created with the permissions 0644, and one that is there stays as it is."""
    lay(program)
    ended(program, "new", "digits")
    assert content(program) == "0123456789", f"the file that was there holds {content(program)!r} now"
    permissions = permissions_of(program.host, "new", program.folder)
    assert permissions == "-rw-r--r--", f"the new file's permissions are {permissions}, not -rw-r--r--"


@claim("robustness", "standard_descriptors", needs=["lowest_free"])
def test_none_left(program: Subject) -> None:
    """Where `open` finds no free descriptor, none is printed for that file, and the status is another than 0."""
    program.own_folder()
    ran = program.start("notes", "more", tty=False, limits={"NOFILE": 4})
    status = ran.wait()
    shows_descriptor(program, "notes", 3)
    assert "-1" not in ran.stdout, f"there is no descriptor for `more`, and {ran.last_words}"
    assert status > 0, f"`more` could not be opened, and {ran.last_words}"


@claim("interface", "standard_descriptors", needs=["lowest_free"])
def test_names_the_call(program: Subject) -> None:
    """It then says `open: Too many open files` on stderr, and exits with 1."""
    program.own_folder()
    program.names_the_call("open: Too many open files", "notes", "more", limits={"NOFILE": 4})


@claim("lesson", "open_flags")
def test_read_only(program: Subject) -> None:
    """O_RDONLY: `read` is allowed, `write` refused, and the file stays as it was."""
    held = opened_with(program, "O_RDONLY")
    shows(program, r"(?<!\d)0123(?!\d)", "0123, which was read,")
    assert held == "0123456789", f"a file opened read-only was changed: {held}"


@claim("lesson", "open_flags")
def test_write_only(program: Subject) -> None:
    """O_WRONLY: `write` is allowed, over what is there; `read` is refused."""
    held = opened_with(program, "O_WRONLY")
    assert held == "ABC3456789", f"ABC was to be written over the beginning, and the file holds {held}"
    assert not program.program.saw(r"(?<!\d)0123(?!\d)"), "0123 was printed: a file opened write-only was read"


@claim("lesson", "open_flags")
def test_read_write(program: Subject) -> None:
    """O_RDWR: both are allowed, and `write` goes on where `read` has stopped."""
    held = opened_with(program, "O_RDWR")
    shows(program, r"(?<!\d)0123(?!\d)", "0123, which was read,")
    assert held == "0123ABC789", f"4 bytes were to be read, then ABC written, and the file holds {held}"


@claim("robustness", "open_flags", needs=["read_write"])
def test_any_bytes(program: Subject) -> None:
    """A zero byte, and bytes that are no UTF-8, are read and shown like others, and `write` goes on behind them."""
    program.beside("sh", "-c", r"printf '\377\376\0\300....' > digits").expect_exit(0)
    ended(program, "digits", "O_RDWR")
    held = program.host.read_file(f"{program.folder}/digits")
    assert held == b"\xff\xfe\0\xc0ABC.", f"the file holds {held!r}; {program.program.last_words}"
    shows(program, r"ABC\.", "what stands in the file behind a zero byte (ABC.)")


@claim("lesson", "open_flags")
def test_append(program: Subject) -> None:
    """O_APPEND: what is written goes to the end, wherever `read` has stopped."""
    held = opened_with(program, "O_RDWR", "O_APPEND")
    assert held == "0123456789ABC", f"ABC was to go to the end, and the file holds {held}"


@claim("lesson", "open_flags")
def test_truncate(program: Subject) -> None:
    """O_TRUNC: what was in the file is gone."""
    held = opened_with(program, "O_WRONLY", "O_TRUNC")
    assert held == "ABC", f"the file was to be cut to nothing first, and holds {held or 'nothing'}"


@claim("lesson", "open_flags")
def test_create(program: Subject) -> None:
    """O_CREAT makes a file that isn't there; without it none is made."""
    ended(program, "new", "O_RDWR")
    listed = program.host.run("ls", program.folder).stdout.split()
    assert "new" not in listed, "a file was made without O_CREAT"
    ended(program, "new", "O_RDWR", "O_CREAT")
    assert content(program, "new") == "ABC", f"the new file was to hold ABC, and holds {content(program, 'new')!r}"


@claim("lesson", "open_flags")
def test_flags_are_bits(program: Subject) -> None:
    """The flags are bits of one number: O_RDWR, O_CREAT, O_APPEND and O_TRUNC together are 03102."""
    opened_with(program, "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC", "O_RDWR")
    shows(program, r"(?<!\d)0*3102(?!\d)", "03102 (O_RDWR is given twice)")


@claim("robustness", "open_flags", needs=["append", "truncate"])
def test_any_order(program: Subject) -> None:
    """The order of the flags means nothing: O_APPEND O_RDWR appends. O_APPEND alone is read-only: O_RDONLY is 0."""
    for flags, wanted in (
        (("O_APPEND", "O_RDWR"), "0123456789ABC"),
        (("O_TRUNC", "O_WRONLY"), "ABC"),
        (("O_APPEND",), "0123456789"),
    ):
        held = opened_with(program, *flags)
        assert held == wanted, f"opened with {' '.join(flags)}, the file holds {held or 'nothing'} and not {wanted}"


@claim("lesson", "permissions")
def test_three_groups(program: Subject) -> None:
    """0754 is read in three groups: rwx of the owner, r-x of the group, r-- of the others."""
    lay(program)
    program.beside("chmod", "0754", "digits").expect_exit(0)
    ended(program, "digits")
    shows(program, r"(?s)rwx.*r-x.*r--", "rwx, r-x, r--, in this order,")
    shows(program, r"(?s)754|7\b.*5\b.*4", "7, 5, 4")


@claim("lesson", "permissions", needs=["three_groups"])
def test_special_bits(program: Subject) -> None:
    """6150, with set-user-ID and set-group-ID, is ---sr-s---."""
    lay(program)
    program.beside("chmod", "6150", "digits").expect_exit(0)
    ended(program, "digits")
    shows(program, "--sr-s---", "--sr-s---")  # of a plain file, ls(1) puts one more - before it
    shows(program, "6150", "6150")


@claim("robustness", "permissions", needs=["special_bits"])
def test_capitals(program: Subject) -> None:
    """A special bit without the x below it is a capital: 4644 is rwSr--r--, 1644 rw-r--r-T; 7777 is rwsrwsrwt."""
    for mode, letters in ("4644", "rwSr--r--"), ("2604", "rw---Sr--"), ("1644", "rw-r--r-T"), ("7777", "rwsrwsrwt"):
        lay(program)
        program.beside("chmod", mode, "digits").expect_exit(0)
        ended(program, "digits")
        for word in letters, mode:
            shows(program, word, f"{word}, of {mode},")


@claim("robustness", "permissions", needs=["three_groups"])
def test_link(program: Subject) -> None:
    """Of a symbolic link, the permissions are those of the file that it leads to."""
    lay(program)
    program.beside("sh", "-c", "chmod 0754 digits && ln -sf digits link").expect_exit(0)
    ended(program, "link")
    shows(program, "rwxr-xr--", "rwxr-xr--")


@claim("interface", "permissions", needs=["three_groups"])
def test_changes(program: Subject) -> None:
    """`--chmod` changes the permissions first; what its owner may not read, it can't open, and exits with 1."""
    lay(program)
    ran = program.start("digits", "--chmod", "6150", tty=False)
    ran.expect_exit(1)
    assert ran.stderr == "open: Permission denied\n", f"on stderr it said {ran.stderr!r}"
    permissions = permissions_of(program.host, "digits", program.folder)
    assert permissions == "---sr-s---", f"the file's permissions are {permissions}"


@claim("interface", *PROGRAMS)
def test_failed_open(program: Subject) -> None:
    """Where `open` or `stat` fails, it says why on stderr as `perror` does, not on stdout, and exits with 1."""
    flags = ["O_RDONLY"] if program.name.startswith("open_flags") else []
    call = "stat" if program.name.startswith("permissions") else "open"
    ran = program.start("missing/notes", *flags, tty=False)
    ran.expect_exit(1)
    assert ran.stderr == f"{call}: No such file or directory\n", f"on stderr it said {ran.stderr!r}"
    assert "No such" not in ran.stdout, f"the failure also went to stdout: {ran.lines}"


@claim("interface", *PROGRAMS)
def test_lines(program: Subject) -> None:
    """It prints exactly the lines of the handout, and exits with 0."""
    lay(program)
    arguments, lines = {
        "standard_descriptors": (["notes", "more"], [*STANDARD, "notes 3", "more 4"]),
        "open_flags": (
            ["digits", "O_RDWR", "O_APPEND"],
            [
                *("O_RDWR   00002", "O_APPEND 02000", "flags    02002", "open     3"),
                *("read     0123", "write    ABC", "content  0123456789ABC"),
            ],
        ),
        "permissions": (
            ["digits", "--chmod", "0754"],
            [
                *("-rwxr-xr-- 0754", "special     0", "owner   rwx 7 read, write, execute"),
                *("group   r-x 5 read, execute", "others  r-- 4 read", "open 3"),
            ],
        ),
    }[program.role]
    ran = program.start(*arguments)
    ran.expect_exit(0)
    assert ran.lines == lines, f"it printed {ran.lines}"


@claim("interface", *PROGRAMS)
def test_arguments(program: Subject) -> None:
    """Without its arguments, or with wrong ones, it exits with 2."""
    lay(program)
    for arguments in ARGUMENTS[program.role]:
        program.start(*arguments, tty=False).expect_exit(2, otherwise=f"with the arguments {arguments}")
