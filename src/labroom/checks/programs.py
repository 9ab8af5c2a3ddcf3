"""Which program a check means by a name, and how it is started: the one place that decides it."""

from labroom.driver import Host, Launch

LABS = "/opt/labs"  # on the guests


def resolve(host: Host, name: str) -> Launch:
    """What is started on a host by this name."""
    return ours(host, name)


def ours(host: Host, name: str) -> Launch:
    """The labs' own program: `echo_server` of the lab under check, `../tcp_echo/line_client` of another one."""
    file = f"{name}.py" if "/" in name else f"./{name}.py"
    return Launch((file,), f"{LABS}/{host.driver.lab}", name.rpartition("/")[2])
