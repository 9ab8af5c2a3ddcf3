"""What the name service has to answer, asked on a guest."""

import json
from typing import Any

from testinfra.host import Host

# Resolves the names of the first argument and the addresses of the second, and prints the answers.
ASK = """
import json, socket, sys
answers = {}
for function, keys in zip((socket.gethostbyname_ex, socket.gethostbyaddr), sys.argv[1:]):
    for key in json.loads(keys):
        try:
            answers[key] = function(key)
        except OSError:
            answers[key] = None
print(json.dumps(answers))
"""


def check_answers(host: Host, gateway: dict[str, Any], resolver: str | None = None) -> None:
    """Check that every name, alias and address of the room is answered on `host`.

    Args:
        host: where to ask.
        gateway: the roles' variables on the gateway.
        resolver: address of the name service to ask; None: the one that the host asks of itself.
    """
    domain, hosts = gateway["name_service_domain"], gateway["name_service_hosts"]
    true_name = {name: name for name in hosts} | gateway["name_service_aliases"]
    own_name = {addresses[0]: f"{name}.{domain}" for name, addresses in hosts.items() if len(addresses) == 1}
    names = [form for name in true_name for form in (name, f"{name}.{domain}")]
    unknown = f"nobody.{domain}"
    ask = "python3 -c %s %s %s"
    if resolver:  # in a mount namespace of the question's own, since glibc takes no other server
        ask = (
            f"unshare --mount sh -c 'mount -t tmpfs tmpfs /mnt && echo nameserver {resolver} >/mnt/resolv.conf && "
            f"echo search {domain} >>/mnt/resolv.conf && mount --bind /mnt/resolv.conf /etc/resolv.conf && "
            f'exec "$@"\' sh {ask}'
        )
    # glibc's gethostbyname and gethostbyaddr, as the labs use them: [name, aliases, addresses], or null.
    answers = json.loads(host.check_output(ask, ASK, json.dumps([*names, unknown]), json.dumps(list(own_name))))
    assert {form: answers[form] and [answers[form][0], sorted(answers[form][2])] for form in names} == {
        form: [f"{true_name[name]}.{domain}", sorted(hosts[true_name[name]])]
        for name in true_name
        for form in (name, f"{name}.{domain}")
    }
    assert {address: answers[address] and answers[address][0] for address in own_name} == own_name
    assert answers[unknown] is None
