"""The lab programs as processes on the loopback, and the clients and servers that tests put before them."""

import ast
import contextlib
import itertools
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.helpers import state_of

LABS = Path(__file__).parents[2] / "labs"
PROGRAMS = {program.stem: program for program in sorted(LABS.glob("*/*.py"))}
DEADLINE = 20.0  # seconds until a state that doesn't come is a failure
LISTEN, TIME_WAIT, UNCONNECTED = "0A", "06", "07"  # in /proc/net/tcp and udp


@dataclass(frozen=True)
class Parameter:
    """One thing that a program may be given: PORT, [FILE], FLAG..., [--show], [--port PORT]."""

    option: str  # "--port", or "" if it goes by its place
    kind: str  # "PORT", or "" if the option takes no value
    optional: bool
    repeated: bool


def parameters(name: str) -> list[Parameter]:
    """Return what a program may be given, as the first line of its docstring has it: `name.py PORT [--show]: what`."""
    docstring = ast.get_docstring(ast.parse(PROGRAMS[name].read_bytes())) or ""
    usage = re.match(rf"{name}\.py((?: [^\s:]+)*): ", docstring)
    assert usage, f"the docstring of {name}.py doesn't begin with how it is called: {name}.py PORT: what it does"
    found = re.findall(r"(\[)?(--[a-z-]+)? ?([A-Z]+)?(\.\.\.)?", usage[1])
    return [
        Parameter(option, kind, bool(bracket), bool(dots)) for bracket, option, kind, dots in found if option or kind
    ]


class Program:
    """A lab program that runs, and what it has printed so far; `with` ends it."""

    def __init__(
        self,
        name: str,
        *arguments: object,
        pace: str = "0",
        stdout: int = subprocess.PIPE,
        folder: Path | None = None,
        descriptor_limit: int | None = None,  # soft; as this process has it if None
        closed: str = "",  # what sh(1) closes before: `<&- >&-`
    ) -> None:
        # Not by the limit of this process: pytest itself, as a worker of pytest-xdist, may have more of them open.
        limited = ["prlimit", f"--nofile={descriptor_limit}:"] if descriptor_limit else []
        closing = ["sh", "-c", f'exec "$@" {closed}', "sh"] if closed else []
        python = [sys.executable, "-S"]  # nothing but the standard library
        self.name = name
        self.output = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - a file, not a pipe: it may be read at any time
        self.process = subprocess.Popen(
            [*limited, *closing, *python, PROGRAMS[name], *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=self._errors,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "LAB_PACE": pace},
            start_new_session=True,
        )

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its children, too
        with self.process:
            self._errors.close()

    @property
    def errors(self) -> bytes:
        """What the program and its children have written to stderr so far."""
        return os.pread(self._errors.fileno(), 1 << 20, 0)

    @property
    def state(self) -> str:
        """R if it runs, S if it sleeps, T if it is stopped."""
        return state_of(self.process.pid)

    @property
    def sockets(self) -> list[int]:
        """Those of its descriptors that are sockets."""
        return [number for number, file in self.descriptors.items() if file.startswith("socket:")]

    @property
    def descriptors(self) -> dict[int, str]:
        """The program's open descriptors, and what each is."""
        descriptors = {}
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                descriptors[int(entry.name)] = str(entry.readlink())
        return dict(sorted(descriptors.items()))

    @property
    def children(self) -> list[int]:
        """The program's child processes, zombies too."""
        children: list[int] = []
        for thread in self._threads:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
                children += map(int, (thread / "children").read_text().split())
        return sorted(children)

    @property
    def threads(self) -> int:
        """How many threads the program has."""
        return len(self._threads)

    @property
    def _threads(self) -> list[Path]:
        return list(Path(f"/proc/{self.process.pid}/task").iterdir())

    def expect(self, text: bytes) -> None:
        """Read what the program prints until the text is in it."""
        assert self.process.stdout is not None
        while text not in self.output:
            ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE)
            piece = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert piece, f"{self.name} never printed {text!r}, only {self.output[-500:]!r}, {self.errors!r}"
            self.output += piece

    def wait_for(self, look: Callable[[], object], expected: object, what: str, seconds: float = DEADLINE) -> None:
        """Look again and again until it is as expected; a program that ends before is a failure."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and (seen := look()) != expected:
            assert time.monotonic() < deadline, f"{self.name}: {what}: {seen}, not {expected}"
            time.sleep(0.002)  # between two looks at a state, never instead of one
        assert self.process.poll() is None, f"{self.name} has ended: {self.process.returncode}, {self.errors!r}"

    def listening(self, port: int) -> "Program":
        """Wait until the program has its TCP port open, or is bound to its UDP port, and sleeps: waits for clients."""
        states = ((LISTEN, "tcp"), (UNCONNECTED, "udp"))

        def waits() -> bool:
            return any(port_state(port, *state) for state in states) and self.state == "S"

        try:
            self.wait_for(waits, True, f"waiting on port {port}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def type(self, text: bytes) -> None:
        """Type into the program's stdin, and leave it open."""
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def end(self, typed: bytes | None = None) -> tuple[int, bytes, bytes]:
        """Wait for the end; return the exit status, the rest of stdout, and stderr."""
        output, _ = self.process.communicate(typed, timeout=DEADLINE)
        return self.process.returncode, output or b"", self.errors

    def interrupt(self, *, alone: bool = False) -> tuple[int, bytes, bytes]:
        """Press Ctrl+C, which interrupts its children, too, or only it alone; return what end() returns."""
        (os.kill if alone else os.killpg)(self.process.pid, signal.SIGINT)
        return self.end()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the program meanwhile, as Ctrl+Z does."""
        os.kill(self.process.pid, signal.SIGSTOP)
        self.wait_for(lambda: self.state, "T", "state")
        yield
        os.kill(self.process.pid, signal.SIGCONT)


_candidates = itertools.count(os.getpid() * 100)  # not those that another run of the tests begins with


def free_port() -> int:
    """Return a port that is free now, and stays so: it is below those that the kernel gives to clients."""
    while True:
        port = 20000 + next(_candidates) % 12000
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("0.0.0.0", port))  # noqa: S104 - as the labs do
            return port


def port_state(port: int, state: str, protocol: str = "tcp") -> bool:
    """Tell whether a socket with this local port is in this state."""
    rows = (line.split() for line in Path("/proc/net", protocol).read_text(encoding="utf-8").splitlines()[1:])
    return any(row[1].endswith(f":{port:04X}") and row[3] == state for row in rows)


def connect(port: int) -> socket.socket:
    """Connect to a server; each piece that is sent is a segment of its own."""
    client = socket.create_connection(("127.0.0.1", port), DEADLINE)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def reset(client: socket.socket) -> None:
    """Break the connection: close() sends RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def send_in_pieces(client: socket.socket, data: bytes) -> None:
    """Send each byte in a segment of its own."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in data:
        client.send(bytes([byte]))


def receive(client: socket.socket, length: int) -> bytes:
    """Receive this many bytes, or fewer if the other side closes."""
    data = b""
    while len(data) < length and (piece := client.recv(length - len(data))):
        data += piece
    return data
