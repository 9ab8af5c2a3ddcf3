"""The documentation of the module `variables`; what it does is plugins/action/variables.py."""

DOCUMENTATION = """
module: variables
short_description: Variables hold what a role can use
description:
  - Fails, before a role changes anything, where a variable would break a path, a file's name or a configuration, with a
    line for each mistake that names the variable and says what was expected.
  - Each option is a kind of value; its keys are the variables' names, for the message, its values what they hold.
  - Runs where Ansible runs, and asks the host nothing.
options:
  login_name:
    description: A login name, which may have dots; not C(root).
    type: dict
  shell:
    description: The absolute path of a program.
    type: dict
  locale:
    description: A locale, or nothing.
    type: dict
  folder:
    description: The absolute path of a folder that may be replaced, so none of the system's and nobody's home.
    type: dict
  password_hash:
    description: A hash of crypt(5), or C(*). It is never shown.
    type: dict
  keys:
    description: Lists of public keys, as in authorized_keys (sshd(8)).
    type: dict
  packages:
    description: Lists of names of Debian packages, with an architecture or not.
    type: dict
  labs:
    description: Lists of names of labs.
    type: dict
  words:
    description: Dictionaries of words, each with the one that takes its place.
    type: dict
  number:
    description: A number from 1 to 65535.
    type: dict
  domain:
    description: A domain.
    type: dict
  addresses:
    description: Lists of IP addresses.
    type: dict
  servers:
    description: Lists of IP addresses, with C(#PORT) behind or not.
    type: dict
  address:
    description: An IPv4 address.
    type: dict
  networks:
    description: Lists of IPv4 networks in CIDR notation.
    type: dict
  hosts:
    description: Dictionaries of names, each with a list of its addresses.
    type: dict
  aliases:
    description: Dictionaries of names, each with the one of O(hosts) that it stands for.
    type: dict
  forwarded_ports:
    description: Lists of dictionaries with C(port), C(to), C(to_port) and C(protocol).
    type: dict
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author: The labroom contributors
"""

EXAMPLES = """
- name: See that the folder can be used
  labroom.labroom.variables:
    folder: { exercises_destination: "{{ exercises_destination }}" }
"""

RETURN = """ # """
