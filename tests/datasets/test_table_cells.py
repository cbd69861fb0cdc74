"""A column is read at the speed of Arrow and as each of its cells would be by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.datasets.table.cells import cell, column
from headrace.datasets.table.cells.clock import Clock
from headrace.datasets.table.cells.column import FINE, Parsed
from headrace.datasets.table.cells.moments import times
from headrace.datasets.table.cells.number import NumberPattern

NOON_MS = 1_714_564_800_000


def told(parsed: Parsed) -> list[Any]:
    """Each value, or the reason why there is none."""
    values = parsed.value_N
    values = values.to_pylist() if isinstance(values, pa.Array) else values.tolist()
    faults = parsed.fault_N.tolist()
    return [
        value if fault == FINE else str(parsed.faults[fault])
        for value, fault in zip(values, faults, strict=True)
    ]


def one_by_one(cells: Sequence[Any], parse: Callable[[Any], Any]) -> list[Any]:
    values = []
    for one in cells:
        try:
            values.append(parse(one))
        except (ValueError, OverflowError, ArithmeticError) as error:
            values.append(str(error))
    return values


MOMENTS = st.datetimes(*map(datetime.fromisoformat, ("1969-01-01", "2200-01-01")))
TIMES = st.one_of(
    MOMENTS.map(datetime.isoformat),
    MOMENTS.map(lambda moment: moment.isoformat(" ", "minutes")),
    MOMENTS.map(lambda moment: f"{moment.isoformat(timespec='milliseconds')}Z"),
    MOMENTS.map(lambda moment: f"{moment.isoformat()}-03:30"),
    MOMENTS.map(lambda moment: str(moment.date())),
    MOMENTS.map(lambda moment: f"{moment:%d.%m.%Y %H:%M}"),
    MOMENTS.map(lambda moment: f"{moment.day}.{moment.month}.{moment.year} {moment.hour}:07"),
    st.integers(-(10**20), 10**20).map(str),
    st.floats(0, 5e9).map(repr),
    st.sampled_from(
        ["", " ", "x", "nan", "1e400", "20240501", "2024-02-30", "31.02.2024 10:00", "+2024-05-01",
         " 2024-05-01 ", "2024-05-01T24:00:00", "2024-05-01T10:00:00.1234567Z", "1_0", "٣",
         "01.05.24 10:00", "2024-05-01T10:00:60", "1.5.2024 10:7", "1714564800"]
    ),
)  # fmt: skip
CLOCKS = st.builds(
    Clock,
    unit=st.sampled_from([None, "s", "ms", "us", "ns", "iso"]),
    zone=st.sampled_from([None, "UTC", "Europe/Berlin", "America/St_Johns"]),
) | st.builds(
    Clock,
    pattern=st.sampled_from(["%d.%m.%Y %H:%M", "%Y%m%d", "%d.%m.%y %H:%M", "%Y-%m-%dT%H:%M:%S%z"]),
    zone=st.sampled_from([None, "Europe/Berlin"]),
)


@settings(max_examples=300, deadline=None)
@given(cells=st.lists(TIMES | st.none(), max_size=8), clock=CLOCKS)
def test_times_in_texts(cells: list[str | None], clock: Clock) -> None:
    array = pa.array(cells, pa.string())
    assert told(times(array, clock)) == one_by_one(cells, clock.time_ms)
    in_bytes = array.cast(pa.binary())
    assert told(times(in_bytes, clock)) == told(times(array, clock))


NUMBERS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int64(), st.integers(-(2**63), 2**63 - 1) | st.integers(10**8, 2 * 10**9)),
    (pa.float64(), st.floats() | st.floats(1e8, 2e9)),
    (pa.decimal128(20, 3), st.decimals(-(10**12), 10**13, places=3)),
]


@settings(max_examples=200, deadline=None)
@given(
    typed=st.sampled_from(NUMBERS).flatmap(
        lambda one: st.tuples(st.just(one[0]), st.lists(one[1] | st.none(), max_size=6))
    ),
    clock=CLOCKS,
)
def test_times_in_numbers(typed: tuple[pa.DataType, list[Any]], clock: Clock) -> None:
    kind, cells = typed
    wanted = one_by_one(cells, clock.time_ms)
    assert told(times(pa.array(cells, kind), clock)) == wanted


TEXTS = st.text("aZ0é\u00a0 \t.-", max_size=6) | st.sampled_from(["x" * 256, "x" * 257, "é" * 200])


@settings(max_examples=200, deadline=None)
@given(cells=st.lists(TEXTS | st.none(), max_size=6))
def test_ids_in_texts(cells: list[str | None]) -> None:
    assert told(column.ids(pa.array(cells, pa.string()))) == one_by_one(cells, cell.identifier)


@settings(max_examples=200, deadline=None)
@given(
    typed=st.sampled_from(NUMBERS).flatmap(
        lambda one: st.tuples(st.just(one[0]), st.lists(one[1] | st.none(), max_size=6))
    )
)
def test_ids_in_numbers(typed: tuple[pa.DataType, list[Any]]) -> None:
    kind, cells = typed
    assert told(column.ids(pa.array(cells, kind))) == one_by_one(cells, cell.identifier)


AMOUNTS = st.one_of(
    st.floats().map(repr),
    st.decimals(-(10**7), 10**7, places=2).map(str),
    st.sampled_from(["", " ", "1,5", "1e3", "12.", ".5", "1_0", "1.5 kg", "1e10", "-1e9", "$3"]),
)


@settings(max_examples=200, deadline=None)
@given(cells=st.lists(AMOUNTS | st.none(), max_size=6), whole=st.sampled_from([1.0, 5.0, 60.0]))
def test_numbers_in_texts(cells: list[str | None], whole: float) -> None:
    array = pa.array(cells, pa.string())
    shares = column.shares(array, whole, None)
    assert told(shares) == one_by_one(cells, lambda one: cell.value(one, whole))
    reached = column.at_least(array, 3.0, None)
    assert told(reached) == one_by_one(cells, lambda one: cell.number(one) >= 3)
    micros = [None if isinstance(one, float) and math.isnan(one) else one
              for one in told(column.micros(array, None))]  # fmt: skip
    assert micros == one_by_one(cells, lambda one: cell.micros(one) if cell.text(one) else None)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"])
def test_a_zone_counts_through_its_changes(zone: str) -> None:
    """Hours that come twice are the first ones; those that never come are as Python reads them."""
    texts = [f"2024-{month:02}-{day:02} {hour:02}:30" for month, days in (
        (3, (10, 31)), (4, (7,)), (10, (6, 27)), (11, (3,))) for day in days for hour in range(5)
    ]  # fmt: skip
    wanted = [
        round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1_000)
        for text in texts
    ]
    assert told(times(pa.array(texts), Clock(zone=zone))) == wanted
    naive = pa.array([datetime.fromisoformat(text) for text in texts], pa.timestamp("us"))
    assert told(times(naive, Clock(zone=zone))) == wanted


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("%d.%m.%Y %H:%M", "01.05.2024 12:00"),
        ("%d.%m.%Y %H:%M", "1.5.2024 12:00"),
        ("%m/%d/%Y %H:%M", "5/1/2024 12:00"),
        ("%m/%d/%Y %I:%M:%S %p", "5/1/2024 12:00:00 PM"),
        ("%Y%m%d%H%M%S", "20240501120000"),
        ("%d/%b/%Y:%H:%M:%S %z", "01/May/2024:14:00:00 +0200"),
        ("%A %d %B %Y %H Uhr", "Wednesday 01 May 2024 12 Uhr"),
        ("%Y-%m-%d %H:%M:%S.%f", "2024-05-01 12:00:00.000"),
    ],
)
def test_a_pattern_says_how_times_are_written(pattern: str, text: str) -> None:
    parsed = times(pa.array([text, "soon", ""]), Clock(pattern=pattern))
    expected = f"expected a time such as {pattern}, got 'soon'"
    assert told(parsed) == [NOON_MS, expected, "missing"]


@pytest.mark.parametrize(
    ("text", "unit"),
    [("1714564800", "s"), ("1714564800000", "ms"), ("1714564800000000", "us")]
    + [("1714564800000000000", "ns"), ("1714564800.0", "s")],
)
def test_the_unit_of_a_time_is_told_by_its_size_and_checked_where_it_is_given(
    text: str, unit: str
) -> None:
    assert told(times(pa.array([text]), Clock())) == [NOON_MS]
    assert told(times(pa.array([text]), Clock(unit=unit))) == [NOON_MS]
    for other in {"s", "ms", "us", "ns"} - {unit}:
        (reason,) = told(times(pa.array([text]), Clock(unit=other)))
        assert f"is unit {other} right?" in reason


@pytest.mark.parametrize(
    ("example", "cells"),
    [
        ("1.234,50 EUR", {"1.234,50 EUR": 1234.5, "12,5": 12.5, "-3 EUR": -3, "1.234": 1234}),
        ("$1,234.50", {"$1,234.50": 1234.5, "$-5": -5, "-$5": -5, "1,234,567.8": 1234567.8}),
        ("1 234,50 kr", {"1\u00a0234,50 kr": 1234.5, "1\u202f234 kr": 1234, "7kr": 7}),
        ("1'234.50 CHF", {"1'234.50 CHF": 1234.5, "1234.5": 1234.5}),
        ("USD 1234.5", {"USD 1234.5": 1234.5, "USD1234": 1234, "\u22122": -2}),
        ("1,234", {"12,34,567": 1234567, "1,234": 1234}),
        ("1234,5", {"1234,5": 1234.5, "0,99": 0.99}),
    ],
)
def test_an_example_says_how_numbers_are_written(example: str, cells: dict[str, float]) -> None:
    pattern = NumberPattern.of(example)
    assert told(column.shares(pa.array(list(cells)), 1.0, pattern)) == list(cells.values())
    micros = told(column.micros(pa.array(list(cells)), pattern))
    assert micros == [round(Decimal(str(value)) * 10**6) for value in cells.values()]


@pytest.mark.parametrize(
    ("example", "text"),
    [
        ("1.234,50", "1.23"), ("1.234,50", "1,234.50"), ("1,234.50", "1,23,4"), ("$1234.5", "£5"),
        ("1234.5", "1,5"), ("1234.5", "--5"), ("1234.5 kg", "5 lb"), ("1234.5", ""),
    ],
)  # fmt: skip
def test_a_number_of_another_pattern_is_none(example: str, text: str) -> None:
    assert NumberPattern.of(example).plain(text) is None


@pytest.mark.parametrize("example", ["", "12", "1.234.50", "EUR", "9.876,50"])
def test_an_example_must_be_the_number_that_is_asked_for(example: str) -> None:
    with pytest.raises(ValueError, match="expected 1234.5 as the file writes it"):
        NumberPattern.of(example)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a|b| |a", ("a", "b")),
        ("['a', 'b c']", ("a", "b c")),
        ('["a", "b, c"]', ("a", "b, c")),
        ("['a' 'b']", ("a", "b")),
        ("[\"don't\", 'x']", ("don't", "x")),
        ("[1, 2]", ("1", "2")),
        ("[]", ()),
        ("", ()),
    ],
)
def test_a_text_may_hold_a_list(text: str, parts: tuple[str, ...]) -> None:
    assert cell.labels(text, "|") == parts


def test_a_text_may_hold_a_vector() -> None:
    assert cell.vector("[1.5, -2e-3]", "|") == (1.5, -0.002)
    assert cell.vector("[1.5 2.\n 3]", "|") == (1.5, 2.0, 3.0)
    assert cell.vector("1|2", "|") == (1.0, 2.0) and cell.vector("", "|") is None
    assert str(cell.vector("1|x", "|")) == "(1.0, nan)"
    assert cell.vector([1, None], "|") is not None


def test_yes_and_no_are_written_in_several_ways() -> None:
    yes, no = ("true", "T", "Yes", "y", "1", "1.0", " 1 "), ("False", "f", "NO", "n", "0", "0.0")
    assert told(column.booleans(pa.array(yes))) == [True] * len(yes)
    assert told(column.booleans(pa.array(no))) == [False] * len(no)
    assert "expected true, false, 0 or 1" in told(column.booleans(pa.array(["2"])))[0]
