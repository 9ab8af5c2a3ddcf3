"""What the module `packages` does: asks dpkg, and apt only when a package is missing. It is documented there."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Sequence
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.kinds import complaints

# Prints the state of each of "$@". By 3 the host is of another family, and the output its name. dpkg-query's own 1, for
# packages that it has never heard of, becomes 0, since sudo's 1 is a failure.
_QUERY = r"""
if [ -r /etc/os-release ]; then . /etc/os-release; fi
case " ${ID-} ${ID_LIKE-} " in *" debian "*) ;; *) echo "${PRETTY_NAME-$(uname -s)}"; exit 3;; esac
dpkg-query --show --showformat='${Package} ${Package}:${Architecture} ${db:Status-Status}\n' -- "$@" || [ $? = 1 ]
"""
_OTHER_FAMILY = 3
# The fact that a host's lists are fresh: the run that has fetched them, which is the process that has started ours.
_FETCHED_BY = "labroom_lists_fetched_by"
# Prints the names that the host's lists have of packages that begin like one of "$@".
_LISTED = 'for initial; do apt-cache pkgnames "$initial"; done'


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """The packages that are missing are installed."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what ansible.builtin.apt does; `missing` besides, which is all that check mode says."""
        super().run(tmp, task_vars)
        options = {"names": {"type": "list", "elements": "str", "required": True}}
        _, arguments = self.validate_argument_spec(options)
        names = arguments["names"]
        if wrong := complaints({"packages": {"names": names}}):
            return {"failed": True, "msg": "\n".join(wrong)}
        if not names:
            return {"changed": False, "missing": []}
        query = self._low_level_execute_command(shlex.join(["sh", "-c", _QUERY, "sh", *names]))
        if query["rc"] == _OTHER_FAMILY:
            host = (task_vars or {})["inventory_hostname"]
            return {
                "failed": True,
                "msg": f"labroom's roles are for Debian and Ubuntu: {host} is {query['stdout'].strip()}. "
                f"Take it out of the inventory, or leave it out by --limit 'all:!{host}'",
            }
        if query["rc"] != 0:
            return {"failed": True, "msg": (query["stderr"] or query["stdout"]).strip()}
        found = [line.split() for line in query["stdout"].splitlines() if line.endswith(" installed")]
        installed = {name for *names_of_one, _ in found for name in names_of_one}
        missing = [name for name in names if name not in installed]
        if not missing or self._task.check_mode:
            return {"changed": bool(missing), "missing": missing}
        arguments = {
            "name": missing,
            # Fetched once a run: lists of unknown age, or emptied ones of an image, look fresh to cache_valid_time.
            "update_cache": (task_vars or {}).get("ansible_facts", {}).get(_FETCHED_BY) != os.getppid(),
            "update_cache_retries": 2,  # the default, five, says nothing for minutes where there is no network
            "install_recommends": False,
            "lock_timeout": 300,  # a VM's first boot may be upgrading itself
        }
        done = self._execute_module("ansible.legacy.apt", arguments, task_vars=task_vars)
        if done.get("failed") and "No package matching" in done.get("msg", "") and (words := self._unknown(missing)):
            done["msg"] = words
        if not done.get("failed"):
            done["ansible_facts"] = {_FETCHED_BY: os.getppid()}
        return {**done, "missing": missing}

    def _unknown(self, names: Sequence[str]) -> str:
        """Which packages the host's release hasn't, in words, and what was perhaps meant; empty if it has all."""
        initials = sorted({name[0] for name in names})
        known = self._low_level_execute_command(shlex.join(["sh", "-c", _LISTED, "sh", *initials]))["stdout"].split()
        said = []
        for name in names:
            if name.partition(":")[0] not in known:
                meant = difflib.get_close_matches(name, known, n=1)
                said.append(f"{name} (did you mean {meant[0]}?)" if meant else name)
        return f"the release has no package {', '.join(said)}" if said else ""
