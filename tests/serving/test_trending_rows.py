"""The list of what trends: all of a small catalogue, the best of a large one, never the gone."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.catalogue.item import Item
from headrace.catalogue.table.table import ItemTable, table_of
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import CLICK
from headrace.features.table import ITEM_LAYOUT
from headrace.slates import trending
from headrace.slates.trending import SORT_EVERY_MS, Trending, clicks, popularity
from headrace.slates.windows import WINDOWS
from serving.replica.state_pages import StatePages

HOUR_MS = 3_600_000
ITEM_LIFE, ITEM_HOUR = WINDOWS[0].over, WINDOWS[-1].over
NOW_MS = 1_714_554_000_000
MOST, OF_SLOT, ARRIVALS = 40, 4, 8


@pytest.fixture
def small_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trending, "MOST", MOST)
    monkeypatch.setattr(trending, "MOST_OF_SLOT", OF_SLOT)


def items(num: int) -> list[Item]:
    return [Item(f"i{n}", categories=(f"c{n % 5}",)) for n in range(1, num + 1)]


def random_states(num: int, seed: int) -> State:
    """States of items that were shown and clicked, each another number of times."""
    state_N, random = ITEM_LAYOUT.new(num), np.random.default_rng(seed)
    clicks_N = random.permutation(10 * num)[:num] + 1
    state_N[ITEM_LAYOUT.field_of[ITEM_LIFE]][:, ITEM_LIFE.measures.index(CLICK)] = clicks_N
    return state_N


def world(num: int) -> tuple[ItemTable, StatePages, Trending]:
    table = table_of(items(num))
    return table, StatePages(ITEM_LAYOUT, table.num_rows), Trending(table)


def test_of_a_small_catalogue_the_list_has_every_item_the_most_clicked_first() -> None:
    table, pages, trends = world(30)
    assert trends.rows.tolist() == list(range(1, 31))
    clicked = np.array([7, 21, 4])
    pages.put(clicked, random_states(3, 0))
    trends.take(clicked, pages.states, NOW_MS)
    order = clicked[np.argsort(-clicks(pages.states, clicked, NOW_MS)[:, 0])].tolist()
    assert trends.rows.tolist() == [*order, *(n for n in range(1, 31) if n not in order)]


def test_of_a_large_one_it_has_the_best_of_all_and_of_each_category(small_lists: None) -> None:
    table, pages, trends = world(400)
    everything = np.arange(1, 401)
    pages.put(everything, random_states(400, 1))
    for turn in range(1, 6):  # the categories are looked at in turn
        trends.take(everything, pages.states, NOW_MS + turn * SORT_EVERY_MS)
    now_ms = NOW_MS + 5 * SORT_EVERY_MS
    by_popularity = everything[np.argsort(-clicks(pages.states, everything, now_ms)[:, 0])]
    best = by_popularity[:MOST].tolist()
    assert trends.rows[:MOST].tolist() == best
    slots = table.slots(everything)[:, 0]
    for slot in np.unique(slots):
        of_slot = [row for row in by_popularity.tolist() if slots[row - 1] == slot][:OF_SLOT]
        assert set(of_slot) <= set(trends.rows.tolist())
    assert len(trends.rows) <= MOST + 5 * OF_SLOT


@pytest.mark.parametrize("num", [30, 400])
def test_what_comes_is_in_the_list_at_once_and_what_goes_is_not(
    small_lists: None, num: int
) -> None:
    table, pages, trends = world(num)
    new = table.put([Item("new")], NOW_MS)
    trends.arrive(new, pages.states, NOW_MS)
    assert new[0] in trends.rows
    gone = trends.rows[:3].copy()
    table.remove([item.item_id for item in table.items(gone)], NOW_MS)
    trends.drop_removed()
    assert not np.isin(gone, trends.rows).any()
    trends.take(new, pages.states, NOW_MS + SORT_EVERY_MS)
    assert not np.isin(gone, trends.rows).any() and new[0] in trends.rows


def test_clicks_are_those_of_all_time_and_of_each_window() -> None:
    _, pages, _ = world(3)
    state_N = ITEM_LAYOUT.new(1)
    hour_N = state_N[ITEM_LAYOUT.field_of[ITEM_HOUR]]
    hour_N["newest"] = NOW_MS // (HOUR_MS // 6)
    hour_N["sums"][0, :, ITEM_HOUR.measures.index(CLICK)] = 1
    state_N[ITEM_LAYOUT.field_of[ITEM_LIFE]][0, ITEM_LIFE.measures.index(CLICK)] = 9
    pages.put(np.array([2]), state_N)
    found = clicks(pages.states, np.array([1, 2]), NOW_MS)
    assert found.tolist() == [[0] * len(WINDOWS), [9, *[0] * (len(WINDOWS) - 3), 6, 2]]
    spans_ms = [window.span_ms for window in WINDOWS]
    assert spans_ms == sorted(spans_ms, reverse=True) and spans_ms[-2:] == [HOUR_MS, HOUR_MS / 3]


def test_an_hour_of_many_clicks_says_more_than_the_past_and_one_of_few_less() -> None:
    life_N, hour_N = np.array([90, 10], np.float32), np.array([1, 9], np.float32)
    few, many = (popularity(np.stack([life_N, n * hour_N], 1)) for n in (1, 1_000))
    assert few[0] > few[1] and many[0] < many[1]
    assert few.sum() == pytest.approx(1) and many.sum() == pytest.approx(1)
