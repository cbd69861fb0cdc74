"""A log without impressions, in memory: from what was chosen to slates of one's own kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from in_memory import OnlineStore, made_ready

from headrace.api.slate import RecommendRequest, Slate
from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.catalogue.words import ContentTable
from headrace.event import ActionEvent, ClickEvent, Event, ImpressionEvent, Shown
from headrace.features.inputs import NUM_DENSE, RATES
from headrace.features.table import ITEM_LAYOUT
from headrace.learning.guarded_learner import GuardedLearner, Pace
from headrace.model.config import nano
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import Decoded
from headrace.stream.step.negatives import Negatives
from headrace.stream.step.partition import PartitionSettings
from serving.recommend import Recommender
from serving.replica.snapshot import Snapshot
from serving.replica.state_pages import StatePages
from serving.stages.hydrate import Hydrate

START_MS, STEP_MS, NUM_GROUPS = 1_714_554_000_000, 20_000, 4
USERS, ITEMS = [f"u{n}" for n in range(80)], [f"i{n}" for n in range(160)]
OF_ID = {item_id: Item(item_id) for item_id in ITEMS}
CATALOGUE = table_of(OF_ID.values())
CONTENT = ContentTable(CATALOGUE)
CONFIG = replace(nano(NUM_DENSE), rates=RATES)


def group(name: str) -> int:
    """Users choose items of their own group only."""
    return int(name[1:]) % NUM_GROUPS


def chosen(random: Random, kind: str, num: int = 960) -> list[Event]:
    """What users chose, one every twenty seconds."""
    events: list[Event] = []
    for number in range(num):
        user = random.choice(USERS)
        item = random.choice([one for one in ITEMS if group(one) == group(user)])
        who = f"e{number}", START_MS + STEP_MS * number, user, item
        events.append(ClickEvent(*who) if kind == "click" else ActionEvent(*who, kind))
    return events


def shown(random: Random, num: int = 3_840) -> list[Event]:
    """The same shop, where it is told what was shown and not chosen."""
    events: list[Event] = []
    for number in range(num):
        user, item = random.choice(USERS), random.choice(ITEMS)
        items = (Shown(item, clicked=group(item) == group(user)),)
        at_ms = START_MS + STEP_MS * number
        events.append(ImpressionEvent(f"e{number}", at_ms, user, f"r{number}", items))
    return events


def slates(events: Sequence[Event]) -> list[Slate]:
    """Ten items for every user, by what a learner made of the log in one pass."""
    path = BatchPath(
        OF_ID.get, PartitionSettings(10_000, 60_000, negatives=Negatives(8, 0.75, ITEMS))
    )
    learner = GuardedLearner(CONFIG, CONTENT, seed=0, pace=Pace(256, 1_000, 10**9))
    for start in range(0, len(events), 60):
        decoded = [
            Decoded(Record(0, start + n, event.event_time_ms, b"", b""), event)
            for n, event in enumerate(events[start : start + 60])
        ]
        learner.learn(path.process(0, decoded, decoded[-1].record.arrival_ms).samples)
    assert learner.verdict(0) == ""
    pages, rows = StatePages(ITEM_LAYOUT, CATALOGUE.num_rows), CATALOGUE.rows()
    pages.put(rows, path.merged.items.states(path.merged.items.find(ITEMS)))
    model = made_ready(learner.learner, CATALOGUE, CONTENT, START_MS)
    snapshot = Snapshot((model,), pages.states, rows)
    recommender = Recommender(Hydrate(OnlineStore(path.user_rows)), CATALOGUE, len(ITEMS))
    now_ms = events[-1].event_time_ms + STEP_MS
    requests = [RecommendRequest(user, num_items=10, record=False) for user in USERS]
    return [recommender.recommend(request, snapshot, now_ms)[0] for request in requests]


def num_of_own_group(answers: Sequence[Slate]) -> int:
    assert [len(slate.items) for slate in answers] == [10] * len(USERS)
    return sum(
        group(item.item_id) == group(slate.user_id) for slate in answers for item in slate.items
    )


def test_slates_after_clicks_alone_are_of_ones_own_group() -> None:
    answers = slates(chosen(Random(0), "click"))
    assert num_of_own_group(answers) >= 780  # of 800; chance is 200
    assert all(slate.relative for slate in answers)


def test_slates_after_likes_alone_are_too() -> None:
    answers = slates(chosen(Random(1), "like"))
    assert num_of_own_group(answers) >= 780
    assert all(slate.relative for slate in answers)


def test_with_impressions_they_are_as_good_and_probabilities_are_rates() -> None:
    answers = slates(shown(Random(2)))
    assert num_of_own_group(answers) >= 780
    assert not any(slate.relative for slate in answers)
