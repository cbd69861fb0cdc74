"""The learner under guard, on a small stream of samples: what is held, given up and left out."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from one_request import CLICK_BIT, request
from shop import CONFIG, CONTENT, flat, round_trip

from headrace.learning.guard import WINDOW
from headrace.learning.guarded_learner import GuardedLearner, Pace
from headrace.learning.share_limit import BURST
from headrace.model.batch import batch_of_samples
from headrace.sample import Sample

STEADY = replace(CONFIG, dense_learning_rate=0.02)
PACE = Pace(batch_size=128, window=1_000, patience_ms=10**9)


def sample(number: int, flipped: bool = False, user: int = 0, lone: bool = False) -> Sample:
    """One impression whose click depends on a feature."""
    made = request(number, [number % 40], user=user)
    p = 1 / (1 + np.exp(-3 * made.dense_NF[0, 0]))
    clicked = bool(np.random.default_rng(number + 10**6).random() < p) ^ flipped
    labelled = 0 if lone else CLICK_BIT
    return msgspec.structs.replace(made, outcomes=(int(lone or clicked),), labelled=labelled)


def samples(first: int, num: int, flipped: bool = False) -> list[Sample]:
    return [sample(n, flipped) for n in range(first, first + num)]


def made() -> GuardedLearner:
    return GuardedLearner(STEADY, CONTENT, seed=1, pace=PACE)


def publish(learner: GuardedLearner, now_ms: int = 0) -> str:
    """What a trainer does when a version is due; why it is held, or ""."""
    reason = learner.verdict(now_ms)
    if not reason:
        learner.published(learner.learner.weights())
        learner.remember()
    return reason


def taught(num: int = 4_000) -> GuardedLearner:
    learner = made()
    for first in range(0, num, 500):
        learner.learn(samples(first, 500))
        assert publish(learner) == "" or not first, "a new learner may know nothing yet"
    return learner


PROBE = batch_of_samples(samples(50_000, 1_000), CONTENT, STEADY)


def skill(learner: GuardedLearner) -> float:
    """How p goes with the feature that clicks depend on: near 1 is right, below 0 turned over."""
    p_C = learner.learner.predict(PROBE)[:, 0]
    return float(np.corrcoef(p_C, PROBE.candidates.dense_CF[:, 0].numpy())[0, 1])


def served_skill(learner: GuardedLearner) -> float:
    """The same of the version that is served."""
    p_C = learner.served_probabilities(PROBE)[:, 0]
    return float(np.corrcoef(p_C, PROBE.candidates.dense_CF[:, 0].numpy())[0, 1])


def mean_p(learner: GuardedLearner) -> float:
    return float(learner.learner.predict(PROBE)[:, 0].mean())


def test_flipped_labels_are_held_and_given_up_and_true_ones_are_published_again() -> None:
    learner = taught()
    good = skill(learner)
    for first in range(10_000, 16_000, 500):
        learner.learn(samples(first, 500, flipped=True))
        reason = publish(learner)
        learner.roll_back_if_due(0)
        assert served_skill(learner) == pytest.approx(good, abs=0.02), "serving keeps what it has"
    assert "normalised entropy" in reason
    assert learner.num_rolled_back > 2_500
    for first in range(20_000, 22_000, 500):
        learner.learn(samples(first, 500))
        reason = publish(learner)
        learner.roll_back_if_due(0)
    assert reason == "" and skill(learner) > good - 0.05


def test_without_a_good_state_there_is_nothing_to_go_back_to() -> None:
    learner = made()
    for first in range(0, 4_000, 500):
        learner.learn([sample(n, flipped=bool(n % 2)) for n in range(first, first + 500)])
        learner.verdict(0)
    assert not learner.roll_back_if_due(0)


def test_weights_that_are_not_finite_are_never_published() -> None:
    learner = taught(1_000)
    learner.learner.ranker.linear.bias.data.fill_(float("nan"))
    assert "not finite" in publish(learner)


def test_a_learner_that_broke_since_the_published_version_is_held_on_the_same_impressions() -> None:
    learner = taught()
    learner.learner.calibration.weight_SJ2[..., 1] += 0.9
    learner.learn(samples(30_000, WINDOW // 2))
    assert "than the published version's" in publish(learner)


def test_clicks_alone_are_no_lesson_for_a_head_and_feed_the_factors() -> None:
    learner, spared = taught(2_000), taught(2_000)
    before = learner.learner.calibration.state()["count"].clone()
    learner.learn([sample(n, lone=True) for n in range(40_000, 40_300)])
    assert skill(learner) == pytest.approx(skill(spared), abs=0.05)
    assert mean_p(learner) == pytest.approx(mean_p(spared), abs=0.03)
    assert learner.learner.calibration.state()["count"].equal(before)
    rows = [one.learner._factor_log.state()["num_rows"] for one in (learner, spared)]
    assert rows[0] == rows[1] + 300


def test_what_is_beyond_a_senders_share_is_left_out_and_counted() -> None:
    learner = taught(1_000)
    kept = learner.learn([sample(n, flipped=True, user=7) for n in range(60_000, 65_000)])
    assert abs(len(kept) - BURST) <= 1
    assert learner.limit.num_left_out == 5_000 - len(kept)


def test_a_restart_changes_nothing() -> None:
    whole, second = taught(2_000), made()
    second.load_state(round_trip(whole.state()))
    for one in (whole, second):
        one.learn(samples(10_000, 700))
        assert publish(one) == ""
    assert flat(round_trip(second.state())) == flat(round_trip(whole.state()))
