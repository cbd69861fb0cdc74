"""The table of sources: each module of retrieval is one, by its name, with a quota in the file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.application.sources import DEFAULT, NAMES
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import ItemTable, table_of
from headrace.pipeline.context import Context
from headrace.slates.source_table import quotas_of, source_of
from serving.replica.snapshot import NO_COMPANIONS


@pytest.mark.parametrize("name", NAMES)
def test_each_module_has_the_source_of_its_name(name: str) -> None:
    assert source_of(name).name == name


def test_quotas_are_those_of_the_file_in_its_order() -> None:
    quotas = quotas_of(DEFAULT)
    assert [(one.source.name, one.of(500)) for one in quotas] == [
        ("neighbours", 200),
        ("two_tower", 100),
        ("covisited", 50),
        ("best_categories", 50),
        ("trending", 500),
    ]


class Trends:
    """A snapshot in which rows trend."""

    def __init__(self, num: int) -> None:
        self.trending_rows, self.companions = np.arange(1, num + 1), NO_COMPANIONS


CATEGORIES = ("tea", "mugs", "pens", "paper", "ink")


def shop(categories: list[set[str]]) -> ItemTable:
    """An item in each of the first rows, with these categories."""
    return table_of(Item(f"i{row}", "", tuple(of)) for row, of in enumerate(categories, 1))


@given(
    st.lists(st.sets(st.sampled_from(CATEGORIES)), min_size=1, max_size=12),
    st.data(),
    st.integers(0, 12),
)
def test_items_that_share_most_categories_come_first(
    categories: list[set[str]], data: st.DataObject, limit: int
) -> None:
    rows = range(1, len(categories) + 1)
    catalogue = shop(categories)
    about = data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=3))
    context = Context(
        user_id="", now_ms=0, catalogue=catalogue, snapshot=Trends(len(rows)), num_items=3,
        about=about,
    )  # fmt: skip
    wanted = set().union(*(categories[row - 1] for row in about))
    shared = {row: len(categories[row - 1] & wanted) for row in rows if row not in about}
    expected = sorted((row for row in shared if shared[row]), key=lambda row: -shared[row])
    found = source_of("same_categories").candidates(context, limit)
    assert found.tolist() == expected[:limit]


@given(
    st.lists(st.sets(st.sampled_from(CATEGORIES)), min_size=1, max_size=12),
    st.sets(st.sampled_from(CATEGORIES), min_size=1),
)
def test_what_trends_in_categories_has_one_of_them(
    categories: list[set[str]], asked: set[str]
) -> None:
    rows = range(1, len(categories) + 1)
    catalogue = shop(categories)
    context = Context(
        user_id="", now_ms=0, catalogue=catalogue, snapshot=Trends(len(rows)), num_items=3,
        categories=tuple(asked),
    )  # fmt: skip
    found = source_of("trending").candidates(context, 100).tolist()
    assert found == [row for row in rows if categories[row - 1] & asked]
