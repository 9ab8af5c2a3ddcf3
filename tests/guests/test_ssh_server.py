"""Is sshd on every guest what the role ssh_server promises?"""

from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://guests"]


def test_sshd_runs_with_the_settings_of_the_role(host: Host, variables: dict[str, Any]) -> None:
    settings = host.check_output("sshd -T").splitlines()
    effective = {tuple(line.split(maxsplit=1)) for line in settings}
    root_login = variables["ssh_server_permit_root_login"]
    wanted = {
        "port": str(variables["ssh_server_port"]),
        "permitrootlogin": "without-password" if root_login == "prohibit-password" else root_login,
        "passwordauthentication": "yes" if variables["ssh_server_password_authentication"] else "no",
        "kbdinteractiveauthentication": "no",
        "maxsessions": str(variables["ssh_server_max_sessions"]),
        "usedns": "no",
    }
    if any(line.startswith("persourcepenalties ") for line in settings):  # since OpenSSH 9.8
        wanted["persourcepenalties"] = "no"
    assert set(wanted.items()) - effective == set()


def test_listens_on_all_addresses(variables: dict[str, Any], listening: set[tuple[str, str, str]]) -> None:
    assert ("tcp", "any", str(variables["ssh_server_port"])) in listening
