"""The online learner: scores first, trains once, and goes on after a restart as if without one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from shop import flat, round_trip

from headrace.catalogue.words import ContentTable
from headrace.features.inputs import RequestFeatures
from headrace.learning.learner import OnlineLearner
from headrace.metrics import Scores
from headrace.model.batch import Batch, BatchRequest, make_batch
from headrace.model.config import RankerConfig

NUM_DENSE = 5
CONFIG = RankerConfig(NUM_DENSE, dim=4, hidden=8, dense_learning_rate=2e-2)
CONTENT = ContentTable({})


def batch(seed: int, num_candidates: int = 12, num_requests: int = 3) -> Batch:
    """Requests whose clicks depend on the item and on the first dense feature."""
    random = np.random.default_rng(seed)
    sizes = np.diff(
        [0, *sorted(random.integers(1, num_candidates, num_requests - 1)), num_candidates]
    )
    history_3T = np.array([random.integers(1, 30, 4), [5, 50, 500, 50_000], [0, 1, 0, 1]])
    return make_batch([one(random, int(size), history_3T) for size in sizes], CONTENT)


def one(random: np.random.Generator, size: int, history_3T: np.ndarray) -> BatchRequest:
    items = random.integers(1, 30, size).tolist()
    dense_NF = random.normal(0, 1, (size, NUM_DENSE)).astype(np.float32)
    labels = [
        int(number % 3 == 0) ^ int(value > 1)
        for number, value in zip(items, dense_NF[:, 0].tolist(), strict=True)
    ]
    return BatchRequest(
        user_key=int(random.integers(1, 9)),
        user_words=(7, 8),
        item_keys=items,
        features=RequestFeatures(dense_NF, history_3T),
        label_NJ=np.array(labels, dtype=np.float32)[:, None],
    )


def learner(window: int = 1_000, seed: int = 1) -> OnlineLearner:
    return OnlineLearner(CONFIG, seed, window)


def predictions(made: OnlineLearner, of: Batch) -> np.ndarray:
    """[C]: the probabilities of a click as serving would give them now."""
    made.ranker.eval()
    with torch.no_grad():
        return made.calibration(made.ranker(of).logit_CK, of.surface_C)[:, 0].numpy()


def clicked(of: Batch) -> np.ndarray:
    return of.candidates.label_CJ[:, 0].numpy()


def saved(made: OnlineLearner) -> dict[str, Any]:
    """The state after a round trip through a checkpoint."""
    return round_trip(made.state())


def sketches(windows: dict[int, Scores]) -> dict[int, bytes]:
    return {number: scores.to_bytes() for number, scores in windows.items()}


def test_it_scores_each_batch_before_training_on_it() -> None:
    made, expected = learner(), Scores()
    made.learn(batch(0))  # the first batch also sets the scale of the features
    made.take_windows()
    (first,) = made.take_windows().values()
    for seed in range(1, 12):
        before_C = predictions(made, batch(seed))
        expected.add(before_C, clicked(batch(seed)))
        made.learn(batch(seed))
        assert not np.array_equal(predictions(made, batch(seed)), before_C)
    (scores,) = made.take_windows().values()
    assert scores.num_samples == 12 * 12
    expected.merge(scored_first(batch(0)))
    assert first is scores
    assert np.array_equal(scores.bins_2, expected.bins_2)
    assert scores.sum_log_loss == pytest.approx(expected.sum_log_loss, rel=1e-5)
    assert scores.sum_p == pytest.approx(expected.sum_p, rel=1e-5)


def scored_first(first: Batch) -> Scores:
    """The scores of the first batch of all: its own moments scale its features."""
    fresh, scores = learner(), Scores()
    fresh.ranker.observe(first)
    scores.add(predictions(fresh, first), clicked(first))
    return scores


def test_it_gets_better_on_a_stream() -> None:
    made = learner(window=1_200)
    for seed in range(300):
        made.learn(batch(seed))
    windows = made.take_windows()
    assert windows[2].normalized_entropy < windows[0].normalized_entropy - 0.1
    assert windows[2].auc > 0.75


@pytest.mark.parametrize("sizes", [[5, 5, 5], [3, 4, 9], [10, 10], [25], [1, 29, 2]])
def test_windows_split_exactly_at_their_boundary(sizes: list[int]) -> None:
    made = learner(window=10)
    for seed, size in enumerate(sizes):
        made.learn(batch(seed, size, num_requests=1))
    total = sum(sizes)
    counts = {number: scores.num_samples for number, scores in made.take_windows().items()}
    full = {number: 10 for number in range(total // 10)}
    assert counts == full | ({total // 10: total % 10} if total % 10 else {})
    assert made.num_samples == total


def test_each_impression_is_in_the_window_of_its_number() -> None:
    made, wide = learner(window=10), learner(window=1_000)
    for seed in range(5):
        made.learn(batch(seed, 8))
        wide.learn(batch(seed, 8))
    labels = np.concatenate([clicked(batch(seed, 8)) for seed in range(5)])
    windows = made.take_windows()
    assert [windows[n].num_clicked for n in range(4)] == labels.reshape(4, 10).sum(1).tolist()
    total = Scores()
    for scores in windows.values():
        total.merge(scores)
    (whole,) = wide.take_windows().values()
    assert np.array_equal(total.bins_2, whole.bins_2)


def test_a_window_comes_again_until_it_is_full() -> None:
    made = learner(window=20)
    seen: list[dict[int, int]] = []
    for seed in range(4):
        made.learn(batch(seed, 12))
        seen.append({n: scores.num_samples for n, scores in made.take_windows().items()})
    assert seen == [{0: 12}, {0: 20, 1: 4}, {1: 16}, {1: 20, 2: 8}]
    assert made.take_windows().keys() == {2}


@pytest.mark.parametrize("stop", [1, 4, 5, 7])
def test_a_restart_in_the_middle_of_a_stream_changes_nothing(stop: int) -> None:
    window = 24  # the stop at 4 lies on a boundary of two windows
    whole, first, second = learner(window), learner(window), learner(window, seed=2)
    expected: dict[int, bytes] = {}
    for seed in range(10):
        whole.learn(batch(seed))
        expected |= sketches(whole.take_windows())
    reported: dict[int, bytes] = {}
    for seed in range(stop):
        first.learn(batch(seed))
        reported |= sketches(first.take_windows())
    second.load_state(saved(first))
    reported |= sketches(second.take_windows())
    for seed in range(stop, 10):
        second.learn(batch(seed))
        reported |= sketches(second.take_windows())
    assert flat(saved(second)) == flat(saved(whole))
    assert reported == expected
    assert second.num_samples == whole.num_samples == 120


def test_a_restart_at_a_boundary_reports_no_window_that_is_empty() -> None:
    made, restarted = learner(window=12), learner(window=12)
    made.learn(batch(0))
    assert made.take_windows().keys() == {0}
    restarted.load_state(saved(made))
    assert restarted.take_windows() == made.take_windows() == {}


def test_the_published_weights_score_as_the_learner_does() -> None:
    made, served = learner(), learner(seed=5)
    for seed in range(4):
        made.learn(batch(seed))
    weights = made.weights()
    served.ranker.load_state(weights["ranker"])
    served.calibration.load_state(weights["calibration"])
    assert np.array_equal(predictions(served, batch(50)), predictions(made, batch(50)))


def broken(seed: int, value: float) -> Batch:
    """A batch with one feature that is no number."""
    whole = batch(seed)
    dense_CF = whole.candidates.dense_CF.clone()
    dense_CF[2, 3] = value
    return replace(whole, candidates=replace(whole.candidates, dense_CF=dense_CF))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("before", [0, 3])
def test_a_batch_whose_features_are_not_finite_is_skipped_and_counted(
    before: int, value: float
) -> None:
    made, spared = learner(), learner()
    for seed in range(before):
        made.learn(batch(seed))
        spared.learn(batch(seed))
    made.learn(broken(90, value))
    assert (made.num_skipped, spared.num_skipped) == (1, 0)
    check_they_go_on_alike(made, spared)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_batch_whose_loss_is_not_finite_is_skipped_and_counted(value: float) -> None:
    made, spared = learner(), learner()
    for seed in range(3):
        made.learn(batch(seed))
        spared.learn(batch(seed))
    bias = made.ranker.linear.bias
    healthy = bias.detach().clone()
    bias.data.fill_(value)
    made.learn(batch(90))
    assert (made.num_skipped, made.num_samples) == (1, spared.num_samples)
    assert bias.isnan().all() or bias.isinf().all()  # not even the bad weight was touched
    bias.data.copy_(healthy)
    check_they_go_on_alike(made, spared)


def check_they_go_on_alike(made: OnlineLearner, spared: OnlineLearner) -> None:
    """One skipped a batch that the other never saw: nothing else may tell them apart."""
    for seed in range(10, 13):
        made.learn(batch(seed))
        spared.learn(batch(seed))
    for probe in (batch(70), batch(71)):
        assert np.array_equal(predictions(made, probe), predictions(spared, probe))
    assert sketches(made.take_windows()) == sketches(spared.take_windows())
    assert (made.num_skipped, made.num_samples) == (1, spared.num_samples)
