"""The keeper of one HAProxy: a stand-in answers while it is dead or hangs, until Ray replaces it.

    python haproxy_keeper.py PROGRAM haproxy.cfg PID ACTOR

Ray asks its HAProxy once a second, acts when it was silent three times, and then starts a process
that imports Ray: five seconds in which nobody is answered. The stand-in has the same configuration
but for the sockets by which Ray finds its own, so that Ray goes on as if there were none; the next
HAProxy takes the port over from it (`-sf`, see `haproxy`). It runs as a file of its own, imports
nothing of headrace, and ends with Ray's node, the parent of the process `ACTOR` that started
HAProxy.
"""

from __future__ import annotations

import contextlib
import enum
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LOOK_EVERY_S: Final = 0.1
TIMEOUT_S: Final = 0.3  # of HAProxy, whose answer takes less than a millisecond
SILENT_TO_END: Final = 2  # so many times in a row
SILENT_BUT_READY_TO_END: Final = 10  # where it waits for a processor, or spins
STAND_IN_CFG, STAND_IN_PID = "stand-in.cfg", "stand-in.pid"
RAYS_OWN: Final = re.compile(r"\s+(stats socket|server-state-base|server-state-file) ")


class Answer(enum.Enum):
    """The answer of a HAProxy: its info, silence of one that listens, or none as nobody listens."""

    INFO = enum.auto()
    SILENCE = enum.auto()
    NONE = enum.auto()


def keep(program: str, config: Path, pid: int, node: int) -> None:
    """Watch a HAProxy until it is replaced or `node` has ended, and stand in for it if need be."""
    admin = _admin_socket(config)
    _wait_until_ended(admin, pid, node)
    is_replaced = _answer(admin) is Answer.INFO
    if is_replaced or not _is_running(node):
        return
    stand_in = config.parent / STAND_IN_CFG
    stand_in.write_text("".join(_without_sockets(config)))
    running = subprocess.Popen([program, "-db", "-f", str(stand_in)], stderr=subprocess.DEVNULL)
    pid_file = config.parent / STAND_IN_PID
    pid_file.write_text(str(running.pid))
    while running.poll() is None and _is_running(node):
        time.sleep(LOOK_EVERY_S)
    running.kill()
    pid_file.unlink(missing_ok=True)


def _wait_until_ended(admin: str, pid: int, node: int) -> None:
    """Return when a HAProxy, or `node`, has ended; one that listens and is silent is ended.

    On a busy machine one that is silent may just wait for a processor.
    """
    num_silent = 0
    while _is_running(pid) and _is_running(node):
        time.sleep(LOOK_EVERY_S)
        num_silent = num_silent + 1 if _answer(admin) is Answer.SILENCE else 0
        enough = SILENT_BUT_READY_TO_END if _is_ready(pid) else SILENT_TO_END
        if num_silent >= enough:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _admin_socket(config: Path) -> str:
    found = re.search(r"^\s+stats socket (\S+)", config.read_text(), re.MULTILINE)
    if not found:
        raise ValueError(f"{config} has no `stats socket`")
    return found[1]


def _answer(admin: str) -> Answer:
    """How a HAProxy, of whatever process, answers at Ray's socket."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(TIMEOUT_S)
        try:
            asking.connect(admin)
            asking.sendall(b"show info\n")
            return Answer.INFO if asking.recv(1) else Answer.NONE
        except TimeoutError:
            return Answer.SILENCE
        except OSError:
            return Answer.NONE


def _without_sockets(config: Path) -> Iterator[str]:
    return (line for line in config.read_text().splitlines(True) if not RAYS_OWN.match(line))


def _is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not reaped yet does not."""
    return _stat(pid)[0] not in "ZX"


def _is_ready(pid: int) -> bool:
    """Whether a thread of a process runs, or waits for a processor alone."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    return any(_stat(pid, thread)[0] == "R" for thread in threads)


def _stat(pid: int, thread: int | str = "") -> list[str]:
    """The state of a process or of one of its threads, its parent and more; `X` once it is gone."""
    folder = Path(f"/proc/{pid}/task/{thread}" if thread else f"/proc/{pid}")
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X", "0"]


if __name__ == "__main__":
    os.setpgid(0, 0)  # Ray ends the process group of an actor that it replaces
    node = int(_stat(int(sys.argv[4]))[1])
    keep(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), node)
