"""The verbs about the wire: capture, link."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import selectors
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar

from labroom import bad_link_inside, commands, machine, over_ssh, room, rooms, tcpdump
from labroom.bad_link import GOOD, BadLink, named
from labroom.cli import hosts
from labroom.cli.parser import inventory, room_file
from labroom.console import Console
from labroom.errors import MachineError, RoomFault, UsageError
from labroom.room import Room

Result = TypeVar("Result")

_PIECE = 1 << 20
_WORDS = 1 << 14  # bytes of what tcpdump says besides
_ENDING_SECONDS = 5.0  # until a capture that was told to end is left to itself


def capture(options: argparse.Namespace) -> int:
    """Capture on a guest, into a file or to standard output, until Ctrl+C or what the options say."""
    at = hosts.chosen(options, [options.guest])[options.guest]
    file = options.write
    if file is None:
        named = time.strftime(f"{options.guest}-%Y%m%dT%H%M%S.pcap")
        file = Path(named if sys.stdout.isatty() else "-")
    limit = ("-c", str(options.packets)) if options.packets else ()
    # All but the connection that this goes through: its ends are in $2, as ssh(1) has them in SSH_CONNECTION.
    script = (
        f"expression=$1; set -- $2; exec {shlex.join(tcpdump.command('-', *limit))} "
        '"not (tcp and host $1 and port $2 and port $4)${expression:+ and ($expression)}"'
    )
    process = over_ssh.start(at, script, " ".join(options.filter), root=True)
    console = Console(sys.stderr)
    try:
        with _Copy(process, file, options.seconds, console, options.guest) as copy:
            copy.run()
    finally:
        over_ssh.end([process])
    said = copy.said.decode(errors="replace")
    if not copy.begun:
        raise _refusal(options.guest, said, at.remedy)
    where = "" if str(file) == "-" else f" in {file}"
    console.line(f"{copy.packets} {'packet' if copy.packets == 1 else 'packets'}, {copy.size} bytes{where}")
    lost = re.search(r"^(\d+) packets dropped by kernel", said, re.MULTILINE)
    if lost and int(lost[1]):
        console.line(f"{lost[1][:20]} more were lost: the machine had too much to do")
    if copy.broken:
        raise RoomFault(f"the connection to {options.guest} broke", at.remedy)
    return 0


def _refusal(guest: str, said: str, remedy: str) -> UsageError | RoomFault:
    """Why no capture began."""
    lines = [line for line in said.splitlines() if line.strip() and "listening on" not in line]
    last = (lines[-1] if lines else "tcpdump ended, and said nothing")[:300]
    if filtered := re.search(r"^tcpdump: (.*filter expression.*|.*unknown .*|.*illegal .*|.*rejects.*)", said, re.M):
        return UsageError(f"tcpdump: {filtered[1][:300]}", "man pcap-filter, or: tcp port 9090")
    if last.startswith("tcpdump: "):
        return UsageError(last, "man pcap-filter, or: tcp port 9090")
    if last.startswith("sudo:"):
        return RoomFault(f"{guest}: only root may capture there: {last}", "the student needs sudo without a password")
    return RoomFault(f"{guest}: {last}", remedy)


def link(options: argparse.Namespace) -> int:
    """Make guests' links bad, or good again; without an option, show how bad they are."""
    fields = {name: value for name in ("delay", "jitter", "loss", "rate") if (value := getattr(options, name))}
    asked = bool(fields or options.down or options.up or options.clear)
    if options.down and options.up:
        raise UsageError("--down or --up, not both")
    if asked and bool(options.guests) == options.all:
        raise UsageError("name the guests, or all of them by --all")
    if options.network and inventory(options):
        raise UsageError("--network is for guests of a room: of machines it is the link by which they are reached")
    # Before anybody is asked; a jitter may be that of a delay which is there.
    _changed(GOOD, **({"delay": "60s"} | fields))
    machines, console = inventory(options), Console(sys.stdout)
    if machines:
        at = hosts.chosen(options, options.guests)
        now = _on_each(at, lambda name: bad_link_inside.made(at[name], [""]))
    else:
        file = room_file(options)
        if asked and rooms.needs_root(room.load(file)):
            switches = [f"--{name}" for name in ("all", "down", "up", "clear") if getattr(options, name)]
            values = {**fields, **({"network": options.network} if options.network else {})}
            words = [*options.guests, *switches, *(word for name in values for word in (f"--{name}", values[name]))]
            machine.require_root("link", commands.labroom("link", *words, room=file, root=True))
        running = rooms.running(file)
        chosen = _on_network(running, hosts.named(running.guests, options.guests), options)
        found = rooms.bad_links(running)
        now = {name: found[name] for name in chosen}
    if asked:

        def change(bad: BadLink) -> BadLink:
            before = GOOD if options.clear else bad
            return _changed(before, **fields, down=options.down or (before.down and not options.up))

        now = {
            name: {link: change(bad) if options.network in (None, link) else bad for link, bad in links.items()}
            for name, links in now.items()
        }
        if machines:
            _on_each(at, lambda name: bad_link_inside.make(at[name], {"": at[name].address}, now[name]))
        else:
            rooms.make_links(running, now)
    for name, links in now.items():
        for where, bad in named(links):
            console.line(f"{name + where:<12} {bad}")
    return 0


def _on_network(running: Room, names: Iterable[str], options: argparse.Namespace) -> list[str]:
    """Those of a room's guests that are on the network that is named, if one is.

    Raises:
        UsageError: there is no such network, or a guest that is named isn't on it.
    """
    wanted, link = list(names), options.network
    if link and link not in running.networks.subnets:
        raise UsageError(f"there is no network {link!r}", f"the networks: {', '.join(running.networks.subnets)}")
    on_it = [name for name in wanted if not link or link in running.guests[name].addresses]
    if options.guests and (away := [name for name in wanted if name not in on_it]):
        its = ", ".join(running.guests[away[0]].addresses)
        raise UsageError(f"{away[0]} is not on the network {link}", f"its networks: {its}")
    return on_it


def _changed(before: BadLink, **fields: object) -> BadLink:
    try:
        return before.changed(**fields)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _on_each(names: Iterable[str], function: Callable[[str], Result]) -> dict[str, Result]:
    """Do something about each host, side by side."""
    found = list(names)
    with ThreadPoolExecutor(max(len(found), 1)) as pool:
        return dict(zip(found, pool.map(function, found), strict=True))


class _Copy:
    """What a capture hands out, copied as it comes: always whole packets, however it ends.

    Args:
        process: who captures.
        file: where to; `-`: standard output.
        seconds: when it is told to end.
        console: for a person.
        guest: where it captures.

    Attributes:
        begun: whether it is a capture.
        broken: whether it ended by itself without saying so.
        packets: how many were copied.
        size: bytes copied.
        said: what else was said.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], file: Path, seconds: float | None, console: Console, guest: str
    ) -> None:
        self._process, self._file, self._seconds, self._console, self._guest = process, file, seconds, console, guest
        self._out: BinaryIO | None = None
        self._order, self._rest, self._end = "", b"", 0.0
        self.packets = self.size = 0
        self.said = b""
        self.broken = False

    @property
    def begun(self) -> bool:
        """Whether the header of a capture file has come."""
        return bool(self._order)

    def __enter__(self) -> _Copy:
        """Have Ctrl+C end the capture, not this process; a second one does."""
        self._woken, waking = os.pipe()
        os.set_blocking(waking, False)
        self._wakes = waking
        self._before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        signal.set_wakeup_fd(waking)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave signals as they were."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._woken)
        os.close(self._wakes)
        if self._out and self._out is not sys.stdout.buffer:
            self._out.close()

    def _stop(self, number: int, frame: object) -> None:
        if self._process.stdin and self._process.stdin.closed:
            raise KeyboardInterrupt

    def run(self) -> None:
        """Copy until the capture has ended."""
        with selectors.DefaultSelector() as selector:
            for source in (self._process.stdout, self._process.stderr, self._woken):
                if source is not None:
                    selector.register(source, selectors.EVENT_READ, source)
            while len(selector.get_map()) > 1:
                left = self._end - time.monotonic() if self._end else None
                if left is not None and left <= 0:
                    if self._stopped:
                        return
                    self._stop_it()
                for key, _ in selector.select(None if left is None else max(left, 0)):
                    if key.data == self._woken:
                        os.read(self._woken, _PIECE)
                        self._stop_it()
                    elif not (data := os.read(key.fd, _PIECE)):
                        selector.unregister(key.fileobj)
                    elif key.data is self._process.stderr:
                        self._hear(data)
                    else:
                        self._take(data)
        self.broken = self._process.wait() != 0 and not self._stopped

    @property
    def _stopped(self) -> bool:
        return self._process.stdin is None or self._process.stdin.closed

    def _stop_it(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._end = time.monotonic() + _ENDING_SECONDS

    def _hear(self, data: bytes) -> None:
        listened = b"listening on" in self.said
        self.said = (self.said + data)[-_WORDS:]
        if not listened and b"listening on" in self.said:
            self._end = time.monotonic() + self._seconds if self._seconds else 0.0
            where = "" if str(self._file) == "-" else f" into {self._file}"
            self._console.line(f"capturing on {self._guest}{where} (Ctrl+C ends)")

    def _take(self, data: bytes) -> None:
        data = self._rest + data
        try:
            end, packets, self._order = tcpdump.whole(data, self._order)
        except tcpdump.NoCapture:
            raise RoomFault(f"{self._guest} sent what is no capture") from None
        self._rest = data[end:]
        if end:
            with self._written() as out:
                out.write(data[:end])
                out.flush()
            self.packets += packets
            self.size += end

    @contextlib.contextmanager
    def _written(self) -> Iterator[BinaryIO]:
        """Where to write; what was not written whole is taken away again."""
        try:
            if self._out is None:
                self._out = sys.stdout.buffer if str(self._file) == "-" else _anew(self._file)
            yield self._out
        except BrokenPipeError:
            raise
        except OSError as error:
            with contextlib.suppress(OSError):  # what is no file
                if self._out:
                    self._out.truncate(self.size)
            name = "standard output" if str(self._file) == "-" else self._file
            raise MachineError(f"{name}: {error.strerror}", "name another file: -w FILE") from error


def _anew(file: Path) -> BinaryIO:
    """Open a file to write it from its beginning; who called sudo owns it, unless it was there."""
    try:
        opened = file.open("xb", buffering=0)
    except FileExistsError:
        return file.open("wb", buffering=0)
    machine.hand_over(opened.fileno())
    return opened
