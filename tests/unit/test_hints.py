"""Hints: each is told for what was seen, and not for what only sounds like it."""

import pytest

from labroom.checks import hints


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("server's x.c was killed by SIGSEGV; it printed nothing more", "memory that is not its own"),
        ("server's x.c was killed by SIGABRT; it printed '*** stack smashing detected ***: terminated'", "memory"),
        ("server's x.c was killed by SIGPIPE; it printed nothing more", "signal(SIGPIPE, SIG_IGN)"),
        ("ended with status 1; it printed 'BrokenPipeError: [Errno 32] Broken pipe'", "catch OSError"),
        ("it printed 'ConnectionResetError: [Errno 104] Connection reset by peer'", "break its connection"),
        ("it printed \"UnicodeDecodeError: 'utf-8' codec can't decode byte 0x80\"", "decode(errors='replace')"),
        ("it printed 'accept: Interrupted system call'", "SA_RESTART"),
        ("server's x.c ended with status 1; it printed 'bind() error', and did not listen", "SO_REUSEADDR"),
        ("server's x.c ended with status 1; it printed 'Usage: x IP PORT', and did not listen", "own.yml"),
        ("server's x.c does not listen on any port, and that will not change: server's x.c waits in read(0)", "typed"),
        ("on stderr it says ''", "perror()"),
        ("its processes are 1 (S), 2 (Z); Z is a zombie", "waitpid(-1, NULL, WNOHANG)"),
        ("something of its child stays: its processes are 1 (S), 2 (R); Z is a zombie", "a child ends"),
        ("after twelve clients it has 16 descriptors, before 4", "close() each client's socket"),
        ("server's x.c printed more than 4 MiB and was stopped", "a loop never ends"),
        ("server's x.py keeps the processors busy by itself: 256 of its processes run", "it forks without end"),
        ("it came in pieces\nwhat server's client sent was not read: alfa's x waits in read(0)", "recv()"),
        ("nothing came, and that will not change: server's x.c waits in recvfrom(4)", "waits for more than was sent"),
        (
            "while other clients were connected\nnothing came, and that will not change: server's x.c waits in recv(4)",
            "waits for one client while another one has sent",
        ),
        (
            "the connection was not closed, although alfa's client has closed its direction, and that will not change: "
            "server's x.c waits in accept(3)",
            "returns 0 once the other side has closed",
        ),
        ("it has 0 zombies, and did not come to have 4", "the claim's"),
        ("no child of it is a zombie\nnot seen within 5 s: a zombie; x.c's processes: 9 ./x", "the claim's"),
        ("server's x.c was killed by SIGPIPE; it printed nothing more, and did not listen", "the claim's"),
        # What a program prints is not what was seen; and what was seen may have another cause.
        ("server's x.c did not print 'a zombie has 3 descriptors'", "the claim's"),
        ("on stderr it says 'bind() error'", "the claim's"),
        ("bind: Address already in use was expected, and server's x.c ended with status 2", "the claim's"),
        ("nothing came, and that will not change: alfa's x.c waits in read(0)", "the claim's"),
        ("Q was typed\nthe connection was not closed: alfa's x.c waits in read(3)", "the claim's"),
    ],
)
def test_a_hint_is_told_for_what_was_seen(words: str, hint: str) -> None:
    assert hint in hints.hint(words, "the claim's")


def test_a_check_s_own_hint_is_a_line_of_its_words() -> None:
    assert hints.split("it came late\nhint: be early\nafter 'x'") == ("it came late\nafter 'x'", "be early")
    assert hints.split("hint") == ("hint", "")
