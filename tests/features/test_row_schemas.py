"""Rows across a change of the feature table: what is kept, what begins anew, what is refused."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_facts import NUM_ENTITIES, START_MS, columns, logs

from headrace.broker.record import Record
from headrace.errors import ServiceError
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.rows.merged import MergedState
from headrace.features.rows.schemas import (
    Described,
    carry_over,
    decode_description,
    encode_description,
)
from headrace.features.rows.state_row import blank_rows, decode_rows, encode_rows
from headrace.features.schema import STATE_SCHEMA
from headrace.features.table import FEATURES, ITEM, ITEM_LAYOUT, LIFE, USER, USER_LAYOUT

OLD = STATE_SCHEMA ^ 0x5A5A5A5A
NOW_MS = np.full(NUM_ENTITIES, START_MS + 3_600_000)
OF_USERS = [feature for feature in FEATURES if feature.entity == USER]


def table_of(random: Random) -> Layout:
    """Some of the features of users, in any order."""
    return Layout(USER, random.sample(OF_USERS, random.randint(1, len(OF_USERS))))


def as_old(payloads: list[bytes]) -> list[bytes]:
    """The rows as a build of another schema writes them."""
    return [OLD.to_bytes(4, "little") + payload[4:] for payload in payloads]


def described(*layouts: Layout) -> Described:
    return decode_description(encode_description(layouts))


@settings(max_examples=60)
@given(log=logs(), random=st.integers(0, 2**32).map(Random))
def test_what_both_tables_keep_is_carried_over_and_the_rest_begins_anew(
    log: list[object], random: Random
) -> None:
    before, after = table_of(random), table_of(random)
    rows = blank_rows(before, NUM_ENTITIES, partition=3)
    before.add(rows["state"], columns(log))
    rows["position"], rows["event_time_ms"] = np.arange(NUM_ENTITIES) + 7, START_MS
    tables = {OLD: described(before)}
    carried = decode_rows(carry_over(as_old(encode_rows(rows)), after, tables.get), after)
    for name in ("partition", "position", "event_time_ms"):
        assert np.array_equal(carried[name], rows[name])
    for kept, field in after.field_of.items():
        is_old = kept in before.field_of
        expected = (
            rows["state"][before.field_of[kept]] if is_old else after.new(NUM_ENTITIES)[field]
        )
        assert carried["state"][field].tobytes() == expected.tobytes(), kept
    same = [feature for feature in after.features if feature in before.features]
    for feature in same:
        values = (t.value(feature.name, r["state"], NOW_MS) for t, r in
                  ((before, rows), (after, carried)))  # fmt: skip
        assert np.array_equal(*values, equal_nan=True), feature.name


def test_rows_of_this_table_and_missing_ones_stay_among_those_of_others() -> None:
    mine, theirs = encode_rows(blank_rows(USER_LAYOUT, 2))
    payloads = [mine, None, *as_old([theirs])]
    tables = {OLD: described(USER_LAYOUT)}
    assert carry_over(payloads, USER_LAYOUT, tables.get) == [mine, None, theirs]


def test_a_kind_of_entity_that_the_other_table_does_not_have_begins_anew() -> None:
    header = as_old([encode_rows(blank_rows(USER_LAYOUT, 1))[0][:24]])
    (row,) = carry_over(header, USER_LAYOUT, {OLD: described()}.get)
    assert decode_rows([row], USER_LAYOUT)["state"] == USER_LAYOUT.new(1)


@pytest.mark.parametrize("size", [3, 100, -8])
def test_a_row_that_is_not_as_described_and_one_that_nobody_described_are_refused(
    size: int,
) -> None:
    (row,) = as_old(encode_rows(blank_rows(USER_LAYOUT, 1)))
    for payload, tables in ((row[:size], {OLD: described(USER_LAYOUT)}), (row, {})):
        with pytest.raises(ServiceError, match="state schema .*HEADRACE_NAMESPACE"):
            decode_rows(carry_over([payload], USER_LAYOUT, tables.get), USER_LAYOUT)


def test_an_accumulator_of_the_same_name_and_another_size_is_another_one() -> None:
    (first, *others) = USER_LAYOUT.field_of
    described_now = described(USER_LAYOUT)[USER]
    smaller = [described_now[0].__class__(repr(first), "<f8", 8), *described_now[1:]]
    num_bytes = 24 + sum(one.num_bytes for one in smaller)
    payload = as_old([b"\x01" * num_bytes])
    (row,) = carry_over(payload, USER_LAYOUT, {OLD: {USER: smaller}}.get)
    state = decode_rows([row], USER_LAYOUT)["state"]
    name = USER_LAYOUT.field_of[first]
    assert state[name].tobytes() == USER_LAYOUT.new(1)[name].tobytes()
    assert {state[USER_LAYOUT.field_of[kept]].tobytes()[:1] for kept in others} == {b"\x01"}


def test_the_partial_rows_of_an_earlier_table_are_read_from_the_topic() -> None:
    before = Layout(ITEM, [one for one in FEATURES if one.name != "item_value_max"])
    rows = blank_rows(before, 1, partition=2)
    before.add(rows["state"], columns([]))
    rows["state"][before.field_of[LIFE]] = 5
    rows["position"] = 9
    (value,) = as_old(encode_rows(rows))
    merged = MergedState(lambda item_id: None, {OLD: described(before)}.get)
    merged.apply([Record(2, 0, START_MS, b"item/2:mug", value)])
    (row,) = merged.items.partials(merged.items.find(["mug"]), 2)
    assert row["position"] == 9
    assert (row["state"][ITEM_LAYOUT.field_of[LIFE]] == 5).all()


def test_a_feature_is_described_by_what_it_keeps_and_not_by_its_name() -> None:
    def renamed(feature: Feature) -> Feature:
        return Feature(f"{feature.name}_x", USER, feature.aggregator, "", feature.shape)

    assert described(Layout(USER, list(map(renamed, OF_USERS)))) == described(USER_LAYOUT)
