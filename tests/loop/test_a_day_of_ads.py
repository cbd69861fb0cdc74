"""A day of ads in the log leaves what is predicted of organic slates as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.catalogue.words import ContentTable
from headrace.event import ClickEvent, Event, ImpressionEvent, Shown
from headrace.features.inputs import NUM_DENSE, RATES
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import batch_of_samples
from headrace.model.config import nano
from headrace.sample import Sample
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import Decoded
from headrace.stream.step.negatives import Negatives
from headrace.stream.step.partition import PartitionSettings

START_MS, STEP_MS, WINDOW_MS = 1_714_554_000_000, 20_000, 60_000
USERS, ITEMS = [f"u{n}" for n in range(60)], [f"i{n}" for n in range(40)]
OF_ID = {item_id: Item(item_id) for item_id in ITEMS}
CONTENT = ContentTable(table_of(OF_ID.values()))
CONFIG = replace(nano(NUM_DENSE), rates=RATES)
NUM_ORGANIC, NUM_ADS, NUM_JUDGED = 2_400, 800, 768


def rate(item_id: str) -> float:
    """How often an item is clicked, as an ad or on an organic slate."""
    return 0.1 + 0.4 * int(item_id[1:]) / len(ITEMS)


def shown(random: Random, number: int, is_ad: bool) -> tuple[Event, bool]:
    """An impression, and whether it is clicked."""
    user, item = random.choice(USERS), random.choice(ITEMS)
    campaign = f"c{item}" if is_ad else None
    event = ImpressionEvent(
        f"e{number}",
        START_MS + STEP_MS * number,
        user,
        f"r{number}",
        (Shown(item, 0, campaign_id=campaign),),
        placed=is_ad,
    )
    return event, random.random() < rate(item)


def day(random: Random, first: int, num: int, ads: str = "") -> Iterator[Event]:
    """The events of a day: organic slates, or ads that are `logged`, or of which the clicks alone
    are told."""
    for number in range(first, first + num):
        event, clicked = shown(random, number, bool(ads))
        assert isinstance(event, ImpressionEvent)
        if ads != "clicks":
            yield event
        if clicked:
            request = event.request_id if ads != "clicks" else None
            at_ms = event.event_time_ms + 1_000
            item_id = event.items[0].item_id
            yield ClickEvent(f"k{number}", at_ms, event.user_id, item_id, request)


def predicted(ads: str = "") -> float:
    """The mean probability of a click on an organic slate, the day after one of ads."""
    random, p_clicks = Random(0), []
    settings = PartitionSettings(100_000, WINDOW_MS, negatives=Negatives(8, 0.75, ITEMS))
    path, learner = BatchPath(OF_ID.get, settings), OnlineLearner(CONFIG, seed=0, window=10_000)
    events = [*day(random, 0, NUM_ORGANIC)]
    events += day(random, NUM_ORGANIC, NUM_ADS, ads) if ads else ()
    for batch in batches(path, events, 0):
        learner.learn(batch_of_samples(batch, CONTENT, CONFIG))
    events = [*day(Random(1), NUM_ORGANIC + NUM_ADS, NUM_JUDGED)]
    for batch in batches(path, events, 100_000):
        p_CJ = learner.learn(batch_of_samples(batch, CONTENT, CONFIG))
        p_clicks.append(np.asarray(p_CJ)[:, 0])
    return float(np.concatenate(p_clicks).mean())


def batches(path: BatchPath, events: Sequence[Event], offset: int) -> Iterator[list[Sample]]:
    """The samples of events, as many as a trainer takes at once."""
    samples: list[Sample] = []
    for start in range(0, len(events), 64):
        decoded = [
            Decoded(Record(0, offset + start + n, event.event_time_ms, b"", b""), event)
            for n, event in enumerate(events[start : start + 64])
        ]
        samples += path.process(0, decoded, decoded[-1].record.arrival_ms).samples
    samples += path.process(0, [], events[-1].event_time_ms + 10 * WINDOW_MS).samples
    for start in range(0, len(samples), 128):
        yield samples[start : start + 128]


def test_clicks_on_ads_that_are_logged_leave_organic_predictions_as_they_were() -> None:
    """Alone, as positives that no impression explains, they do not."""
    plain, logged, clicks = predicted(), predicted("logged"), predicted("clicks")
    assert logged == pytest.approx(plain, rel=0.04)
    assert clicks != pytest.approx(plain, rel=0.1)
