"""Parquet of any type that its writers choose: the same values, and one bad cell costs its row."""

from __future__ import annotations

import struct
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_folder import bad, impressions

from headrace.catalogue.item import Dataset
from headrace.datasets.table import loader as table
from headrace.errors import ConfigError

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
NOON_MS = 1_714_564_800_000
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def load(folder: Path, extra: str = "", items: str = "", **columns: Any) -> Dataset:
    """The dataset of an events file with a row for each value of the columns."""
    (folder / "headrace.yaml").write_text(
        "events: {file: e.parquet, user_id: u, item_id: i, time: {column: t}, clicked: c"
        f"{extra}}}\n{items}"
    )
    num = len(next(iter(columns.values())))
    rest = {"u": ["a"] * num, "i": [str(n) for n in range(num)], "t": [NOON] * num, "c": [1] * num}
    pq.write_table(pa.table({**rest, **columns}), folder / "e.parquet")
    return table.load(folder)


@pytest.mark.parametrize(
    ("cells", "ids"),
    [
        (pa.array([7, 8], pa.int8()), ["7", "8"]),
        (pa.array([7, 2**64 - 1], pa.uint64()), ["7", str(2**64 - 1)]),
        (pa.array([7.0, 2.0**60], pa.float64()), ["7", str(2**60)]),
        (pa.array([7.0, 8.0], pa.float32()), ["7", "8"]),
        (pa.array([Decimal("7"), Decimal("10")], pa.decimal128(38, 0)), ["7", "10"]),
        (pa.array([Decimal("7.00"), Decimal("10.00")], pa.decimal128(9, 2)), ["7", "10"]),
        (pa.array([Decimal("7"), Decimal(10**60)], pa.decimal256(76, 0)), ["7", str(10**60)]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array(["a", "b"], pa.string_view()), ["a", "b"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([7, 8]).dictionary_encode(), ["7", "8"]),
        (pa.array([b"a", b"\xc3\xa9"], pa.binary()), ["a", "é"]),
        (pa.array([b"a", b"b"], pa.large_binary()), ["a", "b"]),
        (pa.array([b"abc", b"abd"], pa.binary(3)), ["abc", "abd"]),
        (pa.array([ID.bytes, ID.bytes], pa.uuid()), [str(ID), str(ID)]),
        (pa.array([ID.bytes, ID.bytes], pa.binary(16)), [str(ID), str(ID)]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_ids_are_texts_and_whole_numbers_of_any_type(
    tmp_path: Path, cells: pa.Array, ids: list[str]
) -> None:
    dataset = load(tmp_path, u=cells)
    assert [event.user_id for event in impressions(dataset)] == ids
    assert dataset.num_bad_rows == 0


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (pa.array([2.5, 1.0]), "expected text or a whole number, got '2.5'"),
        (pa.array([Decimal("2.5"), Decimal("1")]), "expected text or a whole number, got '2.5'"),
        (pa.array([float("nan"), 1.0]), "missing"),
        (pa.array([float("inf"), 1.0]), "expected text or a whole number, got 'inf'"),
        (pa.array([b"\xff", b"a"]), "not UTF-8 text"),
        (pa.array([None, "a"]), "missing"),
        (pa.array([None, "a"]).dictionary_encode(), "missing"),
    ],
)
def test_an_id_that_is_none_costs_its_row(tmp_path: Path, cells: pa.Array, reason: str) -> None:
    dataset = load(tmp_path, u=cells)
    assert dataset.num_events == 1 and bad(dataset) == [(1, "u", reason)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_times_have_any_unit_and_zone(tmp_path: Path, unit: str, zone: str | None) -> None:
    plain = NOON if zone else NOON.replace(tzinfo=None)
    dataset = load(tmp_path, t=pa.array([plain], pa.timestamp(unit, zone)))
    assert dataset.start_ms == NOON_MS


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([date(2024, 5, 1)], pa.date32()),
        pa.array([date(2024, 5, 1)], pa.date64()),
        pa.array([1_714_521_600], pa.int64()),
        pa.array([1_714_521_600_000.0], pa.float64()),
        pa.array([1_714_521_600_000_000], pa.uint64()),
        pa.array([Decimal(1_714_521_600)], pa.decimal128(18, 0)),
        pa.array(["2024-05-01"]),
        pa.array([b"2024-05-01T02:00:00+02:00"]),
    ],
    ids=lambda cells: str(cells.type),
)
def test_a_time_is_recognised_by_its_type_and_size(tmp_path: Path, cells: pa.Array) -> None:
    assert load(tmp_path, t=cells).start_ms == 1_714_521_600_000


def test_times_without_a_zone_are_of_the_zone_that_is_given(tmp_path: Path) -> None:
    times = pa.array([NOON.replace(tzinfo=None)], pa.timestamp("us"))
    (tmp_path / "headrace.yaml").write_text(
        "events: {file: e.parquet, user_id: u, item_id: i, clicked: c,"
        " time: {column: t, zone: Europe/Berlin}}"
    )
    pq.write_table(pa.table({"u": ["a"], "i": ["1"], "t": times, "c": [1]}), tmp_path / "e.parquet")
    dataset = table.load(tmp_path)
    assert dataset.start_ms == NOON_MS - 7_200_000 and dataset.time_zone == "Europe/Berlin"


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_a_time_that_python_cannot_hold_costs_its_row(tmp_path: Path, unit: str) -> None:
    fine = NOON_MS * {"ms": 1, "us": 1_000, "ns": 1_000_000}[unit]
    cells = pa.array([fine, 2**62, -(2**62), None, fine], pa.int64()).cast(pa.timestamp(unit))
    dataset = load(tmp_path, t=cells)
    assert dataset.num_events == (3 if unit == "ns" else 2)  # as nanoseconds it is in 2116
    assert bad(dataset)[-1] == (4, "t", "missing")
    assert all("not between 1970 and 9999" in reason for _, _, reason in bad(dataset)[:-1])


def int96_file(path: Path, days: list[int]) -> None:
    """A file with times as Impala and Spark write them: nanoseconds of a Julian day."""
    stamps = [datetime.fromtimestamp(day * 86_400, UTC) for day in days]
    columns = {"u": ["a"] * len(days), "i": [str(day) for day in days], "c": [1] * len(days)}
    times = pa.array(stamps, pa.timestamp("ns"))
    pq.write_table(
        pa.table({**columns, "t": times}), path, use_deprecated_int96_timestamps=True,
        compression="none", use_dictionary=False,
    )  # fmt: skip


def test_int96_times_hold_years_that_nanoseconds_do_not(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(
        "events: {file: e.parquet, user_id: u, item_id: i, time: {column: t}, clicked: c}"
    )
    int96_file(tmp_path / "e.parquet", [19_844, 19_845])
    content = (tmp_path / "e.parquet").read_bytes()
    julian = 2_440_588
    of_2500 = content.replace(
        struct.pack("<qi", 0, julian + 19_845), struct.pack("<qi", 0, julian + 193_595), 1
    )
    assert of_2500 != content
    (tmp_path / "e.parquet").write_bytes(of_2500)
    dataset = table.load(tmp_path)
    years = [datetime.fromtimestamp(e.event_time_ms / 1_000, UTC).year for e in dataset.events()]
    assert years == [2024, 2500]


@pytest.mark.parametrize(
    ("cells", "clicked"),
    [
        (pa.array([True, False]), [True, False]),
        (pa.array([1, 0], pa.uint8()), [True, False]),
        (pa.array([1.0, 0.0]), [True, False]),
        (pa.array([Decimal("1"), Decimal("0")]), [True, False]),
        (pa.array(["t", "f"]), [True, False]),
        (pa.array(["YES", "No"]).dictionary_encode(), [True, False]),
        (pa.array([b"true", b"false"]), [True, False]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_yes_and_no_have_any_type(tmp_path: Path, cells: pa.Array, clicked: list[bool]) -> None:
    events = impressions(load(tmp_path, c=cells))
    assert [event.items[0].clicked for event in events] == clicked


TAGGED = "items: {file: i.parquet, item_id: id, categories: tags}"
LISTS = [
    pa.list_(pa.string()),
    pa.large_list(pa.large_string()),
    pa.list_(pa.string(), 2),
    pa.list_view(pa.string()),
    pa.list_(pa.dictionary(pa.int32(), pa.string())),
    pa.list_(pa.binary()),
]


@pytest.mark.parametrize("kind", LISTS, ids=str)
def test_lists_of_any_kind_are_categories(tmp_path: Path, kind: pa.DataType) -> None:
    words: list[Any] = [["mugs", "gifts"], ["pens", "gifts"]]
    if kind == pa.list_(pa.binary()):
        words = [[word.encode() for word in row] for row in words]
    items = pa.table({"id": ["0", "1"], "tags": pa.array(words, kind)})
    pq.write_table(items, tmp_path / "i.parquet")
    dataset = load(tmp_path, c=[1, 0], items=TAGGED)
    assert [item.categories for item in dataset.items] == [("mugs", "gifts"), ("pens", "gifts")]


def test_lists_within_lists_are_one(tmp_path: Path) -> None:
    tags = pa.array([[["Books", "Novels"], ["Books", "Gifts"]], []])
    pq.write_table(pa.table({"id": ["0", "1"], "tags": tags}), tmp_path / "i.parquet")
    dataset = load(tmp_path, c=[1, 0], items=TAGGED)
    assert [item.categories for item in dataset.items] == [("Books", "Novels", "Gifts"), ()]


def test_pictures_come_as_bytes_as_structs_and_as_names(tmp_path: Path) -> None:
    struct_of = pa.array(
        [{"bytes": b"\xff\xd8", "path": "x.jpg"}, {"bytes": None, "path": "y.jpg"}, None]
    )
    for cells, wanted in (
        (struct_of, [b"\xff\xd8", tmp_path / "y.jpg", None]),
        (pa.array([b"\xff\xd8", b"", None]), [b"\xff\xd8", None, None]),
        (pa.array([b"a/b.jpg", b"c.PNG", None]), [tmp_path / "a/b.jpg", tmp_path / "c.PNG", None]),
        (pa.array(["a/b.jpg", " ", None]), [tmp_path / "a/b.jpg", None, None]),
    ):
        pq.write_table(pa.table({"id": ["0", "1", "2"], "im": cells}), tmp_path / "i.parquet")
        items = "items: {file: i.parquet, item_id: id, image: im}"
        dataset = load(tmp_path, c=[1, 0, 0], items=items)
        assert [content.files.get("image") for content in dataset.contents()] == wanted


def test_attributes_keep_the_digits_that_were_written(tmp_path: Path) -> None:
    columns = {
        "id": ["0"],
        "price": pa.array([0.1], pa.float32()),
        "size": pa.array([Decimal("12.50")]),
        "day": pa.array([date(2024, 5, 1)]),
        "tags": [["a", "b"]],
    }
    pq.write_table(pa.table(columns), tmp_path / "i.parquet")
    items = "items: {file: i.parquet, item_id: id, attributes: [price, size, day, tags]}"
    (item,) = load(tmp_path, c=[1], items=items).items
    assert item.attributes == ("price=0.1", "size=12.5", "day=2024-05-01", "tags=a", "tags=b")


@pytest.mark.parametrize(
    ("key", "cells", "held"),
    [
        ("title", pa.array([{"bytes": b"", "path": ""}]), "struct<bytes: binary, path: string>"),
        ("title", pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "map<string, int64"),
        ("description", pa.array([["a"]]), "list<element: string>"),
        ("image", pa.array([1]), "int64"),
    ],
)
def test_a_column_that_cannot_be_what_it_is_mapped_to_is_refused_at_once(
    tmp_path: Path, key: str, cells: pa.Array, held: str
) -> None:
    pq.write_table(pa.table({"id": ["0"], "x": cells}), tmp_path / "i.parquet")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, c=[1], items=f"items: {{file: i.parquet, item_id: id, {key}: x}}")
    assert f"items.{key}: column 'x' of i.parquet holds {held}" in str(caught.value)
    assert "expected text" in str(caught.value)
