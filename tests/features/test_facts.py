"""Facts: columns that are taken, renamed and read together."""

from __future__ import annotations

from dataclasses import fields
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from plain_facts import Fact, columns, logs, randoms

from headrace.action import ACTIONS, BIT, CLICK, FEATURED
from headrace.features.aggregation.facts import (
    MAX_OUTCOME,
    MEASURES,
    SHARE_SHIFT,
    SHOWN,
    Facts,
    action_masks,
    grades,
    measures_of,
    outcome,
    told_apart,
)


def assert_same(one: Facts, other: Facts) -> None:
    for column in fields(Facts):
        assert np.array_equal(getattr(one, column.name), getattr(other, column.name))


@settings(max_examples=40)
@given(log=logs(), random=randoms())
def test_taken_facts_are_those_of_the_index_in_its_order(log: list[Fact], random: Random) -> None:
    index = random.choices(range(len(log)), k=30) if log else []
    taken = columns(log).take(np.array(index, np.int64))
    assert len(taken) == len(index)
    assert_same(taken, columns([log[place] for place in index]))


def test_the_same_facts_can_be_about_other_entities() -> None:
    facts = columns([Fact(entity=0, item=5), Fact(entity=1, item=6)])
    moved = facts.about(np.array([7, 8]))
    assert_same(moved, columns([Fact(entity=7, item=5), Fact(entity=8, item=6)]))
    assert facts.entity_N.tolist() == [0, 1]


def test_measures_come_in_the_order_asked_for() -> None:
    facts = columns([Fact(click=1.0, value=2.5), Fact(shown=0.0, long_view=1.0)])
    assert facts.measures([CLICK, SHOWN]).tolist() == [[1, 1], [0, 0]]
    assert facts.measures(MEASURES).tolist() == facts.measure_NM.tolist()
    assert facts.measures(["long_view"])[:, 0].tolist() == [0, 1]


@settings(max_examples=40)
@given(log=logs())
def test_actions_are_bits(log: list[Fact]) -> None:
    assert columns(log).action_mask_N().tolist() == [fact.actions for fact in log]


@settings(max_examples=40)
@given(log=logs())
def test_an_outcome_is_the_actions_and_the_share(log: list[Fact]) -> None:
    outcomes_N = np.array([outcome(fact.actions, fact.value) for fact in log], np.int64)
    assert outcomes_N.tolist() == [fact.outcome for fact in log]
    assert action_masks(outcomes_N).tolist() == [fact.actions for fact in log]
    assert columns(log).share_N().tolist() == [fact.of_whole for fact in log]
    assert (outcomes_N <= MAX_OUTCOME).all()


def test_a_grade_is_the_share_or_else_whether_anything_wished_for_came() -> None:
    told = [(0b000, 0.0), (0b001, 0.0), (0b110, 0.0), (0b000, 0.6), (0b001, 0.2), (0b001, 19.9)]
    outcomes_N = np.array([outcome(actions, value) for actions, value in told])
    assert grades(outcomes_N).tolist() == pytest.approx([0, 1, 1, 0.6, 0.2, 1], abs=0.002)


def test_with_an_aversion_the_grade_is_0_whatever_else_came() -> None:
    told = [(BIT["hide"], 0.0), (BIT["purchase"] | BIT["report"], 0.0), (BIT["hide"] | 2, 0.9)]
    assert grades(np.array([outcome(*one) for one in told])).tolist() == [0, 0, 0]


def test_actions_have_a_measure_each_which_is_negative_where_one_was_taken_back() -> None:
    came_N = np.array([0, BIT["like"] | BIT["purchase"], -BIT["purchase"]])
    of = dict(zip(ACTIONS, measures_of(came_N).T.tolist(), strict=True))
    assert of.pop("like") == [0, 1, 0] and of.pop("purchase") == [0, 1, -1]
    assert set(map(tuple, of.values())) == {(0, 0, 0)}


def test_the_ranker_tells_sets_of_actions_with_features_apart() -> None:
    assert FEATURED == ("click", "like", "long_view")
    past = [0b101, BIT["purchase"] | 1, BIT["share"], BIT["hide"] | 1, 0b010 | 77 << SHARE_SHIFT]
    assert told_apart(np.array(past)).tolist() == [0b101, 1, 0, 0, 0b010]
