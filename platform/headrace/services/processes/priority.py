"""Scheduling priority: where processors are short, requests come before background work."""

from __future__ import annotations

import os
from typing import Final

BACKGROUND: Final = 10  # niceness of what nobody waits for


def yield_to_requests() -> None:
    """Lower this process's priority, and that of all that it starts, to that of background work.

    Ray runs its workers at niceness 15, so that replicas wait for everything else on the machine,
    even for a trainer that imports torch. Here they have the priority of any other program
    (`config.local_ray`), and what runs in the background lowers its own.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) < BACKGROUND:
        os.setpriority(os.PRIO_PROCESS, 0, BACKGROUND)
