"""Lets events under drawn tables of actions go through the loop, and compares with a plain recount.

    python tables_of_actions.py SEED

A process of its own: for each number of rows the project is imported anew with another application
file, so that all which is made of actions when modules are imported is made of these. Hence the
imports in functions.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import yaml
from drawn_actions import (
    ITEMS,
    START_MS,
    WINDOW_MS,
    Log,
    Row,
    drawn,
    plain_grades,
    plain_hidden,
    plain_labels,
    plain_set,
)

if TYPE_CHECKING:
    from headrace.sample import Sample
    from headrace.stream.step.batch_path import BatchPath

ROOT: Final = Path(__file__).resolve().parents[2]


def declare(rows: Sequence[Row], file: Path) -> None:
    """Write the application file, and forget the project, so that it is imported anew with it."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("headrace", "trainers")]:
        del sys.modules[name]
    file.write_text(yaml.safe_dump({"actions": [_declared(row) for row in rows]}))
    os.environ["HEADRACE_APP"] = str(file)


def _declared(row: Row) -> Row:
    """A row as a file has it: durations with their unit."""
    keys = {name: value for name, value in row.items() if name not in ("window_s", "hides_s")}
    if row.get("window_s") is not None:
        keys["window"] = f"{row['window_s']}s"
    if row.get("hides_s"):
        keys["hides"] = "forever" if row["hides_s"] == math.inf else f"{row['hides_s']}s"
    return keys


Lists = dict[str, dict[str, dict[int, int]]]  # by user and name: time in seconds by item


def streamed(log: Log) -> tuple[list[Sample], BatchPath, Lists]:
    """What the stream makes of the log's JSON, a step of 50 events at a time, and its state."""
    from headrace.broker.record import Record
    from headrace.catalogue.item import Item
    from headrace.event import encode
    from headrace.features.store.last_items import decode_items
    from headrace.stream.step.batch_path import BatchPath
    from headrace.stream.step.intake import decode_records
    from headrace.stream.step.partition import PartitionSettings

    path = BatchPath(Item, PartitionSettings(dedupe_window=10_000, click_window_ms=WINDOW_MS))
    records = [
        Record(0, offset, event.event_time_ms, b"", encode(event))
        for offset, event in enumerate(log.events())
    ]
    now_ms, samples, lists = records[-1].arrival_ms, [], Lists()
    for start in range(0, len(records), 50):
        decoded = decode_records(records[start : start + 50], now_ms)
        effects = path.process(0, decoded, now_ms)
        assert not effects.dead_letters
        samples += effects.samples
        for seen in effects.changed.seen:
            for user, entries in zip(seen.user_ids, seen.payloads, strict=True):
                of_user = lists.setdefault(user, {}).setdefault(seen.name, {})
                of_user |= dict(reversed(decode_items(entries).tolist()))
    samples += path.process(0, [], now_ms + 10**6).samples
    return samples, path, lists


def check_samples(samples: Sequence[Sample], log: Log) -> None:
    """Outcomes and what is labelled, sample by sample; a late wish is one without labels, as
    nothing is drawn beside it."""
    from headrace.keys import key

    item_of = {key(item): item for item in ITEMS}
    alone = [sample for sample in samples if not sample.labelled]
    assert len(alone) == log.expected.num_late_wishes
    assert all(sample.clicked == (1,) for sample in alone)
    labelled = [sample for sample in samples if sample.labelled]
    assert {one.request_id: one.labelled for one in labelled} == log.expected.labelled
    assert {
        (one.request_id, item_of[item_key]): outcome
        for one in labelled
        for item_key, outcome in zip(one.item_keys, one.outcomes, strict=True)
    } == log.expected.outcomes


def check_archive(samples: Sequence[Sample]) -> None:
    """Samples come back from their topic and their archive as they were."""
    from headrace.broker.record import Record
    from headrace.features.rows.sample_intake import samples_in
    from headrace.offline.tables import sample_tables, samples_of
    from headrace.sample import encode_batches
    from headrace.skipped import Skipped

    records = [Record(0, n, 0, b"", value) for n, value in enumerate(encode_batches(samples))]
    skipped = Skipped()
    assert [sample for one in records for sample in samples_in(one, skipped)] == samples
    tables = sample_tables(records, skipped)
    assert [sample for table in tables.values() for sample in samples_of(table)] == samples
    assert skipped.total() == 0


def check_features(path: BatchPath, log: Log, rows: Sequence[Row]) -> None:
    """Sums and sequences of every user; a rate per action that has features, and entity."""
    from headrace.features.inputs import DENSE_NAMES
    from headrace.features.rows.state_row import decode_rows
    from headrace.features.table import LAST, LIFE, USER_LAYOUT
    from headrace.keys import key

    state_U = decode_rows(list(path.user_rows.values()), USER_LAYOUT)["state"]
    life, last = USER_LAYOUT.field_of[LIFE], USER_LAYOUT.field_of[LAST]
    sums, past = Counter[tuple[str, str]](), Counter[tuple[str, int, int]]()
    for user, state in zip(path.user_rows, state_U, strict=True):
        counted = zip(LIFE.measures, state[life].tolist(), strict=True)
        sums.update({(user, measure): num for measure, num in counted})
        columns = zip(state[last]["item"].tolist(), state[last]["action"].tolist(), strict=True)
        past.update((user, item_key, mask) for item_key, mask in columns if item_key)
    wanted = {name: num for name, num in log.expected.sums.items() if name[1] in LIFE.measures}
    assert sums == Counter(wanted)
    wanted_past = +log.expected.past
    expected = {(u, key(item), mask): num for (u, item, mask), num in wanted_past.items()}
    assert past == expected
    for name, has in [(row["name"], row.get("features", True)) for row in rows]:
        wanted = {f"user_{name}_rate", f"item_{name}_rate", f"user_surface_{name}_rate"}
        assert wanted & set(DENSE_NAMES) == (wanted if has else set())


def check_hidden(lists: Lists, log: Log, rows: Sequence[Row]) -> None:
    """What is hidden from each user, by and by."""
    from headrace.features.store.last_items import ENTRY
    from headrace.keys import key
    from headrace.pipeline.context import User

    for now_ms in (START_MS + 40_000, START_MS + 10**9):
        found = set()
        for user, named in lists.items():
            entries = {n: np.array([*of.items()], ENTRY) for n, of in named.items()}
            found |= {(user, one) for one in User(lists=entries).hidden_keys(now_ms)}
        hidden = plain_hidden(log.expected, rows, now_ms)
        assert found == {(user, key(item)) for user, item in hidden}


def check_heads(samples: Sequence[Sample], rows: Sequence[Row]) -> int:
    """Labels, grades and windows of every predicted action; returns how many labels there are."""
    from headrace.catalogue.words import ContentTable
    from headrace.features.inputs import NUM_DENSE, RATES
    from headrace.learning.learner import OnlineLearner
    from headrace.model.batch import batch_of_samples
    from headrace.model.config import heads_of, nano

    names = [row["name"] for row in rows if row.get("predicted", True)]
    config = replace(nano(NUM_DENSE), rates=RATES, heads=heads_of(names))
    learner = OnlineLearner(config, seed=0, window=10**6)
    assert len(learner.ranker.user.action.weight) == 2 ** sum(r.get("features", True) for r in rows)
    num_known = Counter[str]()
    for start in range(0, len(samples), 64):
        chunk = samples[start : start + 64]
        made = batch_of_samples(chunk, ContentTable({}), config)
        label_CJ, grade_C = plain_labels(chunk, rows), plain_grades(chunk, rows)
        np.testing.assert_array_equal(made.candidates.label_CJ.numpy(), label_CJ)
        np.testing.assert_allclose(made.candidates.grade_C.numpy(), grade_C, atol=1e-6)
        masks = [one.history_3T[2] % 256 for one in chunk]
        sets = [[plain_set(int(mask), rows) for mask in mask_T] for mask_T in masks]
        length = made.history.action_BT.shape[1]
        assert made.history.action_BT.tolist() == [set_T[:length] for set_T in sets]
        p_CJ = learner.learn(made)
        assert p_CJ is not None and p_CJ.shape == label_CJ.shape and ((p_CJ > 0) & (p_CJ < 1)).all()
        for head, label_C in zip(config.heads, label_CJ.T, strict=True):
            judged_C = label_CJ[:, 0] == 1 if head.kind == "after_click" else True
            num_known[head.name] += int((~np.isnan(label_C) & judged_C).sum())
    windows = {head.name: learner.take_windows(head.name) for head in config.heads}
    assert {name: window[0].num_samples for name, window in windows.items()} == num_known
    assert all(torch.isfinite(weight).all() for weight in learner.ranker.parameters())
    return num_known.total()


def check_refusals(rows: Sequence[Row]) -> None:
    """Events of actions, fields and values that this table does not have."""
    from headrace.errors import InvalidEvent
    from headrace.event import accept

    shown = [{"item_id": "i", "outcomes": {"nope": True}}, {"item_id": "i", "liked": True}]
    impression = {"type": "impression", "user_id": "u", "request_id": "r"}
    action = {"type": "action", "user_id": "u", "item_id": "i", "value": 2.0}
    documents = [{**impression, "items": [one]} for one in shown] + [{**action, "action": "nope"}]
    documents += [{**action, "action": r["name"]} for r in rows[1:] if r["value"] != "grade"]
    paid = {"value": 0.0, "amount_micros": 5, "currency": "EUR"}
    documents += [
        {**action, "action": r["name"], **paid} for r in rows[1:] if r["value"] != "money"
    ]
    for document in documents:
        try:
            accept(document, START_MS)
        except InvalidEvent:
            continue
        raise AssertionError(f"accepted: {document}")


def main() -> None:
    random, num_labels = Random(int(sys.argv[1])), {}
    sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for num in range(1, 9):
            rows = drawn(random, num)
            declare(rows, Path(folder) / "headrace.yaml")
            num_labels[num] = num_labels_of(rows, random)
    print(json.dumps(num_labels))


def num_labels_of(rows: Sequence[Row], random: Random) -> int:
    """Check all that is made of these rows, on a log; returns how many labels there are."""
    log = Log(random, rows)
    samples, path, lists = streamed(log)
    check_samples(samples, log)
    check_archive(samples)
    check_features(path, log, rows)
    check_hidden(lists, log, rows)
    num_labels = check_heads(samples, rows)
    check_refusals(rows)
    return num_labels


main()
