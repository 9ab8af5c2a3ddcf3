"""The module `copy_folder`: its part on the host. plugins/action/copy_folder.py does the other, where Ansible runs."""

from __future__ import annotations

import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import folder

DOCUMENTATION = """
module: copy_folder
short_description: A folder of the controller is on the host, and nothing else in its place
description:
  - Compares a folder where Ansible runs with the one on the host, by names, contents, owners and permissions, and
    copies it as one archive when anything differs.
  - On the host all belongs to root and can be read by everybody. Permissions are C(0755) for folders and for files that
    their owner may execute, C(0644) for others.
  - Hidden files and C(__pycache__) are neither compared nor copied.
options:
  src:
    description: The folder where Ansible runs.
    type: path
    required: true
  dest:
    description:
      - The folder on the host, by its absolute path. The folder above it must exist.
      - When anything differs, all that lies in it is removed, but for hidden files, C(__pycache__) and what O(without)
        names.
    type: str
    required: true
  without:
    description: Names in O(src) and in O(dest) that are neither compared nor copied nor removed.
    type: list
    elements: str
    default: []
  left_out:
    description: Names in O(src) that the host has not.
    type: list
    elements: str
    default: []
  words:
    description: Words in the Markdown of O(src), each with the one that it has in its place on the host.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    description: A line for each entry, with its permissions, owner and digest.
requirements:
  - Python 3.8 and tar on the host
author: The labroom contributors
"""

EXAMPLES = """
- name: Bring the exercises
  labroom.labroom.copy_folder:
    src: "{{ playbook_dir }}/exercises"
    dest: /opt/exercises

- name: Bring them, but leave what was handed in alone
  labroom.labroom.copy_folder:
    src: "{{ playbook_dir }}/exercises"
    dest: /opt/exercises
    without: [submissions]
"""

RETURN = """
dest:
  description: The folder on the host.
  type: str
  returned: success
  sample: /opt/exercises
"""


def replace(dest: Path, without: list[str]) -> None:
    """Make `dest` a folder that holds nothing but what isn't copied. Raises OSError."""
    if dest.is_symlink() or dest.is_file():
        dest.unlink()
    dest.mkdir(exist_ok=True)
    for entry in dest.iterdir():
        if not folder.is_part(entry.name) or entry.name in without:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def main() -> None:
    """Put the archive `src` in place, if there is one, or else describe what lies there."""
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path"},  # here the archive, on the host
            "dest": {"type": "str", "required": True},
            "without": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    dest, without = Path(module.params["dest"]), module.params["without"]
    try:
        if module.params["src"]:
            replace(dest, without)
            module.run_command(["tar", "-xpf", module.params["src"], "-C", str(dest)], check_rc=True)
            module.exit_json(changed=True)
        module.exit_json(changed=False, found=folder.describe(dest, without))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
