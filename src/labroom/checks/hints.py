"""Hints: what a student can do about a failure, as far as what was seen tells that.

A check may end its words with a line `hint: …` of its own. Else the words decide: what was seen, and what the program
said at last; a rule here must be true whenever its patterns are found. Else it is the claim's (`claims.claim`).
"""

from __future__ import annotations

import re

from labroom.driver.words import HINT

_MEMORY = "it used memory that is not its own: built by gcc -g -fsanitize=address,undefined it names the line"
_PIPE = (
    "whoever was to read had closed already. In C: signal(SIGPIPE, SIG_IGN), and look at what send() returns; "
    "in Python: catch OSError"
)
_WAITS_FOR_MORE = r"waits in (recv\w*|read)\((?!0\))"

# What the system or the program itself said -> hint. The first rule whose patterns are all found is taken.
_SAID: tuple[tuple[tuple[str, ...], str], ...] = (
    ((r"stack smashing|buffer overflow detected|free\(\): |malloc\(\): ",), _MEMORY),
    ((r"BrokenPipeError|Broken pipe",), _PIPE),
    (
        (r"ConnectionResetError|Connection reset by peer",),
        "a client may break its connection at any moment: where recv() or send() fails, close its socket and go on",
    ),
    (
        (r"UnicodeDecodeError",),
        "what comes from a socket is bytes, which may be no text, or end within a letter: send them on as they are; to "
        "print them, decode(errors='replace')",
    ),
    (
        (r"InterruptedError|Interrupted system call",),
        "a signal such as SIGCHLD interrupts accept() and recv(): call them again where errno is EINTR, or use "
        "sigaction() with SA_RESTART",
    ),
    (
        (r"[Aa]ddress already in use|\bbind\b", r"did not listen"),
        "its port may still be in TIME_WAIT, from an earlier run: setsockopt(SO_REUSEADDR) before bind()",
    ),
    ((r"on stderr(:| it says) ''",), "perror() and fprintf(stderr, …) write to stderr, printf() to stdout"),
    ((r"[Uu]sage", r"did not (listen|connect)"), "say how it is started in an own.yml beside it: docs/own-programs.md"),
)

# What was seen, in our words -> hint.
_SEEN: tuple[tuple[tuple[str, ...], str], ...] = (
    ((r"was killed by SIG(SEGV|BUS)",), _MEMORY),
    ((r"was killed by SIGPIPE(?!.*did not listen)",), _PIPE),
    (
        (r"\b[1-9]\d* zombies?\b|\(Z\)",),
        "a handler of SIGCHLD calls waitpid(-1, NULL, WNOHANG) again and again, until it returns no process; "
        "one SIGCHLD may stand for several children",
    ),
    (
        (r"something of its child stays",),
        "a child ends when its client has left, by exit() after its loop: else it goes on as its parent does",
    ),
    (
        (r"descriptors|has (its|the listening) socket open",),
        "close() each client's socket when it has left; after fork(), the parent closes the client's, the child the "
        "listening one",
    ),
    ((r"of its processes run",), "it forks without end: a child leaves the loop that forks, by exit() or return"),
    (
        (r"printed more than|keeps the processors busy",),
        "a loop never ends: recv() returns 0 once the other side has closed, and -1 where it fails; fgets() returns "
        "NULL at the end of input",
    ),
    (
        (r"does not (listen|connect)", r"waits in read\(0\)"),
        "it waits for something to be typed: say what in an own.yml beside it (`typed`): docs/own-programs.md",
    ),
    (
        (r"sent was not read",),
        "recv() gives what has come so far, not a whole message: call it until all of it is there",
    ),
    (
        (r"nothing came", r"clients (were|had) connected", _WAITS_FOR_MORE),
        "it waits for one client while another one has sent: recv() only in a process or thread of that client's own, "
        "or where select(), poll() or epoll says that something has come",
    ),
    (
        (r"nothing came", r"clients (were|had) connected", r"waits in futex\("),
        "it waits for a thread's end, or for a lock, while a client waits for it: detach each thread, and hold no lock "
        "in recv()",
    ),
    (
        (r"nothing came", _WAITS_FOR_MORE),
        "it waits for more than was sent: recv() and read() give what has come, which may be less than a line or a "
        "buffer",
    ),
    (
        (r"has closed its direction", r"was not closed"),
        "recv() returns 0 once the other side has closed: leave the loop then, and close() the socket, in each process "
        "that has it",
    ),
)


def split(words: str) -> tuple[str, str]:
    """Words without the hint that a check has put into them, and that hint."""
    lines = words.split("\n")
    hints = [line.removeprefix(HINT) for line in lines if line.startswith(HINT)]
    return "\n".join(line for line in lines if not line.startswith(HINT)), hints[0] if hints else ""


def hint(words: str, of_claim: str = "") -> str:
    """What a student can do, by the words of a failure.

    Args:
        words: what was seen, and what the program said, in quotes.
        of_claim: the claim's own hint, for when the words tell nothing more.
    """
    ours = re.sub(r"(?<!\w)'[^'\n]*'", "''", words)
    for rules, text in ((_SAID, words), (_SEEN, ours)):
        for patterns, found in rules:
            if all(re.search(pattern, text) for pattern in patterns):
                return found
    return of_claim
