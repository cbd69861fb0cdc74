"""Packed rows as bytes: any rows of any schema come back, also under a later schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import FeatureError, ServiceError
from headrace.features.store.cell import encode_cells
from headrace.features.store.keys import PackedView
from headrace.features.store.row import Stamp, encode_rows
from headrace.features.store.rows import Rows, UnknownSchema, decode_rows
from headrace.features.store.schema import NUMBERS, Column, Schema

NOW_US = 1_800_000_000_000_000

int32s, int64s = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
# Values by type. An exotic type's cells are whatever Feast serialized.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "FLOAT": st.floats(width=32, allow_nan=False),
    "DOUBLE": st.floats(allow_nan=False),
    "INT32": int32s,
    "INT64": int64s,
    "UNIX_TIMESTAMP": int64s,
    "BOOL": st.booleans(),
    "STRING": st.text(),
    "BYTES": st.binary(),
    "STRING_LIST": st.lists(st.text(), max_size=4),
    "BYTES_LIST": st.lists(st.binary(), max_size=4),
    "FLOAT_LIST": st.lists(st.floats(width=32, allow_nan=False), max_size=4),
    "INT32_LIST": st.lists(int32s, max_size=4),
    "INT64_LIST": st.lists(int64s, max_size=4),
    "BOOL_LIST": st.lists(st.booleans(), max_size=4),
    "MAP": st.binary(min_size=1),
}
columns = st.builds(Column, st.sampled_from("abcdefghij"), st.sampled_from(sorted(VALUES)))
schemas = st.lists(columns, max_size=10, unique_by=lambda c: c.name).map(
    lambda some: Schema(tuple(some))
)


@dataclass
class Table:
    """Rows as Python's values: a list per column, None for a null."""

    schema: Schema
    stamp: Stamp
    values: dict[str, list[Any]]

    def encode(self) -> list[bytes]:
        columns = [(column, self.values[column.name]) for column in self.schema.columns]
        num_rows = len(self.stamp.event_time_us_N)
        present = [[value is not None for value in values] for _, values in columns]
        numbers = {
            kind: np.array([[v or 0 for v in columns[n][1]] for n in places], kind).T
            for kind, places in self.schema.numbers.items()
        }
        cells = [
            encode_cells(c.name, c.type, values) for c, values in columns if c.type not in NUMBERS
        ]
        present_NC = np.array(present, np.bool_).reshape(len(columns), num_rows).T
        return encode_rows(self.schema, self.stamp, present_NC, numbers, cells)


@st.composite
def tables(draw: st.DrawFn, of: st.SearchStrategy[Schema] = schemas) -> Table:
    schema, num_rows = draw(of), draw(st.integers(0, 5))

    def some(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=num_rows, max_size=num_rows))

    stamp = Stamp(
        np.array(some(int64s), np.int64),
        np.array(some(int64s), np.int64),
        np.array(some(int32s), np.int32),
    )
    values = {c.name: some(st.none() | VALUES[c.type]) for c in schema.columns}
    return Table(schema, stamp, values)


def view(schema: Schema, ttl_us: int = 0) -> PackedView:
    return PackedView("project", "view", ("id",), schema, ttl_us)


def read(rows: Rows, column: Column) -> list[Any]:
    """A column as Python's values."""
    if column.type in NUMBERS:
        numbers_N, present_N = rows.numbers(column.name)
        pairs = zip(numbers_N.tolist(), present_N.tolist(), strict=True)
        return [number if there else None for number, there in pairs]
    values = rows.values(column.name)
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in values]


def with_gaps(payloads: Sequence[bytes], gaps: Sequence[bool]) -> list[bytes | None]:
    return [None if gap else row for row, gap in zip(payloads, gaps, strict=False)]


@given(tables(), st.lists(st.booleans(), min_size=5, max_size=5))
def test_rows_come_back_whatever_is_null_or_missing(table: Table, gaps: list[bool]) -> None:
    payloads = with_gaps(table.encode(), gaps)
    rows = decode_rows(view(table.schema), payloads, {}, NOW_US)
    there = [not gap for gap in gaps[: len(payloads)]]
    assert rows.found_N.tolist() == there
    for column in table.schema.columns:
        expected = [v if t else None for v, t in zip(table.values[column.name], there, strict=True)]
        assert read(rows, column) == expected
        assert rows.known_N(column.name).tolist() == there
    stamps = zip(rows.event_time_us_N, rows.position_N, rows.partition_N, strict=True)
    stamp = table.stamp
    written = zip(stamp.event_time_us_N, stamp.position_N, stamp.partition_N, strict=True)
    for one, other, found in zip(stamps, written, there, strict=True):
        assert one == (other if found else (0, -1, -1))


@given(st.data(), schemas, schemas)
def test_rows_of_an_earlier_schema_keep_what_they_share_with_it(
    data: st.DataObject, old: Schema, new: Schema
) -> None:
    before, after = data.draw(tables(st.just(old))), data.draw(tables(st.just(new)))
    payloads = [*before.encode(), *after.encode()]
    order = data.draw(st.permutations(range(len(payloads))))
    mixed = [payloads[place] for place in order]
    described = Schema.from_json(old.to_json())
    rows = decode_rows(view(new), mixed, {described.hash: described}, NOW_US)
    assert rows.found_N.all()
    num_before = len(payloads) - len(after.stamp.event_time_us_N)
    for column in new.columns:
        kept = column in old.columns
        earlier = before.values[column.name] if kept else [None] * num_before
        expected = [*earlier, *after.values[column.name]]
        assert read(rows, column) == [expected[place] for place in order]
        known = [kept or place >= num_before or old.hash == new.hash for place in order]
        assert rows.known_N(column.name).tolist() == known


@settings(max_examples=30)
@given(tables(st.just(Schema((Column("x", "FLOAT"), Column("s", "STRING"), Column("y", "FLOAT"))))))
def test_floats_are_the_float_columns_in_the_views_order(table: Table) -> None:
    rows = decode_rows(view(table.schema), [*table.encode(), None], {}, NOW_US)
    values_NF, present_NF = rows.floats()
    pairs = [*zip(table.values["x"], table.values["y"], strict=True), (None, None)]
    assert present_NF.tolist() == [[x is not None, y is not None] for x, y in pairs]
    assert values_NF.tolist() == [[x or 0.0, y or 0.0] for x, y in pairs]
    assert values_NF.dtype == np.float32


@given(schemas)
def test_a_descriptor_describes_its_schema(schema: Schema) -> None:
    again = Schema.from_json(schema.to_json())
    assert again == schema and again.hash == schema.hash


@given(schemas, schemas)
def test_schemas_with_different_columns_have_different_hashes(one: Schema, other: Schema) -> None:
    assert (one.hash == other.hash) == (one.columns == other.columns)


def test_a_row_older_than_the_ttl_has_no_values_and_keeps_its_time() -> None:
    schema = Schema((Column("x", "FLOAT"), Column("s", "STRING")))
    times = np.array([NOW_US - 11, NOW_US - 10, NOW_US + 5], np.int64)
    table = Table(schema, Stamp(times), {"x": [1.0, 2.0, 3.0], "s": ["a", "b", "c"]})
    rows = decode_rows(view(schema, ttl_us=10), table.encode(), {}, NOW_US)
    assert rows.expired_N.tolist() == [True, False, False]
    assert rows.found_N.tolist() == [False, True, True]
    assert rows.floats()[0].tolist() == [[0.0], [2.0], [3.0]]
    assert rows.floats()[1].tolist() == [[False], [True], [True]]
    assert rows.values("s") == [None, "b", "c"]
    assert rows.event_time_us_N.tolist() == times.tolist()


def test_a_schema_that_nobody_described_is_asked_for_and_then_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    old, new = Schema((Column("x", "INT64"),)), Schema((Column("x", "INT32"),))
    payloads = [
        *Table(old, Stamp(np.array([1])), {"x": [7]}).encode(),
        *Table(new, Stamp(np.array([2])), {"x": [8]}).encode(),
    ]
    with pytest.raises(UnknownSchema):
        decode_rows(view(new), payloads, {}, NOW_US)
    rows = decode_rows(view(new), payloads, {}, NOW_US, lost=True)
    assert rows.found_N.tolist() == [False, True]
    assert rows.numbers("x")[0].tolist() == [0, 8]
    assert "project/view" in caplog.text and "materialize" in caplog.text


def test_bytes_that_are_no_row_are_an_error() -> None:
    with pytest.raises(ServiceError, match="3 bytes .* not a row"):
        decode_rows(view(Schema((Column("x", "FLOAT"),))), [b"abc"], {}, NOW_US)


def test_a_row_that_is_cut_off_is_an_error() -> None:
    schema = Schema((Column("x", "FLOAT"),))
    (row,) = Table(schema, Stamp(np.array([1])), {"x": [0.5]}).encode()
    with pytest.raises(ServiceError, match="project/view .* cut off"):
        decode_rows(view(schema), [row[:-1]], {}, NOW_US)


@pytest.mark.parametrize(
    ("value_type", "value"),
    [
        ("STRING", 5),
        ("STRING", b"a"),
        ("BYTES", "a"),
        ("BYTES", 5),
        ("STRING_LIST", ["a", 5]),
        ("FLOAT_LIST", ["a"]),
        ("INT64_LIST", [0.5]),
        ("INT64_LIST", [[1], [2]]),
        ("INT64_LIST", 5),
        ("INT32_LIST", [2**31]),
        ("INT64_LIST", [2**63]),
    ],
)
def test_a_value_of_another_type_is_named(value_type: str, value: Any) -> None:
    with pytest.raises(FeatureError, match=f"'x' of row 1 .* expected {value_type}"):
        encode_cells("x", value_type, [None, value])


def test_a_feature_that_the_view_does_not_have_is_named() -> None:
    schema = Schema((Column("x", "FLOAT"), Column("s", "STRING")))
    rows = decode_rows(view(schema), [None], {}, NOW_US)
    with pytest.raises(FeatureError, match="no feature 'z', it has x, s"):
        rows.numbers("z")
    with pytest.raises(FeatureError, match=r"values\(\)"):
        rows.numbers("s")
    with pytest.raises(FeatureError, match=r"numbers\(\)"):
        rows.values("x")


@given(st.lists(st.tuples(st.text(), st.integers() | st.text()), unique=True, max_size=6))
def test_keys_of_several_join_keys_are_never_the_same(ids: list[tuple[str, Any]]) -> None:
    pair = PackedView("project", "view", ("a", "b"), Schema(()))
    keys = pair.row_keys([[one for one, _ in ids], [other for _, other in ids]])
    assert len(set(keys)) == len({(one, str(other)) for one, other in ids})


def test_keys_read_like_paths() -> None:
    plain = PackedView("shop", "user/stats", ("user_id",), Schema(()))
    assert plain.row_keys([["a/b", "c=1,d"]]) == [
        "shop/user%2Fstats/user_id=a/b",
        "shop/user%2Fstats/user_id=c=1,d",
    ]
    assert plain.row_keys([[7, b"x"]]) == [
        b"shop/user%2Fstats/user_id=7",
        b"shop/user%2Fstats/user_id=x",
    ]
    with pytest.raises(FeatureError, match="0.5 cannot be the value of a join key"):
        plain.row_keys([[0.5]])
