"""Batches and content: what is padded, shared, cut and unknown on the way to the ranker."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import CONFIG, CONTENT, ITEMS, MAX_EVENTS, RICH, asked, batch_of

from headrace.catalogue.table.columns import MAX_WORDS, WORD_FIELDS
from headrace.catalogue.vectors import ContentVectors, VectorColumn
from headrace.catalogue.words import ContentTable
from headrace.features.aggregation.facts import outcome
from headrace.keys import key
from headrace.model.batch import batch_of_samples, make_batch, make_items
from headrace.model.config import CLICK, SIZES, Head, RankerConfig
from headrace.model.word_bags import WordBags, word_bags
from headrace.sample import Sample


def bags_of(bags: WordBags) -> list[list[int]]:
    """The keys in each bag."""
    ends = [*bags.start_G.tolist()[1:], len(bags.row_N)]
    keys = bags.key_V[bags.row_N].tolist()
    return [keys[start:end] for start, end in zip(bags.start_G.tolist(), ends, strict=True)]


@given(st.lists(st.lists(st.integers(1, 9), max_size=4), min_size=1, max_size=6))
def test_bags_hold_what_was_put_in_and_each_key_once(bags: list[list[int]]) -> None:
    word_GL = np.array([bag + [0] * (4 - len(bag)) for bag in bags])
    made = word_bags(word_GL)
    assert bags_of(made) == bags
    assert made.key_V.tolist() == sorted({word for bag in bags for word in bag})


def test_candidates_and_histories_name_rows_of_the_distinct_items() -> None:
    requests = [asked(seed, num_items=3, num_events=4) for seed in range(3)]
    batch = batch_of(*requests)
    assert batch.items is not None
    keys_U = batch.items.key_U
    assert len(keys_U.unique()) == len(keys_U)
    shown = [key(item_id) for one in requests for item_id in one.items]
    assert keys_U[batch.candidates.item_C].tolist() == shown
    past = np.stack([one.features.history_3T[0, :4] for one in requests])
    past[~np.isin(past, list(map(key, ITEMS)))] = 0  # in no catalogue
    assert keys_U[batch.history.item_BT].tolist() == past.tolist()
    assert batch.candidates.request_C.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_items_in_no_catalogue_are_one_and_their_events_stay_events() -> None:
    stranger = replace(asked(0, num_items=3), items=("i1", "stranger", "another"))
    batch = batch_of(stranger)
    assert batch.items is not None
    keys_C = batch.items.key_U[batch.candidates.item_C]
    assert keys_C.tolist() == [key("i1"), 0, 0]
    assert batch.history.mask_BT.sum() == (stranger.features.history_3T[0] != 0).sum()
    without = make_batch([stranger.request()], ContentTable({}))
    assert without.items is not None  # where there is no catalogue each is what it is
    assert without.items.key_U[without.candidates.item_C].tolist() == [*map(key, stranger.items)]


@pytest.mark.parametrize(("events", "columns"), [((0, 0), 1), ((2, 5), 5), ((12, 1), 12)])
def test_histories_are_as_long_as_the_longest(events: tuple[int, int], columns: int) -> None:
    batch = batch_of(*(asked(n, num_events=num) for n, num in enumerate(events)))
    assert batch.history.item_BT.shape == (2, columns)
    assert batch.history.mask_BT.sum(1).tolist() == list(events)


def test_a_limit_keeps_the_newest_events() -> None:
    one = asked(4, num_events=MAX_EVENTS)
    batch = make_batch([one.request()], CONTENT, max_events=3)
    assert batch.history.age_BT.tolist() == one.features.history_3T[1:2, :3].tolist()


def test_positions_are_unknown_where_a_request_has_none() -> None:
    first, second = (asked(n, num_items=2).request() for n in range(2))
    assert make_batch([first, second], CONTENT).candidates.position_C is None
    placed = replace(first, position_N=np.array([3, 1]))
    position_C = make_batch([placed, second], CONTENT).candidates.position_C
    assert position_C is not None and position_C.tolist() == [3, 1, -1, -1]


def told(**changes: Any) -> Sample:
    """A sample of two items of which it is known whether they were clicked and liked."""
    given = asked(0, num_items=2)
    made = Sample(
        source_partition=0,
        source_offset=0,
        sequence=0,
        schema=0,
        request_id="r",
        event_time_ms=0,
        arrival_ms=0,
        user_key=1,
        user_word_keys=(),
        item_keys=tuple(map(key, given.items)),
        outcomes=(0b11, 0b00),
        labelled=0b11,
        dense=given.features.dense_NF.tobytes(),
        history=given.features.history_3T.tobytes(),
    )
    return msgspec.structs.replace(made, **changes)


def test_a_head_has_the_label_of_its_action_and_nan_where_the_log_does_not_tell() -> None:
    heads = (Head(CLICK), Head("long_view"), Head("like"), Head("refund"))
    samples = [told(), told(labelled=0b101, outcomes=(0b001, 0b101))]
    made = batch_of_samples(samples, CONTENT, replace(CONFIG, heads=heads))
    nan = math.nan
    np.testing.assert_equal(
        made.candidates.label_CJ.numpy(),
        [[1, nan, 1, nan], [0, nan, 0, nan], [1, 0, nan, nan], [1, 1, nan, nan]],
    )


def test_what_is_predicted_after_a_click_came_where_both_did() -> None:
    heads = (Head(CLICK), Head("like", "after_click"))
    samples = [told(outcomes=(0b11, 0b10)), told(labelled=0b10)]
    made = batch_of_samples(samples, CONTENT, replace(CONFIG, heads=heads))
    assert made.candidates.label_CJ[:2].tolist() == [[1, 1], [0, 0]]
    assert made.candidates.label_CJ[2:].isnan().all(), "of which the click is not known"


def test_outcomes_of_candidates_and_of_the_past_have_grades() -> None:
    history_3T = np.zeros((3, 4), np.int64)
    history_3T[0] = [key("i1"), key("i2"), key("i3"), 0]
    history_3T[2] = [outcome(0b001, 0.0), outcome(0b010, 0.6), outcome(0b000, 0.0), 0]
    samples = [told(outcomes=(outcome(0b011, 0.2), 0b001), history=history_3T.tobytes())]
    made = batch_of_samples(samples, CONTENT, CONFIG)
    assert made.candidates.grade_C.tolist() == pytest.approx([0.2, 1])
    assert made.candidates.label_CJ[:, 0].tolist() == [1, 1]
    assert made.history.known_grade_BP.tolist() == [pytest.approx([1, 0.6, 0])]
    assert made.history.action_BT.tolist() == [[0b001, 0b010, 0b000]]


def test_a_sample_brings_its_positions_and_the_number_of_its_surface() -> None:
    samples = [told(), told(positions=(4, -1), surface="search"), told(surface="mail")]
    made = batch_of_samples(samples, CONTENT, RICH)
    assert made.candidates.position_C is not None
    assert made.candidates.position_C.tolist() == [-1, -1, 4, -1, -1, -1]
    assert made.users.surface_B.tolist() == [0, 2, 0]


def test_the_content_of_an_item_is_found_in_any_order_and_unknown_items_have_none() -> None:
    ids = ["i9", "stranger", "i1", "i4"]
    words_UML = CONTENT.words_UML(np.array([key(item_id) for item_id in ids]))
    assert words_UML.shape == (4, len(WORD_FIELDS), MAX_WORDS)
    for row, item_id in enumerate(ids):
        item = ITEMS.get(item_id)
        title = [key(f"title:{item.title}")] if item and item.title else []
        assert words_UML[row, 0][words_UML[row, 0] != 0].tolist() == title
    assert not ContentTable({}).words_UML(np.array([1, 2])).any()


def test_content_vectors_come_with_their_items() -> None:
    wide, narrow = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((1, 2), np.float32)
    columns = [VectorColumn.of("a/1", ["i2", "i7"], wide), VectorColumn.of("b/1", ["i2"], narrow)]
    content = ContentTable(ITEMS, ContentVectors(columns))
    items = make_items(np.array([key("i7"), key("nobody"), key("i2")]), content)
    assert items.vector_UMW is not None and items.mask_UM is not None
    none = [0, 0, 0]
    assert items.vector_UMW.tolist() == [[[3, 4, 5], none], [none, none], [[0, 1, 2], [1, 1, 0]]]
    assert items.mask_UM.tolist() == [[True, False], [False, False], [True, True]]
    assert make_items(np.array([key("i7")]), CONTENT).vector_UMW is None


@pytest.mark.parametrize("config", [RICH, *(make(7) for make in SIZES.values())])
def test_a_configuration_survives_a_manifest(config: RankerConfig) -> None:
    assert msgspec.json.decode(msgspec.json.encode(config), type=RankerConfig) == config


def test_a_configuration_of_before_actions_had_names_is_of_those_three() -> None:
    document = msgspec.json.decode(msgspec.json.encode(CONFIG))
    del document["actions"], document["aversions"]
    assert msgspec.convert({**document, "num_actions": 8}, RankerConfig) == CONFIG


def test_a_surface_without_a_number_of_its_own_is_number_zero() -> None:
    assert [RICH.surface_number(name) for name in ("search", "home", "mail")] == [2, 1, 0]
