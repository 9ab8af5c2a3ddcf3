"""Docker's client, and what may be believed of what it says."""

import contextlib
import re
import shutil
import subprocess
import threading
from typing import Any

from labroom import commands
from labroom.errors import MachineError
from labroom.processes import environment, run

PROJECT = "com.docker.compose.project"  # Compose's label of all that is a room's

_ANSWER_BYTES = 4096


def docker(*arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
    """Run the client to its end and return what it printed.

    Raises:
        MachineError: there is no client, no engine answers, it failed or did not end in time.
    """
    if not shutil.which("docker"):
        raise MachineError(
            "docker is not installed",
            f"on Debian and Ubuntu: {commands.as_root('apt-get install docker.io docker-compose')}",
        )
    try:
        return run("docker", *arguments, stdin=stdin, timeout=timeout)
    except MachineError as error:
        raise explained(str(error)) from error


def asked(container: dict[str, Any], *argv: str, stdin: str | bytes = "", timeout: float = 60) -> str:
    """What a command prints in a container, as far as it is short: whoever is root there may have replaced it.

    Returns:
        nothing, where it failed, printed more than `_ANSWER_BYTES` or did not end in time.
    """
    command = ["docker", "exec", "--interactive", container["Id"], *argv]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet, env=environment()
    ) as asking:
        ending = threading.Timer(timeout, asking.kill)
        ending.start()
        try:
            if asking.stdin and asking.stdout:
                with contextlib.suppress(BrokenPipeError), asking.stdin:
                    asking.stdin.write(stdin if isinstance(stdin, bytes) else stdin.encode())
                said = asking.stdout.read(_ANSWER_BYTES + 1)
                if len(said) > _ANSWER_BYTES:
                    asking.kill()
                elif asking.wait() == 0:
                    return said.decode(errors="replace")
        finally:
            ending.cancel()
    return ""


def explained(text: str) -> MachineError:
    """What a failed command of Docker's said, in one line, with what repairs it."""
    last = text.strip().splitlines()[-1] if text.strip() else "Docker failed and said nothing"
    if re.search(r"Cannot connect to the Docker daemon|Couldn't connect to Docker daemon", text):
        return MachineError(
            "no Docker engine answers", f"start it: {commands.as_root('systemctl start docker')}, or Docker Desktop"
        )
    if "permission denied" in text and ".sock" in text:
        return MachineError("you may not use the Docker engine", "sudo before the command, or be in the group docker")
    if taken := re.search(
        r"(?:Bind for |listen tcp4? )127\.0\.0\.1:(\d+)[^\n]*(?:already allocated|already in use)", text
    ):
        return MachineError(
            f"port {taken[1]} of 127.0.0.1 is in use on this machine",
            f"end what uses it (ss -ltnp 'sport = {taken[1]}'), or forward another port in room.yml",
        )
    if "Pool overlaps" in text:
        return MachineError(
            "another network of Docker's has the room's addresses",
            "docker network ls; docker compose down where it was started, or other networks in room.yml",
        )
    if "No space left on device" in text or "no space left on device" in text:
        return MachineError("the disk is full: Docker found no space left", "docker system prune, or free some space")
    return MachineError(last)
