"""The learner with several heads, modality dropout, positions and surfaces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from shop import RICH, flat, rich_batch, round_trip

from headrace.learning.learner import OnlineLearner
from headrace.model.batch import Batch
from headrace.model.config import CLICK

DROPPING = replace(RICH, modality_dropout=0.3)
HEADS = [head.name for head in RICH.scalar_heads]


def rich_learner(window: int = 1_000, seed: int = 1) -> OnlineLearner:
    return OnlineLearner(DROPPING, seed, window)


def every_head(made: OnlineLearner, of: Batch) -> np.ndarray:
    """[C, J]: the probabilities as serving would give them now."""
    made.ranker.eval()
    with torch.no_grad():
        return made.calibration(made.ranker(of).logit_CK, of.surface_C).numpy()


def test_each_head_is_scored_first_on_the_labels_that_are_known() -> None:
    made = rich_learner()
    made.learn(rich_batch(0))
    expected = {head: made.take_windows(head)[0] for head in HEADS}
    for seed in range(1, 5):
        p_CJ, label_CJ = every_head(made, rich_batch(seed)), rich_batch(seed).candidates.label_CJ
        for column, head in enumerate(HEADS):
            known_C = ~label_CJ[:, column].isnan()
            if head == "conversion":  # it is a probability given a click
                known_C &= label_CJ[:, 0] == 1
            rows = known_C.numpy()
            expected[head].add(p_CJ[rows, column], label_CJ[rows, column].numpy())
        made.learn(rich_batch(seed))
    counts = set()
    for head in HEADS:
        scores = made.take_windows(head)[0]
        assert np.array_equal(scores.bins_2, expected[head].bins_2), head
        counts.add(scores.num_samples)
    assert len(counts) == 3


def test_the_click_is_the_head_that_windows_are_of() -> None:
    made, same = rich_learner(), rich_learner()
    for one in (made, same):
        one.learn(rich_batch(3))
    (by_default,), (of_click,) = made.take_windows().values(), same.take_windows(CLICK).values()
    assert by_default.to_bytes() == of_click.to_bytes()


@pytest.mark.parametrize("stop", [1, 3])
def test_a_restart_with_many_heads_and_dropped_modalities_changes_nothing(stop: int) -> None:
    whole, first, second = rich_learner(40), rich_learner(40), rich_learner(40, seed=2)
    for seed in range(5):
        whole.learn(rich_batch(seed))
    for seed in range(stop):
        first.learn(rich_batch(seed))
    second.load_state(round_trip(first.state()))
    for seed in range(stop, 5):
        second.learn(rich_batch(seed))
    assert flat(round_trip(second.state())) == flat(round_trip(whole.state()))


def test_the_position_is_learned_apart_from_what_is_served() -> None:
    """Clicks that only the position explains end up in its bias, not in the items' scores."""
    made = OnlineLearner(replace(RICH, dense_learning_rate=0.1), seed=1, window=10_000)
    for seed in range(80):
        batch = rich_batch(seed % 40)
        position_C = torch.arange(len(batch.candidates.item_C)) % 2
        label_CJ = torch.full_like(batch.candidates.label_CJ, torch.nan)
        label_CJ[:, 0] = (position_C == 0).float()
        candidates = replace(batch.candidates, position_C=position_C, label_CJ=label_CJ)
        made.learn(replace(batch, candidates=candidates))
    with torch.no_grad():
        scored = made.ranker.eval()(rich_batch(90))
    known_C = rich_batch(90).candidates.position_C
    position_C = scored.position_CK[:, 0]
    assert position_C[known_C == 0].mean() - position_C[known_C == 1].mean() > 2.0
