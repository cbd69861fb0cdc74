"""The whole loop in memory: from events to the slate that a model ranks, one type per arrow.

What Kafka, Redis, Ray Train and Ray Serve carry is handed over here by hand; all that is in between
is the platform's own code. Read it first: each step names the file in which it happens.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from in_memory import OnlineStore, made_ready

from headrace import event
from headrace.api.slate import RecommendRequest, Slate
from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.catalogue.words import ContentTable
from headrace.event import ClickEvent, ImpressionEvent, Shown
from headrace.features.inputs import NUM_DENSE, RATES
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.table import ITEM_LAYOUT
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import Batch, batch_of_samples
from headrace.model.config import nano
from headrace.sample import Sample
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import Decoded, decode_records
from headrace.stream.step.partition import Effects, PartitionSettings
from serving.recommend import Recommender
from serving.replica.snapshot import Snapshot
from serving.replica.state_pages import StatePages
from serving.stages.hydrate import Hydrate

NOW_MS, WINDOW_MS = 1_714_554_000_000, 60_000
ITEMS = tuple(Item(f"i{n}", f"item {n}", (("tea", "mugs")[n % 2],)) for n in range(1, 9))
OF_ID = {item.item_id: item for item in ITEMS}
CATALOGUE = table_of(ITEMS)
CONTENT = ContentTable(CATALOGUE)
CONFIG = replace(nano(NUM_DENSE), rates=RATES)


def log() -> list[event.Event]:
    """Ann is shown two items in each of many requests, and clicks the mug."""
    events: list[event.Event] = []
    for n in range(40):
        at_ms = NOW_MS + 1_000 * n
        tea, mug = f"i{2 * (n % 4) + 2}", f"i{2 * (n % 4) + 1}"
        events.append(
            ImpressionEvent(f"s{n}", at_ms, "ann", f"r{n}", (Shown(tea, 0), Shown(mug, 1)))
        )
        events.append(ClickEvent(f"c{n}", at_ms + 500, "ann", mug, f"r{n}"))
    return events


def streamed() -> tuple[list[Sample], dict[str, bytes]]:
    """Labelled samples, and the users' rows by id."""
    # Events enter as bytes in a log (event.py, broker/) and are decoded (stream/step/intake.py).
    records = [Record(0, n, NOW_MS, b"ann", event.encode(one)) for n, one in enumerate(log())]
    decoded = decode_records(records, NOW_MS + 40_000)
    assert all(isinstance(one, Decoded) for one in decoded)

    # A partition turns them into rows of features and labelled samples (stream/step/partition.py).
    stream = BatchPath(OF_ID.get, PartitionSettings(1_000, WINDOW_MS))
    effects = stream.process(0, decoded, NOW_MS + 40_000)
    closed = stream.process(0, [], NOW_MS + 10 * WINDOW_MS)  # the windows of the last requests
    assert isinstance(effects, Effects)
    return [*effects.samples, *closed.samples], stream.user_rows


def learned(samples: list[Sample]) -> OnlineLearner:
    """A learner that has scored each batch, then trained on it (trainers/, learning/)."""
    learner = OnlineLearner(CONFIG, seed=0, window=1_000)
    for start in range(0, len(samples), 8):
        batch = batch_of_samples(samples[start : start + 8], CONTENT, CONFIG)
        assert isinstance(batch, Batch)
        p_CJ = learner.learn(batch)
        assert p_CJ is not None and p_CJ.shape[0] == 16  # candidates of eight requests
    return learner


def test_events_become_features_samples_weights_and_a_slate() -> None:
    samples, user_rows = streamed()
    assert len(samples) == 40 and all(isinstance(one, Sample) for one in samples)
    assert {one.schema for one in samples} == {INPUT_SCHEMA}
    assert all(one.clicked == (0, 1) for one in samples)

    # A version's weights get ready in a replica, which computes items once (serving/replica/).
    model = made_ready(learned(samples), CATALOGUE, CONTENT, NOW_MS)
    snapshot = Snapshot((model,), StatePages(ITEM_LAYOUT, 9).states, np.arange(1, 9))

    # A request reads one snapshot and goes through its stages (serving/recommend.py).
    recommender = Recommender(Hydrate(OnlineStore(user_rows)), CATALOGUE, 100)
    slate, impression = recommender.recommend(
        RecommendRequest("bob", num_items=4), snapshot, NOW_MS + 60_000
    )
    assert isinstance(slate, Slate) and slate.model_version == 1 and not slate.degraded
    assert {OF_ID[one.item_id].categories for one in slate.items} == {("mugs",)}  # as ann clicks

    # What was shown goes to the log as an event, with the features that were read: the loop closes.
    assert isinstance(impression, ImpressionEvent) and impression.served is not None
    assert impression.served.schema == INPUT_SCHEMA
    assert [shown.item_id for shown in impression.items] == [one.item_id for one in slate.items]
