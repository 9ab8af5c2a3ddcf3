"""What every check of a lab can use: the fixtures and the verdicts of `labroom.checks`, and the labs' C twins."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from labroom.checks.run import (
    alfa,
    bravo,
    charlie,
    check,
    driver,
    gateway,
    outside,
    port,
    pytest_runtest_makereport,
    results_folder,
    server,
    setting,
)
from labroom.driver import Driver, Host, Program

__all__ = [
    "alfa",
    "bravo",
    "charlie",
    "check",
    "driver",
    "gateway",
    "outside",
    "port",
    "pytest_runtest_makereport",
    "results_folder",
    "server",
    "setting",
]

TWINS = Path(__file__).parent / "c"
COMPILE = [
    *("gcc", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-pthread", "-g", "-Wall", "-Wextra", "-Werror"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
]


@pytest.fixture
def c_twin(check: Driver) -> Callable[..., Program]:
    """Start the C twin of a lab program: `c_twin(alfa, "hello_client", server.address, port)`.

    It is compiled on the guest, once for as long as its source and lab.h stay the same.
    """

    def start(host: Host, name: str, *arguments: object, tty: bool = False, directory: str | None = None) -> Program:
        sources = {file: (TWINS / file).read_bytes() for file in ("lab.h", f"{name}.c")}
        digest = hashlib.sha256(b"".join(sources.values()) + " ".join(COMPILE).encode()).hexdigest()[:12]
        binary = f".cache/labroom/{name}-{digest}"
        if host.start_command(["test", "-x", binary], quiet=True).wait():
            for file, content in sources.items():
                host.write_file(f"{host.scratch}/{file}", content)
            made = f"{binary}.{Path(host.scratch).name}"  # then moved: another worker may be at the same
            host.start_command(["mkdir", "-p", ".cache/labroom"], quiet=True).wait()
            gcc = host.run(*COMPILE, "-o", made, f"{host.scratch}/{name}.c", timeout=check.patience + 20)
            assert gcc.status == 0, f"gcc on {host.name} does not compile {name}.c: {gcc.stderr}"
            host.start_command(["mv", made, binary], quiet=True).wait()
        return host.start_command(
            [f"~/{binary}", *map(str, arguments)],
            name=f"{name}.c",
            directory=directory,
            env={"LAB_PACE": str(check.pace)},
            tty=tty,
        )

    return start
