"""The item table against a dictionary: any items put, changed and removed, at any time."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.catalogue.item import Item
from headrace.catalogue.table.columns import ABSENT, MAX_WORDS, WORD_FIELDS
from headrace.catalogue.table.table import REUSE_AFTER_MS, ItemTable, table_of
from headrace.keys import NUM_CATEGORY_SLOTS, category_slots, key

texts = st.text("abc éß7", max_size=12)
ids = st.sampled_from([f"item {number}" for number in range(12)])
items = st.builds(
    Item,
    item_id=ids,
    title=texts,
    categories=st.lists(texts, max_size=14).map(tuple),
    attributes=st.lists(texts, max_size=3).map(tuple),
    price_micros=st.none() | st.integers(0, 2**40),
    currency=st.sampled_from(["", "EUR"]),
    stock=st.none() | st.integers(0, 2**40),
    available_until_ms=st.none() | st.integers(0, 2**42),
)
steps = st.lists(
    st.tuples(
        st.integers(0, 2 * REUSE_AFTER_MS),  # after the step before
        st.lists(items, max_size=5) | st.lists(ids, max_size=5),
    ),
    max_size=12,
)


def words(texts: list[str], field: str) -> list[int]:
    keys = [key(f"{field}:{text}") for text in texts[:MAX_WORDS]]
    return keys + [0] * (MAX_WORDS - len(keys))


def check_row(table: ItemTable, row: int, item: Item) -> None:
    rows = np.array([row])
    assert table.item(row) == item and table.get(item.item_id) == item
    assert table.keys(rows).tolist() == [key(item.item_id)]
    slots = list(category_slots(item.categories, NUM_CATEGORY_SLOTS))[:8]
    assert table.slots(rows)[0].tolist() == slots + [-1] * (8 - len(slots))
    title = "".join(c if c.isalnum() else " " for c in item.title.casefold()).split()
    fields = (title, list(item.categories), list(item.attributes))
    wanted = [words(*one) for one in zip(fields, WORD_FIELDS, strict=True)]
    assert table.words(rows)[0].tolist() == wanted
    price = ABSENT if item.price_micros is None else item.price_micros
    assert table.numbers("price_micros", rows).tolist() == [price]
    stock = ABSENT if item.stock is None else min(item.stock, 2**31 - 1)
    assert table.numbers("stock", rows).tolist() == [stock]


@settings(max_examples=150, deadline=None)
@given(steps)
def test_the_table_is_a_dictionary_whose_rows_stay_while_they_may_be_held(
    taken: list[tuple[int, list[Item] | list[str]]],
) -> None:
    table, there, now_ms = ItemTable(), dict[str, Item](), 0
    held: dict[int, tuple[int, Item]] = {}  # rows that were removed, when, and their items
    for after_ms, step in taken:
        now_ms += after_ms
        rows_before = {item_id: int(table.rows_of_ids([item_id])[0]) for item_id in there}
        if step and isinstance(step[0], Item):
            rows = table.put(step, now_ms)
            there |= {item.item_id: item for item in step}
            assert rows.tolist() == table.rows_of_ids([*{i.item_id: 0 for i in step}]).tolist()
            recent = {row for row, (at_ms, _) in held.items() if at_ms > now_ms - REUSE_AFTER_MS}
            assert not recent & set(rows.tolist())
            held = {row: one for row, one in held.items() if row not in set(rows.tolist())}
        else:
            gone = {item_id: there.pop(item_id) for item_id in step if item_id in there}
            rows = table.remove(step, now_ms)
            assert set(rows.tolist()) == {rows_before[item_id] for item_id in gone}
            held |= {rows_before[item_id]: (now_ms, item) for item_id, item in gone.items()}
            assert not table.have_items(rows).any()
        assert len(table) == len(there)
        assert {item.item_id: item for item in table} == there
        for item_id, item in there.items():
            assert item_id in table
            check_row(table, int(table.rows_of_ids([item_id])[0]), item)
        for row, (at_ms, item) in held.items():
            if at_ms > now_ms - REUSE_AFTER_MS:
                assert table.item(row) == item  # a request that holds the row reads it to its end


def test_rows_follow_the_order_of_the_items_and_row_0_is_nobodys() -> None:
    table = table_of([Item("b", "B"), Item("a"), Item("c", categories=("x",))])
    assert table.rows_of_ids(["b", "a", "c", "d"]).tolist() == [1, 2, 3, 0]
    nobody = np.zeros(1, np.int64)
    assert table.item(0) == Item("") and table.get("d") is None and "d" not in table
    assert table.keys(nobody).tolist() == [0] and (table.slots(nobody) == -1).all()
    assert not table.words(nobody).any()
    assert table.numbers("stock", nobody).tolist() == [ABSENT]


def test_a_table_does_not_grow_with_items_that_come_and_go() -> None:
    table, sizes = ItemTable(), []
    for turn in range(30):
        now_ms = turn * REUSE_AFTER_MS
        table.put((Item(f"{turn}-{n}", "seven words " * 3 + f"{n}") for n in range(2_000)), now_ms)
        table.remove([f"{turn - 1}-{n}" for n in range(2_000)], now_ms)
        sizes.append(table.num_bytes)
    assert len(table) == 2_000 and table.num_rows <= 3 * 2_000 + 1
    assert max(sizes[10:]) <= 1.3 * max(sizes[:10])


def test_who_reads_while_items_change_reads_one_item_or_another_whole() -> None:
    first, second = Item("a", "one " * 9, ("x",)), Item("a", "two", ("y", "z"))
    table = table_of([first])
    row = table.rows_of_ids(["a"])
    allowed = [table_of([item]).words(np.array([1])).tolist() for item in (first, second)]
    torn, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            if table.item(int(row[0])) not in (first, second):
                torn.append("item")
            if table.words(row).tolist() not in allowed:
                torn.append("words")
            if table.rows_of_ids(["a"]).tolist() != row.tolist():
                torn.append("row")

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(1_500):
        table.put([(first, second)[turn % 2], Item(f"other {turn}")], 0)
    done.set()
    reader.join()
    assert not torn
