"""The source `segment`: what users with the same attributes and contexts click of late."""

from __future__ import annotations

import numpy as np
from request_path import ITEMS, NOW_MS, request

from headrace import event
from headrace.broker.record import Record
from headrace.event import ImpressionEvent, Shown
from headrace.features.rows.merged import MergedState
from headrace.features.segments import segments_of
from headrace.features.surface_trends import SURFACE_TRENDS
from headrace.keys import key
from headrace.pipeline.context import Context, User
from headrace.positions.commit import Commit
from headrace.retrieval.segment import Segment
from headrace.stream.step.intake import decode_records
from headrace.stream.step.partition import Partition, PartitionSettings

CLICKS = {"ann": ("i1", "i1", "i2"), "bob": ("i7", "i8", "i8"), "cy": ("i1", "i9", "i9", "i9")}
WORDS = {"ann": ("city=x", "age=20"), "bob": ("city=y", "age=20"), "cy": ("city=x",)}


def word_keys(user: str) -> tuple[int, ...]:
    return tuple(map(key, WORDS[user]))


def asked(*words: str) -> Context:
    """A request of somebody who has clicked nothing, in a shop of which the stream has told."""
    items = {item.item_id: item for item in ITEMS}
    merged = MergedState(items.get)
    partition = Partition(0, Commit(), merged, PartitionSettings(100, 100))
    partition.add_users([*CLICKS], [None] * 3, [word_keys(user) for user in CLICKS])
    shown = [(user, item) for user, clicked in CLICKS.items() for item in clicked]
    events = [
        ImpressionEvent(f"e{n}", NOW_MS, user, f"r{n}", (Shown(item, clicked=True),))
        for n, (user, item) in enumerate(shown)
    ]
    records = [Record(0, n, NOW_MS, b"", event.encode(one)) for n, one in enumerate(events)]
    partition.process(decode_records(records, NOW_MS), NOW_MS)
    table = merged.tables[SURFACE_TRENDS]
    ids = table.all_ids()
    states = table.states(table.find(ids))
    context = request(user=User(word_keys=tuple(map(key, words))))
    trends = {int(name): states[place : place + 1] for place, name in enumerate(ids)}
    object.__setattr__(context.snapshot, "surface_trends", trends)
    return context


def proposed(*words: str, limit: int = 12) -> list[int]:
    found: list[int] = Segment().candidates(asked(*words), limit).tolist()
    return found


def test_a_new_user_is_proposed_what_those_with_his_attributes_click() -> None:
    assert proposed("city=y") == [8, 7]
    assert {*proposed("city=x")[:2]} == {1, 9} and proposed("city=x")[2:] == [2]
    assert proposed("city=y", limit=1) == [8]


def test_items_of_several_segments_come_first() -> None:
    """Half of `age=20` is of ann, half of bob, whose city is y."""
    assert proposed("city=y", "age=20")[:2] == [8, 7]
    assert {*proposed("city=y", "age=20")} == {1, 2, 7, 8}


def test_of_whom_nothing_is_known_and_whom_nobody_is_like_nothing_is_proposed() -> None:
    assert proposed() == [] and proposed("city=z") == []


def test_segments_are_apart_from_surfaces_and_from_each_other() -> None:
    many = segments_of(range(1, 9), range(1, 17))
    assert len({*many}) == len(many) == 24 and min(many) >= 256
    assert segments_of([5, 5 + 1_024], [0, 0]) == [256 + 5]
    assert np.all(np.diff(segments_of([], [1, 1, 1])) == 256)
