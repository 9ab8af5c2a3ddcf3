"""A bad link for one port: what a check makes bad about a host's network, so that other labs there notice nothing.

It is made by a service of systemd's on the host, which holds it as long as the check's own program there runs: when
that ends, however it ends, the service ends what it has done (systemd-run(1)). No process that is killed could.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from labroom.bad_link import GOOD, BadLink, Place, refusal
from labroom.driver.waiting import Shared
from labroom.errors import CheckFailed, Lacking

# $1: the script that makes it bad; $2: the one that makes it good.
_HOLD = '''if sh -c "$1"; then echo bad; cat >/dev/null; fi; sh -c "$2"'''


class _Program(Protocol):
    """Of a program, what this needs."""

    @property
    def stdout(self) -> str: ...

    @property
    def stderr(self) -> str: ...

    def expect(self, pattern: str, timeout: float | None = None) -> object: ...

    def close_stdin(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class _Host(Protocol):
    """Of a host, what this needs: `Host` is above this module."""

    name: str
    address: str
    driver: Shared

    def start_command(self, argv: list[str], *, name: str, quiet: bool) -> _Program: ...


class BadPort:
    """What is bad for one port of a host, from the beginning of a `with` block to its end.

    Args:
        host: the host.
        port: of TCP and UDP, its own or a peer's.
        link: what is bad, in both directions.
    """

    def __init__(self, host: _Host, port: int, link: BadLink) -> None:
        self._host, self._port, self._link = host, port, link

    def __enter__(self) -> Self:
        """Make it bad.

        Raises:
            Lacking: the host can't.
        """
        place = Place.own_interface(self._host.address, "", self._port)
        hold = [_HOLD, "sh", place.script(self._link), place.script(GOOD)]
        service = ["sudo", "-n", "systemd-run", "--quiet", "--pipe", "--wait", "--collect"]
        self._program = self._host.start_command([*service, "sh", "-c", *hold], name="link", quiet=True)
        self._host.driver.record(self._host.name, "link", "note", f"for port {self._port}: {self._link}")
        try:
            self._program.expect("^bad$", timeout=self._host.driver.patience + 5)
        except CheckFailed:
            raise Lacking(*refusal(self._host.name, self._program.stderr)) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Make it good again."""
        self._program.close_stdin()
        self._program.wait()
