"""Kills: a stream worker, Redis, the broker or a Ray node, at random moments under load.

Afterwards every count must equal a recount of the event log: `python -m benchmarks kills` kills
each of the first three 20 times, on a log with impressions and on one of what was chosen only;
`python -m benchmarks.kills TARGET...` kills these one after the other, with `--no-impressions` on
the second log, with `--passing` while items come and go by documents: what owners merge of those
that stay equals the recount, and of those that were taken away nothing is left. Redis keeps an
append-only file with `appendfsync always`; the broker is Apache Kafka where KAFKA_HOME is set, else
it is not killed (the embedded one keeps nothing). Some events are sent twice, some are bad; `away`
and `full` (of memory) are what else may happen to Redis for a while.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.stream_load import StreamUnderLoad
from benchmarks.two_nodes import TwoNodes

NUM_KILLS = 20
NO_IMPRESSIONS, PASSING = "--no-impressions", "--passing"


def run() -> dict[str, Any]:
    """Lost and doubled events after the kills of each target, by log."""
    targets = ["worker", "redis", *(["broker"] if os.environ.get("KAFKA_HOME") else [])]
    by_log = {
        name: {target: kill_each([target] * NUM_KILLS, impressions=told) for target in targets}
        for name, told in (("impressions", True), ("no_impressions", False))
    }
    return {**by_log, "passing": {"worker": kill_each(["worker"] * NUM_KILLS, passing=True)}}


def kill_each(
    targets: Sequence[str],
    events_per_s: float = 300.0,
    impressions: bool = True,
    passing: bool = False,
) -> dict[str, Any]:
    """Kill these one after the other; then the differences between the counts and a recount.

    `recovery_s` has the time from each kill until every partition has gone on.
    """
    draw, recovery_s = random.Random(len(targets)), []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        nodes = stack.enter_context(TwoNodes()) if "node" in targets else None
        environ = nodes.environ if nodes else None
        stream = StreamUnderLoad(folder, environ, impressions, passing)
        stack.enter_context(stream)
        stream.start(events_per_s)
        for target in targets:
            time.sleep(draw.uniform(0.5, 3.0))
            killed_s = time.monotonic()
            if target == "node" and nodes:
                nodes.lose_one()
            else:
                stream.kill(target)
            stream.wait_progress()
            recovery_s.append(round(time.monotonic() - killed_s, 2))
            told = f"{len(recovery_s)} of {len(targets)}: {target}, {recovery_s[-1]} s to recover"
            print(told, file=sys.stderr, flush=True)
        stream.finish()
        counts, lines = stream.differences(), stream.log_text.splitlines()
        said = "\n".join(line for line in lines if line.startswith("stream worker"))  # not Ray's
        return {"kills": len(targets), "recovery_s": recovery_s, **counts, "said": said[-4_000:]}


if __name__ == "__main__":
    chosen = [name for name in sys.argv[1:] if not name.startswith("--")]
    flags = {"impressions": NO_IMPRESSIONS not in sys.argv, "passing": PASSING in sys.argv}
    print(json.dumps(kill_each(chosen, **flags)))
