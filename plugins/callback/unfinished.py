"""The callback plug-in that says, after Ansible's recap, which hosts are not done, and how to go on with them."""

from __future__ import annotations

import shlex
import sys
from collections import defaultdict
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: unfinished
type: notification
short_description: Names the hosts that were not reached or failed, at the end
description:
  - After the recap of C(ansible-playbook), says in a few plain lines which hosts were not reached, which failed and at
    which task, and the command that goes on with just those. Says nothing when all is well.
requirements:
  - enable in configuration (C(callbacks_enabled))
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Remembers why a host was given up."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "labroom.labroom.unfinished"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[str, str] = {}
        self.not_begun: list[str] = []  # plays

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Note which plays there are."""
        self.not_begun = [play.get_name() for play in playbook.get_plays()]

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Note that a play began."""
        if play.get_name() in self.not_begun:
            self.not_begun.remove(play.get_name())

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Note why: the end of what ssh said."""
        last_line = result.result["msg"].strip().splitlines()[-1]
        self.reasons[result.host.get_name()] = last_line.rpartition(": ")[2].rstrip(".\r")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Note at which task."""
        if not ignore_errors:
            self.reasons[result.host.get_name()] = f"at “{result.task.get_name()}”"

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Say who is not done, by reason, and how to go on."""
        for what, hosts in (("not reached", stats.dark), ("failed", stats.failures)):
            alike = defaultdict(list)
            for host in sorted(hosts):
                alike[self.reasons.get(host, "")].append(host)
            for reason, names in alike.items():
                self._display.display(f"{what}: {' '.join(names)} ({reason})")
        left = sorted({*stats.dark, *stats.failures})
        if not left:
            return
        command = _without_limit(sys.argv)
        if self.not_begun and set(stats.processed) - set(left):
            self._display.display(f"not begun: {', '.join(self.not_begun)}")
        else:
            command += ["--limit", ",".join(left)]
        self._display.display(f"go on with: {shlex.join(command)}")


def _without_limit(command: list[str]) -> list[str]:
    """The command without its option --limit."""
    kept = []
    words = iter(command)
    for word in words:
        if word in ("-l", "--limit"):
            next(words)
        elif not word.startswith("--limit="):
            kept.append(word)
    return kept
