"""The documentation of the module `packages`; what it does is plugins/action/packages.py."""

DOCUMENTATION = """
module: packages
short_description: Debian packages are installed
description:
  - Installs Debian packages, without their recommended ones.
  - Asks C(dpkg-query), which answers in milliseconds. Only when a package is missing, the package lists are fetched,
    once in a run of C(ansible-playbook), and C(apt) installs it, so a host that has them all needs no network.
  - Where the host's release lacks some, names them all, and what was perhaps meant.
  - Fails at once, in one line, on a host that is neither Debian nor Ubuntu nor derived from them.
options:
  names:
    description: Names of packages, without versions; with an architecture or not, as in C(libc6:i386).
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    support: full
    description: Says what is missing and installs nothing. The host needs no network for it.
  diff_mode:
    support: partial
    description: Shows what C(apt) did.
seealso:
  - module: ansible.builtin.apt
author: The labroom contributors
"""

EXAMPLES = """
- name: Install the compiler
  labroom.labroom.packages:
    names: [gcc, libc6-dev]
"""

RETURN = """
missing:
  description: The packages that were missing; in check mode, that are.
  type: list
  elements: str
  returned: success
  sample: [gcc]
"""
