"""Bad links: what may be said of them, in the command and in the room file, and what is made of it in a network."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labroom import bad_link, bad_link_inside, over_ssh, room
from labroom.bad_link import GOOD, BadLink, Place
from labroom.errors import RoomFault, RoomFileError
from tests.helpers import labroom
from tests.unit.conftest import Sshd


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"delay": "50ms", "jitter": "5ms"}, "delay 50ms, jitter 5ms"),
        ({"delay": "1.5s"}, "delay 1.5s"),
        ({"loss": "0.5%", "rate": "1Mbit"}, "loss 0.5%, rate 1mbit"),
        ({"loss": "100%"}, "loss 100%"),
        ({"loss": "0%", "delay": "0ms"}, "good"),
        ({"loss": "2%", "down": True}, "down"),
        ({}, "good"),
    ],
)
def test_a_link_in_words(fields: dict[str, object], words: str) -> None:
    assert str(GOOD.changed(**fields)) == words


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("delay", "50", "such as 50ms, not '50'; did you mean 50ms?"),
        ("delay", "50msec", "did you mean 50ms?"),
        ("delay", "61s", "60s at most"),
        ("delay", "-5ms", "not '-5ms'"),
        ("loss", "2", "did you mean 2%?"),
        ("loss", "101%", "a share such as 2%, not '101%'"),
        ("rate", "1mbps", "did you mean 1mbit?"),
        ("rate", "1mb", "did you mean 1mbit?"),
        ("rate", "1bit", "a rate from 8kbit"),
        ("rate", "$(reboot)mbit", "not '$(reboot)mbit'"),
        ("jitter", "5ms", "jitter varies a delay"),
    ],
)
def test_what_can_not_be_meant(field: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        GOOD.changed(**{field: text})
    assert words in str(error.value)
    assert f"did you mean {text}?" not in str(error.value)


def test_what_is_not_named_stays() -> None:
    link = GOOD.changed(delay="50ms", loss="2%")
    assert str(link.changed(down=True).changed(down=False, loss="0%", jitter="5ms")) == "delay 50ms, jitter 5ms"


def test_a_script_says_what_it_makes() -> None:
    link = GOOD.changed(delay="50ms", down=True)
    places = {"middle": Place.own_interface("10.0.0.1", "")}
    assert bad_link.from_file(bad_link.as_file(places, {"middle": link})) == {"middle": link}
    for strange in ("", "#", "# []", '# {"loss": 5}', '# {"a": {"loss": "5"}}', '# {"a": {"more": 1}}', "\x1b[2J"):
        assert bad_link.from_file(strange) == {}


def test_the_command_refuses_before_it_asks_anybody(tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        done = labroom("--room", str(tmp_path / "none.yml"), "link", *words, status=2)
        return done.stderr.partition("\n")[0]

    assert refused("alfa", "--loss", "2") == ("labroom: --loss: expected a share such as 2%, not '2'; did you mean 2%?")
    assert refused("--loss", "2%") == "labroom: name the guests, or all of them by --all"
    assert refused("alfa", "--all", "--down") == "labroom: name the guests, or all of them by --all"
    assert refused("alfa", "--down", "--up") == "labroom: --down or --up, not both"


ROOM = """\
name: bad
networks: {private: 192.168.79.0/24, outside: 198.51.100.240/28}
guests:
  one: {private: 192.168.79.10, link: LINK}
"""


def test_a_link_in_the_room_file(tmp_path: Path) -> None:
    file = tmp_path / "room.yml"
    file.write_text(ROOM.replace("LINK", "{delay: 50ms, loss: 2%}"))
    assert room.load(file).guests["one"].bad_links == {"private": BadLink(delay="50ms", loss="2%")}


def test_a_router_has_a_link_to_each_of_its_networks(tmp_path: Path) -> None:
    file = tmp_path / "room.yml"
    router = "one: {part: router, private: .10, outside: .242, link: {loss: 2%, outside: {delay: 50ms}}}"
    file.write_text(ROOM.replace("one: {private: 192.168.79.10, link: LINK}", router))
    bad = {"private": BadLink(loss="2%"), "outside": BadLink(delay="50ms")}
    assert room.load(file).guests["one"].bad_links == bad


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("{loss: 2}", "guests.one.link.loss: expected a share such as 2%, not 2; did you mean 2%?"),
        ("{los: 2%}", "guests.one.link.los: no such field; did you mean loss?"),
        ("bad", "guests.one.link: expected fields"),
        ("{outside: {loss: 2%}}", "guests.one.link.outside: no such field"),
        ("{private: {los: 2%}}", "guests.one.link.private.los: no such field; did you mean loss?"),
        ("{private: 2%}", "guests.one.link.private: expected fields"),
        ("{jitter: 5ms}", "guests.one.link: jitter varies a delay"),
        ("{down: maybe}", "guests.one.link.down: expected a boolean"),
    ],
)
def test_mistakes_about_a_link(tmp_path: Path, link: str, words: str) -> None:
    file = tmp_path / "room.yml"
    file.write_text(ROOM.replace("LINK", link))
    with pytest.raises(RoomFileError) as error:
        room.load(file)
    assert f"{file}:4: {words}" in str(error.value)


# Two hosts with a cable between them, for sh: $1 makes the first one's end bad; of $2 datagrams, prints how many come.
# Its name, $0, is Python's.
CABLE = """
set -e
: >came
ip link set lo up
unshare --net sleep 30 & far=$!
trap 'kill $far $server 2>/dev/null || :' EXIT
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do :; done
ip link add near type veth peer name far netns $far
ip address add 10.9.9.1/24 dev near
ip link set near up
nsenter --net=/proc/$far/ns/net sh -c 'ip link set lo up; ip address add 10.9.9.2/24 dev far; ip link set far up'
sh -c "$1"
nsenter --net=/proc/$far/ns/net "$0" -c '
import socket
server = socket.create_server(("10.9.9.2", 100))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
datagrams.bind(("10.9.9.2", 99))
print("ready", flush=True)
client, _ = server.accept()
client.recv(1)
datagrams.setblocking(False)
came = 0
try:
    while datagrams.recv(100):
        came += 1
except BlockingIOError:
    print(came)
' >came & server=$!
until grep -q ready came; do kill -0 $server; done
"$0" -c '
import socket, sys
server = socket.create_connection(("10.9.9.2", 100))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[1])):
    datagrams.sendto(b"x", ("10.9.9.2", 99))
server.send(b"x")
' "$2"
wait $server
cat came
"""


def came(folder: Path, script: str, count: int) -> int:
    """How many of so many datagrams come to the other end of a cable."""
    command = ["unshare", "--net", "sh", "-c", CABLE, sys.executable, script, str(count)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


NAMESPACES = pytest.mark.skipif(
    not shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin")
    or subprocess.run(["unshare", "-n", "true"]).returncode != 0,
    reason="needs root, and nftables",
)


@NAMESPACES
def test_loss_for_one_port_is_not_noticed_by_who_sends(tmp_path: Path) -> None:
    def script(port: int, link: BadLink) -> str:
        return Place.own_interface("10.9.9.1", "", port).script(link)

    half = GOOD.changed(loss="50%")
    assert 30 < came(tmp_path, script(99, half), 100) < 70
    assert came(tmp_path, script(98, half), 100) == 100
    assert came(tmp_path, f"{script(99, half)}\n{script(99, GOOD)}", 100) == 100


@NAMESPACES
def test_a_rate_for_one_port_leaves_the_queue_of_all_others_alone(tmp_path: Path) -> None:
    """Whoever changes that loses what is sent at the moment."""

    def script(port: int, link: BadLink) -> str:
        queue = '[ "$(tc qdisc show dev near)" = "qdisc noqueue 0: root refcnt 2 " ]'
        return f"{Place.own_interface('10.9.9.1', '', port).script(link)}\n{queue}"

    slow = GOOD.changed(rate="8kbit")
    assert 0 < came(tmp_path, script(99, slow), 300) < 100
    assert came(tmp_path, script(98, slow), 300) == 300
    assert came(tmp_path, f"{script(99, slow)}\n{script(99, GOOD)}", 300) == 300


@pytest.mark.parametrize("says", ["while :; do echo 9; done", "while :; do echo 9 >&2; done"])
def test_who_answers_without_end_gives_no_answer(monkeypatch: pytest.MonkeyPatch, sshd: Sshd, says: str) -> None:
    """As a host may on which somebody is root."""
    start = over_ssh.start
    monkeypatch.setattr(over_ssh, "start", lambda at, script, *arguments, root: start(at, says))
    with pytest.raises(RoomFault, match="no answer"):
        bad_link_inside.made(sshd.endpoint, [""])
