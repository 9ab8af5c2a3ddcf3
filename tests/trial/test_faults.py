"""When things go wrong: each fault is one line with its remedy and its own exit status, and nothing is left behind."""

import contextlib
import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labroom import keys, room, rooms, state
from labroom.errors import RoomFault
from labroom.machine import tool
from labroom.processes import start_time
from labroom.providers import nspawn, record
from labroom.providers.nspawn import cgroups, guest, image, links
from labroom.resources import ROOT
from tests.helpers import labroom, wait_for
from tests.trial.room import ROOM, Trial, traces

WAIT = 60  # s
NOBODY = 65534  # a user without any right of its own
ATTEMPTS = 5  # at a moment that may come too late

# What `up` has made at the moment at which it is ended.
MOMENTS: dict[str, Callable[[], bool]] = {
    "its record": lambda: record.path("trial").exists(),
    "the network namespace": lambda: (state.rooms() / "trial/netns").exists(),
    "the machine's interface": lambda: Path("/sys/class/net/trial-private").exists(),
    "a guest's control group": lambda: bool({"one", "two"} & cgroups.parts("trial")),
    "a guest's record": lambda: (guest.folder("trial", "one") / "guest.json").exists(),
    "a guest's console": lambda: bool(guest.console("trial", "one")),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_down_clears_away_an_up_that_was_killed(trial: Trial, moment: str) -> None:
    process = trial.start("up")
    wait_for(MOMENTS[moment], moment, WAIT, every=0.001)
    process.kill()
    process.communicate()
    trial.run("down")
    assert not any(traces().values()), traces()


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_leaves_nothing(trial: Trial, moment: str) -> None:
    for _ in range(ATTEMPTS):
        process = trial.start("up")
        wait_for(MOMENTS[moment], moment, WAIT, every=0.001)
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=WAIT)
        if process.returncode != 0:
            break
        assert "log in:" in output  # it was done before the signal came
        trial.down()
    else:
        pytest.fail(f"of {ATTEMPTS} times, none was interrupted at {moment}")
    assert process.returncode == 130, output + error
    assert error == "labroom: interrupted\n"
    assert not any(traces().values()), traces()


@pytest.mark.parametrize("moment", ["the machine's interface", "a guest's control group"])
def test_up_after_an_up_that_was_killed(trial: Trial, moment: str) -> None:
    process = trial.start("up")
    wait_for(MOMENTS[moment], moment, WAIT, every=0.001)
    process.kill()
    process.communicate()
    trial.run("up")
    rules = subprocess.run([*links.inside("trial"), "nft", "list", "tables"], capture_output=True, check=True)
    assert b"table bridge labroom" in rules.stdout  # what keeps the machine from forwarding
    assert trial.run("ssh", "two", "hostname") == "two\n"


# In place of a command: the one of that number is labroom's last.
FATAL = """#!/bin/sh
calls={folder}/calls
echo >>$calls
[ $(wc -l <$calls) -ne {last} ] || {{ kill -KILL $PPID; exit 1; }}
exec {command} "$@"
"""


def test_up_after_an_up_that_was_killed_at_any_command_for_its_links(trial: Trial, tmp_path: Path) -> None:
    trial.file.write_text(ROOM.replace("internet: false", "internet: true"))
    commands = {name: shutil.which(name) for name in ("ip", "nft")}
    killed = 0
    while True:
        folder = tmp_path / str(killed)
        folder.mkdir()
        for name, command in commands.items():
            (folder / name).write_text(FATAL.format(folder=folder, last=killed + 1, command=command))
            (folder / name).chmod(0o755)
        process = trial.start("up", env={"PATH": f"{folder}:{os.environ['PATH']}"})
        output, error = process.communicate(timeout=WAIT)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, output + error
        killed += 1
        trial.run("up")
        rules = subprocess.run([*links.inside("trial"), "nft", "list", "tables"], capture_output=True, check=True)
        assert rules.stdout.split() == b"table bridge labroom table ip labroom".split()
        assert trial.run("ssh", "two", "hostname") == "two\n"
        trial.down()
        assert not any(traces().values()), traces()
    assert killed > 8  # links, addresses, rules


@pytest.mark.parametrize("moment", ["its record", "the machine's interface", "a guest's console"])
def test_a_terminal_that_is_closed_leaves_nothing(trial: Trial, moment: str) -> None:
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [tool("python"), "-m", "labroom", "--room", str(trial.file), "up"],
        stdin=side,
        stdout=side,
        stderr=side,
        cwd=ROOT,
        preexec_fn=_take_terminal,
    )
    os.close(side)
    wait_for(MOMENTS[moment], moment, WAIT, every=0.001)
    os.close(terminal)
    assert process.wait(WAIT) == 130
    assert not any(traces().values()), traces()


def _take_terminal() -> None:
    """Make standard input this process's terminal, by which SIGHUP comes (credentials(7))."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_ctrl_c_again_and_again_leaves_nothing_either(trial: Trial) -> None:
    process = trial.start("up")
    wait_for(MOMENTS["a guest's console"], "a guest's console", WAIT, every=0.001)

    def ended() -> bool:
        process.send_signal(signal.SIGINT)
        return process.poll() is not None

    wait_for(ended, "its end, by an impatient person", WAIT)
    output, error = process.communicate(timeout=WAIT)
    assert process.returncode in (130, -signal.SIGINT), output + error  # the latter of Python, when all is done
    assert error == "labroom: interrupted\n"
    assert not any(traces().values()), traces()


def test_nohup_is_obeyed(trial: Trial) -> None:
    process = trial.start("up", before=("nohup",))
    wait_for(MOMENTS["the machine's interface"], "the machine's interface", WAIT, every=0.001)
    process.send_signal(signal.SIGHUP)
    output, error = process.communicate(timeout=WAIT)
    assert process.returncode == 0, output + error


def test_a_reader_that_leaves_ends_up_which_says_so_and_leaves_nothing(trial: Trial) -> None:
    with trial.start("up") as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("room trial: 2 guests")  # as `head -n 1` does
        process.stdout.close()
        error = process.stderr.read()
    assert process.returncode == 130
    assert error == "labroom: interrupted: nobody reads its output any more\n"
    assert not any(traces().values()), traces()


@pytest.fixture
def other_state() -> Iterator[Path]:
    """Another folder of state on this machine, with the same image."""
    folder = Path(tempfile.mkdtemp(dir=state.root()))  # on the same disk, so that the image can be linked
    subprocess.run(["cp", "--archive", "--link", str(state.images()), str(folder / "images")], check=True)
    yield folder
    with pytest.MonkeyPatch.context() as environment:  # what a test that was interrupted has left
        environment.setenv("LABROOM_STATE_DIR", str(folder))
        for name, _ in record.every():
            nspawn.down(name)
    state.remove_tree(folder)


def test_a_room_of_that_name_in_another_folder_of_state(trial: Trial, other_state: Path) -> None:
    trial.up()
    before = guest.runs("trial", "one")
    env = {"LABROOM_STATE_DIR": str(other_state)}
    remedy = f"LABROOM_STATE_DIR={state.root()} ./labroom --room {trial.file} down"
    for verb, more in (("up", f", or another name in {trial.file}"), ("down", ""), ("down --purge", "")):
        error = trial.run(*verb.split(), env=env, status=3)
        assert f"a room named trial is up already, of {trial.file}, kept in {state.root()}\n" in error
        assert f"help: {remedy}{more}\n" in error
    assert guest.runs("trial", "one") == before
    assert trial.run("ssh", "one", "hostname") == "one\n"
    trial.run("down", env={"LABROOM_STATE_DIR": str(state.root())})
    trial.run("up", env=env)
    assert trial.run("ssh", "one", "hostname", env=env) == "one\n"
    trial.run("down", env=env)


def test_rooms_of_two_folders_of_state_do_not_reach_each_other(trial: Trial, other_state: Path) -> None:
    far = "198.51.100.10"
    text = ROOM.replace("internet: false", "internet: true") + f"  far: {{outside: {far}}}\n"
    trial.file.write_text(text)
    trial.up()
    env = {"LABROOM_STATE_DIR": str(other_state)}
    second = trial.file.with_name("second.yml")
    second.write_text(
        text.replace("trial", "second").replace("192.168.75", "192.168.79").replace("198.51.100", "198.18.0")
    )
    try:
        labroom("--room", str(second), "up", env=env)
        for file, address in ((trial.file, far.replace("198.51.100", "198.18.0")), (second, far)):
            hello = f"timeout 5 bash -c 'head -n 1 < /dev/tcp/{address}/22'"
            done = labroom("--room", str(file), "ssh", "far", hello, env=env if file == second else None, status=None)
            assert "Connection refused" in done.stdout + done.stderr
    finally:
        labroom("--room", str(second), "down", env=env)


@pytest.mark.parametrize("emptied", ["nothing", "*.json", "keys/*", "links"])
def test_up_after_a_power_cut(trial: Trial, emptied: str) -> None:
    trial.file.write_text(ROOM.replace("internet: false", "internet: true"))
    trial.up()
    home = state.rooms() / "trial"
    # What ends with the machine: processes, groups, links, mounts, /run. What stays: files, the newest of them empty.
    for part in cgroups.parts("trial"):
        cgroups.Cgroup("trial", part).remove()
    cgroups.remove_room("trial")
    for link in ("trial-private", "trial-outside"):
        subprocess.run(["ip", "link", "delete", link], check=True)
    subprocess.run(["umount", home / "netns"], check=True)
    Path("/run/labroom", f"{trial.name}.json").unlink()
    for file in (*home.glob(emptied), *home.glob(f"guests/*/{emptied}")):
        file.write_bytes(b"")
    assert "room trial is not up" in trial.run("status")
    trial.run("up")
    assert trial.run("ssh", "two", "hostname") == "two\n"
    assert "all in order" in trial.run("up")


@pytest.mark.parametrize(
    "command",
    ["ip address flush dev trial-private", "ip link set trial-private down"],
)
def test_up_repairs_what_a_network_manager_did_to_its_interface(trial: Trial, command: str) -> None:
    trial.up()
    pids = {name: guest.runs("trial", name) for name in ("one", "two")}
    subprocess.run(command.split(), check=True)
    trial.run("up")
    assert trial.run("ssh", "one", "hostname") == "one\n"
    assert {name: guest.runs("trial", name) for name in pids} == pids


def test_a_process_of_another_boot_is_no_guest(trial: Trial) -> None:
    trial.up()
    innocent = subprocess.Popen(["sleep", "infinity"])
    try:
        file = guest.folder("trial", "one") / "guest.json"
        before = state.read_json(file)
        started = start_time(innocent.pid)
        assert started
        # What a power cut leaves: by now the number, and even the tick, are another process's.
        boot, _, ticks = started.partition(":")
        state.write_json(file, before | {"pid": innocent.pid, "start_time": f"{boot[::-1]}:{ticks}"})
        assert guest.runs("trial", "one") is None
        assert "one replaced" in trial.run("up")
        state.write_json(file, before | {"pid": innocent.pid, "start_time": f"{boot[::-1]}:{ticks}"})
        trial.run("down")
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def _as_nobody(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run a program as a user of this machine's who is nobody in particular."""
    command = ["/usr/bin/python3", "-c", script, *map(str, arguments)]
    return subprocess.run(
        command, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, check=False
    )


def test_other_users_of_the_machine_hold_no_lock(trial: Trial) -> None:
    trial.up()
    files = [state.lock("trial"), state.images() / "lock", keys.check_lock("trial"), Path("/run/labroom/lock")]
    state.lock("trial").chmod(0o644)  # as an older labroom left it
    trial.run("up")
    with rooms.locked_for_labs(room.load(trial.file)):
        assert all(file.is_file() for file in files)
    hold = (
        "import fcntl, sys\nfor file in sys.argv[1:]:\n try: fcntl.flock(open(file), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    )
    hold += " except PermissionError: continue\n print('held', file)"
    done = _as_nobody(hold, *files)
    assert (done.returncode, done.stdout) == (0, ""), done


def test_the_person_who_called_sudo_has_the_keys_and_no_way_into_other_files(trial: Trial, tmp_path: Path) -> None:
    env = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
    trial.run("up", env=env)
    own = keys.folder("trial")
    # As it was once: the person's own folder, who put links in it.
    trial.run("down")
    victim = Path(tempfile.mkdtemp(dir=state.root())) / "victim"
    victim.write_text("root's\n")
    before = victim.stat()
    for name in ("known_hosts", "id_ed25519", "host_one.pub", "check.lock", "of no use"):
        (own / name).unlink(missing_ok=True)
        (own / name).symlink_to(victim)
    (own / "host_two").unlink()
    (own / "host_two").hardlink_to(victim)
    os.chown(own, NOBODY, NOBODY)
    trial.run("up", env=env)
    with rooms.locked_for_labs(room.load(trial.file)):
        pass
    after = victim.stat()
    assert victim.read_text() == "root's\n"
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    state.remove_tree(victim.parent)
    assert trial.run("ssh", "two", "hostname") == "two\n"
    # The person logs in without sudo, runs labs, and puts nothing there.
    shared = Path(tempfile.mkdtemp(dir=state.root()))
    shared.chmod(0o755)
    (shared / "ssh_config").write_text(trial.run("ssh-config"))
    use = (
        "import fcntl, subprocess, sys\nconfig, lock, new = sys.argv[1:]\n"
        "fcntl.flock(open(lock, 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "try: open(new, 'x')\nexcept PermissionError: print('refused', flush=True)\n"
        "subprocess.run(['ssh', '-F', config, 'one', 'whoami'])"
    )
    done = _as_nobody(use, shared / "ssh_config", keys.check_lock("trial"), own / "new")
    assert (done.returncode, done.stdout) == (0, "refused\nstudent\n"), done
    state.remove_tree(shared)
    assert keys.identity("trial").stat().st_uid == NOBODY


@pytest.mark.parametrize("change", ["gone", "broken", "another name"])
def test_down_does_not_need_room_yml(trial: Trial, change: str) -> None:
    trial.up()
    if change == "gone":
        trial.file.unlink()
    elif change == "broken":
        trial.file.write_text("name: [")
    else:
        trial.file.write_text(ROOM.replace("trial", "other"))
    trial.run("down")
    assert not any(traces().values()), traces()


def test_a_rooms_helpers_have_no_names_that_guests_may_have(trial: Trial) -> None:
    trial.file.write_text(ROOM.replace("internet: false", "internet: true"))
    trial.up()
    helpers = cgroups.parts(trial.name) - {"one", "two"}
    assert helpers  # slirp4netns
    assert not [part for part in helpers if re.fullmatch("[a-z0-9-]+", part)]


def test_everything_of_the_room_killed_at_once(trial: Trial) -> None:
    trial.file.write_text(ROOM.replace("internet: false", "internet: true"))
    trial.up()
    for part in cgroups.parts(trial.name):
        for pid in cgroups.Cgroup(trial.name, part).processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    output = trial.run("up")
    assert "one replaced" in output
    assert "two replaced" in output
    trial.run("down")


def test_two_at_once_the_second_says_whom_it_waits_for(trial: Trial) -> None:
    with state.locked(state.lock(trial.name), "brings room trial up"):
        second = trial.start("up")
        assert second.stderr
        said = second.stderr.readline()
        assert said == f"waiting for process {os.getpid()}, which brings room trial up\n"
        assert not record.path(trial.name).exists()
    output, _ = second.communicate(timeout=WAIT)
    assert second.returncode == 0, output


def test_a_room_of_that_name_from_another_file(trial: Trial, tmp_path: Path) -> None:
    trial.up()
    other = tmp_path / "other.yml"
    shutil.copy(trial.file, other)
    mine, trial.file = trial.file, other
    error = trial.run("up", status=3)
    assert f"a room named trial is up already, of {mine}" in error
    assert f"room trial is that of {mine}\n  help: ./labroom --room {mine} down" in trial.run("down", status=3)
    trial.file = mine
    assert trial.run("ssh", "one", "hostname") == "one\n"


def test_other_networks_than_the_running_rooms(trial: Trial) -> None:
    trial.up()
    trial.file.write_text(ROOM.replace("192.168.75", "192.168.76"))
    again = f"./labroom --room {trial.file} down && ./labroom --room {trial.file} up"
    assert f"other networks than room.yml now says\n  help: {again}" in trial.run("up", status=3)


@pytest.fixture
def neighbour() -> Iterator[str]:
    """A network of this machine's that has the trial room's addresses."""
    name = "neighbour0"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    subprocess.run(["ip", "address", "add", "192.168.75.77/26", "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=True)


def test_a_subnet_in_use_is_named(trial: Trial, neighbour: str) -> None:
    error = trial.run("up", status=3)
    assert "192.168.75.0/24 is in use on this machine" in error
    assert neighbour in error
    assert "help: choose other networks" in error


@pytest.mark.parametrize(
    ("rule", "where"),
    [("lookup 5252", "neighbour0"), ("prohibit", "nowhere")],  # a VPN's table, a firewall's rule
)
def test_a_rule_that_leads_elsewhere_is_named_and_the_remedy_repairs_it(trial: Trial, rule: str, where: str) -> None:
    elsewhere = [
        "ip link add neighbour0 type bridge",
        "ip link set neighbour0 up",
        "ip route add 192.168.0.0/16 dev neighbour0 table 5252",
        f"ip rule add to 192.168.75.0/24 {rule} priority 5000",  # for no other room: one may be in use
    ]
    remedy = "ip rule add to 192.168.75.0/24 lookup main priority 1"
    try:
        for command in elsewhere:
            subprocess.run(command.split(), check=True)
        error = trial.run("up", status=3)
        assert f"this machine sends what is for 192.168.75.0/24 to {where}: a rule of `ip rule` says so\n" in error
        assert f"help: {remedy}\n" in error
        subprocess.run(remedy.split(), check=True)
        trial.run("up")
        trial.down()
    finally:
        for command in (elsewhere[3], remedy):
            subprocess.run(command.replace(" add ", " delete ").split(), capture_output=True, check=False)
        subprocess.run(["ip", "link", "delete", "neighbour0"], check=True)


# Runs a command on a machine with links and rules (nft's) of its own, without IPv6, and with ufw's file: $1 a folder to
# use, $2, $3.
WALLED = (
    *("unshare", "--net", "--mount", "sh", "-ec"),
    'mkdir -p "$1/groups" "$1/etc/ufw" "$1/work"\n'
    'mount --rbind /sys/fs/cgroup "$1/groups"; mount -t sysfs sysfs /sys; mount --rbind "$1/groups" /sys/fs/cgroup\n'
    'echo "$3" >"$1/etc/ufw/ufw.conf"\n'
    'mount -t overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" overlay /etc\n'
    "for kind in all default; do echo 1 >/proc/sys/net/ipv6/conf/$kind/disable_ipv6; done\n"
    'ip link set lo up; echo "$2" | nft -f -; shift 3; "$@"',
    "sh",
)
# As ufw, firewalld and Docker have them by default, but for the last chain.
WALL = """table inet wall {
    chain in { type filter hook input priority 0; policy drop; iif lo accept; ct state established,related accept; }
    chain through { type filter hook forward priority 0; policy drop; }
    chain out { type filter hook output priority 0; policy %s; oif lo accept; ct state established,related accept; }
}"""


OPEN_BY_HAND = "let pass what uses trial-private and trial-outside: nft list ruleset shows the rules"
# All that `firewall-cmd --panic-on` does (firewalld 1.3).
PANIC = """table inet firewalld_policy_drop {
    chain raw_prerouting { type filter hook prerouting priority -291; policy drop; }
    chain raw_output { type filter hook output priority -291; policy drop; }
}"""
# What closes that wall while a room is up, and what is said then.
CLOSED_LATER = {
    "drop": ("chain inet wall out { policy drop; }", OPEN_BY_HAND),
    "reject": ("add rule inet wall out reject", OPEN_BY_HAND),
    "prohibit": ("add rule inet wall out reject with icmpx admin-prohibited", OPEN_BY_HAND),
    "deaf": ("insert rule inet wall in iifname trial-outside drop", OPEN_BY_HAND),
    "panic": (PANIC, "firewall-cmd --panic-off"),
}
OPENED = {
    OPEN_BY_HAND: "insert rule inet wall out oifname { trial-private, trial-outside } accept\n"
    "insert rule inet wall in iifname { trial-private, trial-outside } ct state established accept",
    "firewall-cmd --panic-off": "delete table inet firewalld_policy_drop",
}


@pytest.mark.parametrize("ufw", ["yes", "no"])
def test_a_firewall_that_keeps_the_machine_from_its_room_is_named(trial: Trial, tmp_path: Path, ufw: str) -> None:
    closed = (*WALLED, str(tmp_path / "own"), WALL % "drop", f"# ufw\nENABLED={ufw}")  # ufw default deny outgoing
    error = trial.run("up", before=closed, status=3)
    by_ufw = "ufw allow out on trial-private && ufw allow out on trial-outside"
    remedy = by_ufw if ufw == "yes" else OPEN_BY_HAND
    assert f"keeps it from its own room: 198.51.100.14 does not answer it\n  help: {remedy}" in error
    assert not any(traces().values()), traces()


@pytest.mark.parametrize("closed", CLOSED_LATER)
def test_a_firewall_that_is_closed_while_a_room_is_up_is_named(trial: Trial, tmp_path: Path, closed: str) -> None:
    rules, remedy = CLOSED_LATER[closed]
    walled = (*WALLED, str(tmp_path / "own"), WALL % "accept", "# ufw\nENABLED=no")
    verbs = ["status", "exec one -- hostname", "up"]
    if closed in ("reject", "prohibit"):  # which is said at once, and not after seconds
        verbs += ["status --json", "ssh one hostname", "check tcp_hello", "copy one:/etc/motd .", "reset one"]
    script = (
        '"$@" up; "$@" exec --all -- "echo kept >/tmp/mark"; echo "$CLOSE" | nft -f -\n'
        f'for verb in {" ".join(map(repr, verbs))}; do "$@" $verb; echo "[$?]"; done\n'
        'echo "$OPEN" | nft -f -; "$@" exec --all -- cat /tmp/mark; "$@" down'
    )
    env = {"CLOSE": rules, "OPEN": OPENED[remedy]}
    done = labroom("--room", str(trial.file), before=(*walled, "sh", "-c", script, "sh"), env=env)
    named = f"keeps it from its own room: 198.51.100.14 does not answer it\n  help: {remedy}\n"
    assert done.stderr.count(named) == len(verbs)
    assert done.stdout.count("[3]\n") == len(verbs)
    assert sorted(re.findall(r"^(\w+): kept$", done.stdout, re.MULTILINE)) == ["one", "two"], (
        "they are the guests that were"
    )


def test_firewalls_as_people_have_them_are_no_hindrance(trial: Trial, tmp_path: Path) -> None:
    usual = (*WALLED, str(tmp_path / "own"), WALL % "accept", "# ufw\nENABLED=yes")
    verbs = 'for verb in up "ssh one hostname" down; do "$@" $verb || exit; done'
    said = trial.run(before=(*usual, "sh", "-c", verbs, "sh"))
    assert "\none\n" in said
    assert "room trial: down after" in said


def test_a_machine_without_unified_control_groups(trial: Trial) -> None:
    trial.file.write_text(ROOM.replace("internet: false", "internet: true"))
    settle = "awk '$3 == \"cgroup2\" { print $2 }' /proc/mounts | xargs umount --lazy; "
    without = ("unshare", "--mount", "sh", "-c", settle + 'exec "$@"', "sh")
    remedy = "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
    words = "unified control groups, which keep guests with internet from this machine's services"
    assert f"NO  {words}: {remedy}\n" in trial.run("doctor", before=without, status=3)
    error = trial.run("up", before=without, status=3)
    assert f"no unified control groups, by which guests are kept from its own services\n  help: {remedy}\n" in error
    assert not any(traces().values()), traces()
    repaired = (*without[:4], f'{settle}mount -t tmpfs tmpfs /sys/fs/cgroup; {remedy}; exec "$@"', "sh")
    assert f"ok  {words}\n" in trial.run("doctor", before=repaired, status=None)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_too_small_for_an_image(trial: Trial, small_disk: Path) -> None:
    error = trial.run("up", env={"LABROOM_STATE_DIR": str(small_disk)}, status=3)
    assert "making an image takes 2 GiB" in error
    assert "help: free some space, or set LABROOM_STATE_DIR" in error


def test_a_disk_that_fills_while_guests_are_made(trial: Trial, small_disk: Path) -> None:
    (small_disk / "images").symlink_to(state.images())  # the image is there, on another disk
    (small_disk / "rest").write_bytes(b"x" * (900 << 10))
    for link in range(40):  # every file takes a page: what is left goes to keys and records
        (small_disk / f"page{link}").write_bytes(b"x")
        if shutil.disk_usage(small_disk).free < (30 << 10):
            break
    error = trial.run("up", env={"LABROOM_STATE_DIR": str(small_disk)}, status=3)
    assert "No space left on device" in error
    assert len(error.splitlines()) <= 4, error
    trial.run("down", env={"LABROOM_STATE_DIR": str(small_disk)})
    assert not any(traces().values()), traces()


def test_no_network_for_the_first_image(trial: Trial, tmp_path: Path) -> None:
    error = trial.run("up", before=("unshare", "--net"), env={"LABROOM_STATE_DIR": str(tmp_path / "empty")}, status=3)
    assert "no network for the first image" in error
    assert "help: " in error
    assert not list((tmp_path / "empty/images").glob("*.partial"))


def test_a_guest_that_does_not_boot_shows_its_consoles_end(trial: Trial, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "usr/lib/systemd").mkdir(parents=True)
    os.mknod(broken / "usr/lib/systemd/systemd", 0o20000)  # an overlay's word for "removed"
    wanted = room.load(trial.file)
    layers = image.ready(wanted)
    assert layers
    with pytest.raises(RoomFault, match=r"guest (one|two) ended while it booted; its console's end:\n    \S") as fault:
        nspawn.bring_up(wanted, trial.file, {"guest": [broken, *layers["guest"]]})
    assert fault.value.status == 3
    trial.down()
    kept = Path(fault.value.remedy.removeprefix("the whole log: "))
    assert kept.read_text(encoding="utf-8")  # also when the guest's own files are gone
    kept.unlink()


def test_commands_on_a_room_that_is_down(trial: Trial) -> None:
    for command in (["check"], ["ssh", "one"], ["ssh-config"]):
        assert f"room trial is not up\n  help: ./labroom --room {trial.file} up" in trial.run(*command, status=3)


def test_an_unknown_guest(trial: Trial) -> None:
    trial.up()
    assert "there is no guest 'three'\n  help: the guests: one, two" in trial.run("ssh", "three", status=2)
