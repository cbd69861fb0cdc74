"""Assembled features: what the ranker reads, for one request and for many."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_facts import (
    NUM_ENTITIES,
    NUM_SLOTS,
    START_MS,
    Fact,
    columns,
    logs,
    newest_first,
    of_entity,
    randoms,
)

from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.asked import AskedItems, Requests
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.layout import Layout
from headrace.features.inputs import (
    DENSE_NAMES,
    HISTORY_LENGTH,
    NUM_DENSE,
    RATES,
    RequestFeatures,
    assemble,
)
from headrace.features.table import CROSSES, ITEM_LAYOUT, USER_LAYOUT

NOW_MS = START_MS + 3_600_000
NUM_USER = len(USER_LAYOUT.dense)
NUM_ITEM = len(ITEM_LAYOUT.dense)
SURFACE_RATES = ["user_surface_click_rate", "user_surface_like_rate", "user_surface_long_view_rate"]
CATEGORY_RATES = ["category_rate_mean", "category_rate_max"]
NO_SLOTS = np.zeros((0, 3), np.int64)
SURFACE = 17


def states(layout: Layout, log: list[Fact]) -> State:
    """[NUM_ENTITIES]: states of users or items that these facts are about."""
    state_U = layout.new(NUM_ENTITIES)
    layout.add(state_U, columns(sorted(log, key=lambda fact: fact.entity)))
    return state_U


def columns_of(surface_B: Ints, now_ms_B: Ints) -> Requests:
    """Requests that tell nothing beside."""
    num = len(now_ms_B)
    return Requests(now_ms_B, surface_B, np.zeros((num, 0)), np.zeros((num, 0), np.int64))


def of_items(request_N: Ints, slot_NS: Ints) -> AskedItems:
    """Candidates without numbers."""
    return AskedItems(request_N, slot_NS, np.zeros((len(request_N), 0)))


def one_request(
    user_1: State, item_N: State, slot_NS: Ints, now_ms: int, surface: int = SURFACE
) -> RequestFeatures:
    request_N = np.zeros(len(item_N), np.int64)
    requests = columns_of(np.array([surface]), np.array([now_ms]))
    (features,) = assemble(user_1, item_N, requests, of_items(request_N, slot_NS))
    return features


def test_the_dense_features_have_names() -> None:
    assert len(set(DENSE_NAMES)) == len(DENSE_NAMES) == NUM_DENSE
    ranked = [feature.name for feature in (*USER_LAYOUT.dense, *ITEM_LAYOUT.dense)]
    assert [cross.name for cross in CROSSES] == [*SURFACE_RATES, *CATEGORY_RATES]
    assert DENSE_NAMES == (*ranked, *SURFACE_RATES, *CATEGORY_RATES)
    assert {*SURFACE_RATES} < {DENSE_NAMES[place] for place in RATES}
    assert not {*CATEGORY_RATES} & {DENSE_NAMES[place] for place in RATES}


@settings(max_examples=25)
@given(
    user_log=logs(),
    item_log=logs(),
    num_of_each=st.lists(st.integers(0, 4), max_size=4),
    random=randoms(),
)
def test_several_requests_at_once_are_each_alone(
    user_log: list[Fact], item_log: list[Fact], num_of_each: list[int], random: Random
) -> None:
    pick = np.random.default_rng(random.randint(0, 2**32))
    num_requests, num = len(num_of_each), sum(num_of_each)
    user_B = states(USER_LAYOUT, user_log)[pick.integers(0, NUM_ENTITIES, num_requests)]
    item_N = states(ITEM_LAYOUT, item_log)[pick.integers(0, NUM_ENTITIES, num)]
    slot_NS = np.sort(pick.integers(-1, 32, (num, 3)), axis=1)[:, ::-1]
    now_ms_B = NOW_MS + pick.integers(0, 2**30, num_requests)
    request_N = np.repeat(np.arange(num_requests), num_of_each)
    surface_B = pick.choice([0, 1, SURFACE], num_requests)
    requests = columns_of(surface_B, now_ms_B)
    together = assemble(user_B, item_N, requests, of_items(request_N, slot_NS))
    assert len(together) == num_requests
    for request, features in enumerate(together):
        own_N = request_N == request
        user_1, now_ms, surface = user_B[[request]], int(now_ms_B[request]), surface_B[request]
        alone = one_request(user_1, item_N[own_N], slot_NS[own_N], now_ms, surface)
        assert features.dense_NF.shape == (num_of_each[request], NUM_DENSE)
        assert features.dense_NF.dtype == np.float32
        assert features.dense_NF.tobytes() == alone.dense_NF.tobytes()
        assert features.history_3T.tobytes() == alone.history_3T.tobytes()


@settings(max_examples=25)
@given(user_log=logs(), item_log=logs(), data=st.data())
def test_a_candidate_has_its_users_values_its_own_and_their_crosses(
    user_log: list[Fact], item_log: list[Fact], data: st.DataObject
) -> None:
    user_1 = states(USER_LAYOUT, user_log)[:1]
    item_N = states(ITEM_LAYOUT, item_log)
    slots = data.draw(
        st.lists(st.sets(st.integers(0, NUM_SLOTS - 1), max_size=3), min_size=3, max_size=3)
    )
    slot_NS = np.array([[*sorted(own), *[-1] * (3 - len(own))] for own in slots])
    dense_NF = one_request(user_1, item_N, slot_NS, NOW_MS).dense_NF
    now_ms_1, now_ms_N = np.array([NOW_MS]), np.full(len(item_N), NOW_MS)
    user_F = USER_LAYOUT.dense_values(user_1, now_ms_1)[0]
    assert np.array_equal(dense_NF[:, :NUM_USER], np.tile(user_F, (len(item_N), 1)))
    of_item_NF = dense_NF[:, NUM_USER : NUM_USER + NUM_ITEM]
    assert np.array_equal(of_item_NF, ITEM_LAYOUT.dense_values(item_N, now_ms_N))
    rates_K = USER_LAYOUT.value("user_category_rates", user_1, now_ms_1)[0]
    expected = [
        [np.mean(rates_K[list(own)]), np.max(rates_K[list(own)])] if own else [0.0, 0.0]
        for own in slots
    ]
    assert dense_NF[:, -2:] == pytest.approx(np.array(expected), rel=1e-6, abs=1e-7)


@settings(max_examples=25)
@given(log=logs(), surface=st.sampled_from([0, 1, SURFACE, 200]))
def test_a_candidate_has_its_users_rates_on_the_surface_of_the_request(
    log: list[Fact], surface: int
) -> None:
    user_U = states(USER_LAYOUT, log)
    for entity in range(NUM_ENTITIES):
        features = one_request(
            user_U[[entity]], ITEM_LAYOUT.new(2), np.full((2, 1), -1), NOW_MS, surface
        )
        outcomes = newest_first(of_entity(log, entity), HISTORY_LENGTH)
        there = [outcome for outcome in outcomes if outcome.surface == surface]
        expected = [
            (sum(max(getattr(one, name), 0) for one in there) + prior * strength)
            / (len(there) + strength)
            for name, prior, strength in (
                ("click", 0.5, 2),
                ("like", 0.02, 5),
                ("long_view", 0.3, 2),
            )
        ]
        first = NUM_USER + NUM_ITEM
        found_N3 = features.dense_NF[:, first : first + len(SURFACE_RATES)]
        assert found_N3 == pytest.approx(np.array([expected, expected]), rel=1e-6)


@settings(max_examples=25)
@given(log=logs(), after_ms=st.integers(-5_000, 10**7))
def test_the_history_has_ages_as_of_the_request(log: list[Fact], after_ms: int) -> None:
    user_U, now_ms = states(USER_LAYOUT, log), START_MS + after_ms
    for entity in range(NUM_ENTITIES):
        user_1 = user_U[[entity]]
        history_3T = one_request(user_1, ITEM_LAYOUT.new(0), NO_SLOTS, now_ms).history_3T
        assert history_3T.shape == (3, HISTORY_LENGTH) and history_3T.dtype == np.int64
        outcomes = newest_first(of_entity(log, entity), HISTORY_LENGTH)
        expected = [[f.item, max(now_ms - f.time_ms, 0), f.outcome] for f in outcomes]
        expected += [[0, 0, 0]] * (HISTORY_LENGTH - len(outcomes))
        assert history_3T.T.tolist() == expected


def test_a_user_and_an_item_never_seen_have_an_empty_history_and_finite_features() -> None:
    slot_NS = np.array([[3, 31], [-1, -1]])
    features = one_request(USER_LAYOUT.new(1), ITEM_LAYOUT.new(2), slot_NS, NOW_MS)
    assert not features.history_3T.any()
    assert np.isfinite(features.dense_NF).all()
    assert np.array_equal(*features.dense_NF[:, : -len(CATEGORY_RATES)])


def test_a_request_without_candidates_and_no_request() -> None:
    features = one_request(USER_LAYOUT.new(1), ITEM_LAYOUT.new(0), NO_SLOTS, NOW_MS)
    assert features.dense_NF.shape == (0, NUM_DENSE)
    none = np.zeros(0, np.int64)
    asked = columns_of(none, none), of_items(none, NO_SLOTS)
    assert assemble(USER_LAYOUT.new(0), ITEM_LAYOUT.new(0), *asked) == []


def test_assembling_changes_no_state() -> None:
    log = [Fact(entity=n % NUM_ENTITIES, click=1.0, slots=(2,), item=n + 1) for n in range(9)]
    user_1, item_N = states(USER_LAYOUT, log)[:1], states(ITEM_LAYOUT, log)
    before = user_1.tobytes(), item_N.tobytes()
    one_request(user_1, item_N, np.full((NUM_ENTITIES, 1), 2), NOW_MS)
    assert (user_1.tobytes(), item_N.tobytes()) == before
