"""The module `copy_folder`: its part where Ansible runs. It is documented in plugins/modules/copy_folder.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils import folder

_OPTIONS = {
    "src": {"type": "path", "required": True},
    "dest": {"type": "str", "required": True},  # no path: ~ would be somebody's home where Ansible runs
    "without": {"type": "list", "elements": "str", "default": []},
    "left_out": {"type": "list", "elements": "str", "default": []},
    "words": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """A folder of this machine is on the host, and nothing else in its place."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Compare, which is one question to the host; copy what differs."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(_OPTIONS)
        source, dest, without = Path(arguments["src"]), arguments["dest"], arguments["without"]
        left_out, words = [*without, *arguments["left_out"]], arguments["words"]
        if not dest.startswith("/"):
            raise AnsibleActionFail(f"dest: expected an absolute path, not {dest!r}")
        try:
            wanted = folder.describe(source, left_out, as_placed=True, words=words)
        except OSError as error:
            raise AnsibleActionFail(f"{error.filename}: {error.strerror}") from error
        if not wanted:
            raise AnsibleActionFail(f"{source} is not a folder")
        described = self._on_host({"dest": dest, "without": without}, task_vars)
        if described.get("failed"):
            return described
        found = described["found"]
        result = {"changed": found != wanted, "dest": dest}
        if found == wanted:
            return result
        if self._task.diff:
            before, after = ("".join(f"{line}\n" for line in lines) for lines in (found, wanted))
            result["diff"] = {"before_header": dest, "after_header": dest, "before": before, "after": after}
        if not self._task.check_mode:
            archive = self._transfer_data(self._path_on_host(), folder.pack(source, left_out, words))
            placed = self._on_host({"src": archive, "dest": dest, "without": without}, task_vars)
            if placed.get("failed"):
                return placed
        return result

    def _on_host(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        done: dict[str, Any] = self._execute_module("labroom.labroom.copy_folder", arguments, task_vars=task_vars)
        return done

    def _path_on_host(self) -> str:
        """A name for the archive in Ansible's folder on the host, which goes with the task."""
        temporary = self._connection._shell.tmpdir or self._make_tmp_path()
        return str(self._connection._shell.join_path(temporary, "folder.tar"))
