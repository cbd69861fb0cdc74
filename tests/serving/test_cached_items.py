"""The items that a version has read: as if the whole catalogue were computed, whatever changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headrace.catalogue.item import Item
from headrace.catalogue.table.table import ItemTable, table_of
from headrace.catalogue.words import ContentTable
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE, RequestFeatures
from headrace.keys import key
from headrace.model.batch import BatchRequest, make_batch
from headrace.model.config import nano
from headrace.model.ranker import Ranker
from headrace.slates.cached_items import CachedItems

NUM_ITEMS = 60


def table() -> ItemTable:
    return table_of(Item(f"i{n}", f"film number {n}", (f"c{n % 4}",)) for n in range(NUM_ITEMS))


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    """One that knows its items' ids and words."""
    torch.manual_seed(0)
    made, content = Ranker(nano(NUM_DENSE)), ContentTable(table())
    made(make_batch([asked([f"i{n}" for n in range(NUM_ITEMS)], [])], content, None))
    for embedding in made.tables.values():
        embedding.weight_RD.data.normal_()
    return made.eval()


def asked(items: list[str], past: list[str]) -> BatchRequest:
    history_3T = np.zeros((3, HISTORY_LENGTH), np.int64)
    history_3T[0, : len(past)] = [key(item_id) for item_id in past]
    history_3T[1, : len(past)], history_3T[2, : len(past)] = 60_000, 1
    dense_NF = np.linspace(0, 1, len(items) * NUM_DENSE, dtype=np.float32)
    features = RequestFeatures(dense_NF.reshape(len(items), NUM_DENSE), history_3T)
    return BatchRequest(key("ann"), (), tuple(map(key, items)), features)


def check(cached: CachedItems, items: ItemTable, ranker: Ranker, *request: list[str]) -> None:
    """The cache gives what the ranker says of the items as they are."""
    wanted = asked(*request)
    with torch.inference_mode():
        batch = make_batch([wanted], ContentTable(items), ranker.config.history)
        expected = ranker(batch).logit_CK.numpy()
    rows = map(items.rows_of_keys, (wanted.features.history_3T[0], wanted.item_keys))
    np.testing.assert_allclose(cached.logits(wanted, *rows), expected, rtol=1e-4, atol=1e-5)


def test_items_are_computed_when_they_are_read_and_once(ranker: Ranker) -> None:
    items = table()
    cached = CachedItems(ranker, ContentTable(items), items.keys)
    assert len(cached) == 0
    check(cached, items, ranker, ["i1", "i2", "stranger"], ["i3", "stranger"])
    assert len(cached) == 3
    check(cached, items, ranker, ["i2", "i3"], ["i1"])
    assert len(cached) == 3
    assert set(cached.warm_keys().tolist()) == {key("i1"), key("i2"), key("i3")}


def test_a_cache_that_is_full_leaves_out_what_was_not_read_for_longest(ranker: Ranker) -> None:
    items = table()
    cached = CachedItems(ranker, ContentTable(items), items.keys, most=20)
    for start in range(0, NUM_ITEMS, 5):
        check(cached, items, ranker, [f"i{n}" for n in range(start, start + 5)], ["i0"])
        assert len(cached) <= 20 and key("i0") in cached.warm_keys()
    check(cached, items, ranker, [f"i{n}" for n in range(NUM_ITEMS)], [])  # more than it keeps
    check(cached, items, ranker, ["i7"], ["i8"])


def test_an_item_that_changes_and_one_that_gets_anothers_row_are_computed_anew(
    ranker: Ranker,
) -> None:
    items = table()
    cached = CachedItems(ranker, ContentTable(items), items.keys)
    check(cached, items, ranker, ["i1", "i2"], ["i3"])
    rows = items.put([Item("i1", "film of quite another kind", ("c3",))], 0)
    cached.forget(items.keys(rows))
    check(cached, items, ranker, ["i1", "i2"], ["i3"])
    gone = items.remove(["i2"], 0)
    assert items.put([Item("i59 again", "film number 59")], 10**9).tolist() == gone.tolist()
    check(cached, items, ranker, ["i1", "i59 again"], ["i3", "i2"])


def test_items_that_are_computed_before_they_are_read_are_the_same(ranker: Ranker) -> None:
    items = table()
    cached = CachedItems(ranker, ContentTable(items), items.keys)
    cached.warm(items.keys(items.rows()))
    assert len(cached) == NUM_ITEMS
    check(cached, items, ranker, ["i4", "i5"], ["i6"])
