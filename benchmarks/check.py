#!/usr/bin/env python3
"""How long do the checks of all labs take, and what is gained by running labs side by side?

Times `./labroom check`, the whole command, as it is and with one lab after the other, in turns, in the default room,
which has to be up. A round before the first warms up: it compiles the C programs on the guests.

Run: .venv/bin/python -m benchmarks.check [-n ROUNDS]. Exit status: 0 the target is met, 1 it is missed, 3 it could not
be measured, 130 interrupted. All figures go to reports/benchmark-check-<time>.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from labroom.checks import run as checks
from labroom.resources import ROOT

TARGET = 40.0  # seconds
COMMAND = (
    "import sys; from labroom.checks import run; from labroom.cli.main import main; "
    "run.WORKERS = {}; sys.exit(main(['check']))"
)
REPORT = ROOT / "reports" / "report.json"


class BenchmarkError(Exception):
    """It could not be measured; the message says why."""


def check(workers: int) -> float:
    """Seconds that all checks take, by so many workers."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND.format(workers)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    took = time.monotonic() - started
    if done.returncode:
        raise BenchmarkError(f"labroom check ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return took


def main() -> int:
    """Measure, print the tables, and say whether the target is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-n", "--rounds", type=int, default=5, help="rounds (5)")
    rounds = parser.parse_args().rounds
    load = os.getloadavg()[0]
    samples: dict[int, list[float]] = {checks.WORKERS: [], 1: []}
    labs: dict[str, list[float]] = {}
    counts: dict[str, int] = {}
    for turn in range(rounds + 1):
        print(f"  {f'round {turn} of {rounds}' if turn else 'warming up'}", flush=True)
        for workers in sorted(samples, reverse=bool(turn % 2)):
            took = check(workers)
            if not turn:
                continue
            samples[workers].append(took)
            if workers == 1:
                for lab in json.loads(REPORT.read_text(encoding="utf-8"))["labs"]:
                    labs.setdefault(lab["name"], []).append(lab["seconds"])
                    counts[lab["name"]] = len(lab["checks"])
    print(f"\n{os.cpu_count()} processors, load {load:.1f} at the start; medians (and ranges) of {rounds} rounds\n")
    for workers, times in samples.items():
        name = f"{workers} labs side by side" if workers > 1 else "one lab after the other"
        print(f"{name:<28} {statistics.median(times):5.1f} s ({min(times):.1f}-{max(times):.1f})")
    together, alone = (statistics.median(times) for times in samples.values())
    print(f"{'ratio':<28} {alone / together:5.2f}\n{'target':<28} {TARGET:5.1f} s\n")
    for lab, seconds in labs.items():
        print(f"{lab:<28} {statistics.median(seconds):5.1f} s, {counts[lab]:2} checks")
    report = ROOT / "reports" / f"benchmark-check-{time.strftime('%Y%m%dT%H%M%S')}.json"
    report.write_text(
        json.dumps({"load": load, "samples": samples, "labs": labs, "checks": counts}, indent=1) + "\n",
        encoding="utf-8",
    )
    print(f"\nall samples: {report.relative_to(ROOT)}")
    return 0 if together <= TARGET else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        print(f"check: {error}", file=sys.stderr)
        sys.exit(3)
    except KeyboardInterrupt:
        print("check: interrupted", file=sys.stderr)
        sys.exit(130)
