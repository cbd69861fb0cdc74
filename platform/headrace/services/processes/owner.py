"""The identity of a process over its life: its id, its start and the pid namespace they count in.

Ids are used again, so an id alone may name another process. What outlives a process (a file, a
folder, an orphan) carries the identity of its owner; once that has ended, it may be swept.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

MARK = "HEADRACE_OWNER"  # the variable by which every process that a run started names its owner


class Owner(msgspec.Struct, frozen=True):
    """A process: id, start in clock ticks since boot, pid namespace (0 and empty without /proc)."""

    pid: int
    started: int
    pid_namespace: str

    @classmethod
    def current(cls) -> Owner:
        """This process."""
        return cls(os.getpid(), _started(os.getpid()) or 0, _pid_namespace())

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """The owner that `str` of one was made of, None for other text."""
        pid, _, rest = text.strip().partition("-")
        started, _, pid_namespace = rest.partition("-")
        if not (pid.isdecimal() and started.isdecimal()):
            return None
        return cls(int(pid), int(started), pid_namespace)

    def __str__(self) -> str:
        return f"{self.pid}-{self.started}-{self.pid_namespace}"

    @property
    def is_alive(self) -> bool:
        """Whether the process runs; one of another pid namespace cannot be seen and counts as
        running."""
        if self.pid_namespace != _pid_namespace():
            return True
        if self.started:
            return _started(self.pid) == self.started
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def _started(pid: int) -> int | None:
    """When a process started, None if there is none, or only its exit code is left."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return ""
