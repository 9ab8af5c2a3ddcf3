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
    allowed = variables["student_account_authorized_keys"]
    assert (keys_mode, keys[: len(allowed)]) == (f"{student} 600", allowed)
    assert [key.split()[2:] for key in keys[len(allowed) :]] == [["inside"]] * bool(variables["student_account_hosts"])
    assert sudo == ("0" if variables["student_account_sudo"] else "no")


def test_student_has_the_password_that_was_asked_for(host: Host, variables: dict[str, Any]) -> None:
    password = host.check_output("getent shadow %s", variables["student_account_name"]).split(":")[1]
    assert password == variables["student_account_password_hash"]


def test_student_may_read_the_journal(host: Host, variables: dict[str, Any]) -> None:
    assert {"adm", "systemd-journal"} <= set(host.user(variables["student_account_name"]).groups)


def test_student_gets_to_the_hosts_that_are_named_without_a_question(host: Host, variables: dict[str, Any]) -> None:
    student, hosts = variables["student_account_name"], variables["student_account_hosts"]
    for each in (*hosts, *(address for addresses in hosts.values() for address in addresses)):
        assert host.check_output("su %s -c 'ssh -n -o BatchMode=yes %s id -un'", student, each) == student


def test_greeting_says_which_host_it_is(host: Host, variables: dict[str, Any]) -> None:
    greeting = host.file("/etc/motd.d/labroom")
    assert greeting.exists == variables["student_account_greeting"]
    if greeting.exists:
        name = host.backend.get_hostname()
        assert greeting.content_string.startswith(f"This is {name}")
        assert f"{variables['student_account_labs']}, each with its handout" in greeting.content_string
