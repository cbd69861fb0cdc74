"""Features by two paths: the stream's small steps of random size, and large batches.

No servers: both are the same partitions, fed differently, so every value must agree.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.outside import larger_data
from headrace.broker.partitioner import partition_of
from headrace.broker.record import Record
from headrace.catalogue.item import Dataset
from headrace.datasets.registry import load_dataset
from headrace.features.checks.parity import Parity
from headrace.features.inputs import DENSE_NAMES
from headrace.features.rows.merged_table import MergedTable
from headrace.features.rows.state_row import Rows, decode_rows
from headrace.features.table import SHARED_LAYOUTS, USER_LAYOUT
from headrace.sample import Sample
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import Decoded
from headrace.stream.step.partition import PartitionSettings

BATCH = 5_000
MAX_STEP = 200
RULES = PartitionSettings(dedupe_window=200_000, click_window_ms=5_000)
BY_PARTITION = (1, 4)


def run() -> dict[str, Any]:
    """All of MovieLens, and of KuaiRand where it is: how many values were compared and differ."""
    folders: dict[str, Path | None] = {"movielens": None}
    if kuairand := larger_data("kuairand"):
        folders["kuairand"] = kuairand
    return {name: measure(load_dataset(name, folder)) for name, folder in folders.items()}


def measure(dataset: Dataset) -> dict[str, Any]:
    """Both paths over a whole dataset, as one partition and as four."""
    result: dict[str, Any] = {"events": dataset.num_events}
    for num_partitions in BY_PARTITION:
        started = time.monotonic()
        parity = compare_paths(dataset, dataset.num_events, num_partitions, Random(0))
        broken = {
            f"{group} {name}": agreement.mismatches + agreement.missing + agreement.extra
            for group, of_group in parity.groups.items()
            for name, agreement in of_group.items()
            if agreement.is_broken
        }
        agreements = [a for of_group in parity.groups.values() for a in of_group.values()]
        result[f"{num_partitions} partitions"] = {
            "values": sum(agreement.compared for agreement in agreements),
            "broken": broken,
            "max_error": max(a.max_error for a in agreements if not a.is_sketch),
            "seconds": round(time.monotonic() - started, 1),
        }
    return result


def compare_paths(dataset: Dataset, num_events: int, num_partitions: int, random: Random) -> Parity:
    """The first events of a dataset by both paths, each partition with partials of its own."""
    items = {item.item_id: item for item in dataset.items}
    by_partition: dict[int, list[Decoded]] = {n: [] for n in range(num_partitions)}
    for event in islice(dataset.events(), num_events):
        of_user = by_partition[partition_of(event.user_id.encode(), num_partitions)]
        number = len(of_user)
        of_user.append(Decoded(Record(0, number, event.event_time_ms, b"", b""), event))
    parity = Parity()
    streams, batches = [], []
    for number, decoded in by_partition.items():
        stream, batch = BatchPath(items.get, RULES), BatchPath(items.get, RULES)
        in_steps = _samples(stream, number, _steps(decoded, random))
        at_once = _samples(batch, number, _steps(decoded, None))
        _compare_samples(parity, in_steps, at_once)
        _compare_users(parity, stream, batch)
        streams.append(stream)
        batches.append(batch)
    for layout in SHARED_LAYOUTS:
        found, expected = (_merged(paths, layout.entity) for paths in (streams, batches))
        ids = sorted(found.keys() | expected.keys())
        assert found.keys() == expected.keys()
        if ids:
            rows = (np.concatenate([of_path[i] for i in ids]) for of_path in (found, expected))
            parity.add_rows("merged", layout, *rows)
    return parity


def _steps(decoded: Sequence[Decoded], random: Random | None) -> Iterator[Sequence[Decoded]]:
    start = 0
    while start < len(decoded):
        end = start + (random.randint(1, MAX_STEP) if random else BATCH)
        yield decoded[start:end]
        start = end


def _samples(path: BatchPath, number: int, steps: Iterator[Sequence[Decoded]]) -> list[Sample]:
    samples = []
    for step in steps:
        samples += path.process(number, step, step[-1].record.arrival_ms).samples
    return sorted(samples, key=lambda sample: (sample.sequence, sample.source_offset))


def _compare_samples(parity: Parity, found: list[Sample], expected: list[Sample]) -> None:
    assert [s.source_offset for s in found] == [s.source_offset for s in expected]
    tables = (np.concatenate([s.dense_NF for s in samples]) for samples in (found, expected))
    parity.add_table("as of", DENSE_NAMES, *tables)
    histories = (np.stack([s.history_3T for s in samples]) for samples in (found, expected))
    parity.add("as of", "user_history", *histories)


def _compare_users(parity: Parity, stream: BatchPath, batch: BatchPath) -> None:
    assert stream.user_rows.keys() == batch.user_rows.keys()
    ids = sorted(stream.user_rows)
    rows = (decode_rows([p.user_rows[i] for i in ids], USER_LAYOUT) for p in (stream, batch))
    parity.add_rows("last", USER_LAYOUT, *rows)


def _merged(paths: Sequence[BatchPath], entity: str) -> dict[str, Rows]:
    """The merged rows of entities by id, over every partition's counts."""
    merged = MergedTable(paths[0].merged.tables[entity].layout)
    for number, path in enumerate(paths):
        table = path.merged.tables[entity]
        merged.apply(table.ids, table.partials(np.arange(len(table)), number))
    rows = merged.merged(np.arange(len(merged)))
    return {id_: rows[[place]] for place, id_ in enumerate(merged.ids)}
