"""What the module `variables` does, where Ansible runs. It is documented in plugins/modules/variables.py."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.kinds import KINDS, complaints


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Variables hold what they should."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with a line for each variable that doesn't."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({kind: {"type": "dict"} for kind in KINDS})
        found = complaints({kind: variables for kind, variables in arguments.items() if variables})
        return {"failed": True, "msg": "\n".join(found)} if found else {"changed": False}
