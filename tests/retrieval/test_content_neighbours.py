"""The source `content`: the nearest by words and encoders' vectors, of each anchor in turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from request_path import NOW_MS, Trends, clicked

from headrace.catalogue.content_index import ContentIndex
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.catalogue.vectors import ContentVectors, VectorColumn
from headrace.catalogue.words import ContentTable
from headrace.pipeline.context import Context
from headrace.retrieval.content import source

KINDS = ("green tea", "blue mug", "fountain pen")
CATALOGUE = table_of(
    Item(f"i{n}", f"{KINDS[n % 3]} {n}", (KINDS[n % 3].split()[1],), (f"maker={n % 7}",))
    for n in range(1, 61)
)  # the item of row n is i<n>, of kind n % 3


@dataclass(frozen=True)
class Described(Trends):
    """A snapshot with content vectors."""

    content: ContentIndex | None = None


def described(vectors: ContentVectors | None = None) -> Described:
    index = ContentIndex(ContentTable(CATALOGUE, vectors), CATALOGUE.keys(CATALOGUE.rows()))
    return Described(np.arange(1, 61), content=index)


def found(snapshot: Described, limit: int = 10, **asked: object) -> list[int]:
    context = Context(
        user_id="ann", now_ms=NOW_MS, num_items=3, catalogue=CATALOGUE, snapshot=snapshot, **asked
    )
    return source().candidates(context, limit).tolist()


def test_the_nearest_of_an_item_are_of_its_kind_and_the_item_is_not_among_them() -> None:
    rows = found(described(), about=[6])
    assert len(rows) == 10 and 6 not in rows
    assert sum(row % 3 == 0 for row in rows) >= 7  # makers are like as well


def test_several_items_take_turns() -> None:
    rows = found(described(), user=clicked("i1", "i2"))
    assert {row % 3 for row in rows} == {1, 2} and not {1, 2} & set(rows)
    assert [row % 3 for row in rows] == [2, 1] * 5  # i2 was chosen last


def test_vectors_of_an_encoder_say_what_is_near_as_words_do() -> None:
    twins = np.random.default_rng(0).normal(0, 1, (60, 80)).astype(np.float32)
    twins[[6, 7, 8]] = twins[0]  # of i1 there are three with the same picture
    column = VectorColumn.of("images", [f"i{n}" for n in range(1, 61)], twins)
    assert set(found(described(ContentVectors([column])), 3, about=[1])) == {7, 8, 9}


def test_nothing_is_proposed_where_nothing_is_known() -> None:
    assert found(described()) == []  # the user chose nothing
    assert found(Described(np.arange(1, 61)), about=[6]) == []  # the index is not made yet


def test_items_that_come_are_found_and_those_that_go_are_not() -> None:
    table = table_of(CATALOGUE)
    index = ContentIndex(ContentTable(table), table.keys(table.rows()))
    (query_D,) = index.vectors(table.keys(np.array([6])))
    (row,) = table.put([Item("new", "fountain pen 6", ("pen",), ("maker=6",))], NOW_MS)
    gone = table.keys(np.array([9, 12]))
    index.follow(table.keys(np.array([row])), gone)
    rows = table.rows_of_keys(index.index.nearest(query_D, 10)).tolist()
    assert rows[:2] == [6, row] and not {9, 12} & set(rows)


@pytest.mark.parametrize("width", [8, 64, 300])
def test_products_of_vectors_are_near_to_the_mean_of_the_parts_cosines(width: int) -> None:
    random = np.random.default_rng(width)
    vector_ND = random.normal(0, 1, (60, width)) + 2 * random.normal(0, 1, width)
    column = VectorColumn.of("t", [f"i{n}" for n in range(1, 61)], vector_ND.astype(np.float32))
    index = ContentIndex(
        ContentTable(CATALOGUE, ContentVectors([column])), CATALOGUE.keys(CATALOGUE.rows())
    )
    both = index.vectors(CATALOGUE.keys(np.arange(1, 61)))
    words = ContentIndex(ContentTable(CATALOGUE), CATALOGUE.keys(CATALOGUE.rows()))
    word_ND = words.vectors(CATALOGUE.keys(np.arange(1, 61)))
    unit_ND = vector_ND / np.linalg.norm(vector_ND, axis=1, keepdims=True)
    expected = (unit_ND @ unit_ND.T + word_ND @ word_ND.T) / 2
    assert np.abs(both @ both.T - expected).mean() < 0.08
    assert np.diag(both @ both.T) == pytest.approx(1, abs=1e-5)
