"""Ends every process of a session, also those that moved to a process group of their own.

`python session.py ID` waits until its standard input ends, which it does when whoever holds the
other end dies, and then does that. It runs as a file of its own, without importing headrace.
"""

import os
import signal
import sys
from pathlib import Path


def end_session(session: int) -> None:
    """Kill the processes of the session until none is left: a process may fork while we look."""
    while members := _members(session):
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _members(session: int) -> list[int]:
    """The running processes of a session, by /proc; none where there is no /proc."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if _session(pid) == session]


def _session(pid: int) -> int:
    """The session that a process belongs to; -1 when it has ended, also if nobody reaped it yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return -1
    return -1 if state[0] in "ZX" else int(state[3])


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_session(int(sys.argv[1]))
