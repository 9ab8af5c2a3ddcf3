"""What a run of the checks found, and its report: a page to read (index.html) and the same for programs (report.json).

CheckResult ── LabResult, one a lab ── Check, one a claim of the lab
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from labroom.driver.driver import Event

#: `failed`: the lab did not do what it should. `fault`: the room was at fault, and the lab was not judged.
#: `skipped`: the room doesn't have what it takes, such as a host on the far side.
Verdict = Literal["passed", "failed", "fault", "skipped"]


@dataclass
class Check:
    """One check of a lab.

    Attributes:
        name: name of the test function.
        claim: what the check shows, one sentence.
        verdict: what came of it.
        seconds: how long it took.
        words: for a failure or fault, what happened, in plain words; for a check that was skipped, what is missing.
        help: the remedy, if one is known.
        transcript: for a failure or fault, all that happened on the hosts, in order.
        sockets: and the sockets of each host involved, at that moment.
        left_behind: per host, command lines of processes that outlived the program they came from; they were killed.
    """

    name: str
    claim: str
    verdict: Verdict = "passed"
    seconds: float = 0.0
    words: str = ""
    help: str = ""
    transcript: list[Event] = field(default_factory=list)
    sockets: dict[str, list[str]] = field(default_factory=dict)
    left_behind: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class LabResult:
    """The checks of one lab.

    Attributes:
        name: name of the lab.
        checks: in the order in which they ran.
        files: what they left, such as captures: paths below the report's folder.
        command: the command that checked it, without the names of labs.
    """

    name: str
    checks: list[Check] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    command: str = "./labroom check"

    @property
    def verdict(self) -> Verdict:
        """`failed` if one check failed, else `fault` if one met a fault of the room, else `passed` if one passed."""
        found = {check.verdict for check in self.checks}
        order: tuple[Verdict, ...] = ("failed", "fault", "passed", "skipped")
        return next((verdict for verdict in order if verdict in found), "passed")

    @property
    def skipped(self) -> list[Check]:
        """The checks for which the room doesn't have what it takes."""
        return [check for check in self.checks if check.verdict == "skipped"]

    @property
    def seconds(self) -> float:
        """How long its checks took."""
        return sum(check.seconds for check in self.checks)

    @property
    def again(self) -> str:
        """The command that runs its checks again."""
        return f"{self.command} {self.name}"


@dataclass
class CheckResult:
    """A run of the checks.

    Attributes:
        labs: in the order in which they ran.
        began: local time, ISO 8601.
        seconds: from the first connection to the last check's end.
        hosts: name -> address of the room's hosts.
    """

    labs: list[LabResult] = field(default_factory=list)
    began: str = ""
    seconds: float = 0.0
    hosts: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether at least one lab passed, and none did worse than to be skipped."""
        found = {lab.verdict for lab in self.labs}
        return "passed" in found and found <= {"passed", "skipped"}

    @property
    def failed(self) -> list[LabResult]:
        """The labs that failed."""
        return [lab for lab in self.labs if lab.verdict == "failed"]

    @property
    def faults(self) -> list[LabResult]:
        """The labs that were not judged, because the room was at fault."""
        return [lab for lab in self.labs if lab.verdict == "fault"]

    @property
    def status(self) -> int:
        """The exit status: 0 all is well, 1 a lab failed, 3 the room was at fault, or had too little for any lab."""
        return 0 if self.passed else 1 if self.failed else 3

    @property
    def summary(self) -> str:
        """One line: how many labs, how many of each verdict, seconds."""
        parts = [f"{sum(lab.verdict == 'passed' for lab in self.labs)} passed"]
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        parts += [f"{len(self.faults)} not judged (room fault)"] if self.faults else []
        skipped = sum(lab.verdict == "skipped" for lab in self.labs)
        parts += [f"{skipped} skipped"] if skipped else []
        checks = f"{sum(len(lab.checks) for lab in self.labs)} checks"
        if left_out := sum(len(lab.skipped) for lab in self.labs):
            checks += f", {left_out} of them skipped,"
        labs = "1 lab" if len(self.labs) == 1 else f"{len(self.labs)} labs"
        return f"{labs}: {', '.join(parts)}; {checks} in {self.seconds:.1f} s"


def aligned(transcript: Sequence[Event]) -> list[str]:
    """A transcript as lines of text, in columns: seconds, host, program, what."""
    hosts = max((len(event.host) for event in transcript), default=0)
    programs = max((len(event.program) for event in transcript), default=0)
    lines = (
        f"{event.time:7.3f}  {event.host:{hosts}}  {event.program:{programs}}  {SIGNS[event.stream]} {event.text}"
        for event in transcript
    )
    return [line.rstrip() for line in lines]


# What a line of a transcript is: printed by the program, its errors, given to it, or done with it.
SIGNS = {"stdout": " ", "stderr": "!", "stdin": "<", "start": "$", "signal": "*", "exit": "*", "note": "*"}


def write(result: CheckResult, folder: Path) -> Path:
    """Write report.json and index.html into `folder`, which is made if need be.

    Returns:
        path of index.html.
    """
    import jinja2  # slow to import, and of no use to other commands

    folder.mkdir(parents=True, exist_ok=True)
    document = asdict(result)
    for lab, written in zip(result.labs, document["labs"], strict=True):
        written.update(verdict=lab.verdict, seconds=lab.seconds, again=lab.again)
    document.update(status=result.status, summary=result.summary)
    (folder / "report.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(_PAGE).render(result=result, says=VERDICTS, signs=SIGNS)
    path = folder / "index.html"
    path.write_text(page)
    return path


VERDICTS = {"passed": "passed", "failed": "failed", "fault": "room fault", "skipped": "skipped"}

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>labroom: {{ result.summary }}</title>
<style>
:root {
  --ground: #ffffff; --text: #1c2024; --soft: #60656c; --line: #dfe2e6; --panel: #f6f7f9;
  --passed: #1a7f45; --failed: #c02c38; --fault: #9a6200; --sent: #2f5fb3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --text: #e6e8ea; --soft: #9aa1a9; --line: #2d3238; --panel: #1c2025;
    --passed: #58c387; --failed: #ff7b81; --fault: #e5b35a; --sent: #86b1ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 68rem; background: var(--ground); color: var(--text);
  font: 1rem/1.55 system-ui, sans-serif;
}
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 code { font-size: 1em; margin-right: .5rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: .4rem 0; }
.soft { color: var(--soft); }
code, pre, .transcript td { font: .85rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .45rem 1rem .45rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; padding-right: 0; }
td.verdict { white-space: nowrap; }
.checks { table-layout: fixed; }
.checks > tbody > tr > td:first-child { width: 7rem; }
.checks > tbody > tr > td:last-child { width: 3.5rem; }
.passed, .failed, .fault, .skipped { font-weight: 600; }
.passed { color: var(--passed); }
.failed { color: var(--failed); }
.fault { color: var(--fault); }
.skipped { color: var(--soft); }
a { color: inherit; text-underline-offset: .2em; }
.words.failed, .words.fault, .words.skipped { color: inherit; font-weight: inherit; }
.words { margin: .75rem 0; padding: .75rem 1rem; border-left: 4px solid var(--failed); background: var(--panel); }
.words.fault { border-color: var(--fault); }
.words.skipped { border-color: var(--line); }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--soft); }
.scroll { overflow-x: auto; background: var(--panel); border-radius: 6px; padding: .6rem .9rem; margin: .4rem 0; }
.transcript { border-collapse: collapse; width: auto; }
.transcript td { border: 0; padding: 0 1.2rem 0 0; white-space: pre; }
.transcript .stderr { color: var(--failed); }
.transcript .stdin { color: var(--sent); }
.transcript :is(.start, .signal, .exit, .note) { color: var(--soft); }
pre { margin: 0; }
img { max-width: 100%; background: #ffffff; }
</style>
</head>
<body>
<h1>{{ "All labs passed" if result.passed else "Not all labs passed" }}</h1>
<p>{{ result.summary }}.</p>
<p class="soft">
  {{ result.began }}
{% for name, address in result.hosts.items() %}
  · {{ name }} {{ address }}
{% endfor %}
</p>

<table>
<thead><tr><th>Lab</th><th>Verdict</th><th class="number">Checks</th><th class="number">Seconds</th></tr></thead>
<tbody>
{% for lab in result.labs %}
<tr>
  <td><a href="#{{ lab.name }}"><code>{{ lab.name }}</code></a></td>
  <td class="verdict {{ lab.verdict }}">{{ says[lab.verdict] }}</td>
  <td class="number">{{ lab.checks | length }}</td>
  <td class="number">{{ "%.1f" | format(lab.seconds) }}</td>
</tr>
{% endfor %}
</tbody>
</table>

{% for lab in result.labs %}
<h2 id="{{ lab.name }}"><code>{{ lab.name }}</code> <span class="{{ lab.verdict }}">{{ says[lab.verdict] }}</span></h2>
<table class="checks">
<tbody>
{% for check in lab.checks %}
<tr>
  <td class="verdict {{ check.verdict }}">{{ says[check.verdict] }}</td>
  <td>{{ check.claim }}
{% if check.words %}
    <div class="words {{ check.verdict }}">
      {{ check.words }}
{% if check.help %}
      <br>Remedy: <code>{{ check.help }}</code>
{% endif %}
    </div>
{% endif %}
{% for host, commands in check.left_behind.items() %}
    <p class="soft">Left behind on {{ host }}, and killed: <code>{{ commands | join(", ") }}</code></p>
{% endfor %}
{% if check.transcript %}
    <details open><summary>What happened, line by line</summary>
    <div class="scroll"><table class="transcript">
{% for event in check.transcript %}
    <tr class="{{ event.stream }}">
      <td>{{ "%7.3f" | format(event.time) }}</td><td>{{ event.host }}</td><td>{{ event.program }}</td>
      <td>{{ signs[event.stream] }} {{ event.text }}</td>
    </tr>
{% endfor %}
    </table></div></details>
{% endif %}
{% if check.sockets %}
    <details open><summary>The sockets at that moment</summary>
    <div class="scroll"><pre>
{% for host, sockets in check.sockets.items() %}
{% for socket in sockets %}
{{ "%-10s" | format(host) }} {{ socket }}
{% else %}
{{ "%-10s" | format(host) }} none
{% endfor %}
{% endfor %}
</pre></div></details>
{% endif %}
{% if check.verdict in ("failed", "fault") %}
    <p>Run it again: <code>{{ lab.again }}</code></p>
{% endif %}
  </td>
  <td class="number">{{ "%.2f" | format(check.seconds) }}</td>
</tr>
{% endfor %}
</tbody>
</table>
{% for file in lab.files if file.endswith(".svg") %}
<p><img src="{{ file }}" alt="{{ file }}"></p>
{% endfor %}
{% if lab.files %}
<p class="soft">Kept:
{% for file in lab.files %}
  <a href="{{ file }}">{{ file.partition("/")[2] }}</a>{{ "," if not loop.last }}
{% endfor %}
</p>
{% endif %}
{% endfor %}
</body>
</html>
"""
