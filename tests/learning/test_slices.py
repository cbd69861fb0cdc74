"""Progressive quality by slice: what is new, by surface, in bounded memory, also over a restart."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from shop import CONFIG, CONTENT, NUM_DENSE, round_trip

from headrace.keys import key
from headrace.learning.guarded_learner import GuardedLearner, Pace
from headrace.learning.slices import SPAN, SliceScores
from headrace.metrics import NEW, Scores
from headrace.model.batch import Batch, batch_of_samples
from headrace.sample import SEQUENCE_KNOWN, Sample

USERS_SO_FAR, ITEMS_SO_FAR = 0, 1  # columns of log(1 + impressions)
COLUMNS = {"new_users": USERS_SO_FAR, "new_items": ITEMS_SO_FAR}
SURFACES = ("home", "search")
CONFIGURED = replace(CONFIG, surfaces=SURFACES)


def request(
    number: int,
    user: int = 99,
    items: tuple[int, ...] = (99,),
    surface: str = "",
    labelled: int = 1,
) -> Sample:
    """Impressions of a user and of items that were shown so often before."""
    random = np.random.default_rng(number)
    dense_NF = random.normal(0, 1, (len(items), NUM_DENSE)).astype("<f4")
    dense_NF[:, USERS_SO_FAR], dense_NF[:, ITEMS_SO_FAR] = np.log1p(user), np.log1p(items)
    return Sample(
        source_partition=0,
        source_offset=number,
        sequence=SEQUENCE_KNOWN,
        schema=1,
        request_id=f"r{number}",
        event_time_ms=number,
        arrival_ms=number,
        user_key=1_000 + number % 300,
        user_word_keys=(),
        item_keys=tuple(key(f"i{(number + place) % 40}") for place in range(len(items))),
        outcomes=tuple(random.integers(0, 2, len(items)).tolist()),
        labelled=labelled,
        dense=dense_NF.tobytes(),
        history=np.zeros((3, 12), "<i8").tobytes(),
        surface=surface,
    )


def batch(*samples: Sample) -> Batch:
    return batch_of_samples(samples, CONTENT, CONFIGURED)


def taken(slices: SliceScores, *samples: Sample) -> SliceScores:
    """After predictions of these, all the same."""
    one = batch(*samples)
    slices.take(np.full(len(one.candidates.label_CJ), 0.25, np.float32), one)
    return slices


def sizes(slices: SliceScores) -> dict[str, int]:
    return {name: scores.num_samples for name, scores in slices.scores().items()}


def test_users_and_items_are_new_up_to_five_impressions() -> None:
    slices = taken(
        SliceScores((), COLUMNS),
        request(0, user=NEW, items=(NEW + 1, 99)),
        request(1, user=NEW + 1, items=(0, NEW, 99)),
    )
    assert sizes(slices) == {"all": 5, "new_users": 2, "new_items": 2}


def test_an_impression_is_of_its_surface_or_of_the_others() -> None:
    surfaces = ("home", "search", "home", "cart", "")
    slices = SliceScores(SURFACES)
    taken(slices, *(request(n, surface=surface) for n, surface in enumerate(surfaces)))
    by_surface = {"other_surfaces": 2, "surface:home": 2, "surface:search": 1}
    assert sizes(slices) == {"all": 5, **by_surface}
    assert sizes(taken(SliceScores(), request(0, surface="home"))) == {"all": 1}


def test_impressions_whose_click_is_not_known_count_nowhere() -> None:
    slices = taken(SliceScores((), COLUMNS), request(0, user=0, labelled=0))
    assert sizes(slices) == {}


def test_a_slice_is_of_the_newest_impressions_and_its_memory_does_not_grow() -> None:
    slices = SliceScores((), COLUMNS)
    old = [request(n, user=0, items=(0,) * 50) for n in range(4)]
    new = [request(n, items=(99,) * 50) for n in range(4)]
    taken(slices, *old)
    first = len(round_trip_bytes(slices))
    for _ in range(2 * SPAN // 200 + 1):
        taken(slices, *new)
    assert sizes(slices).get("new_users", 0) == 0, "they are further back than two spans"
    assert SPAN <= sizes(slices)["all"] <= 2 * SPAN
    assert len(round_trip_bytes(slices)) <= 2 * first


def round_trip_bytes(slices: SliceScores) -> bytes:
    return b"".join(one for span in slices.state().values() for one in span.values())


def guarded() -> GuardedLearner:
    pace = Pace(batch_size=64, window=1_000, patience_ms=10**9)
    return GuardedLearner(CONFIGURED, CONTENT, 1, pace, SliceScores(SURFACES, COLUMNS))


def told(learner: GuardedLearner) -> dict[str, bytes]:
    return {name: one.to_bytes() for name, one in learner.slices.scores().items()}


def test_a_learner_scores_slices_before_it_learns_them_and_keeps_them_over_a_restart() -> None:
    learner = guarded()
    stream = [request(n, user=n % 12, items=(n % 9, 40), surface="home") for n in range(100)]
    learner.learn(stream)
    everything, windows = learner.slices.scores()["all"], learner.learner.take_windows()
    total = Scores()
    for window in windows.values():
        total.merge(window)
    assert everything.to_bytes() == total.to_bytes(), "of all, as the progressive windows have it"
    assert 0 < sizes(learner.slices)["new_users"] < 200 == sizes(learner.slices)["surface:home"]
    assert math.isfinite(learner.slices.scores()["new_items"].auc)
    again = guarded()
    again.load_state(round_trip(learner.state()))
    assert told(again) == told(learner)
    before = {name: value for name, value in learner.state().items() if name != "slices"}
    older = guarded()
    older.load_state(round_trip(before))
    assert told(older) == {}
