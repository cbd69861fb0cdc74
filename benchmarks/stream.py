"""Events through a partition (decode, dedupe, features, samples), against decoding them only.

One core, no servers: what is measured is the work between the poll and the writes of a worker.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from benchmarks.pairs import compare
from headrace.broker.record import Record
from headrace.datasets.registry import load_dataset
from headrace.event import encode
from headrace.features.rows.merged import MergedState
from headrace.positions.commit import Commit
from headrace.stream.step.intake import decode_records
from headrace.stream.step.partition import Partition, PartitionSettings

NUM_EVENTS = 20_000
BATCH = 200  # events of one poll
NOW_MS = 1_800_000_000_000


def run() -> dict[str, Any]:
    """Time of `Partition` over time of `decode`, and events per second of both."""
    dataset = load_dataset("movielens", None)
    items = {item.item_id: item for item in dataset.items}
    records = [
        Record(0, offset, NOW_MS, b"", encode(event))
        for offset, event in enumerate(islice(dataset.events(), NUM_EVENTS))
    ]
    batches = [records[start : start + BATCH] for start in range(0, NUM_EVENTS, BATCH)]

    def process() -> None:
        rules = PartitionSettings(dedupe_window=200_000, click_window_ms=5_000)
        partition = Partition(0, Commit(), MergedState(items.get), rules)
        for batch in batches:
            decoded = decode_records(batch, NOW_MS)
            missing = partition.missing_users(decoded)
            partition.add_users(missing, [None] * len(missing), [()] * len(missing))
            partition.process(decoded, NOW_MS)

    result = compare(process, lambda: [decode_records(batch, NOW_MS) for batch in batches])
    per_s = {
        f"{k}_events_per_s": NUM_EVENTS / min(result[f"{k}_s"]) for k in ("subject", "baseline")
    }
    return {**result, **per_s}
