"""Is the students' account on every guest what the role student_account promises?"""

from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://guests"]


def test_student_logs_in_by_key_and_may_use_sudo(host: Host, variables: dict[str, Any]) -> None:
    student = variables["student_account_name"]
    account, keys_mode, *keys, sudo = host.check_output(
        "getent passwd %s; cd ~%s/.ssh; stat --format '%%U %%a' authorized_keys; cat authorized_keys; "
        "su %s -c 'sudo --non-interactive id --user || echo no'",
        *[student] * 3,
    ).splitlines()
    assert account.rpartition(":")[2] == variables["student_account_shell"]
    assert (keys_mode, keys) == (f"{student} 600", variables["student_account_authorized_keys"])
    assert sudo == ("0" if variables["student_account_sudo"] else "no")


def test_student_has_the_password_that_was_asked_for(host: Host, variables: dict[str, Any]) -> None:
    password = host.check_output("getent shadow %s", variables["student_account_name"]).split(":")[1]
    assert password == variables["student_account_password_hash"]


def test_student_may_read_the_journal(host: Host, variables: dict[str, Any]) -> None:
    assert {"adm", "systemd-journal"} <= set(host.user(variables["student_account_name"]).groups)
