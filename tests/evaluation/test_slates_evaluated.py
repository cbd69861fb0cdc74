"""Slates before each positive of a log: by the stages of a request, beside plain lists."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from headrace.catalogue.item import Dataset, Item
from headrace.cli import main
from headrace.config import Settings
from headrace.evaluation.slates.asked import AskedSlates
from headrace.evaluation.slates.figures import values
from headrace.evaluation.slates.report import to_text
from headrace.evaluation.slates.run import evaluate_slates
from headrace.event import ClickEvent, Event, ImpressionEvent, Shown

START_MS, STEP_MS, NUM_EVENTS = 1_714_554_000_000, 60_000, 800
HOUR_MS = 3_600_000
USERS, ITEMS = [f"u{n}" for n in range(20)], [f"i{n}" for n in range(240)]
TEST_SHARE = 0.25


def drawn(seed: int) -> list[tuple[int, str, str]]:
    """Times, users and items: a user stays for a few events, and likes a third of the items."""
    random, found = Random(seed), list[tuple[int, str, str]]()
    user = USERS[0]
    for number in range(NUM_EVENTS):
        user = user if random.random() < 0.9 else random.choice(USERS)
        place = 3 * int(80 * random.random() ** 2) + int(user[1:]) % 3
        found.append((START_MS + STEP_MS * number, user, ITEMS[place]))
    return found


def dataset(events: list[Event]) -> Dataset:
    items = tuple(Item(item_id, categories=(f"c{n % 3}",)) for n, item_id in enumerate(ITEMS))
    first, last = events[0].event_time_ms, events[-1].event_time_ms
    return Dataset("shop", items, (), lambda: iter(events), len(events), first, last)


def clicks() -> Dataset:
    return dataset([ClickEvent(f"e{n}", *one) for n, one in enumerate(drawn(0))])


def ratings() -> Dataset:
    random = Random(1)
    return dataset(
        [
            ImpressionEvent(
                f"e{n}", ms, user, f"e{n}", (Shown(item, clicked=random.random() < 0.6),)
            )
            for n, (ms, user, item) in enumerate(drawn(0))
        ]
    )


@pytest.fixture(scope="module")
def of_clicks() -> dict[str, Any]:
    return evaluate_slates(clicks(), Settings(), AskedSlates(test_share=TEST_SHARE, every=2))


@pytest.fixture(scope="module")
def of_ratings() -> dict[str, Any]:
    return evaluate_slates(ratings(), Settings(), AskedSlates(test_share=TEST_SHARE))


def plain_popular(window_ms: int, every: int) -> tuple[int, float, float]:
    """Points, HR@10 and NDCG@10 of the most popular, counted one at a time."""
    events, hits, ndcg, num = drawn(0), list[int](), list[float](), 0
    for number in range(int(NUM_EVENTS * (1 - TEST_SHARE)), NUM_EVENTS):
        now_ms, user, item = events[number]
        before = events[:number]
        own = [one for one in before if one[1] == user]
        had = {one[2] for one in own}
        if item in had or not own or now_ms - own[-1][0] > 1_800_000:
            continue
        num += 1
        if (num - 1) % every:
            continue
        counts = Counter(one[2] for one in before if one[0] > now_ms - window_ms)
        order = sorted(ITEMS, key=lambda one: (-counts[one], ITEMS.index(one)))
        rank = [one for one in order if one not in had].index(item) + 1
        hits.append(rank <= 10)
        ndcg.append(1 / math.log2(1 + rank) if rank <= 10 else 0.0)
    return len(hits), sum(hits) / len(hits), sum(ndcg) / len(ndcg)


@pytest.mark.parametrize(("name", "hours"), [("popular_1h", 1), ("popular_24h", 24)])
def test_points_and_popular_lists_are_those_of_a_plain_recount(
    of_clicks: dict[str, Any], name: str, hours: int
) -> None:
    points, hits, ndcg = plain_popular(hours * HOUR_MS, every=2)
    found = of_clicks["baselines"][name]["all"]
    assert found == {
        "points": points,
        "hr10": pytest.approx(hits, abs=1e-5),
        "mrr10": found["mrr10"],
        "ndcg10": pytest.approx(ndcg, abs=1e-5),
    }
    assert of_clicks["slates"]["all"]["points"] == points and of_clicks["judged_by"] == "next"


def test_groups_make_up_all_and_every_list_is_told(of_clicks: dict[str, Any]) -> None:
    slates = of_clicks["slates"]
    assert slates["new"]["points"] + slates["warm"]["points"] == slates["all"]["points"] > 30
    names = {"popular_1h", "popular_24h", "popular_30d"}
    assert {*of_clicks["baselines"]} == names | {"covisitation", "next_item", "session_neighbours"}
    assert 0 < slates["all"]["mrr10"] <= slates["all"]["ndcg10"] <= slates["all"]["hr10"] <= 1
    text = to_text(of_clicks)
    for told in ("slate, warm", "popular_30d, all", "trending", "all, ranked", "coverage"):
        assert told in text


def test_sources_find_what_their_quotas_let_them(of_clicks: dict[str, Any]) -> None:
    sources = of_clicks["sources"]
    assert sources["trending"] == {"quota": 500, "recall": 1.0}  # the catalogue is smaller
    assert all(0 <= one["recall"] <= 1 for one in sources.values())
    assert of_clicks["recall_500"] == 1.0


def test_of_impressions_what_comes_later_is_judged_too(of_ratings: dict[str, Any]) -> None:
    judged = of_ratings["judged"]
    assert [*judged] == ["next", "later", "first"]
    next_, later, first = (one["lists"]["slate"]["all"] for one in judged.values())
    assert next_["points"] == later["points"] > first["points"] > 10
    assert later["hr10"] >= next_["hr10"]
    assert of_ratings["slates"] == judged["later"]["lists"]["slate"]
    assert of_ratings["judged_by"] == "later"


def test_a_gain_is_that_over_the_best_list() -> None:
    assert values([1, 2, 3], {2}, 10) == (1.0, 0.5, pytest.approx(1 / math.log2(3)))
    assert values([1, 2, 3], {1, 2, 3}, 2) == (1.0, 1.0, pytest.approx(1.0))
    assert values([1, 2, 3], {3}, 2) == (0.0, 0.0, 0.0)


def test_the_command_writes_the_figures(tmp_path: Path, capsys: Any) -> None:
    rows = [f"{user},{item},{ms}" for ms, user, item in drawn(0)]
    (tmp_path / "clicks.csv").write_text("\n".join(["user,item,at", *rows]))
    (tmp_path / "headrace.yaml").write_text(
        "events: {file: clicks.csv, user_id: user, item_id: item, time: {column: at, unit: ms}}\n"
        "items: {file: clicks.csv, item_id: item, distinct: first}\n"
    )
    out, data = tmp_path / "out.json", f"--data={tmp_path}"
    flags = ["--slates", "--test-share", ".25", "--every", "20", f"--json={out}"]
    assert main(["evaluate", data, *flags]) == 0
    written = json.loads(out.read_text())
    assert written["slates"]["all"]["points"] > 0 and "session_neighbours" in written["baselines"]
    assert "recall_500" in written and "slate, all" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--online", "--labels=click", "--bootstrap=5", "--test=x"])
def test_flags_of_other_evaluations_are_refused(tmp_path: Path, flag: str, capsys: Any) -> None:
    assert main(["evaluate", "--slates", f"--data={tmp_path}", flag]) != 0
    assert f"{flag.split('=')[0]} does not go with --slates" in capsys.readouterr().err
