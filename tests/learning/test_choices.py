"""Drawn requests: what is learned of what somebody chose, and what is not said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from one_request import CLICK_BIT, request
from shop import CONFIG, CONTENT, NUM_DENSE, flat, round_trip

from headrace.learning.guarded_learner import GuardedLearner, Pace
from headrace.learning.learner import OnlineLearner
from headrace.learning.loss import heads_loss
from headrace.learning.share_limit import BURST, ShareLimit
from headrace.model.batch import Batch, batch_of_samples
from headrace.model.calibration import MIN_LABELS, PlattBank
from headrace.model.config import CLICK, Head, RankerConfig
from headrace.sample import Sample, decode_batch

POPULAR_N = 1.0 / (1.0 + np.arange(40))  # how much each is chosen
POPULAR_N /= POPULAR_N.sum()
Q_N = POPULAR_N**0.75 / (POPULAR_N**0.75).sum()
NUM_DRAWN = 4
LIKE_BIT = 2
STEADY = replace(CONFIG, dense_learning_rate=0.02, surfaces=("shelf", "feed"))
PACE = Pace(batch_size=128, window=1_000, patience_ms=10**9)


def drawn(number: int, surface: str = "shelf", user: int = 0, taste: float = 0.0) -> Sample:
    """An item as people choose, and others as they are drawn, by popularity; of a taste, the chosen
    one has more of a feature."""
    random = np.random.default_rng(number)
    chosen = int(random.choice(40, p=POPULAR_N))
    others = [n for n in random.choice(40, 20, p=Q_N).tolist() if n != chosen]
    items = [chosen, *list(dict.fromkeys(others))[:NUM_DRAWN]]
    log_q = np.log(Q_N[items]).astype("<f4").tobytes()
    outcomes = (CLICK_BIT, *[0] * (len(items) - 1))
    made = request(number, items, surface, user)
    dense_NF = made.dense_NF.copy()
    dense_NF[0, 0] += taste
    return msgspec.structs.replace(made, outcomes=outcomes, log_q=log_q, dense=dense_NF.tobytes())


def shown(number: int, surface: str = "feed", rate: float = 0.1) -> Sample:
    """One impression that is clicked by a feature, at this rate on the whole."""
    random = np.random.default_rng(number + 10**6)
    made = request(number, [int(random.integers(40))], surface)
    logit = math.log(rate / (1 - rate)) + 1.5 * float(made.dense_NF[0, 0])
    clicked = int(random.random() < 1 / (1 + math.exp(-logit)))
    return msgspec.structs.replace(made, outcomes=(clicked,))


def batch(samples: Sequence[Sample], config: RankerConfig = STEADY) -> Batch:
    return batch_of_samples(samples, CONTENT, config)


def taught(samples: Sequence[Sample], size: int = 50) -> OnlineLearner:
    learner = OnlineLearner(STEADY, seed=0, window=10**9)
    for start in range(0, len(samples), size):
        assert learner.learn(batch(samples[start : start + size])) is not None
    return learner


def logits_of_items(learner: OnlineLearner, surface: str = "shelf") -> np.ndarray:
    """[40]: the logit of each item at features of zero."""
    made = request(0, range(40), surface)
    probe = msgspec.structs.replace(made, dense=np.zeros((40, NUM_DENSE), "<f4").tobytes())
    p_N = learner.predict(batch([probe]))[:, 0].astype(np.float64)
    return np.log(p_N) - np.log1p(-p_N)


def test_a_drawn_request_labels_no_head_and_says_which_candidate_was_chosen() -> None:
    made = batch([shown(1), drawn(2), drawn(3), shown(4)])
    candidates = made.candidates
    assert candidates.drawn is not None
    sizes = [sample.num_impressions for sample in (drawn(2), drawn(3))]
    known_C = [True, *[False] * sum(sizes), True]
    assert (~candidates.label_CJ[:, 0].isnan()).tolist() == known_C
    assert candidates.drawn.candidate_QX[:, 0].tolist() == [1, 1 + sizes[0]]
    assert candidates.drawn.there_QX.sum(1).tolist() == sizes
    assert batch([shown(1)]).candidates.drawn is None


@pytest.mark.parametrize("kind", ["binary", "after_click"])
def test_the_loss_is_the_cross_entropy_of_the_choice_less_log_q(kind: str) -> None:
    heads = (Head(CLICK), Head("like", "binary" if kind == "binary" else "after_click"))
    sample = msgspec.structs.replace(drawn(5), labelled=CLICK_BIT | LIKE_BIT)
    made = batch([sample], replace(STEADY, heads=heads))
    logit_CK = torch.randn(len(sample.item_keys), 2, generator=torch.Generator().manual_seed(0))
    loss = heads_loss(heads, logit_CK, made.candidates.label_CJ, 1, made.candidates.drawn)
    expected = 0.0
    p_CK = 1 / (1 + np.exp(-logit_CK.double().numpy()))
    product_C = np.log(p_CK[:, 0] * p_CK[:, 1])
    for score_C in (
        logit_CK[:, 0].double().numpy(),
        product_C if kind != "binary" else logit_CK[:, 1].double().numpy(),
    ):
        weight_C = np.exp(score_C - sample.log_q_N)
        expected -= math.log(weight_C[0] / weight_C.sum())
    assert float(loss) * len(logit_CK) == pytest.approx(expected, rel=1e-5)


def test_a_head_whose_action_the_choice_does_not_tell_learns_nothing_of_it() -> None:
    config = replace(STEADY, heads=(Head(CLICK), Head("like")))
    made = batch([drawn(5)], config)
    logit_CK = torch.zeros(len(made.candidates.dense_CF), 2, requires_grad=True)
    heads_loss(
        config.heads, logit_CK, made.candidates.label_CJ, 1, made.candidates.drawn
    ).backward()
    assert logit_CK.grad is not None
    assert logit_CK.grad[:, 0].abs().sum() > 0 and not logit_CK.grad[:, 1].any()


def test_what_is_learned_is_how_much_each_is_chosen_whatever_is_drawn() -> None:
    learner = taught([drawn(n) for n in range(2_000)])
    logit_N, wanted_N = logits_of_items(learner), np.log(POPULAR_N)
    slope = np.polyfit(wanted_N, logit_N, 1)[0]
    assert np.corrcoef(wanted_N, logit_N)[0, 1] > 0.9
    assert 0.8 < slope < 1.2  # without log q it would be a quarter


def test_impressions_beside_what_is_drawn_keep_their_calibration() -> None:
    """On the same head: requests of one surface are drawn, on another they are shown."""
    impressions = [shown(n) for n in range(2_000)]
    alone = taught(impressions)
    both = taught([one for n, each in enumerate(impressions) for one in (drawn(n), each)])
    scores = [one.take_windows()[0] for one in (alone, both)]
    assert [one.num_samples for one in scores] == [2_000, 2_000]
    assert scores[1].calibration == pytest.approx(scores[0].calibration, abs=0.1)


def test_probabilities_are_relative_until_impressions_say_how_often() -> None:
    learner = taught([drawn(n) for n in range(100)])
    assert learner.calibration.is_relative_SJ.all()
    for start in range(0, MIN_LABELS, 50):
        learner.learn(batch([shown(n) for n in range(start, start + 50)]))
    assert learner.calibration.is_relative_SJ[:, 0].tolist() == [False, True, False]
    again = PlattBank(3)
    again.load_state(learner.calibration.state())
    assert again.is_relative_SJ.equal(learner.calibration.is_relative_SJ)
    before = {name: one for name, one in learner.calibration.state().items() if name != "drawn"}
    again = PlattBank(3)
    again.load_state(before)
    assert not again.is_relative_SJ.any()


def test_progressive_quality_is_where_the_chosen_came_among_the_drawn() -> None:
    learner = taught([drawn(n) for n in range(2_500)])
    windows = learner.take_choice_windows()
    assert sum(lists.num_lists for lists in windows.values()) == 2_500
    assert 2_000 <= learner.choices.newest().num_lists <= 2_500
    assert learner.choices.newest().mrr > 0.5  # .46 of five in any order
    assert not any(window.num_samples for window in learner.take_windows().values())


def made() -> GuardedLearner:
    return GuardedLearner(STEADY, CONTENT, seed=1, pace=PACE)


def test_a_learner_that_is_told_the_opposite_of_what_was_chosen_is_held() -> None:
    learner = made()
    learner.learn([drawn(n, taste=2.0) for n in range(1_000)])
    assert learner.verdict(0) == ""
    learner.published(learner.learner.weights())
    learner.learn([drawn(n, taste=-2.0) for n in range(10_000, 10_200)])
    assert learner.verdict(0).startswith("of what was drawn: normalised entropy")


def test_a_restart_changes_nothing() -> None:
    whole, second = made(), made()
    both = [one for n in range(900) for one in (drawn(n), shown(n))]
    whole.learn(both)
    second.load_state(round_trip(whole.state()))
    for one in (whole, second):
        one.learn([drawn(n) for n in range(10_000, 10_300)])
    assert flat(round_trip(second.state()["learner"])) == flat(round_trip(whole.state()["learner"]))


def test_a_drawn_request_beyond_its_senders_share_is_left_out_whole() -> None:
    limit = ShareLimit()
    kept = [one for n in range(1_000) for one in limit.thinned([drawn(n, user=7)])]
    assert all(one == drawn(one.source_offset, user=7) for one in kept)
    num_kept = sum(one.num_impressions for one in kept)
    assert abs(num_kept - BURST) < 0.1 * BURST
    assert limit.num_left_out == sum(drawn(n).num_impressions for n in range(1_000)) - num_kept


def test_samples_from_before_anything_was_drawn_are_read() -> None:
    sample = shown(1)
    before = msgspec.msgpack.encode([list(msgspec.structs.astuple(sample))[:-1]])
    assert decode_batch(before) == [sample] and not sample.log_q
