"""Runs the project's tests: in suites, of which those that mostly wait run side by side. `./labroom test` comes here.

    ./labroom test                 every suite but `own`
    ./labroom test unit room       these suites
    ./labroom test unit --coverage and which lines of the package they come by, by any process that they start
    ./labroom test tests/unit -x   pytest, on what is named, with its own options
    ./labroom test docker --kept   the file that a suite keeps between runs and its digest, for a cache of GitHub's

What a suite prints is in reports/tests/SUITE.log, its verdicts are in SUITE.xml there (JUnit), and how long each step
took is in reports/tests/times.tsv: suite, step, second of its start, seconds it took. Coverage is in coverage.txt; it
takes a third more of processor time. The first suite that fails ends the others.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from labroom.providers.nspawn import homes_kept
from labroom.room import load
from tests import packages
from tests.docker import engine
from tests.ubuntu import archive
from tests.vagrant import box, libvirt

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "reports" / "tests"
_HEARTBEAT = 30.0  # s between signs of life
_LABROOM = (sys.executable, "-m", "labroom")
# What makes every Python of .venv measure (coverage.py, "Managing processes").
_COVERAGE = {"COVERAGE_PROCESS_START": str(ROOT / "pyproject.toml"), "COVERAGE_FILE": str(REPORTS / "coverage")}

Step = tuple[str, ...]


@dataclass(frozen=True)
class Suite:
    """Tests that run one after another.

    Attributes:
        name: what it is called on the command line.
        steps: its commands.
        after: the suites that must have passed before, of those that run.
        last: a command that ends what the steps have left up, whatever became of them.
        after_failure: a command that ends what only steps that failed, or were interrupted, leave up.
        packages: of Debian, beyond those that `labroom up` installs. All suites' are installed at once, beforehand.
        at_once: how many of its steps run at a time.
        nice: how far others go before it where processors are short (nice(1)): the longest suite would else be alone at
            the end, on one processor.
        by_default: whether it runs where no suite is named.
        kept: returns the file that is kept between runs, being expensive; its name has a digest of what is in it.
    """

    name: str
    steps: tuple[Step, ...]
    after: tuple[str, ...] = ()
    last: Step = ()
    after_failure: Step = ()
    packages: tuple[str, ...] = ()
    at_once: int = 1
    nice: int = 5
    by_default: bool = True
    kept: Callable[[], Path] | None = None


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _pytest(name: str, *arguments: str) -> Step:
    return (sys.executable, "-m", "pytest", f"--junit-xml={REPORTS / name}.xml", "--durations=5", *arguments)


def suites() -> list[Suite]:
    """Every suite, as this machine runs it now. What comes first tells most in the shortest time."""
    status = subprocess.run([*_LABROOM, "status"], capture_output=True, text=True, cwd=ROOT, check=False)
    own_room = "is not up" in status.stdout  # else it is somebody's: brought to what the checkout says, and left up
    # Its homes go, too, where there were none before: what is in them then the tests have written.
    verbs = 'down && "$@" reset --home --yes' if not homes_kept(load(ROOT / "room.yml").name) else "down"
    take_down: Step = ("sh", "-c", f'"$@" {verbs}', "sh", *_LABROOM) if own_room else ()
    provision: list[Step] = [] if own_room else [(_tool("ansible-playbook"), "-i", "room.yml", "playbooks/room.yml")]
    scenarios = sorted(file.parent.name for file in ROOT.glob("extensions/molecule/*/molecule.yml"))
    scenarios.remove("default")  # the room's playbook, which lab_room runs on bare machines, too; GitHub runs it
    room_tests = _pytest("room", "tests/guests", "tests/room", "--ansible-inventory=room.yml")
    return [
        Suite("linters", ((_tool("pre-commit"), "run", "--all-files"),)),
        Suite(
            "unit",
            (_pytest("unit", "tests/unit", "-n3", "--dist=loadfile"),),
            after=("linters",),
            # The driver's own tests talk to an sshd on loopback; some have a locale that isn't UTF-8, one a tmux.
            packages=("openssh-server", "locales", "tmux"),
        ),
        Suite(
            "room",
            ((*_LABROOM, "up"), *provision, (*_LABROOM, "check"), room_tests),
            after=("unit",),
            last=take_down,
        ),
        Suite("trial", (_pytest("trial", "tests/trial"),), after=("unit",), packages=("tmux",)),
        Suite(
            "own",
            ((*_LABROOM, "up"), _pytest("own", "tests/own")),  # minutes; tests/room has some of it
            after=("room",),
            last=take_down,
            by_default=False,
        ),
        Suite("lab_room", (_pytest("lab_room", "tests/lab_room"),), after=("room",)),
        Suite(
            "ubuntu",
            (_pytest("ubuntu", "tests/ubuntu"),),
            after=("unit",),
            packages=archive.PACKAGES,
            kept=archive.file,
        ),
        Suite(
            "molecule",
            tuple((_tool("molecule"), "test", "--scenario-name", name) for name in scenarios),
            after=("docker",),
            after_failure=(_tool("molecule"), "destroy", "--all"),
            at_once=2,
        ),
        Suite(
            "docker",
            (_pytest("docker", "tests/docker"),),
            after=("unit",),
            packages=engine.PACKAGES,
            kept=engine.base_file,
        ),
        Suite(  # from the beginning: it takes longest, and waits for its machines for most of its time
            "vagrant",
            (_pytest("vagrant", "tests/vagrant"),),
            nice=0,
            packages=libvirt.PACKAGES,
            kept=lambda: box.file(libvirt.RELEASE),
        ),
    ]


class Run:
    """Suites that run, each in a thread of its own which waits for those it comes after."""

    def __init__(self, chosen: Sequence[Suite], *, covered: bool) -> None:
        self.suites = chosen
        self.environment = os.environ | (_COVERAGE if covered else {})
        self.failed: list[str] = []
        self._over = {suite.name: threading.Event() for suite in chosen}
        self._stopped = threading.Event()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._began = time.monotonic()
        (REPORTS / "times.tsv").write_text("suite\tstep\tstart_s\tseconds\n")

    def wait(self) -> None:
        """Run them all; returns when all have ended.

        Raises:
            KeyboardInterrupt: after all that ran has cleared away.
        """
        threads = [threading.Thread(target=self._suite, args=(suite,)) for suite in self.suites]
        for thread in threads:
            thread.start()
        said = time.monotonic()
        try:
            while any(thread.is_alive() for thread in threads):
                next(thread for thread in threads if thread.is_alive()).join(timeout=1)
                if time.monotonic() - said >= _HEARTBEAT:
                    said = time.monotonic()
                    self._say(f"  {self._elapsed():4.0f} s: {', '.join(self._running) or 'waiting'} …")
        finally:
            self.stop()
            for thread in threads:
                thread.join()

    def stop(self) -> None:
        """Interrupt what runs, as Ctrl+C would, and start nothing more."""
        with self._lock:
            if self._stopped.is_set():  # a second interrupt would cut short what the first one has begun
                return
            self._stopped.set()
            for process in self._running.values():
                process.send_signal(signal.SIGINT)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _say(self, text: str) -> None:
        with self._lock:
            print(text, flush=True)

    def _suite(self, suite: Suite) -> None:
        try:
            for name in suite.after:
                if name in self._over:
                    self._over[name].wait()
            began = self._elapsed()
            with ThreadPoolExecutor(suite.at_once) as pool:
                done = [step for step in pool.map(lambda step: self._step(suite, step), suite.steps) if step]
            if suite.last and done:
                self._run(suite, suite.last)
            if suite.after_failure and any(step.status for step in done):
                self._run(suite, suite.after_failure)
            self._judge(suite, done, self._elapsed() - began)
        finally:
            self._over[suite.name].set()

    def _step(self, suite: Suite, step: Step) -> "Done | None":
        """Run a step, unless one before it has failed; None if it wasn't run."""
        if self._stopped.is_set() or suite.name in self.failed:
            return None
        done = self._run(suite, step)
        if done.status and not self._stopped.is_set():
            self.failed.append(suite.name)
        return done

    def _run(self, suite: Suite, step: Step) -> "Done":
        began = self._elapsed()
        words = _words(step)
        with tempfile.TemporaryFile(dir=REPORTS) as output:
            with self._lock:
                process = subprocess.Popen(
                    # The signal is for the case that this process is killed.
                    ["setpriv", "--pdeathsig", "INT", "--", "nice", "-n", str(suite.nice), *step],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=ROOT,
                    start_new_session=True,  # Ctrl+C is for us, who pass it on
                    env=self.environment,
                )
                self._running[words] = process
            status = process.wait()
            done = Done(words, began, self._elapsed() - began, status)
            output.seek(0)
            with self._lock:
                del self._running[words]
                with _log(suite).open("ab") as log:
                    log.write(b"$ " + words.encode() + b"\n" + output.read())
                with (REPORTS / "times.tsv").open("a") as times:
                    times.write(f"{suite.name}\t{words}\t{done.start:.1f}\t{done.seconds:.1f}\n")
        return done

    def _judge(self, suite: Suite, done: Sequence["Done"], seconds: float) -> None:
        """Say what became of a suite; its failure ends the others."""
        if len(done) == len(suite.steps) and not any(step.status for step in done):
            self._say(f"  {suite.name:<10} passed {seconds:6.1f} s  {_closing_line(_log(suite))}")
        elif suite.name in self.failed:
            failed = ", ".join(step.words for step in done if step.status)
            self._say(f"{_log(suite).read_text(errors='replace')}\nlabroom test: {suite.name} failed: {failed}")
            self.stop()
        else:
            self._say(f"  {suite.name:<10} ended  {seconds:6.1f} s")
        if done and not (REPORTS / f"{suite.name}.xml").exists():  # it has no step of pytest's, or did not come to it
            _write_junit(suite.name, done)


@dataclass(frozen=True)
class Done:
    """A step that has ended: its command in short, second of its start, seconds it took, exit status."""

    words: str
    start: float
    seconds: float
    status: int


def _log(suite: Suite) -> Path:
    return REPORTS / f"{suite.name}.log"


def _words(step: Step) -> str:
    words = [Path(word).name if word.startswith("/") else word for word in step]
    return re.sub(r"^python\S* -m |--junit-xml=\S+ |--durations=\S+ ", "", " ".join(words))


def _closing_line(log: Path) -> str:
    """What pytest said at the end of a log: "894 passed in 97.01s"; empty where it was another tool."""
    found = re.findall(
        r"^=+ (\d+ \w+(?:, \d+ \w+)* in [\d.]+s)", log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE
    )
    return str(found[-1]) if found else ""


def _write_junit(suite: str, steps: Sequence[Done]) -> None:
    """Write a suite's verdicts in the form of JUnit: a test case for each step."""
    failures = sum(step.status != 0 for step in steps)
    root = ElementTree.Element("testsuite", name=suite, tests=str(len(steps)), failures=str(failures))
    for step in steps:
        case = ElementTree.SubElement(root, "testcase", classname=suite, name=step.words, time=f"{step.seconds:.1f}")
        if step.status:
            ElementTree.SubElement(case, "failure", message=f"status {step.status}; see {suite}.log")
    ElementTree.ElementTree(root).write(REPORTS / f"{suite}.xml", encoding="utf-8", xml_declaration=True)


def _coverage() -> str:
    """Write coverage.txt, and return a line: its total, or why there is none; empty if nothing was measured."""
    coverage = [sys.executable, "-m", "coverage"]
    environment = os.environ | {"COVERAGE_FILE": _COVERAGE["COVERAGE_FILE"]}
    subprocess.run([*coverage, "combine", "--quiet"], env=environment, capture_output=True, check=False)
    words = [*coverage, "report", "--show-missing", "--skip-covered"]
    report = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if report.returncode != 0:
        said = (report.stdout + report.stderr).strip()
        return "" if said.startswith("No data") else f"coverage: {said}"
    (REPORTS / "coverage.txt").write_text(report.stdout)
    total = next(line for line in report.stdout.splitlines() if line.startswith("TOTAL"))
    return f"{total.split()[-1]} of the lines and branches of the package covered"


def _tell_kept(suite: Suite) -> int:
    """Print what a suite keeps as outputs of a step of GitHub's: path and key, or nothing."""
    if suite.kept:
        packages.install(*suite.packages)
        file = suite.kept()
        print(f"path={file}\nkey={file.name}")
    return 0


def _interrupted(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    """Run suites, all if none is named, or pytest; returns the exit status."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ |= {"ANSIBLE_HOME": str(ROOT / ".ansible"), "PRE_COMMIT_HOME": str(ROOT / ".pre-commit_cache")}
    os.chdir(ROOT)
    known = {suite.name: suite for suite in suites()}
    names = [word for word in arguments if word not in ("--kept", "--coverage")]
    if not set(names) <= known.keys():
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])  # noqa: S606 (no shell is meant)
    if "--kept" in arguments:
        return _tell_kept(known[names[0]])
    signal.signal(signal.SIGTERM, _interrupted)
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    chosen = [suite for suite in known.values() if suite.name in names or (not names and suite.by_default)]
    packages.install(*{name for suite in chosen for name in suite.packages})
    began = time.monotonic()
    run = Run(chosen, covered="--coverage" in arguments)
    try:
        run.wait()
    except KeyboardInterrupt:
        print("labroom test: interrupted", file=sys.stderr)
        return 130
    if covered := _coverage():
        print(covered)
    print(f"{len(chosen)} suites in {time.monotonic() - began:.0f} s; logs, verdicts and times: {REPORTS}")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
