#!/usr/bin/env python3
"""Are the verdicts on programs of others always the same, and right, whatever else the machine does?

Judges every program of tests/own several times, first on an idle machine, then with all cores loaded, in the room that
is up. Says for how many a verdict changed, for how many one was wrong, and how many seconds a program took.

Run as root: .venv/bin/python -m benchmarks.judge [-n TIMES] [LAB ...]. Exit status: 0 no verdict changed or was wrong,
1 one did, 3 it could not be measured, 130 interrupted. All figures go to reports/benchmark-judge-<time>.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from labroom import room
from labroom.errors import LabroomError
from labroom.resources import ROOT
from labroom.room import Room
from tests.own.test_judge import RIGHT, WRONG, judged, said

BUSY = [sys.executable, "-c", "while True: pass"]


def verdicts(place: Room, file: Path) -> tuple[dict[str, str], bool, float]:
    """What came of a program's lessons, whether that is as its first lines say, and the seconds that it took."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        checks = judged(place, file, Path(folder))
    seconds = time.monotonic() - began
    failed = {check.name.partition("[")[0].removeprefix("test_") for check in checks if check.verdict == "failed"}
    lessons: dict[str, str] = {check.name: check.verdict for check in checks if check.kind == "lesson"}
    right = said(file)["fails"] in failed if file in WRONG else "failed" not in lessons.values()
    return lessons, right, seconds


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-n", type=int, default=20, metavar="TIMES", help="how often each program is judged (20)")
    parser.add_argument("labs", nargs="*", metavar="LAB", help="only the programs of these labs")
    arguments = parser.parse_args()
    times = arguments.n
    files = [file for file in [*RIGHT, *WRONG] if not arguments.labs or file.parts[-3] in arguments.labs]
    figures: dict[str, dict[str, list[object]]] = {}
    bad = 0
    try:
        place = room.load(room.default_file())
        for load in ("idle", "loaded"):
            busy = [subprocess.Popen(BUSY) for _ in range(os.cpu_count() or 1)] if load == "loaded" else []
            found: dict[Path, list[tuple[dict[str, str], bool, float]]] = defaultdict(list)
            try:
                for turn in range(1, times + 1):
                    print(f"  {load}: round {turn} of {times}", flush=True)
                    for file in files:
                        found[file].append(verdicts(place, file))
            finally:
                for process in busy:
                    process.kill()
                    process.wait()
            changed = [file for file, several in found.items() if any(one[0] != several[0][0] for one in several)]
            wrong = [file for file, several in found.items() if not all(right for _, right, _ in several)]
            seconds = statistics.median(one[2] for several in found.values() for one in several)
            sums = f"{len(changed)} changed, {len(wrong)} wrong, {seconds:.1f} s a program"
            print(f"{load:8} {len(found)} programs, {times} times: {sums}")
            for file in {*changed, *wrong}:
                print(f"         {file.relative_to(ROOT)}")
            bad += len(changed) + len(wrong)
            figures[load] = {str(file.relative_to(ROOT)): list(several) for file, several in found.items()}
    except LabroomError as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    report = ROOT / "reports" / f"benchmark-judge-{time.strftime('%Y%m%d-%H%M%S')}.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps(figures), encoding="utf-8")
    print(report)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
