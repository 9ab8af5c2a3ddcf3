"""What several unit tests use: an sshd of our own on loopback, for tests of what goes over SSH."""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from labroom.endpoint import Endpoint
from tests.helpers import wait_for


class Sshd:
    """An sshd on a free port of 127.0.0.1, with keys of its own in `folder`; ended by its process id.

    Args:
        folder: for its keys, its configuration and its log.
        options: more lines of its configuration, sshd_config(5).
    """

    def __init__(self, folder: Path, *options: str) -> None:
        program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
        assert program, "these tests need sshd: apt-get install openssh-server"
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.folder = folder
        for name in ("host_key", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        with closing(socket.create_server(("127.0.0.1", 0))) as probe:
            port = probe.getsockname()[1]
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/key.pub\n"
            "StrictModes no\nPasswordAuthentication no\nMaxStartups 100\nPidFile none\n"
            + "".join(f"{option}\n" for option in options)
            # What whoever runs the tests has in a .bashrc says things of its own. The first line of this name holds.
            + f"SetEnv HOME={folder}\n"
        )
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} " + (folder / "host_key.pub").read_text())
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", program, "-D", "-e", "-f", folder / "sshd_config"], stderr=log
            )  # it ends with the tests, however they end
        own_keys = (folder / "key",), (folder / "known_hosts",)
        self.endpoint = Endpoint("alfa", "127.0.0.1", "127.0.0.1", port, getpass.getuser(), *own_keys)
        wait_for(lambda: "listening" in (folder / "log").read_text(), "sshd to listen")


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd on loopback, for all tests that need one."""
    sshd = Sshd(tmp_path_factory.mktemp("sshd"))
    yield sshd
    sshd.process.terminate()
    sshd.process.wait()
