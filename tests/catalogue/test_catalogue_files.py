"""The catalogue on disk reads back as it was written."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.catalogue import files as catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.errors import DatasetError

SOLD = (9_990_000, "EUR", 0, 1_714_564_800_123, 1_814_564_800_123, 18)
ITEMS = (Item("mug", "Mug ☕", ("kitchen", "gift"), ("colour=red",), *SOLD), Item("pen"))
USERS = (User("ann", ("country=NL",)), User("bob"))


def dataset(items: tuple[Item, ...] = ITEMS, users: tuple[User, ...] = USERS) -> Dataset:
    return Dataset("table", items, users, lambda: iter(()), 0, 0, 0)


def test_items_and_users_read_back_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "catalogue"
    catalogue.write_catalogue(dataset(), folder, as_of_ms=1_714_564_800_123)
    assert list(catalogue.read_items(folder).values()) == list(ITEMS)
    assert list(catalogue.read_users(folder).items()) == [(u.user_id, u) for u in USERS]


def test_the_columns_have_the_types_that_feast_reads(tmp_path: Path) -> None:
    catalogue.write_catalogue(dataset(), tmp_path, as_of_ms=1_714_564_800_123)
    items = pq.read_table(tmp_path / "items.parquet")
    words = pa.list_(pa.string())
    assert dict(zip(items.schema.names, items.schema.types, strict=True)) == {
        "item_id": pa.string(),
        "title": pa.string(),
        "categories": words,
        "attributes": words,
        "price_micros": pa.int64(),
        "currency": pa.string(),
        "stock": pa.int64(),
        "available_from_ms": pa.int64(),
        "available_until_ms": pa.int64(),
        "min_age": pa.int64(),
        "event_timestamp": pa.timestamp("us", tz="UTC"),
    }
    stamps = items["event_timestamp"].cast(pa.int64()).to_pylist()
    assert stamps == [1_714_564_800_123_000] * 2
    users = pq.read_table(tmp_path / "users.parquet")
    assert users.schema.names == ["user_id", "attributes", "event_timestamp"]


def test_an_empty_catalogue_keeps_its_types(tmp_path: Path) -> None:
    catalogue.write_catalogue(dataset((), ()), tmp_path, as_of_ms=0)
    assert catalogue.read_items(tmp_path) == {} and catalogue.read_users(tmp_path) == {}


def test_a_second_write_replaces_the_first_and_leaves_nothing_else(tmp_path: Path) -> None:
    catalogue.write_catalogue(dataset(), tmp_path, as_of_ms=0)
    catalogue.write_catalogue(dataset(ITEMS[:1]), tmp_path, as_of_ms=1)
    assert list(catalogue.read_items(tmp_path)) == ["mug"]
    names = ["content.parquet", "items.parquet", "users.parquet"]
    assert sorted(f.name for f in tmp_path.iterdir()) == names


def test_a_missing_damaged_or_foreign_file_says_what_to_run(tmp_path: Path) -> None:
    def refused() -> None:
        with pytest.raises(
            DatasetError, match="run `headrace materialize --data ...` or"
        ) as caught:
            catalogue.read_items(tmp_path)
        assert "items.parquet" in str(caught.value) and "\n" not in str(caught.value)

    refused()
    (tmp_path / "items.parquet").write_bytes(b"PAR1")
    refused()
    pq.write_table(pa.table({"item_id": [1]}), tmp_path / "items.parquet")
    refused()


def test_a_folder_that_cannot_be_written_is_a_dataset_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="cannot write the catalogue"):
        catalogue.write_catalogue(dataset(), tmp_path / "file", as_of_ms=0)
