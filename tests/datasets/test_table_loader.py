"""A user's own table: its rows become impressions, and each bad row is reported."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_folder import EVENTS, bad, impressions, load

from headrace.catalogue.item import Item, User
from headrace.datasets.table import loader as table
from headrace.errors import DatasetError
from headrace.event import Shown, decode, encode

FAR_MS = 10**15


def test_rows_become_impressions_in_time_order(tmp_path: Path) -> None:
    dataset = load(tmp_path, "ann,mug,20,1\nbob,pen,10.5,0\neve,mug,20,false\n")
    events = impressions(dataset)
    assert [(e.event_time_ms, e.user_id) for e in events] == [
        (10_500, "bob"),
        (20_000, "ann"),
        (20_000, "eve"),
    ]
    assert [event.items[0].clicked for event in events] == [False, True, False]
    assert (dataset.num_events, dataset.start_ms, dataset.end_ms) == (3, 10_500, 20_000)
    assert dataset.bad_rows == ()


def test_rows_of_one_request_time_and_user_are_one_impression(tmp_path: Path) -> None:
    rows = "ann,a,10,0,r1\nbob,a,10,0,r1\nann,b,10,1,r1\nann,c,11,0,r1\nann,d,10,0,r2\n"
    dataset = load(tmp_path, rows, "u,i,t,c,r", ", request_id: r")
    events = impressions(dataset)
    assert [(e.user_id, e.request_id, [s.item_id for s in e.items]) for e in events] == [
        ("ann", "r1", ["a", "b"]),
        ("bob", "r1", ["a"]),
        ("ann", "r2", ["d"]),
        ("ann", "r1", ["c"]),
    ]
    assert events[0].items == (Shown("a", 0, False), Shown("b", 1, True))
    assert len({event.event_id for event in events}) == 4


def test_event_ids_depend_on_the_content_only(tmp_path: Path) -> None:
    one = impressions(load(tmp_path, "ann,mug,20,1\nbob,pen,10,0\n"))
    other = impressions(load(tmp_path, "bob,pen,10,0\nann,mug,20,1\neve,mug,5,0\n"))
    assert other[1:] == one


def test_times_in_another_unit_than_the_mapping_says_are_bad_rows_of_that_column(
    tmp_path: Path,
) -> None:
    rows = "a,1,789652009,1\na,2,1476640644,0\na,3,1476640644000,0\n"
    (tmp_path / "headrace.yaml").write_text(
        f"events: {EVENTS}\n".replace("unit: s", "unit: ms") % ("c", "")
    )
    (tmp_path / "events.csv").write_text(f"u,i,t,c\n{rows}")
    dataset = table.load(tmp_path)
    assert [event.event_time_ms for event in impressions(dataset)] == [1_476_640_644_000]
    reasons = [
        f"'{cell}' is a time in seconds: is unit ms right?" for cell in (789652009, 1476640644)
    ]
    assert bad(dataset) == [(1, "t", reasons[0]), (2, "t", reasons[1])]


def test_positions_may_count_from_any_number(tmp_path: Path) -> None:
    rows = "ann,a,10,0,r,2\nann,b,10,0,r,1\n"
    extra = ", request_id: r, position: {column: rank, first: 1}"
    (event,) = impressions(load(tmp_path, rows, "u,i,t,c,r,rank", extra))
    assert [(shown.item_id, shown.position) for shown in event.items] == [("b", 0), ("a", 1)]
    (event,) = impressions(
        load(tmp_path, rows, "u,i,t,c,r,rank", ", request_id: r, position: rank")
    )
    assert [(shown.item_id, shown.position) for shown in event.items] == [("b", 1), ("a", 2)]


def test_a_surface_is_taken_where_the_table_has_one(tmp_path: Path) -> None:
    dataset = load(tmp_path, "ann,a,10,0,search\n", "u,i,t,c,page", ", surface: page")
    assert impressions(dataset)[0].surface == "search"


def test_a_click_may_be_a_number_at_or_above_a_threshold(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(
        "events: {file: events.tsv, user_id: u, item_id: i, time: {column: t, unit: ms},"
        " clicked: {column: stars, at_least: 4}}"
    )
    (tmp_path / "events.tsv").write_text("u\ti\tt\tstars\na\tx\t1\t4\nb\tx\t2\t3.9\nc\tx\t3\tfew\n")
    dataset = table.load(tmp_path)
    assert [event.items[0].clicked for event in impressions(dataset)] == [True, False]
    assert bad(dataset) == [(3, "stars", "expected a number, got 'few'")]


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (",mug,20,1", "u", "missing"),
        ("  ,mug,20,1", "u", "missing"),
        (f"ann,{'x' * 257},20,1", "i", "257 characters long, at most 256"),
        ("ann,mug,noon,1", "t", "expected a number, got 'noon'"),
        ("ann,mug,nan,1", "t", "expected a number"),
        ("ann,mug,1_0,1", "t", "expected a number"),
        ("ann,mug,-1,1", "t", "not between 1970 and 9999"),
        ("ann,mug,1714554000000,1", "t", "a time in milliseconds: is unit s right?"),
        ("ann,mug,1714554000000000,1", "t", "a time in microseconds: is unit s right?"),
        ("ann,mug,1714554000000000000,1", "t", "a time in nanoseconds: is unit s right?"),
        ("ann,mug,,1", "t", "missing"),
        ("ann,mug,20,maybe", "c", "expected true, false, 0 or 1, got 'maybe'"),
        ("ann,mug,20,2", "c", "expected true, false, 0 or 1"),
        ("ann,mug,20,", "c", "missing"),
        ("ann,mug,20", "(row)", "3 values, the header has 4"),
        ("ann,mug,20,1,x", "(row)", "5 values, the header has 4"),
        ("ok,mug,1,1", "i", "'mug' is already in the request that starts on line 1"),
    ],
)
def test_a_bad_row_is_reported_and_the_others_go_on(
    tmp_path: Path, row: str, column: str, reason: str
) -> None:
    dataset = load(tmp_path, f"ok,mug,1,1\n{row}\nok,pen,2,0\n")
    assert dataset.num_events == 2
    (reported,) = dataset.bad_rows
    assert (reported.file, reported.line, reported.column) == ("events.csv", 2, column)
    assert reason in reported.reason


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        ("ann,a,10,0,r,1,home", "i", "'a' is already in the request"),
        ("ann,b,10,0,r,1,search", "page", "the request starts with 'home' on line 1"),
        ("ann,b,10,0,,1,home", "r", "missing"),
        ("ann,b,10,0,r,-1,home", "rank", "expected a whole number from 0 up"),
        ("ann,b,10,0,r,1.5,home", "rank", "expected a whole number from 0 up"),
        ("ann,b,10,0,r,1,", "page", "missing"),
    ],
)
def test_a_row_that_does_not_fit_its_request_is_bad(
    tmp_path: Path, row: str, column: str, reason: str
) -> None:
    extra = ", request_id: r, position: rank, surface: page"
    dataset = load(tmp_path, f"ann,a,10,0,r,0,home\n{row}\n", "u,i,t,c,r,rank,page", extra)
    assert impressions(dataset)[0].items == (Shown("a", 0, False),)
    (reported,) = dataset.bad_rows
    assert (reported.line, reported.column) == (2, column) and reason in reported.reason


def test_a_request_holds_at_most_a_thousand_items(tmp_path: Path) -> None:
    rows = "".join(f"ann,i{n},10,0,r\n" for n in range(1001))
    dataset = load(tmp_path, rows, "u,i,t,c,r", ", request_id: r")
    assert len(impressions(dataset)[0].items) == 1000
    assert bad(dataset) == [(1001, "i", "more than 1000 items in one request")]


def test_blank_lines_are_counted_but_are_no_rows(tmp_path: Path) -> None:
    dataset = load(tmp_path, "ann,mug,20,1\n\nbob,mug,never,1\n")
    assert [row.line for row in dataset.bad_rows] == [3]


def test_text_that_is_not_utf8_spoils_its_own_row_only(tmp_path: Path) -> None:
    load(tmp_path, "ann,mug,20,1\n")
    content = "\ufeffu,i,t,c\nann,café,20,1\n".encode() + b"bob,caf\xe9,20,1\neve,mug,21,1\n"
    (tmp_path / "events.csv").write_bytes(content)
    dataset = table.load(tmp_path)
    shown = [event.items[0].item_id for event in dataset.events()]  # type: ignore[union-attr]
    assert shown == ["café", "mug"]
    assert bad(dataset) == [(2, "i", "not UTF-8 text")]


def test_a_stray_quote_spoils_the_lines_it_spans_only(tmp_path: Path) -> None:
    dataset = load(tmp_path, 'ann,"mug,20,1\nbob,"pen",20,1\neve,mug,21,1\n')
    assert [event.user_id for event in dataset.events()] == ["eve"]
    (reported,) = dataset.bad_rows
    assert reported.column == "(row)" and "lines 2 to 3 of the file" in reported.reason


def test_a_quote_that_is_never_closed_stops_the_load(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="quote opened on line 3 is never closed"):
        load(tmp_path, 'ann,mug,20,1\nbob,"mug,20,1\neve,mug,21,1\n')


def test_a_table_without_a_usable_row_is_an_error_with_an_example(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"2 bad rows, the first is line 1, t: missing"):
        load(tmp_path, "ann,mug,,1\nbob,mug,,1\n")
    with pytest.raises(DatasetError, match=r"events\.csv: no rows"):
        load(tmp_path, "")


def test_without_items_and_users_files_the_events_name_them(tmp_path: Path) -> None:
    dataset = load(tmp_path, "ann,mug,20,1\nbob,pen,10,0\nann,pen,30,0\n")
    assert dataset.items == (Item("pen"), Item("mug"))
    assert dataset.users == (User("bob"), User("ann"))


def test_items_and_users_files_are_the_catalogue(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(
        "sku,name,tags,brand\nmug,Mug, kitchen ;gift;;gift,Acme\n,x,,\nmug,again,,\nlamp,,,\n"
    )
    pq.write_table(
        pa.table({"id": [1, 2], "age": [31.0, None], "vip": [True, False]}),
        tmp_path / "users.parquet",
    )
    dataset = load(
        tmp_path,
        "1,mug,20,1\n3,pen,30,0\n",
        items="{file: items.csv, item_id: sku, title: name, attributes: [brand],"
        " categories: {column: tags, separator: ';'}}",
        users="{file: users.parquet, user_id: id, attributes: [age, vip]}",
    )
    assert dataset.items == (Item("mug", "Mug", ("kitchen", "gift"), ("brand=Acme",)), Item("lamp"))
    assert dataset.users == (User("1", ("age=31", "vip=true")), User("2", ("vip=false",)))
    assert bad(dataset) == [(2, "sku", "missing"), (3, "sku", "'mug' is already on line 1")]
    assert {row.file for row in dataset.bad_rows} == {"items.csv"}


def test_an_items_file_without_a_usable_row_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("sku\n")
    with pytest.raises(DatasetError, match=r"items\.csv: no rows"):
        load(tmp_path, "1,mug,20,1\n", items="{file: items.csv, item_id: sku}")


def test_typed_values_of_parquet_are_held_to_the_same_rules(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(
        "events: {file: e.parquet, user_id: u, item_id: i, time: {column: t, unit: iso},"
        " clicked: c}\nitems: {file: i.parquet, item_id: i, categories: tags}"
    )
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    columns: dict[str, Any] = {
        "u": [1.0, 2.5, None, 4.0],
        "i": [7, 7, 7, 7],
        "t": pa.array([noon, noon, noon, None], pa.timestamp("ns", tz="UTC")),
        "c": [True, True, False, None],
    }
    pq.write_table(pa.table(columns), tmp_path / "e.parquet")
    pq.write_table(pa.table({"i": [7], "tags": [["a", " b", ""]]}), tmp_path / "i.parquet")
    dataset = table.load(tmp_path)
    (event,) = impressions(dataset)
    assert (event.user_id, event.items[0].item_id) == ("1", "7")
    assert event.event_time_ms == 1_714_564_800_000
    assert dataset.items == (Item("7", "", ("a", "b")),)
    assert bad(dataset) == [
        (2, "u", "expected text or a whole number, got '2.5'"),
        (3, "u", "missing"),
        (4, "t", "missing"),
    ]


@pytest.mark.parametrize(
    ("cell", "time_ms"),
    [
        ("2024-05-01T12:00:00Z", 1_714_564_800_000),
        ("2024-05-01 12:00:00.0019", 1_714_564_800_001),
        ("2024-05-01T14:00:00+02:00", 1_714_564_800_000),
        ("2024-05-01", 1_714_521_600_000),
    ],
)
def test_iso_times_without_a_zone_are_utc(tmp_path: Path, cell: str, time_ms: int) -> None:
    load(tmp_path, "ann,mug,1,1\n")
    mapping = (tmp_path / "headrace.yaml").read_text().replace("unit: s", "unit: iso")
    (tmp_path / "headrace.yaml").write_text(mapping)
    (tmp_path / "events.csv").write_text(f"u,i,t,c\nann,mug,{cell},1\nann,mug,May 1st,1\n")
    dataset = table.load(tmp_path)
    assert dataset.start_ms == time_ms
    assert bad(dataset) == [(2, "t", "expected a time such as 2024-05-01T12:00:00Z, got 'May 1st'")]


cells = st.tuples(
    st.sampled_from(["ann", "bob", "", "x" * 300]),
    st.sampled_from(["mug", "pen", "lamp", "ü,\n\"'"]),
    st.sampled_from(["0", "1", "1.5", "3", "later", "1e400", ""]),
    st.sampled_from(["true", "FALSE", "0", "1", "yes", ""]),
    st.sampled_from(["r1", "r2", ""]),
    st.sampled_from(["", "0", "3", "-1e9", "1e9", "2e9", "1e400", "high"]),
)


@settings(max_examples=60)
@given(rows=st.lists(cells, max_size=12))
def test_every_row_is_an_item_of_a_valid_event_merged_into_one_or_a_bad_row(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("table")
    quoted = (",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    text = "ann,mug,0,1,first,1\n" + "".join(f"{line}\n" for line in quoted)
    dataset = load(folder, text, "u,i,t,c,r,v", ", request_id: r, value: v")
    events = impressions(dataset)
    assert dataset.counts is not None and dataset.counts.rows == {"events.csv": len(rows) + 1}
    num_told = sum(len(e.items) for e in events) + dataset.counts.num_merged
    assert num_told + dataset.num_bad_rows == len(rows) + 1
    assert [decode(encode(event), FAR_MS) for event in events] == events
    assert len({event.event_id for event in events}) == len(events) == dataset.num_events
    times_ms = [event.event_time_ms for event in events]
    assert times_ms == sorted(times_ms)
    assert impressions(dataset) == events
