"""Exploration: the draw of a slate, and the probability that is told of each item at its place."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from request_path import request

from headrace.application.exploration import Exploration
from headrace.pipeline.candidates import Candidates
from headrace.pipeline.context import Context
from headrace.pipeline.exploration.draws import generator
from headrace.pipeline.exploration.explore import Explore, policy_of
from headrace.pipeline.exploration.mixture import Mixture, Sizes, marginals

EPSILON_GREEDY = Exploration("epsilon_greedy", epsilon=0.3)


def explored(exploration: Exploration, request_id: str = "r", **more: object) -> Context:
    """A request of twelve ranked items, the policy's slate of three of them."""
    candidates = Candidates.of("trending", np.arange(1, 13))
    context = request(candidates=candidates, request_id=request_id, **more)
    Explore(exploration)(context)
    return context


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[Mixture, Sizes]:
    epsilon = draw(st.floats(0, 1))
    mixture = Mixture(epsilon, draw(st.floats(0, 1 - epsilon)))
    places = draw(st.integers(1, 12))
    return mixture, Sizes(places, draw(st.integers(0, 40)), draw(st.integers(0, 20)))


@given(mixtures())
def test_the_probabilities_of_all_items_at_a_place_sum_to_one(drawn: tuple[Mixture, Sizes]) -> None:
    mixture, sizes = drawn
    p = marginals(mixture, sizes)
    others = sizes.num_others * p.other + sizes.num_fresh * p.fresh
    assert p.own + (sizes.num_places - 1) * p.moved + others == pytest.approx(1)
    assert min(p.own, p.moved, p.other, p.fresh) >= -1e-12


@pytest.mark.parametrize(
    ("mixture", "num_fresh", "num_items"),
    [
        (Mixture(0.4), 0, 7),
        (Mixture(0.4), 0, 3),  # nothing behind the slate: places are exchanged
        (Mixture(0.2, 0.3), 2, 8),
        (Mixture(0.0, 0.7), 1, 6),  # fewer fresh items than places for them
    ],
)
def test_what_is_drawn_comes_as_often_as_it_is_told(
    mixture: Mixture, num_fresh: int, num_items: int
) -> None:
    is_fresh = np.arange(num_items) >= num_items - num_fresh
    random, num_draws = np.random.default_rng(0), 20_000
    times, told = np.zeros((3, num_items)), np.full((3, num_items), np.nan)
    for _ in range(num_draws):
        slate = mixture.drawn(3, is_fresh, random)
        assert len(set(slate.tolist())) == 3
        times[np.arange(3), slate] += 1
        told[np.arange(3), slate] = mixture.propensities(slate, is_fresh)
    came = times / num_draws
    assert np.isnan(told[times == 0]).all() and not np.isnan(told[times > 0]).any()
    deviation = np.sqrt(np.nan_to_num(told) * (1 - np.nan_to_num(told)) / num_draws)
    assert (np.abs(came - np.nan_to_num(told)) < 5 * deviation + 1e-9).all()


def test_the_closed_form_is_that_of_an_enumeration() -> None:
    epsilon, expected = 0.35, Counter[int]()
    for num in range(4):  # places of three that explore, two items behind
        for places in combinations(range(3), num):
            p_places = epsilon**num * (1 - epsilon) ** (3 - num)
            pool = [*places, 3, 4]
            orders = [*permutations(pool, num)]
            for order in orders:
                slate = [0, 1, 2]
                for place, item in zip(places, order, strict=True):
                    slate[place] = item
                expected[slate[0]] += p_places / len(orders)
    p = marginals(Mixture(epsilon), Sizes(3, 2, 0))
    assert p.own == pytest.approx(expected[0])
    assert p.moved == pytest.approx(expected[1]) == pytest.approx(expected[2])
    assert p.other == pytest.approx(expected[3]) == pytest.approx(expected[4])


def test_without_exploration_the_best_are_shown_with_certainty() -> None:
    context = explored(Exploration())
    assert context.candidates.row_C.tolist() == [1, 2, 3]
    assert context.candidates.propensity_C is not None
    assert context.candidates.propensity_C.tolist() == [1, 1, 1]
    assert {context.candidates.reason_of(row) for row in range(4, 13)} == {"outranked"}


def test_a_request_draws_the_same_slate_again_and_another_one_another() -> None:
    slates = [explored(EPSILON_GREEDY, f"r{n}").candidates for n in range(40)]
    again = [explored(EPSILON_GREEDY, f"r{n}").candidates for n in range(40)]
    rows = [slate.row_C.tolist() for slate in slates]
    assert rows == [slate.row_C.tolist() for slate in again]
    assert len({*map(tuple, rows)}) > 10
    assert generator("a", "x").random() != generator("b", "x").random()


def test_items_told_apart_by_their_propensity_are_the_best_and_the_drawn() -> None:
    p = marginals(Mixture(EPSILON_GREEDY.epsilon), Sizes(3, 9, 0))
    for number in range(50):
        slate = explored(EPSILON_GREEDY, f"r{number}").candidates
        assert slate.propensity_C is not None
        for place, (row, told) in enumerate(
            zip(slate.row_C.tolist(), slate.propensity_C.tolist(), strict=True)
        ):
            expected = p.own if row == place + 1 else p.moved if row <= 3 else p.other
            assert told == pytest.approx(expected)


def test_fresh_items_come_to_their_share_of_the_places_and_each_as_often() -> None:
    came, num = Counter[int](), 600
    for number in range(num):
        candidates = Candidates(
            ("trending", "fresh"),
            np.arange(1, 13),
            np.where(np.arange(12) >= 8, [[99], [0]], [[0], [np.iinfo(np.int32).max]]).astype(
                np.int32
            ),
        )
        context = request(candidates=candidates, request_id=f"r{number}")
        Explore(Exploration(fresh=0.2))(context)
        came.update(context.candidates.row_C.tolist())
    fresh = [came[row] for row in range(9, 13)]
    assert sum(came[row] for row in range(4, 9)) == 0  # nothing else is drawn
    assert 0.16 < sum(fresh) / (3 * num) < 0.24
    assert max(fresh) < 2 * min(fresh)


def test_items_that_were_seen_stay_behind_and_are_not_drawn() -> None:
    everything = Exploration("epsilon_greedy", epsilon=1.0)
    context = explored(everything, num_items=5, seen_again=(9, 10, 11, 12))
    slate = context.candidates
    assert not {9, 10, 11, 12} & {*slate.row_C.tolist()}
    few = Candidates.of("trending", np.array([1, 2, 11, 12]))
    context = request(candidates=few, num_items=4, seen_again=(11, 12))
    Explore(everything)(context)
    assert {*context.candidates.row_C.tolist()[:2]} == {1, 2}
    assert context.candidates.row_C.tolist()[2:] == [11, 12]
    assert context.candidates.propensity_C is not None
    assert context.candidates.propensity_C.tolist() == pytest.approx([0.5, 0.5, 1, 1])


@settings(max_examples=20)
@given(st.integers(0, 2))
def test_a_request_of_few_candidates_has_them_all(num: int) -> None:
    candidates = Candidates.of("trending", np.arange(1, num + 1))
    context = request(candidates=candidates)
    Explore(EPSILON_GREEDY)(context)
    assert {*context.candidates.row_C.tolist()} == {*range(1, num + 1)}


def test_a_policy_has_a_version_of_its_parameters() -> None:
    one, other = policy_of(EPSILON_GREEDY), policy_of(Exploration("epsilon_greedy", epsilon=0.1))
    assert one.name == other.name == "epsilon_greedy" and one.version != other.version
    assert policy_of(EPSILON_GREEDY) == one and one.num_draws == 0


def test_pinned_items_stay_at_their_positions_with_certainty() -> None:
    everything = Exploration("epsilon_greedy", epsilon=1.0)
    for number in range(10):
        slate = explored(everything, f"r{number}", pinned={2: 1}).candidates
        assert slate.row_C.tolist()[1] == 2 and slate.propensity_C is not None
        assert slate.propensity_C.tolist() == pytest.approx([1 / 11, 1, 1 / 11])
