"""Is labroom itself on a student's machine as the role labroom_command promises?"""

from pathlib import Path

from testinfra.host import Host

testinfra_hosts = ["ansible://guests"]

LABS = Path(__file__).parents[2] / "labs"


def test_command_is_on_the_path_and_knows_the_labs(host: Host) -> None:
    listed = {line.split()[0] for line in host.check_output("labroom list").splitlines()}
    assert listed == {path.parent.name for path in LABS.glob("*/README.md")}
