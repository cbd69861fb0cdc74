"""The snapshot of an item table: read back as it was written, private where it is changed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item
from headrace.catalogue.place import Place
from headrace.catalogue.table.shared import SNAPSHOT_FILE, keep, open_catalogue, open_items
from headrace.catalogue.table.snapshot import open_snapshot, write_snapshot
from headrace.catalogue.table.table import REUSE_AFTER_MS, ItemTable, table_of
from headrace.errors import DatasetError

ITEMS = tuple(
    Item(f"i{n}", f"Title {n} é", (f"c{n % 3}",), (f"n={n}",), stock=n, price_micros=n << 40)
    for n in range(3_000)
)


def rows_of(table: ItemTable) -> dict[int, Item]:
    return {row: table.item(row) for row in table.rows().tolist()}


def columns_of(table: ItemTable) -> list[object]:
    rows = table.rows()
    names = ("stock", "price_micros", "min_age")
    numbers = [table.numbers(name, rows).tolist() for name in names]
    return [
        table.keys(rows).tolist(),
        table.slots(rows).tolist(),
        table.words(rows).tolist(),
        numbers,
    ]


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)))
def test_a_table_reads_back_row_by_row(
    tmp_path_factory: pytest.TempPathFactory, gone: set[int], changed: set[int]
) -> None:
    path = tmp_path_factory.mktemp("table") / "items.arrow"
    table = table_of(ITEMS[:40])
    table.put((Item(f"i{n}", "changed") for n in changed), 0)
    table.remove([f"i{n}" for n in gone], 0)
    write_snapshot(table, path, Place({0: 7, 3: 1 << 40}, "made of this"))
    opened, place = open_snapshot(path)
    assert place == Place({0: 7, 3: 1 << 40}, "made of this")
    assert rows_of(opened) == rows_of(table) and columns_of(opened) == columns_of(table)
    opened.put([Item("new")], 0)
    assert opened.get("new") == Item("new")
    assert opened.rows_of_ids(["new"]).tolist() != table.rows_of_ids(["i0"]).tolist() or 0 in gone


def test_what_a_reader_changes_is_its_own_and_what_is_swapped_stays_with_who_has_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "items.arrow"
    write_snapshot(table_of(ITEMS), path, Place())
    (one, _), (other, _) = open_snapshot(path), open_snapshot(path)
    one.remove(["i0"], 0)
    one.put([Item("i1", "changed"), *(Item(f"more {n}") for n in range(5_000))], REUSE_AFTER_MS)
    assert one.get("i0") is None and one.get("i1") == Item("i1", "changed")
    assert rows_of(other) == dict(enumerate(ITEMS, 1))
    write_snapshot(one, path, Place({0: 1}))
    assert rows_of(other) == dict(enumerate(ITEMS, 1))
    again, _ = open_snapshot(path)
    assert rows_of(again) == rows_of(one) and columns_of(again) == columns_of(one)
    assert [entry.name for entry in tmp_path.iterdir()] == ["items.arrow"]


def test_a_damaged_file_is_refused_with_the_remedy_or_reads_as_it_was(tmp_path: Path) -> None:
    path, table, refused = tmp_path / "items.arrow", table_of(ITEMS[:300]), 0
    write_snapshot(table, path, Place())
    whole, wanted = path.read_bytes(), columns_of(table)
    places = np.linspace(0, len(whole) - 1, 60).astype(int).tolist()
    for at in places:
        content = bytearray(whole)
        content[at] ^= 0xFF
        path.write_bytes(content)
        try:
            opened, _ = open_snapshot(path)
        except DatasetError as error:
            refused += 1
            assert "items.arrow: is no snapshot" in str(error) and "delete it" in str(error)
        else:  # nothing is read there
            assert rows_of(opened) == rows_of(table) and columns_of(opened) == wanted
    assert refused > 40


def test_a_foreign_cut_or_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.arrow"
    write_snapshot(table_of(ITEMS), path, Place())
    whole = path.read_bytes()
    foreign = pa.table({"item": ["a"]})
    with pa.ipc.new_file(path, foreign.schema) as writer:
        writer.write_table(foreign)
    with pytest.raises(DatasetError, match="another headrace or another program"):
        open_snapshot(path)
    for content in (b"", b"text", whole[: len(whole) // 2], np.arange(99).tobytes()):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match="is no snapshot"):
            open_snapshot(path)
    with pytest.raises(DatasetError, match="no such file|No such file"):
        open_snapshot(tmp_path / "nothing.arrow")


def catalogue(folder: Path, items: tuple[Item, ...], as_of_ms: int) -> None:
    write_catalogue(Dataset("shop", items, (), lambda: iter(()), 0, 0, 0), folder, as_of_ms)


def test_a_catalogue_has_one_snapshot_made_anew_when_it_is_damaged_or_the_files_change(
    tmp_path: Path,
) -> None:
    plain = tuple(Item(i.item_id, i.title, i.categories, i.attributes) for i in ITEMS)
    catalogue(tmp_path, plain, 0)
    assert rows_of(open_items(tmp_path)) == dict(enumerate(plain, 1))
    path = tmp_path / SNAPSHOT_FILE
    made = path.stat().st_ino
    open_items(tmp_path)
    assert path.stat().st_ino == made
    path.write_bytes(b"nothing of the kind")
    assert rows_of(open_items(tmp_path)) == dict(enumerate(plain, 1))
    catalogue(tmp_path, plain[:2], 1)
    os.utime(tmp_path / "items.parquet", ns=(1, 1))
    assert rows_of(open_items(tmp_path)) == dict(enumerate(plain[:2], 1))


def test_no_catalogue_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no usable catalogue: .*headrace materialize"):
        open_items(tmp_path)


def test_a_followed_table_is_kept_for_its_namespace_unless_another_has_followed_further(
    tmp_path: Path,
) -> None:
    plain = [Item("a"), Item("b")]
    catalogue(tmp_path, plain, 0)
    table, place = open_catalogue(tmp_path, "shop")
    assert (list(table), place.offsets) == (plain, {})
    table.remove(["a"], 0)
    for log, offset, kept in (("x", 7, 7), ("x", 5, 7), ("x", 9, 9), ("another", 3, 3)):
        keep(tmp_path, "shop", table, replace(place, offsets={0: offset}, log=log))
        followed, at = open_catalogue(tmp_path, "shop")
        assert (list(followed), at.offsets) == ([Item("b")], {0: kept})
    assert list(open_items(tmp_path)) == list(open_catalogue(tmp_path, "other")[0]) == plain
    catalogue(tmp_path, plain[:1], 1)  # another file: what was followed behind the old one is none
    assert list(open_catalogue(tmp_path, "shop")[0]) == plain[:1]
    keep(tmp_path, "shop", table, replace(place, offsets={0: 99}, log="x"))
    assert list(open_catalogue(tmp_path, "shop")[0]) == plain[:1]
