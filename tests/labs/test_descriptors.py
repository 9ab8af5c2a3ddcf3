"""descriptors on a guest: which number open returns, what its flags allow, and whom the permissions refuse.

All files lie in a folder of the check's own. What open was asked and what it returned is also read from the kernel, by
strace.
"""

import shlex

import pytest

from labroom.checks.programs import argv
from labroom.driver import Driver, Host, Program

STANDARD = ["stdin 0", "stdout 1", "stderr 2"]
DIGITS = b"0123456789"


def run(
    host: Host, program: str, *arguments: object, status: int = 0, tty: bool = False, otherwise: str = ""
) -> Program:
    """Run a program of the lab to its end, in a folder where it may create files."""
    ran = host.start(program, *arguments, directory=host.scratch, tty=tty)
    ran.expect_exit(status, otherwise=otherwise)
    return ran


def open_with(host: Host, *flags: str) -> tuple[Program, str]:
    """Open a file of ten digits with these flags; returns also what is in it afterwards."""
    host.write_file(f"{host.scratch}/digits", DIGITS)
    opened = run(host, "open_flags", "digits", *flags)
    return opened, host.read_file(f"{host.scratch}/digits").decode()


def permissions_of(host: Host, file: str) -> str:
    """The permissions of a file in the scratch folder, as ls -l prints them."""
    return host.run("ls", "-l", f"{host.scratch}/{file}").stdout.split()[0]


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
    traced = alfa.run("strace", "-e", "trace=openat,open", *argv(alfa, "standard_descriptors"), file)
    assert traced.stdout.endswith(f"{file} 3\n"), f"the program printed {traced.stdout!r}"
    calls = [line for line in traced.stderr.splitlines() if file in line]
    assert len(calls) == 1, f"the file was opened {len(calls)} times: {calls}"
    for part in "O_RDONLY", "O_CREAT", " 0644)", " = 3":
        assert part in calls[0], f"there is no {part!r} in the call that the kernel saw: {calls[0]}"
    assert permissions_of(alfa, "notes") == "-rw-r--r--", f"the new file is {permissions_of(alfa, 'notes')}"


def test_a_descriptor_in_use_is_passed_over(bravo: Host) -> None:
    """A process that is given descriptor 4 as well gets 3, then 5."""
    program = shlex.join(argv(bravo, "standard_descriptors"))
    given_four = bravo.run("sh", "-c", f"cd {bravo.scratch} && {program} a b 4</dev/null")
    assert given_four.stdout.splitlines()[3:] == ["a 3", "b 5"], f"with 4 in use: {given_four.stdout.splitlines()}"


def test_errors_go_to_standard_error(bravo: Host) -> None:
    """A file that can't be opened: the reason on standard error, nothing of it on standard output, status 1."""
    for file, reason in (
        ("/root/notes", "Permission denied"),
        ("missing/notes", "No such file or directory"),
        (".", "Is a directory"),
    ):
        failed = run(bravo, "standard_descriptors", file, status=1, otherwise=f"{file} could be opened")
        assert failed.stderr == f"open: {reason}\n", f"opening {file} failed with {failed.stderr!r}"
        assert failed.lines == STANDARD, f"the failure also went to standard output: {failed.lines}"


def test_read_only(alfa: Host) -> None:
    """O_RDONLY: read is allowed, write is refused, and the file stays as it was."""
    opened, content = open_with(alfa, "O_RDONLY")
    assert opened.saw("^read     0123$"), f"the file could not be read: {opened.lines}"
    assert opened.stderr == "write: Bad file descriptor\n", f"write was not refused: {opened.stderr!r}"
    assert content == "0123456789", f"a file opened read-only was changed: {content}"


def test_write_only(alfa: Host) -> None:
    """O_WRONLY: write is allowed, over what is there; read is refused."""
    opened, content = open_with(alfa, "O_WRONLY")
    assert opened.stderr == "read: Bad file descriptor\n", f"read was not refused: {opened.stderr!r}"
    assert content == "ABC3456789", f"ABC was not written over the beginning: {content}"


def test_read_write(alfa: Host) -> None:
    """O_RDWR: both are allowed, and write goes on where read has stopped."""
    opened, content = open_with(alfa, "O_RDWR")
    assert opened.stderr == "", f"with O_RDWR a call was refused: {opened.stderr!r}"
    assert content == "0123ABC789", f"4 bytes were read, then ABC was written: {content}"


def test_append(bravo: Host) -> None:
    """O_APPEND: every write goes to the end, wherever read has stopped."""
    _, content = open_with(bravo, "O_RDWR", "O_APPEND")
    assert content == "0123456789ABC", f"ABC did not go to the end: {content}"


def test_truncate(bravo: Host) -> None:
    """O_TRUNC: what was in the file is gone."""
    _, content = open_with(bravo, "O_WRONLY", "O_TRUNC")
    assert content == "ABC", f"the file was not cut to nothing first: {content}"


def test_create(bravo: Host) -> None:
    """Without O_CREAT a file that isn't there is an error; with it, it is made."""
    refused = run(bravo, "open_flags", "new", "O_RDWR", status=1, otherwise="open made a file without O_CREAT")
    assert refused.stderr == "open: No such file or directory\n", f"the reason was {refused.stderr!r}"
    run(bravo, "open_flags", "new", "O_RDWR", "O_CREAT")
    content = bravo.read_file(f"{bravo.scratch}/new")
    assert content == b"ABC", f"ABC was written to the new file, and {content!r} is in it"


def test_flags_are_bits(charlie: Host) -> None:
    """The flags are bits of one number."""
    opened, _ = open_with(charlie, "O_RDWR", "O_CREAT", "O_APPEND", "O_TRUNC")
    assert opened.lines[:5] == [
        *("O_RDWR   00002", "O_CREAT  00100", "O_APPEND 02000", "O_TRUNC  01000"),
        "flags    03102",
    ], f"the bits were {opened.lines}"


def test_three_groups(charlie: Host) -> None:
    """-rwxr-xr-- is read in three groups: the owner's, the group's, the others'."""
    charlie.write_file(f"{charlie.scratch}/script", b"")
    explained = run(charlie, "permissions", "script", "--chmod", "0754")
    assert explained.lines == [
        "-rwxr-xr-- 0754",
        "special     0",
        "owner   rwx 7 read, write, execute",
        "group   r-x 5 read, execute",
        "others  r-- 4 read",
        "open 3",
    ], f"-rwxr-xr-- was explained as {explained.lines}"
    assert permissions_of(charlie, "script") == "-rwxr-xr--", f"ls -l shows {permissions_of(charlie, 'script')}"


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

    superuser = charlie.run("sudo", *argv(charlie, "permissions"), f"{charlie.scratch}/secret")
    assert superuser.status == 0, f"the superuser was refused as well: {superuser.stderr}"

    charlie.run("chmod", "u+rw", f"{charlie.scratch}/secret")
    mended = run(charlie, "permissions", "secret", otherwise="after chmod u+rw its owner still could not read it")
    assert mended.lines[0] == "-rwsr-s--- 6750", f"after chmod u+rw it is {mended.lines[0]}"
