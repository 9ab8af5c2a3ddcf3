"""Host keys that are known, in every form that known_hosts files have, held against a host that shows one."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labroom.checks import inventory_hosts
from labroom.driver import known_hosts
from labroom.endpoint import Endpoint
from tests.unit.conftest import Sshd


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Type and key of another host."""
    file = tmp_path_factory.mktemp("other") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", file], check=True)
    return " ".join(file.with_name("key.pub").read_text().split()[:2])


@pytest.fixture
def told(sshd: Sshd, tmp_path: Path, other: str) -> Callable[[str | bytes], str]:
    """Tries the sshd on loopback with a known_hosts file of these lines: why it isn't taken; empty if it is."""
    own = " ".join((sshd.folder / "host_key.pub").read_text().split()[:2])

    def tried(text: str | bytes, **more: str) -> str:
        data = text.encode() if isinstance(text, str) else text
        for word, meant in {"NAME": f"[127.0.0.1]:{sshd.endpoint.ssh_port}", "OWN": own, "OTHER": other}.items():
            data = data.replace(word.encode(), meant.encode())
        file = tmp_path / "known_hosts"
        file.write_bytes(data)
        if more.get("hashed"):
            subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], capture_output=True, check=True)
        reason = str(inventory_hosts.absent({"pc": replace(sshd.endpoint, name="pc", known_hosts=(file,))})["pc"])
        return "" if reason.endswith("has no /opt/labs") else reason

    return tried


@pytest.mark.parametrize(
    "text",
    [
        "NAME OWN\n",
        "NAME OWN",
        "NAME\tOWN\tcomment\r\n",
        "  NAME OWN\n",
        "127.0.0.1 OWN\n",
        "[127.0.0.?]:* OWN\n",
        "!127.0.0.2,127.* OWN\n",
        "PC9,NAME,192.0.2.1 OWN\n",
        "NAME OTHER\nNAME OWN\n",
        "@cert-authority * OTHER\n@revoked * OTHER\nNAME OWN\n",
        "@unheard-of NAME OTHER\n# NAME OTHER\n\nbroken\nNAME ssh-ed25519 %%%\nNAME ssh-ed25519\nNAME OWN\n",
        b"NAME OWN caf\xe9 \xbd\xc7\xbd\xc0\n",
        b"\xff\xfe\0\n|1|x|y OWN\n|1| OWN\nNAME OWN\n",
    ],
)
def test_a_key_is_known_in_every_form(text: str | bytes, told: Callable[..., str]) -> None:
    assert told(text) == ""


def test_a_hashed_name_is_known(told: Callable[..., str]) -> None:
    assert told("NAME OWN\n", hashed="yes") == ""
    assert "is not in" in told("192.0.2.1 OWN\n", hashed="yes")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the host key of pc (127.0.0.1) is not in"),
        ("@cert-authority * OWN\n", "known_hosts, which has but a certificate authority's"),
        ("@revoked * OWN\nNAME OWN\n", "shows a host key that is revoked in"),
        ("@revoked NAME OWN\n127.0.0.1 OWN\n", "shows a host key that is revoked in"),
        ("NAME OTHER\n", "shows another host key than"),
        ("NAME OTHER\n127.0.0.1 OWN\n", "shows another host key than"),
        ("!127.0.0.1,127.* OWN\n", "is not in"),
        ("# NAME OWN\n", "is not in"),
        ("@unheard-of NAME OWN\n", "is not in"),
        ("127.0.0.11,27.0.0.1,x127.0.0.1 OWN\n", "is not in"),
    ],
)
def test_a_host_that_is_not_itself_is_not_taken_for_it(text: str, says: str, told: Callable[..., str]) -> None:
    assert says in told(text)


def test_a_host_may_have_a_name_for_its_key_alone(sshd: Sshd, tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text("the-pc " + (sshd.folder / "host_key.pub").read_text())
    at = replace(sshd.endpoint, known_hosts=(tmp_path / "missing", file))
    assert not known_hosts.of(at).known
    assert known_hosts.of(replace(at, host_key_alias="THE-pc")).known


@pytest.mark.parametrize(
    ("at", "remedy"),
    [
        ({"known_hosts": (Path("/dev/null"),)}, "have your ssh configuration name a file for them: UserKnownHostsFile"),
        ({"known_hosts": (Path("/nowhere/a b"),)}, "ssh-keyscan -p {port} 127.0.0.1 >>'/nowhere/a b', and compare"),
        ({"known_hosts": (Path("/nowhere/k"),), "proxy_command": "nc 127.0.0.1 {port}"}, "log in by ssh once"),
    ],
)
def test_what_makes_a_key_known_can_be_done(at: dict[str, object], remedy: str, sshd: Sshd) -> None:
    port = str(sshd.endpoint.ssh_port)
    if "proxy_command" in at:
        at = at | {"proxy_command": f"ssh -F none -i {sshd.folder}/key -o UserKnownHostsFile={sshd.folder}/known_hosts "
                   f"-p {port} -W 127.0.0.1:{port} {sshd.endpoint.user}@127.0.0.1"}  # fmt: skip
    unknown: Endpoint = replace(sshd.endpoint, name="pc", **at)  # type: ignore[arg-type]
    assert remedy.format(port=port) in inventory_hosts.absent({"pc": unknown})["pc"].remedy
