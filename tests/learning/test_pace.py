"""Pace: how samples arrive decides nothing; each moves the weights as its share of a full batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from shop import CONFIG, CONTENT, asked

from headrace.learning.learner import FULL_BATCH, OnlineLearner
from headrace.model.batch import Batch, BatchRequest, make_batch

STEADY = replace(CONFIG, dense_learning_rate=0.01)


def requests(first: int, num: int) -> list[BatchRequest]:
    """Requests of one item, clicked the more often the greater its first feature is."""
    random, made = np.random.default_rng(first), []
    for seed in range(first, first + num):
        one = asked(seed, num_items=1).request()
        p = 1 / (1 + np.exp(1 - one.features.dense_NF[0, 0]))
        clicked = float(random.random() < p)
        made.append(replace(one, label_NJ=np.array([[clicked]], np.float32)))
    return made


def batch(first: int, num: int) -> Batch:
    return make_batch(requests(first, num), CONTENT)


def trained(size: int, num: int = 2_048) -> OnlineLearner:
    """A learner after `num` samples that came in batches of this size."""
    made = OnlineLearner(STEADY, seed=1, window=num)
    for first in range(0, num, size):
        made.learn(batch(first, size))
    return made


def weights(made: OnlineLearner) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in made.ranker.parameters()])


def moved(made: OnlineLearner, by: Batch) -> float:
    before = weights(made)
    made.learn(by)
    return float((weights(made) - before).norm())


def test_a_single_sample_moves_the_weights_by_a_small_share_of_what_a_full_batch_does() -> None:
    whole, single = trained(FULL_BATCH), trained(FULL_BATCH)
    by_all = moved(whole, batch(9_000, FULL_BATCH))
    by_one = max(moved(single, batch(9_000 + n, 1)) for n in range(8))
    assert by_one < by_all / 3


def test_samples_move_the_weights_as_far_one_by_one_as_together() -> None:
    together, apart = trained(FULL_BATCH), trained(FULL_BATCH)
    before = weights(together)
    together.learn(batch(9_000, FULL_BATCH))
    for n in range(FULL_BATCH):
        apart.learn(batch(9_000 + n, 1))
    whole, parts = weights(together) - before, weights(apart) - before
    assert 0.4 < float(parts.norm() / whole.norm()) < 3.0
    assert float(torch.cosine_similarity(parts, whole, 0)) > 0.3


def test_the_size_of_batches_does_not_decide_how_good_the_learner_becomes() -> None:
    held, entropies = batch(20_000, 1_000), []
    label_C = held.candidates.label_CJ[:, 0].numpy()
    for size in (32, FULL_BATCH):
        p_C = trained(size, num=8_192).predict(held)[:, 0].clip(1e-6, 1 - 1e-6)
        entropies.append(float(-np.where(label_C == 1, np.log(p_C), np.log1p(-p_C)).mean()))
    assert abs(entropies[0] - entropies[1]) < 0.03, entropies
