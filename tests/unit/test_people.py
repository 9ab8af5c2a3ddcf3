"""`labroom` on machines as people have them: umask, locale, paths, environment, terminals and rights, in any mixture.

What it does here needs no room, yet takes the long way: the launcher of a checkout that lies in an odd folder, an
inventory that Ansible reads, what OpenSSH makes of a configuration, and a host that is reached over SSH.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from labroom import processes
from labroom.endpoint import Endpoint
from labroom.errors import MachineError
from labroom.machine import tool
from labroom.resources import ROOT
from tests.unit.conftest import Sshd

#: What no shell, no ssh_config(5), no Jinja and no Python may take for something of theirs.
ODD = 'it\'s 50%d, "é" $(touch x) #{{y}} 실습'
UNKNOWN = 61234  # a user whom passwd(5) doesn't have

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "python": {
        "PYTHONHOME": "/nonexistent",
        "PYTHONPATH": ".",
        "PYTHONSTARTUP": "select.py",
        "PYTHONOPTIMIZE": "2",
        "PYTHONWARNINGS": "error",
        "PYTHONIOENCODING": "utf-16",
        "PYTHONSAFEPATH": "",
        "VIRTUAL_ENV": "/nonexistent",
    },
    "ansible": {
        "ANSIBLE_COLLECTIONS_PATH": "/nonexistent",
        "ANSIBLE_VERBOSITY": "4",
        "ANSIBLE_DEBUG": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_STDOUT_CALLBACK": "oneline",
        "ANSIBLE_FORCE_COLOR": "1",
        "ANSIBLE_LIBRARY": "/nonexistent",
        "ANSIBLE_INVENTORY_EXPORT": "1",
    },
    "shell": {
        "BASH_ENV": "select.py",
        "ENV": "select.py",
        "CDPATH": "/",
        "IFS": "/",
        "COLUMNS": "20",
        "TMPDIR": "/nonexistent",
        "PATH": f".::{os.environ['PATH']}",
        "GIT_DIR": "/nonexistent",
        "PYTEST_ADDOPTS": "--nonsense",
        "PIP_USER": "1",
    },
}


@pytest.fixture(scope="session")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Locales of other encodings than UTF-8, for LOCPATH."""
    folder = tmp_path_factory.mktemp("locales")
    for name, encoding in (("ko_KR", "EUC-KR"), ("en_US", "ISO-8859-1")):
        subprocess.run(["localedef", "-i", name, "-f", encoding, folder / f"{name}.{encoding}"], check=True)
    return folder


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of this checkout, with its environment, in a folder of an odd name."""
    folder = tmp_path_factory.mktemp("odd") / ODD / "labroom"
    folder.parent.mkdir()
    if subprocess.run(["cp", "--archive", "--link", ROOT, folder], capture_output=True, check=False).returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["cp", "--archive", ROOT, folder], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A current folder whose files would run if Python, a shell or ssh looked for theirs in it."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name in ("select", "socket", "threading", "yaml", "json", "pytest", "ansible", "sitecustomize"):
        (folder / f"{name}.py").write_text("open('RAN', 'a').write(__name__)\n")
    for name in ("ssh", "ssh-keygen", "env"):
        (folder / name).write_text("#!/bin/sh\necho $0 >>RAN\n")
        (folder / name).chmod(0o755)
    return folder


def run(
    *argv: object, env: Mapping[str, str] | None = None, cwd: Path = ROOT, umask: int = 0o022, user: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as somebody would, and see that no traceback comes of it."""
    done = subprocess.run(
        [*map(str, argv)],
        env=os.environ | (env or {}),
        cwd=cwd,
        umask=umask,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert b"Traceback" not in done.stdout + done.stderr, done.stderr
    return done


@pytest.mark.parametrize(
    ("umask", "locale", "environment"),
    [
        (0o077, "ko_KR.EUC-KR", "ansible"),
        (0o027, "C", "shell"),
        (0o777, "en_US.ISO-8859-1", "python"),
        (0o000, "nowhere", "shell"),
    ],
)
def test_a_host_is_reached_whatever_the_machine_is_like(
    umask: int, locale: str, environment: str, checkout: Path, locales: Path, here: Path, sshd: Sshd
) -> None:
    """As far as a host can be reached that is no lab PC: then its key has been checked, and ours accepted."""
    own = checkout.parent / "own, keys"
    if not own.is_dir():
        own.mkdir()
        shutil.copy(sshd.folder / "key", own / "id %d")
        shutil.copy(sshd.folder / "known_hosts", own / "known hosts")
    at = sshd.endpoint
    config = here / "config"
    config.write_text(
        f'Match host pc1 exec "true"\n  HostName {at.ssh_host}\n  Port {at.ssh_port}\n'
        f"  IdentityFile {_argument(own / 'id %d')}\n  UserKnownHostsFile {_argument(own / 'known hosts')}\n"
    )
    inventory = here / "pcs, all.yml"
    inventory.write_text(
        f"all: {{vars: {{student_account_name: {at.user}, ansible_ssh_common_args: -F {config}}}}}\n"
        "seats: {children: {one: {hosts: {pc1: }}}}\n"
    )
    more = ENVIRONMENTS[environment] | {"LC_ALL": locale, "LOCPATH": str(locales)}
    machines = ("--provider", "ssh", "-i", inventory)
    labroom = checkout / "labroom"
    done = run(labroom, "check", *machines, env=more, cwd=here, umask=umask)
    assert b"(127.0.0.1) has no /opt/labs" in done.stdout, done
    assert done.returncode == 3
    done = run(labroom, "ssh", *machines, "pc1", "echo", "logged in", env=more, cwd=here, umask=umask)
    assert done.stdout == b"logged in\n", done
    done = run(labroom, "ssh-config", *machines, env=more, cwd=here, umask=umask)
    for_ssh = here / "room.ssh"
    for_ssh.write_bytes(done.stdout)
    assert run("/usr/bin/ssh", "-F", for_ssh, "pc1", "echo", "by its configuration").stdout == b"by its configuration\n"
    assert not (here / "RAN").exists(), (here / "RAN").read_text()
    assert len(run(labroom, "list", env=more, cwd=here).stdout.splitlines()) == len(list(ROOT.glob("labs/*/README.md")))


def test_what_the_user_tells_ansible_of_inventories_holds(tmp_path: Path) -> None:
    """The vault's password, and a configuration of the user's: though not in which form it says what it has found."""
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "own.cfg").write_text(
        "[defaults]\nverbosity = 3\nstdout_callback = oneline\nresult_format = yaml\nforce_color = true\n"
        f"vault_password_file = {tmp_path}/password\n[inventory]\nignore_patterns = other\n"
    )
    vault = (tool("ansible-vault"), "encrypt_string", "--vault-password-file", tmp_path / "password", "--name")
    secret = run(*vault, "ansible_host", "192.0.2.7").stdout.decode().replace("\n", "\n        ")
    inventory = tmp_path / "pcs.yml"
    inventory.write_text(f"all:\n  hosts:\n    server:\n        {secret}\n        {{}}\n".replace("        {}\n", ""))
    command = (ROOT / "labroom", "ssh-config", "--provider", "ssh", "-i", inventory)
    told = run(*command)
    assert (told.returncode, b"ANSIBLE_VAULT_PASSWORD_FILE=FILE" in told.stderr) == (2, True), told
    for name, value in {"VAULT_PASSWORD_FILE": tmp_path / "password", "CONFIG": tmp_path / "own.cfg"}.items():
        told = run(*command, env={f"ANSIBLE_{name}": str(value)})
        assert b"HostName 192.0.2.7\n" in told.stdout, told


def _argument(path: Path) -> str:
    return dict(Endpoint("x", "", "", 22, "x", (path,), ()).ssh_options())["IdentityFile"]


def test_what_labroom_runs_is_told_nothing_by_its_caller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = {name: value for variables in ENVIRONMENTS.values() for name, value in variables.items()}
    told |= {"LANGUAGE": "ko", "PERL5OPT": "-Mnonsense", "TAR_OPTIONS": "--nonsense", "SYSTEMD_LOG_LEVEL": "debug"}
    kept = {
        "ANSIBLE_VAULT_PASSWORD_FILE": "vault",
        "ANSIBLE_CONFIG": "own.cfg",
        "HOME": "/home/kim",
        "SSH_AUTH_SOCK": "/run/agent",
        "https_proxy": "http://proxy",
        "DOCKER_HOST": "tcp://x",
    }
    for name, value in (told | kept).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f".:bin::{tmp_path}/bin:/usr/bin")
    found = processes.environment(OWN="1")
    assert found.items() >= kept.items()
    harmless = {"PATH", "IFS", "COLUMNS", "PIP_USER", "ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_INVENTORY_EXPORT"}
    assert not found.keys() & (told.keys() - harmless)
    assert (found["LC_ALL"], found["OWN"]) == ("C.UTF-8", "1")
    assert found["PATH"] == f"{tmp_path}/bin:/usr/bin:{tmp_path}/sbin:/usr/sbin"
    before = dict(os.environ)
    with processes.own_environment():
        assert "PYTHONHOME" not in os.environ
    assert dict(os.environ) == before


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["./labroom", "python -m labroom"])
def test_what_the_caller_has_closed_is_missed_by_nobody(closed: str, command: str) -> None:
    command = command.replace("python", shlex.quote(tool("python")))
    done = run("sh", "-c", f"{command} list {closed}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"tcp_echo" in done.stdout) == (">&- 2" not in closed and closed != ">&-")
    # What it starts has all three, too: a file of its own would get their numbers.
    assert run("sh", "-c", f"{command} --room none.yml up {closed}").returncode == 2


@pytest.mark.parametrize(("words", "status"), [("list", 3), ("fly", 2), ("--room none.yml up", 2), ("--version", 3)])
def test_where_nothing_can_be_written_the_status_tells(words: str, status: int) -> None:
    assert run("sh", "-c", f"./labroom {words} >/dev/full 2>&1").returncode == status


def test_a_current_folder_that_was_removed_is_missed_by_nobody(tmp_path: Path) -> None:
    gone = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"'
    done = run("sh", "-c", gone, ROOT / "labroom", "list", cwd=tmp_path)
    assert (done.returncode, done.stdout.count(b"tcp_echo")) == (0, 1)
    done = run("sh", "-c", gone, ROOT / "labroom", "--room", "none.yml", "status", cwd=tmp_path)
    assert done.returncode == 2
    assert b"labroom: none.yml: No such file" in done.stderr


def test_without_a_terminal_nothing_asks_for_one() -> None:
    done = run("setsid", "-w", "./labroom", "list")
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_launcher_takes_pips_sources_alone_from_its_caller(tmp_path: Path) -> None:
    for name in ("labroom", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "requirements.lock").write_text("")
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text("[install]\nuser = true\n")
    (tmp_path / "pip.py").write_text("raise SystemExit('this is no pip')\n")
    (tmp_path / "src").mkdir()
    hostile = {"HOME": str(tmp_path), "PIP_TARGET": str(tmp_path / "elsewhere"), "PIP_REQUIRE_HASHES": "nonsense"}
    done = run(tmp_path / "labroom", env=ENVIRONMENTS["python"] | hostile, cwd=tmp_path, umask=0o077)
    assert b"No module named labroom" in done.stderr, done  # it came as far as that: this checkout has no code
    folders = [path for path in (tmp_path / ".venv").rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o755}
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["a:b", "a[b]", "a\nb"])
def test_a_path_that_cannot_be_is_told_in_a_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    shutil.copy(ROOT / "labroom", tmp_path / name)
    done = run(tmp_path / name / "labroom", "list")
    assert (done.returncode, done.stdout) == (3, b"")
    assert [line.split(b" ")[:2] for line in done.stderr.splitlines()] == [[b"labroom:", b"the"], [b"", b""]]


@pytest.mark.parametrize("name", ["a${b}", "a\nb"])
def test_a_key_that_openssh_cannot_be_told_of_is_told_in_a_line(name: str) -> None:
    with pytest.raises(MachineError, match="OpenSSH can't be told of") as raised:
        _argument(Path("/", name, "key"))
    assert "LABROOM_STATE_DIR" in raised.value.remedy


def test_a_checkout_that_cannot_be_written_says_who_can_make_its_environment(tmp_path: Path) -> None:
    for name in ("labroom", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    read_only = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$0/labroom" list'
    done = run("unshare", "--mount", "sh", "-c", read_only, tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, b"", 2), done
    assert f"you can't run {tmp_path}/.venv".encode() in done.stderr


PAGE = """
import sys
from pathlib import Path
from labroom.checks.verdicts import Check, CheckResult, LabResult
from labroom.reports import page

check = Check("test_one", "실습 — “one”", "failed", words="서버: \\udcff")
page.write(CheckResult([LabResult("tcp_echo", [check])], hosts={"alfa": "x"}), Path(sys.argv[1]), "./labroom check")
"""


@pytest.mark.parametrize("locale", ["ko_KR.EUC-KR", "en_US.ISO-8859-1", "C"])
def test_the_report_is_utf_8_as_it_says(locale: str, locales: Path, tmp_path: Path) -> None:
    env = {"LC_ALL": locale, "LOCPATH": str(locales), "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    program = tmp_path / "program.py"
    program.write_text(PAGE, encoding="utf-8")
    done = run(tool("python"), program, tmp_path, env=env)
    assert done.returncode == 0, done
    for name in ("index.html", "report.json"):
        assert "실습 — “one”" in (tmp_path / name).read_bytes().decode("utf-8")
