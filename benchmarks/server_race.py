#!/usr/bin/env python3
"""Which server design answers how much, and how soon? The race of the lab server_race, several rounds of it.

Makes the picture of docs/play.md and the figures of the lab's handout: race.svg, race.png and race.csv in
reports/benchmark-server-race. The default room has to be up, and nothing else should run.

Run: .venv/bin/python -m benchmarks.server_race [-n ROUNDS] [-s SECONDS]. Exit status: 0 measured, 3 it could not be
measured, 130 interrupted.
"""

import argparse
import sys

from labroom.checks import race
from labroom.checks.plugin import endpoints_of_room
from labroom.checks.programs import resolve
from labroom.driver import CheckFailed, Driver
from labroom.errors import LabroomError
from labroom.resources import ROOT

RESULTS = ROOT / "reports" / "benchmark-server-race"


def main() -> int:
    """Measure, and say where the results are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-n", "--rounds", type=int, default=3, help="rounds (3)")
    parser.add_argument("-s", "--seconds", type=float, default=2.0, help="seconds for each measurement (2)")
    chosen = parser.parse_args()
    driver = Driver(endpoints_of_room(), resolve=resolve)
    try:
        driver.begin("server_race")
        clients = [driver.hosts[name] for name in ("alfa", "bravo", "charlie")]
        results = race.run(driver.hosts["server"], clients, seconds=chosen.seconds, rounds=chosen.rounds)
        driver.clean()
    finally:
        driver.close()
    RESULTS.mkdir(parents=True, exist_ok=True)
    print(f"{len(results)} measurements: {race.write(results, RESULTS).parent.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CheckFailed, LabroomError) as error:
        print(f"server_race: {error}", file=sys.stderr)
        sys.exit(3)
    except KeyboardInterrupt:
        print("server_race: interrupted", file=sys.stderr)
        sys.exit(130)
