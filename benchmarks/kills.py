"""Kills: a stream worker, Redis or the broker, by `kill -9` at random moments under load.

Afterwards every count must equal a recount of the event log: `python -m benchmarks kills` kills
each of them 20 times. Redis keeps an append-only file with `appendfsync always`; the broker is
Apache Kafka where KAFKA_HOME is set, else it is not killed (the embedded one keeps nothing).
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.stream_load import StreamUnderLoad

NUM_KILLS = 20


def run() -> dict[str, Any]:
    """Lost and doubled events after the kills of each target."""
    targets = ["worker", "redis", *(["broker"] if os.environ.get("KAFKA_HOME") else [])]
    return {target: kill_each([target] * NUM_KILLS) for target in targets}


def kill_each(targets: Sequence[str], events_per_s: float = 500.0) -> dict[str, Any]:
    """Kill these one after the other; then the differences between the counts and a recount."""
    draw = random.Random(len(targets))
    recovery_s = []
    with tempfile.TemporaryDirectory() as folder, StreamUnderLoad(Path(folder)) as stream:
        stream.start(events_per_s)
        for target in targets:
            time.sleep(draw.uniform(0.5, 3.0))
            killed_s = time.monotonic()
            stream.kill(target)
            stream.wait_progress()
            recovery_s.append(round(time.monotonic() - killed_s, 2))
        stream.finish()
        return {"kills": len(targets), "recovery_s": recovery_s, **stream.differences()}
