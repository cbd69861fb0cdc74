"""Re-ranking: caps hold, pins stand at their places, nothing is lost, what differs comes first."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from request_path import request

from headrace.application.condition import HasWord
from headrace.application.reranking import Boost, Caps, Diversity, Pin, Reranking
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.features.aggregation.facts import Ints
from headrace.pipeline.candidates import Candidates
from headrace.pipeline.context import Context
from headrace.pipeline.rerank.declared import reranked
from headrace.pipeline.rerank.pinned import Pins
from headrace.pipeline.run import run
from headrace.pipeline.shortfall import shortfall

CATEGORIES, BRANDS = ("tea", "mugs", "pens"), ("acme", "best")
ITEMS = [
    Item(f"i{n}", categories=(CATEGORIES[n % 3],), attributes=(f"brand={BRANDS[n % 2]}", f"n={n}"))
    for n in range(1, 25)
]
TABLE = table_of(ITEMS)


class Vectors:
    """A snapshot in which items of one category have nearly the same vector."""

    def vectors(self, name: str, row_N: Ints) -> np.ndarray | None:
        if name == "factors":
            return None
        vector_NC = np.eye(3, dtype=np.float32)[row_N % 3]
        return vector_NC + 0.01 * np.cos(row_N[:, None] * np.arange(1, 4)).astype(np.float32)


def slate(told: Reranking, rows: list[int], num_items: int, **asked: Any) -> Context:
    """A request after the re-rankers, over rows that are ranked in this order."""
    candidates = Candidates.of("trending", np.array(rows, np.int64))
    candidates.score_C = np.linspace(0.2, 0.1, len(rows), dtype=np.float32)
    context = request(candidates=candidates, num_items=num_items, catalogue=TABLE, **asked)
    context.snapshot = Vectors()
    context.pinned = Pins(told.pins).of(TABLE, context.surface)
    run(reranked(told), context)
    return context


def groups(context: Context) -> Counter[str]:
    items = TABLE.items(context.candidates.row_C)
    return Counter(
        word for item in items for word in (*item.categories, *item.attributes) if "n=" not in word
    )


RANKED = st.permutations(range(1, 25)).flatmap(
    lambda rows: st.integers(1, 24).map(lambda most: list(rows[:most]))
)


@given(
    RANKED,
    st.integers(1, 12),
    st.dictionaries(st.sampled_from(["category", "brand"]), st.integers(1, 4), min_size=1),
    st.booleans(),
)
def test_caps_hold_where_there_are_enough_others_and_strict_ones_always(
    rows: list[int], num_items: int, most: dict[str, int], strict: bool
) -> None:
    context = slate(Reranking(caps=Caps(most, strict)), rows, num_items)
    found, of_group = context.candidates.row_C.tolist(), groups(context)
    over = [
        word
        for word, number in of_group.items()
        if number > most.get("brand" if "=" in word else "category", 99)
    ]
    marks = shortfall(context)
    assert bool(over) == ("over_cap" in marks) and not (strict and over)
    assert len(set(found)) == len(found) and set(found) <= set(rows)
    if not strict:
        assert len(found) == min(num_items, len(rows))  # nothing is lost
    fits, counts = list[int](), Counter[str]()
    for row in rows:  # one by one, as it is told
        words = [TABLE.item(row).categories[0], TABLE.item(row).attributes[0]]
        kinds = ["category", "brand"]
        if all(counts[w] < most.get(k, 99) for w, k in zip(words, kinds, strict=True)):
            counts.update(words)
            fits.append(row)
    assert found[: len(fits)] == fits[:num_items]


@given(RANKED, st.integers(1, 12), st.permutations(range(1, 7)), st.permutations(range(8)))
def test_pins_stand_at_their_places_and_the_others_around_them_as_they_were(
    rows: list[int], num_items: int, items: list[int], positions: list[int]
) -> None:
    pins = [Pin(f"i{item}", at) for item, at in zip(items[:3], positions, strict=False)]
    context = slate(Reranking(pins=(*pins, Pin("no such item", 9))), rows, num_items)
    found = context.candidates.row_C.tolist()
    assert len(found) == min(num_items, len(rows)) and len(set(found)) == len(found)
    placed = {int(pin.item[1:]): pin.position for pin in pins if pin.position < num_items}
    placed = {row: at for row, at in placed.items() if row in rows}
    for row, position in placed.items():
        if position < len(found) - len(placed):
            assert found[position] == row
        else:
            assert row in found
    others = [row for row in rows if row not in placed]
    assert [row for row in found if row not in placed] == others[: len(found) - len(placed)]


@given(RANKED, st.integers(2, 10), st.integers(1, 3))
def test_caps_count_the_pinned_items_and_keep_what_was_seen_last(
    rows: list[int], num_items: int, most: int
) -> None:
    again = rows[:1] if len(rows) > 1 else []
    told = Reranking(caps=Caps({"category": most}, True), pins=(Pin("i3", 1),))
    context = slate(told, rows, num_items, seen_again=again)
    of_group = groups(context)
    assert all(of_group[name] <= most for name in CATEGORIES)
    found = context.candidates.row_C.tolist()
    unpinned = [row for row in found if row != 3]
    assert not set(again) & set(unpinned[:-1]) or rows[0] == 3


@pytest.mark.parametrize("method", ["mmr", "dpp"])
@pytest.mark.parametrize("by", ["content", "factors", "categories"])
def test_the_best_that_differ_come_first_and_nothing_is_lost(method: str, by: str) -> None:
    rows = [3, 6, 9, 12, 1, 2, 15, 4, 5]  # three categories, the first four are of one
    told = Reranking(diversity=Diversity(method, 0.7, by, among=8))
    context = slate(told, rows, num_items=3)
    found = context.candidates.row_C.tolist()
    assert found[0] == 3 and {row % 3 for row in found} == {0, 1, 2}
    assert sorted(slate(told, rows, num_items=9).candidates.row_C.tolist()) == sorted(rows)
    plain = slate(Reranking(diversity=Diversity(method, 0.0, by)), rows, 3)
    assert plain.candidates.row_C.tolist() == rows[:3]


def test_diversity_looks_at_the_best_alone() -> None:
    rows = [3, 6, 9, 12, 1, 2]
    told = Reranking(diversity=Diversity("mmr", 0.9, "content", among=4))
    assert slate(told, rows, num_items=4).candidates.row_C.tolist()[0] == 3
    assert {*slate(told, rows, num_items=4).candidates.row_C.tolist()} == {3, 6, 9, 12}
    assert slate(told, rows[:1], num_items=4).candidates.row_C.tolist() == [3]


def test_without_time_the_rules_stay_and_diversity_goes() -> None:
    told = Reranking(diversity=Diversity(strength=0.9), caps=Caps({"category": 1}, True))
    context = slate(told, [3, 6, 9, 1, 2], num_items=3, deadline_ms=-1.0)
    assert context.candidates.row_C.tolist() == [3, 1, 2] and context.degraded == ["no_diversity"]


def test_boosts_are_factors_of_scores_and_change_the_order() -> None:
    tea, acme = HasWord("categories", ("tea",)), HasWord("attributes", ("brand=acme",))
    told = Reranking(boosts=(Boost(tea, 3.0), Boost(acme, 0.5)))
    context = slate(told, [1, 2, 3, 6], num_items=4)
    assert context.candidates.row_C.tolist() == [3, 1, 6, 2]
    assert context.candidates.score_C == pytest.approx([0.4, 0.2, 0.15, 0.0833], abs=1e-3)


def test_what_nothing_has_ranked_is_not_boosted() -> None:
    context = request(candidates=Candidates.of("trending", np.arange(1, 5)), catalogue=TABLE)
    run(reranked(Reranking(boosts=(Boost(HasWord("categories", ("tea",)), 9.0),))), context)
    assert context.candidates.row_C.tolist() == [1, 2, 3]
