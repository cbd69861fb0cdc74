"""A log without impressions evaluated: the next item of the whole catalogue, beside popularity."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import Any

import pytest

from headrace.catalogue.item import Dataset, Item
from headrace.config import Settings
from headrace.errors import ConfigError, DatasetError
from headrace.evaluation.dataset import next_items_run
from headrace.evaluation.dataset.asked import Asked
from headrace.evaluation.dataset.run import evaluate
from headrace.evaluation.report import to_text
from headrace.event import ActionEvent, ClickEvent, Event, ImpressionEvent

START_MS, HOUR_MS, NUM_CHOICES = 1_714_554_000_000, 3_600_000, 600
USERS, ITEMS = [f"u{n}" for n in range(24)], [f"i{n}" for n in range(48)]
TEST = range(480, NUM_CHOICES)


def choices(seed: int = 0) -> list[Event]:
    """Users choose of a third of the items, some of them more often than others."""
    random, events = Random(seed), list[Event]()
    for number in range(NUM_CHOICES):
        user = random.choice(USERS)
        item = ITEMS[3 * int(16 * random.random() ** 2) + int(user[1:]) % 3]
        who = f"e{number}", START_MS + HOUR_MS * number, user, item
        events.append(ActionEvent(*who, "like") if number % 5 == 0 else ClickEvent(*who))
    return events


def dataset(events: list[Event]) -> Dataset:
    items = tuple(Item(item_id) for item_id in ITEMS)
    first, last = events[0].event_time_ms, events[-1].event_time_ms
    return Dataset("shop", items, (), lambda: iter(events), len(events), first, last)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return evaluate(dataset(choices()), Settings(), Asked(num_draws=200, online=True))


def plain_popular(events: list[Event], window_ms: int) -> tuple[int, float, float]:
    """How many points there are, and NDCG@10 and MRR of the most popular, one at a time."""
    ndcg, reciprocal = list[float](), list[float]()
    for number in TEST:
        event, before = events[number], events[:number]
        assert not isinstance(event, ImpressionEvent)
        had = {one.item_id for one in before if one.user_id == event.user_id}
        if event.item_id in had:
            continue
        oldest_ms = event.event_time_ms - window_ms
        counts = Counter(one.item_id for one in before if one.event_time_ms > oldest_ms)
        rank = sum(counts[item] >= counts[event.item_id] for item in ITEMS if item not in had)
        ndcg.append(1 / math.log2(1 + rank) if rank <= 10 else 0.0)
        reciprocal.append(1 / rank)
    return len(ndcg), sum(ndcg) / len(ndcg), sum(reciprocal) / len(reciprocal)


@pytest.mark.parametrize(
    ("name", "window_ms"), [("popular, 1 day", 24 * HOUR_MS), ("popular, 30 days", 720 * HOUR_MS)]
)
def test_lists_of_the_most_popular_are_those_of_a_plain_recount(
    report: dict[str, Any], name: str, window_ms: int
) -> None:
    num, ndcg, mrr = plain_popular(choices(), window_ms)
    assert report["points"] == num
    assert report["lists"][name]["ndcg_at_k"] == pytest.approx(ndcg, abs=1e-5)
    assert report["lists"][name]["mrr"] == pytest.approx(mrr, abs=1e-5)


def test_what_was_learned_comes_before_what_is_popular(report: dict[str, Any]) -> None:
    over = report["ndcg_over_popular"]
    best = max(of["ndcg_at_k"] for name, of in report["lists"].items() if name != "model")
    assert over["ratio"] == pytest.approx(report["lists"]["model"]["ndcg_at_k"] / best, rel=1e-3)
    assert over["ratio"] > 1.2 and over["intervals"]["ratio"][0] > 1


def test_the_report_is_told_with_its_intervals(report: dict[str, Any]) -> None:
    text = to_text(report)
    for told in ("Recall@10", "NDCG@10", "MRR", "model", "popular, 1 h", "95 % from", "48 items"):
        assert told in text
    for of_list in report["lists"].values():
        for name in ("recall_at_k", "ndcg_at_k", "mrr"):
            low, high = of_list["intervals"][name]
            assert low <= of_list[name] <= high


def test_a_learner_that_stands_still_learns_nothing_of_the_test(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learned = list[int]()

    class Watched(next_items_run.OnlineLearner):
        def learn(self, batch: Any) -> Any:
            learned.append(len(batch.candidates.dense_CF))
            return super().learn(batch)

    monkeypatch.setattr(next_items_run, "OnlineLearner", Watched)
    evaluate(dataset(choices()), Settings(), Asked())
    assert sum(learned) == 9 * TEST.start  # each choice, and eight drawn beside it


def test_more_points_than_are_ranked_for_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_items_run, "MAX_POINTS", 40)
    num, _, _ = plain_popular(choices(), HOUR_MS)
    found = evaluate(dataset(choices()), Settings(), Asked())
    assert found["points"] == num // math.ceil(len(TEST) / 40)
    assert found["samples"] == len(TEST)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Asked(frozen_features=True), "--frozen-features"),
        (Asked(online=True, publish_every_ms=1_000), "--publish-every"),
        (Asked(labels=("like",)), "--labels"),
    ],
)
def test_what_does_not_go_with_a_log_without_impressions_is_named(asked: Asked, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        evaluate(dataset(choices()), Settings(), asked)


def test_a_test_with_nothing_in_it_is_refused() -> None:
    train = choices()[: TEST.start]
    nothing = [ActionEvent(f"x{n}", START_MS + HOUR_MS * n, "u1", "i1", "nothing") for n in TEST]
    with pytest.raises(DatasetError, match="nothing that was chosen"):
        evaluate(dataset([*train, *nothing]), Settings(), Asked())
