"""Rows: states as bytes and back, their layout, and the features assembled from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import ServiceError
from headrace.features import table
from headrace.features.aggregators import Outcome
from headrace.features.assemble import NUM_DENSE, assemble
from headrace.features.state import Row, decode_row, encode_row, fresh_row
from headrace.features.table import (
    CATEGORIES,
    DENSE,
    HISTORY,
    ITEM_LAYOUT,
    STRUCTURED,
    USER_LAYOUT,
    Layout,
)

NOW_MS = 1_714_554_000_000
SIGNALLING_NAN = 0x7FF0_0000_0000_0001  # a key whose bits are no ordinary float

layouts = pytest.mark.parametrize("layout", [USER_LAYOUT, ITEM_LAYOUT], ids=["user", "item"])


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([USER_LAYOUT, ITEM_LAYOUT]),
    st.integers(0, 2**32 - 1),
    st.integers(-1, 2**62),
    st.integers(0, 2**62),
    st.integers(0, 2**32),
)
def test_a_row_comes_back_bit_for_bit(
    layout: Layout, partition: int, position: int, event_time_ms: int, seed: int
) -> None:
    bits_W = np.random.default_rng(seed).integers(0, 2**64, layout.width, dtype=np.uint64)
    row = Row(partition, position, event_time_ms, bits_W.view(np.float64))
    back = decode_row(encode_row(row), layout)
    assert (back.partition, back.position, back.event_time_ms) == (
        partition,
        position,
        event_time_ms,
    )
    assert back.state_W.tobytes() == row.state_W.tobytes()
    back.state_W[0] = 1.0  # it can be added to


def test_keys_that_look_like_no_number_survive_in_the_history() -> None:
    row = fresh_row(0, USER_LAYOUT)
    for item_key in (SIGNALLING_NAN, 2**63 - 1, 5):
        USER_LAYOUT.add(row.state_W, Outcome(item_key, NOW_MS, shown=1, clicked=1))
    back = decode_row(encode_row(row), USER_LAYOUT)
    user_W, item_NW = back.state_W, ITEM_LAYOUT.empty[None]
    history_3T = assemble(user_W, item_NW, [()], NOW_MS).history_3T
    assert history_3T[0, :4].tolist() == [5, 2**63 - 1, SIGNALLING_NAN, 0]


@layouts
def test_a_row_of_another_feature_table_is_refused(layout: Layout) -> None:
    payload = encode_row(fresh_row(1, layout))
    other = bytes([payload[0] ^ 1]) + payload[1:]
    with pytest.raises(ServiceError, match=f"{layout.entity} row has feature schema .*NAMESPACE"):
        decode_row(other, layout)
    with pytest.raises(ServiceError, match="feature schema"):
        decode_row(payload + bytes(8), layout)


def test_the_rows_of_users_and_items_are_not_taken_for_each_other() -> None:
    with pytest.raises(ServiceError):
        decode_row(encode_row(fresh_row(0, USER_LAYOUT)), ITEM_LAYOUT)


def test_the_schema_follows_the_definitions() -> None:
    names = [feature.name for feature in DENSE + STRUCTURED]
    assert len(set(names)) == len(names)
    assert 0 <= table.SCHEMA < 2**32
    assert all(name in repr(DENSE + STRUCTURED) for name in names)
    assert "half_life=10" in repr(DENSE)  # a parameter is part of what the schema is made from


@layouts
def test_every_feature_has_slots_of_its_own_and_together_they_are_the_state(
    layout: Layout,
) -> None:
    state_W = np.zeros(layout.width)
    for feature in layout.features:
        part = layout.part(state_W, feature.name)
        assert len(part) == feature.aggregator.width
        part += 1  # a view
    assert state_W.tolist() == [1.0] * layout.width
    assert {feature.entity for feature in layout.features} == {layout.entity}


def test_each_feature_belongs_to_one_layout() -> None:
    features = USER_LAYOUT.features + ITEM_LAYOUT.features
    assert sorted(f.name for f in features) == sorted(f.name for f in DENSE + STRUCTURED)


@layouts
def test_a_layout_adds_and_merges_as_its_features_do(layout: Layout) -> None:
    outcomes = [Outcome(n, NOW_MS + n, 1, n % 2, category_slots=(n % 3,)) for n in range(1, 9)]
    whole_W, merged_W, other_W = (layout.empty.copy() for _ in range(3))
    for outcome in outcomes:
        layout.add(whole_W, outcome)
    for feature in layout.features:
        alone_W = feature.aggregator.initialize()
        for outcome in outcomes:
            feature.aggregator.add(alone_W, outcome)
        assert layout.part(whole_W, feature.name).tobytes() == alone_W.tobytes()
    for outcome in outcomes[:4]:
        layout.add(merged_W, outcome)
    for outcome in outcomes[4:]:
        layout.add(other_W, outcome)
    layout.merge(merged_W, other_W)
    approximate = {f.name for f in DENSE if "_last" in f.name}
    for feature in layout.features:
        if feature.name not in approximate:
            part = layout.part(merged_W, feature.name)
            assert part.tobytes() == layout.part(whole_W, feature.name).tobytes(), feature.name


@layouts
def test_dense_values_of_a_stack_are_those_of_each_in_the_order_of_the_table(
    layout: Layout,
) -> None:
    one_W = layout.empty.copy()
    layout.add(one_W, Outcome(1, NOW_MS - 5_000, 1, 1))
    values_XF = layout.dense_values(np.stack([layout.empty, one_W]), NOW_MS)
    assert values_XF.shape == (2, len(layout.dense)) and values_XF.dtype == np.float32
    assert np.array_equal(values_XF[1], layout.dense_values(one_W, NOW_MS))
    for column, feature in enumerate(layout.dense):
        expected = feature.aggregator.value(layout.part(one_W, feature.name), NOW_MS)
        assert values_XF[1, column] == np.float32(expected), feature.name


@layouts
def test_each_state_of_a_stack_may_have_a_time_of_its_own(layout: Layout) -> None:
    states_NW = np.tile(layout.empty, (40, 1))
    times_N = NOW_MS + np.arange(40, dtype=np.int64) * 17 * table.HOUR_MS
    for number, state_W in enumerate(states_NW):
        for hours in range(number):
            layout.add(state_W, Outcome(1, NOW_MS + hours * table.HOUR_MS, 1, hours % 2))
    together_NF = layout.dense_values(states_NW, times_N)
    alone_NF = [layout.dense_values(w, int(t)) for w, t in zip(states_NW, times_N, strict=True)]
    assert np.array_equal(together_NF, np.stack(alone_NF))


def test_the_features_of_a_request_have_one_row_per_candidate() -> None:
    user_W = USER_LAYOUT.empty.copy()
    USER_LAYOUT.add(user_W, Outcome(11, NOW_MS - 60_000, 1, 1, category_slots=(2, 5)))
    USER_LAYOUT.add(user_W, Outcome(12, NOW_MS - 1_000, 1, 0, category_slots=(3,)))
    item_NW = np.tile(ITEM_LAYOUT.empty, (3, 1))
    ITEM_LAYOUT.add(item_NW[1], Outcome(12, NOW_MS - 1_000, 1, 0))
    features = assemble(user_W, item_NW, [(2, 3), (), (5,)], NOW_MS)
    assert features.dense_NF.shape == (3, NUM_DENSE) and features.dense_NF.dtype == np.float32
    num_user = len(USER_LAYOUT.dense)
    assert np.array_equal(
        features.dense_NF[:, :num_user],
        np.tile(USER_LAYOUT.dense_values(user_W, NOW_MS), (3, 1)),
    )
    assert np.array_equal(
        features.dense_NF[:, num_user:-2], ITEM_LAYOUT.dense_values(item_NW, NOW_MS)
    )
    rates_K = CATEGORIES.value(USER_LAYOUT.part(user_W, "user_category_rates"), NOW_MS)
    pair = rates_K[[2, 3]]
    expected_N2 = [[pair.mean(), pair.max()], [0, 0], [rates_K[5]] * 2]
    assert features.dense_NF[:, -2:] == pytest.approx(np.array(expected_N2, dtype=np.float32))


def test_the_history_of_a_request_has_ages() -> None:
    user_W = USER_LAYOUT.empty.copy()
    USER_LAYOUT.add(user_W, Outcome(11, NOW_MS - 60_000, 1, 1))
    USER_LAYOUT.add(user_W, Outcome(12, NOW_MS + 500, 1, 0))
    before = user_W.tobytes()
    history_3T = assemble(user_W, ITEM_LAYOUT.empty[None], [()], NOW_MS).history_3T
    assert history_3T.shape == (3, HISTORY.length) and history_3T.dtype == np.int64
    assert history_3T[:, :3].tolist() == [[12, 11, 0], [0, 60_000, 0], [0, 1, 0]]
    assert user_W.tobytes() == before


def test_a_user_never_seen_has_an_empty_history_and_finite_features() -> None:
    features = assemble(USER_LAYOUT.empty, np.tile(ITEM_LAYOUT.empty, (2, 1)), [(), (1,)], NOW_MS)
    assert not features.history_3T.any()
    assert np.isfinite(features.dense_NF).all()
    none = assemble(USER_LAYOUT.empty, ITEM_LAYOUT.empty[None][:0], [], NOW_MS)
    assert none.dense_NF.shape == (0, NUM_DENSE)
