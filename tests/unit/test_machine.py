"""What labroom reads from the machine it runs on."""

from pathlib import Path

from labroom import machine


def test_the_image_takes_the_distributions_own_sources_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "# deb http://mirror.test/debian bookworm main\n"
        "deb [arch=amd64] http://mirror.test/debian bookworm-updates main\n"
        "deb-src http://mirror.test/debian bookworm main\n"
        "deb http://mirror.test/debian trixie main\n"
    )
    lists = tmp_path / "sources.list.d"
    lists.mkdir()
    (lists / "vendor.list").write_text("deb http://vendor.test/apt bookworm-vendor main\n")
    (lists / "debian.sources").write_text(
        "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-backports\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
        "Types: deb\nURIs: http://mirror.test/off\nSuites: bookworm\nComponents: main\nEnabled: no\n"
    )
    assert machine.apt_sources("bookworm", tmp_path).splitlines() == [
        "deb [arch=amd64] http://mirror.test/debian bookworm-updates main",
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.test/debian bookworm main",
    ]
    assert machine.apt_sources("noble", tmp_path) == ""


def test_the_image_takes_no_source_that_a_guest_cannot_reach(tmp_path: Path) -> None:
    """GitHub's runners have a list of mirrors in a file of the machine's."""
    lists = tmp_path / "sources.list.d"
    lists.mkdir()
    (lists / "ubuntu.sources").write_text(
        "Types: deb\nURIs: mirror+file:/etc/apt/apt-mirrors.txt\nSuites: noble\nComponents: main universe\n"
    )
    (tmp_path / "sources.list").write_text("deb mirror+file:/etc/apt/apt-mirrors.txt noble main\n")
    assert machine.apt_sources("noble", tmp_path) == ""


def test_the_image_takes_no_source_whose_key_a_guest_has_not(tmp_path: Path) -> None:
    """A person's machine has Docker's repository and a PPA, for the same suite as the distribution's own."""
    lists = tmp_path / "sources.list.d"
    lists.mkdir()
    own = "Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n"
    (lists / "docker.list").write_text(
        "deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://docker.test/linux/ubuntu noble stable\n"
    )
    (lists / "ppa.sources").write_text(
        "Types: deb\nURIs: https://ppa.test/ubuntu/\nSuites: noble\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBGYo\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    (lists / "source.sources").write_text(
        f"Types: deb-src\nURIs: http://source.test/ubuntu\nSuites: noble\nComponents: main\n{own}"
    )
    (lists / "ubuntu.sources").write_text(
        "# As an installer of Ubuntu 24.04 writes it.\n"
        "Types: deb\nURIs: http://mirror.test/ubuntu/\nSuites: noble noble-updates noble-backports\n"
        f"Components: main restricted\n universe multiverse\n{own}\n"
        f"Types: deb deb-src\nURIs: http://security.test/ubuntu/\nSuites: noble-security\nComponents: main\n{own}"
    )
    key = "[signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg]"
    assert machine.apt_sources("noble", tmp_path).splitlines() == [
        f"deb {key} http://mirror.test/ubuntu/ noble main restricted universe multiverse",
        f"deb {key} http://mirror.test/ubuntu/ noble-updates main restricted universe multiverse",
        f"deb {key} http://security.test/ubuntu/ noble-security main",
    ]
