"""Blending: a slate's order out of the ranker's score and the ranks of sources."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.application.sources import RANKER
from headrace.catalogue.table.table import ItemTable
from headrace.pipeline.candidates import ABSENT, Candidates
from headrace.pipeline.context import Context
from headrace.slates.blend import BlendFit, put_in_order, signals


def ranked() -> Context:
    """A request for three of a shop's items, by somebody new."""
    rank_SC = np.array([[0, 1, ABSENT], [ABSENT, 1, 0]], np.int32)
    snapshot: Any = SimpleNamespace()
    context = Context(
        user_id="ann", now_ms=0, catalogue=ItemTable(), snapshot=snapshot, num_items=3
    )
    context.candidates = Candidates(("trending", "covisited"), np.array([7, 8, 9]), rank_SC)
    context.candidates.score_C = np.array([0.5, 0.25, 0.125], np.float32)
    return context


def test_signals_are_logarithms_of_scores_or_of_one_over_the_rank() -> None:
    context, names = ranked(), (RANKER, "trending", "covisited")
    signal_CS = signals(context, names, limit=500)
    assert signal_CS[:, 0] == pytest.approx(np.log([0.5, 0.25, 0.125]))
    assert np.exp(signal_CS[:, 1]) == pytest.approx([1, 1 / 2, 1 / 501])
    assert np.exp(signal_CS[:, 2]) == pytest.approx([1 / 501, 1 / 2, 1])
    context.scores["covisited"] = np.array([0.9, 0.4])
    signal_CS = signals(context, names, limit=500)
    assert np.exp(signal_CS[:, 2]) == pytest.approx([0.001, 0.401, 0.901])


def test_the_best_come_first_with_their_scores() -> None:
    found = ranked().candidates
    found.drawn_DC = np.array([[0.5, 0.25, 0.125], [0.5, 0.5, 0.125]], np.float32)
    put_in_order(found, np.array([0.1, 0.3, 0.2]), of_ranker=2.0)
    assert found.row_C.tolist() == [8, 9, 7] and found.score_C is not None
    assert found.score_C.tolist() == pytest.approx([0.3, 0.2, 0.1])
    more = 2 * np.log(2)  # the second draw has twice the score of one candidate
    assert found.drawn_DC == pytest.approx(np.array([[0.3, 0.2, 0.1], [0.3 + more, 0.2, 0.1]]))


@settings(max_examples=10)
@given(st.integers(0, 1_000))
def test_a_fit_finds_the_weights_that_choices_were_drawn_by(seed: int) -> None:
    random, true_S = np.random.default_rng(seed), np.array([1.5, -0.5, 0.0])
    fit = BlendFit(np.zeros(3))
    for _ in range(600):
        signal_CS = random.normal(size=(8, 3))
        p_C = np.exp(signal_CS @ true_S)
        chosen = random.choice(8, p=p_C / p_C.sum())
        fit.learn(signal_CS, np.arange(8) == chosen)
    assert fit.weight_S == pytest.approx(true_S, abs=0.35)


def test_a_request_of_which_nothing_was_chosen_teaches_nothing() -> None:
    fit = BlendFit(np.array([0.3, 0.3]))
    fit.learn(np.ones((4, 2)), np.zeros(4, np.bool_))
    assert fit.weight_S.tolist() == [0.3, 0.3]
