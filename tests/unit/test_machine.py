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
        "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-backports\nComponents: main contrib\n"
        "Signed-By: /usr/share/keyrings/debian.gpg\n\n"
        "Types: deb\nURIs: http://mirror.test/off\nSuites: bookworm\nComponents: main\nEnabled: no\n"
    )
    assert machine.apt_sources("bookworm", tmp_path).splitlines() == [
        "deb [arch=amd64] http://mirror.test/debian bookworm-updates main",
        "deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.test/debian bookworm main contrib",
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
