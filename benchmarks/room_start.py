#!/usr/bin/env python3
"""How long does a room take to start and to stop, and what does a guest cost?

Times `./labroom up`, an `up` that finds all in order, and `down`, as the whole commands that a person types, against
`docker-compose up -d` (until the last container's sshd answers) and `down` of as many systemd containers made of the
same image layers, in the same run, in turns. Benchmarks' README.md says what is compared and what is not.

Run as root: .venv/bin/python -m benchmarks.room_start. Exit status: 0 all targets are met, 1 one is missed,
3 it could not be measured, 130 interrupted. All figures go to reports/benchmark-room-start-<time>.json.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from types import FrameType

from benchmarks.docker_engine import IMAGE, Engine, Usage, docker_engine

from labroom import rooms, state
from labroom.errors import LabroomError
from labroom.providers.nspawn import disks, image
from labroom.providers.nspawn.cgroups import Cgroup
from labroom.resources import ROOT
from labroom.room import Room, load
from tests.sandbox import SandboxError

REPORTS = ROOT / "reports"
WORK = REPORTS / "benchmark"  # not a temporary folder: by its room files `down` finds what a killed benchmark left
COMPOSE_NETWORK = IPv4Network("198.18.0.0/24")  # set apart for benchmarks (RFC 2544); in a namespace of its own
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
MB = 1_000_000

Samples = dict[str, list[float]]


class BenchmarkError(Exception):
    """It could not be measured; the message says why."""


@dataclass(frozen=True)
class Contest:
    """The same number of guests, as a room and as a compose project.

    Attributes:
        name: what the figures are called.
        room: the room.
        room_file: its room file.
        compose_file: the compose file of as many containers; None without Docker.
    """

    name: str
    room: Room
    room_file: Path
    compose_file: Path | None

    @property
    def size(self) -> int:
        """How many guests."""
        return len(self.room.guests)


# --- what is measured ----------------------------------------------------------------------------------------------


def default_room() -> str:
    """The checkout's own room under another name, on other networks: it may be up, and be somebody's, meanwhile."""
    original = load(ROOT / "room.yml")
    text = original.model_dump_json(exclude_none=True)
    for there, here in ((original.networks.private, "192.168.76.0"), (original.networks.outside, "198.19.76.0")):
        prefix = str(there.network_address).rpartition(".")[0] + "."
        text = text.replace(f'"{prefix}', f'"{here.removesuffix("0")}')
    return json.dumps(json.loads(text) | {"name": "bench6"}, indent=1)


def plain_room(size: int) -> str:
    """A room of `size` plain guests, without a gateway."""
    networks = {"private": "192.168.76.0/24", "outside": "198.19.76.0/28"}
    guests = {f"guest{number}": {"private": f"192.168.76.{100 + number}"} for number in range(1, size + 1)}
    return json.dumps({"name": f"bench{size}", "networks": networks, "guests": guests}, indent=1)


def compose_project(size: int) -> str:
    """As many systemd containers, on one network (compose file format 3.8)."""
    services = {
        f"guest{number}": {
            "image": IMAGE,
            "command": ["/sbin/init"],
            "hostname": f"guest{number}",
            "environment": {"container": "docker"},
            "cap_add": ["SYS_ADMIN", "NET_ADMIN"],
            "tmpfs": ["/run"],
            "stop_signal": "SIGRTMIN+3",  # to systemd: halt, cleanly
            "networks": {"room": {"ipv4_address": str(COMPOSE_NETWORK[100 + number])}},
        }
        for number in range(1, size + 1)
    }
    networks = {"room": {"ipam": {"config": [{"subnet": str(COMPOSE_NETWORK)}]}}}
    return json.dumps({"version": "3.8", "services": services, "networks": networks}, indent=1)


def contests(*, docker: bool) -> list[Contest]:
    """Write the room and compose files, and name what is compared."""
    found = []
    for name, text in (("six", default_room()), ("thirty", plain_room(30))):
        room_file = WORK / f"{name}.yml"
        room_file.write_text(text, encoding="utf-8")
        room = load(room_file)
        compose_file = WORK / name / "docker-compose.yml"
        compose_file.parent.mkdir(exist_ok=True)
        compose_file.write_text(compose_project(len(room.guests)), encoding="utf-8")
        found.append(Contest(name, room, room_file, compose_file if docker else None))
    return found


# --- measuring -----------------------------------------------------------------------------------------------------


def seconds(action: Callable[[], object]) -> float:
    """How long `action` takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def labroom(contest: Contest, *arguments: str) -> None:
    """Run `./labroom`, as a person at the keyboard does.

    Raises:
        BenchmarkError: it failed.
    """
    argv = [str(ROOT / "labroom"), "--room", str(contest.room_file), *arguments]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=WORK, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(argv)}: exit status {done.returncode}:\n{done.stdout}{done.stderr}")


def guests_of(room: Room) -> list[Usage]:
    """What each guest has used."""
    groups = [Cgroup(room.name, name) for name in room.guests]
    return [Usage(group.memory_bytes(), group.cpu_seconds()) for group in groups]


def measure_room(contest: Contest, samples: Samples) -> None:
    """Start a room, find it in order, stop it."""
    with quiet():
        samples["labroom up"].append(seconds(lambda: labroom(contest, "up")))
        record("labroom", guests_of(contest.room), samples)
        samples["labroom up, all in order"].append(seconds(lambda: labroom(contest, "up")))
        samples["labroom down"].append(seconds(lambda: labroom(contest, "down")))


def measure_compose(contest: Contest, engine: Engine, samples: Samples) -> None:
    """Start as many containers, stop them."""
    file = contest.compose_file
    assert file  # noqa: S101 (there is an engine)
    addresses = [str(COMPOSE_NETWORK[100 + number]) for number in range(1, contest.size + 1)]
    before = engine.overhead()

    def up() -> None:
        engine.compose(file, "up", "-d")
        engine.wait_for_ssh(addresses)

    with quiet():
        samples["docker-compose up"].append(seconds(up))
        usage, after = engine.guests(), engine.overhead()
        record("docker-compose", usage, samples)
        samples["docker-compose engine cpu"].append((after.cpu_seconds - before.cpu_seconds) / contest.size)
        samples["docker-compose up, all in order"].append(seconds(lambda: engine.compose(file, "up", "-d")))
        samples["docker-compose down"].append(seconds(lambda: engine.compose(file, "down")))


def record(which: str, usage: list[Usage], samples: Samples) -> None:
    """Keep what the guests have used so far: for memory the mean and the largest, for the processor the mean."""
    samples[f"{which} memory"].append(statistics.mean(guest.memory_bytes for guest in usage))
    samples[f"{which} memory, largest"].append(max(guest.memory_bytes for guest in usage))
    samples[f"{which} cpu"].append(statistics.mean(guest.cpu_seconds for guest in usage))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leave what was written before to the disk first: it is not ours to pay for."""
    os.sync()
    yield


def measure(wanted: list[Contest], engine: Engine | None, rounds: int) -> dict[str, Samples]:
    """Measure all, in turns, after a round that does not count: it makes what is missing of images and keys.

    Returns:
        For each contest what was measured.
    """
    found: dict[str, Samples] = {}
    for turn in range(rounds + 1):
        for contest in wanted:
            samples = found.setdefault(contest.name, defaultdict(list)) if turn else defaultdict(list)
            print(f"  {contest.name}: {f'round {turn} of {rounds}' if turn else 'warming up'}", flush=True)
            turns: list[Callable[[], None]] = [lambda c=contest, s=samples: measure_room(c, s)]  # type: ignore[misc]
            if engine:
                turns.append(lambda c=contest, s=samples: measure_compose(c, engine, s))  # type: ignore[misc]
            for action in turns if turn % 2 else reversed(turns):
                action()
            if turn and image.ready(contest.room) is None:
                raise BenchmarkError("roles or labs were changed meanwhile: the image is another one now")
    return found


# --- what is left behind -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def clean() -> Iterator[None]:
    """Remove what a benchmark that was killed has left, and at the end what this one leaves."""
    inotify = INOTIFY.read_text(encoding="utf-8")
    take_down()
    try:
        INOTIFY.write_text(
            str(max(1024, int(inotify))), encoding="utf-8"
        )  # thirty containers need as much as thirty guests
        yield
    finally:
        take_down()
        INOTIFY.write_text(inotify, encoding="utf-8")
        shutil.rmtree(WORK)


def take_down() -> None:
    """Take the benchmark's rooms down; remove their keys, and the gateway's layer: no other room has its addresses."""
    for file in sorted(WORK.glob("*.yml")):
        room = load(file)
        rooms.down(file)
        state.remove_tree(state.rooms() / room.name)
        state.lock(room.name).unlink(missing_ok=True)
        layers = image.ready(room)
        if room.gateway and layers:
            gateway = layers["gateway"][0].parent
            state.remove_tree(gateway)
            gateway.with_name(gateway.name + ".log").unlink(missing_ok=True)


# --- telling -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        what: what was measured.
        ours: the figure of labroom.
        theirs: the figure of docker-compose, where it is measured there too.
        target: what has to be reached, in words; empty where nothing has.
        met: whether it is; None where nothing has to be reached, or it was not measured.
    """

    what: str
    ours: str
    theirs: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None


def spread(values: list[float]) -> str:
    """The median of durations, and their range."""
    return f"{statistics.median(values):.2f} s ({min(values):.2f}-{max(values):.2f})" if values else "-"


def rows(found: dict[str, Samples]) -> list[Row]:
    """The table: every figure, and its target where issue 2 sets one."""
    table = []
    limits = {("six", "up"): 2.5, ("six", "up, all in order"): 0.5, ("six", "down"): 2.0}
    faster = {"six": 1.0, "thirty": 1.5}
    for name, samples in found.items():
        for action in ("up", "up, all in order", "down"):
            ours, theirs = samples[f"labroom {action}"], samples[f"docker-compose {action}"]
            limit = limits.get((name, action))
            met = [statistics.median(ours) <= limit] if limit else []
            target = [f"<= {limit:g} s"] if limit else []
            ratio = statistics.median(theirs) / statistics.median(ours) if theirs else 0.0
            if action == "up":
                least = faster[name]
                target.append("faster" if least == 1 else f"{least:g} times as fast")
                met += [ratio > 1 if least == 1 else ratio >= least] if theirs else []
            table.append(
                Row(
                    f"{name}: {action}",
                    spread(ours),
                    spread(theirs),
                    f"{ratio:.2f}" if ratio else "",
                    ", ".join(target),
                    all(met) if met else None,
                )
            )
        for what, unit, divisor, most in (
            ("memory", "MB", MB, 15.0),
            ("memory, largest", "MB", MB, None),
            ("cpu", "s", 1, None),
        ):
            own = statistics.median(samples[f"labroom {what}"]) / divisor
            other = [value / divisor for value in samples[f"docker-compose {what}"]]
            table.append(
                Row(
                    f"{name}: {what} a guest",
                    f"{own:.2f} {unit}",
                    f"{statistics.median(other):.2f} {unit}" if other else "-",
                    f"{statistics.median(other) / own:.2f}" if other else "",
                    f"<= {most:g} {unit}" if most else "",
                    own <= most if most else None,
                )
            )
        if engine := samples["docker-compose engine cpu"]:
            table.append(Row(f"{name}: cpu of the engine, a guest", "-", f"{statistics.median(engine):.2f} s"))
    return table


def show(table: list[Row]) -> None:
    """Print the table."""
    print(f"\n{'':<32} {'labroom':<22} {'docker-compose':<22} {'ratio':>5}  target")
    for row in table:
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        line = f"{row.what:<32} {row.ours:<22} {row.theirs:<22} {row.ratio:>5}  {row.target:<26} {verdict}"
        print(line.rstrip())
    print(
        "\nMedians; in brackets the range. Not alike: Docker's six are plain guests, the room's have a gateway, NAT and"
        "\nname service; Docker's guests are root on the machine, the room's are not; Docker's supervisors count as"
        "\nengine, the room's as guest; where all is in order, docker-compose doesn't look whether SSH answers."
    )


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("-n", "--rounds", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--no-docker", action="store_true", help="measure labroom alone; exit 0 says less then")
    return parser.parse_args()


def interrupted(number: int, frame: FrameType | None) -> None:
    """Ctrl-C or SIGTERM: clean up, and let no second one cut that short."""
    no_more_interrupts()
    raise KeyboardInterrupt


def no_more_interrupts() -> None:
    """What follows is short, and is not left out."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def run(chosen: argparse.Namespace) -> int:
    """Measure, tell, and return the exit status."""
    if os.geteuid() != 0:
        raise BenchmarkError("labroom needs root, and so does this")
    WORK.mkdir(parents=True, exist_ok=True)
    load_before = os.getloadavg()[0]
    with state.locked(state.lock("benchmark"), "measures"), clean(), contextlib.ExitStack() as stack:
        wanted = contests(docker=not chosen.no_docker)
        engine = None
        version = "no Docker"
        if not chosen.no_docker:
            print("  Docker: its engine, and an image of the same layers", flush=True)
            rooms.up(wanted[0].room_file)  # makes the image where it isn't there
            rooms.down(wanted[0].room_file)
            layers = image.ready(wanted[0].room)
            assert layers  # noqa: S101 (it was just up)
            engine = stack.enter_context(docker_engine(state.root() / "benchmark-docker"))
            engine.import_image(layers["guest"], disks.UID_BASE)
            version = engine.version()
        found = measure(wanted, engine, chosen.rounds)
        no_more_interrupts()
    table = rows(found)
    print(f"\n{os.cpu_count()} processors, load {load_before:.1f} at the start, {platform.release()}, {version}")
    show(table)
    report = REPORTS / f"benchmark-room-start-{time.strftime('%Y%m%dT%H%M%S')}.json"
    machine = {"processors": os.cpu_count(), "kernel": platform.release(), "load": load_before, "docker": version}
    data = {"machine": machine, "rounds": chosen.rounds, "samples": found}
    report.write_text(json.dumps(data | {"table": [vars(row) for row in table]}, indent=1) + "\n", encoding="utf-8")
    print(f"\nall samples: {report.relative_to(ROOT)}")
    return 1 if any(row.met is False for row in table) else 0


def main() -> int:
    """Run as a command."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    try:
        return run(options())
    except (BenchmarkError, SandboxError, LabroomError) as error:
        print(f"room_start: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("room_start: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
