"""Items and users from files as they are: out of the log, over time, joined."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from table_folder import bad

from headrace.catalogue.item import Dataset, Item, User
from headrace.datasets.table import loader as table
from headrace.errors import ConfigError


def load(folder: Path, parts: str, **files: str) -> Dataset:
    """The dataset of a small log, with further parts of the mapping and further files."""
    events = "events: {file: e.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c}"
    (folder / "headrace.yaml").write_text(f"{events}\n{parts}")
    rows = "u,i,t,c\na,1,1,1\nb,2,2,0\n"
    for name, content in {"e": rows, **files}.items():
        (folder / f"{name}.csv").write_text(content)
    return table.load(folder)


LOG = "u,i,t,c,name,tier\na,1,1,1,Mug,gold\nb,2,2,0,Pen,\na,1,3,0,Big mug,silver\n,3,4,1,Cap,x\n"


@pytest.mark.parametrize(
    ("distinct", "title", "tier"), [("first", "Mug", "gold"), ("last", "Big mug", "silver")]
)
def test_items_and_users_may_come_out_of_the_log(
    tmp_path: Path, distinct: str, title: str, tier: str
) -> None:
    parts = (
        f"items: {{file: e.csv, item_id: i, title: name, distinct: {distinct}}}\n"
        f"users: {{file: e.csv, user_id: u, attributes: [tier], distinct: {distinct}}}"
    )
    dataset = load(tmp_path, parts, e=LOG)
    assert set(dataset.items) == {Item("1", title), Item("2", "Pen"), Item("3", "Cap")}
    assert set(dataset.users) == {User("a", (f"tier={tier}",)), User("b")}
    assert bad(dataset) == [(4, "u", "missing")]  # once, though three parts read the file
    assert dataset.counts is not None and dataset.counts.rows == {"e.csv": 4}


@pytest.mark.parametrize(("distinct", "titles"), [("first", "ab"), ("last", "cd")])
def test_which_row_counts_goes_across_chunks_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, distinct: str, titles: str
) -> None:
    monkeypatch.setattr("headrace.datasets.table.files.text.BLOCK_BYTES", 8)
    parts = f"items: {{file: [i1.csv, i2.csv], item_id: i, title: n, distinct: {distinct}}}"
    dataset = load(tmp_path, parts, i1="i,n\n1,a\n2,b\n1,x\n", i2="i,n\n2,x\n1,c\n2,d\n")
    assert {item.item_id: item.title for item in dataset.items} == dict(
        zip("12", titles, strict=True)
    )


def test_without_that_an_id_that_comes_again_makes_a_bad_row(tmp_path: Path) -> None:
    parts = "items: {file: [i1.csv, i2.csv], item_id: i, title: n}"
    dataset = load(tmp_path, parts, i1="i,n\n1,a\n1,x\n", i2="i,n\n1,y\n2,b\n")
    assert dataset.items == (Item("1", "a"), Item("2", "b"))
    reasons = [(row.file, row.line, row.reason) for row in dataset.bad_rows]
    assert reasons == [
        ("i1.csv", 2, "'1' is already on line 1"),
        ("i2.csv", 1, "'1' is already on line 1 of i1.csv"),
    ]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>A <b>red</b> mug.</p><p>Big</p>", "A red mug. Big"),
        ("Fish &amp; chips &lt;3", "Fish & chips <3"),
        ("a<br>b<br/>c", "a b c"),
        ("<style>p {color: red}</style>x<script>if (a<b) {}</script>y", "x y"),
        ("x<!-- hidden -->y <![CDATA[z]]>", "xy"),
        ("5 < 6 and 7 > 2", "5 < 6 and 7 > 2"),
        ("TV 42\" <3", "TV 42\" <3"),
        ("<p>" + "x" * 200_000, "x" * 200_000),
        ("<div", "<div"),
        ("<ul><li>one<li>two</ul>", "one two"),
    ],
)  # fmt: skip
def test_descriptions_are_read_without_markup(tmp_path: Path, html: str, text: str) -> None:
    parts = "items: {file: i.csv, item_id: i, description: d}"
    quoted = html.replace('"', '""')
    dataset = load(tmp_path, parts, i=f'i,d\n1,"{quoted}"\n2,\n')
    assert [content.description for content in dataset.contents()] == [text or None, None]


def test_files_have_names_that_columns_make(tmp_path: Path) -> None:
    parts = "items: {file: i.csv, item_id: i, image: {template: '%s'}}"
    rows = "i,n\n0108775015,a b\n7,\n"
    dataset = load(tmp_path, parts % "images/{i:.3}/{i}.jpg", i=rows)
    images = [content.files.get("image") for content in dataset.contents()]
    assert images == [tmp_path / "images/010/0108775015.jpg", tmp_path / "images/7/7.jpg"]
    dataset = load(tmp_path, parts % "{n}/{i:0>10}.png", i=rows)
    images = [content.files.get("image") for content in dataset.contents()]
    assert images == [tmp_path / "a b/0108775015.png", None]


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("{template: a.jpg}", "items.image.template: got 'a.jpg', expected one with {column}"),
        ("{template: '{}.jpg'}", "expected {column}, {column:.3} for"),
        ("{template: '{i!r}.jpg'}", "expected {column}, {column:.3} for"),
        ("{template: '{i.__class__}'}", "items.image: i.csv has no column 'i.__class__'"),
        ("{template: '{x}'}", "items.image: i.csv has no column 'x'"),
        ("{url: i}", "items.image.hosts: missing: files are fetched only from hosts"),
        ("{url: i, hosts: [h], template: '{i}'}", "expected either template or url"),
    ],
)  # fmt: skip
def test_a_place_of_files_that_is_none_is_refused(tmp_path: Path, image: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"items: {{file: i.csv, item_id: i, image: {image}}}", i="i\n1\n")
    assert problem in str(caught.value)


PROPERTIES = "item,at,name,value\n1,100,size,S\n2,50,color,red\n1,300,size,L\n1,200,size,M\n"


def test_properties_over_time_are_columns_with_their_newest_values(tmp_path: Path) -> None:
    parts = (
        "items: {file: [p1.csv, p2.csv], item_id: item, title: name, attributes: [size, color],"
        " properties: {name: name, value: value, time: {column: at, unit: s}}}"
    )
    more = (
        "item,at,name,value\n3,10,other,x\n2,60,color,\n2,40,color,blue\n4,x,size,M\n1,1,name,Mug\n"
    )
    dataset = load(tmp_path, parts, p1=PROPERTIES, p2=more)
    assert dataset.items == (
        Item("1", "Mug", (), ("size=L",)),
        Item("2"),
        Item("3"),
    )
    assert [(row.file, row.line, row.column) for row in dataset.bad_rows] == [("p2.csv", 4, "at")]


def test_without_a_time_the_later_property_counts(tmp_path: Path) -> None:
    parts = (
        "items: {file: p.csv, item_id: item, attributes: [size],"
        " properties: {name: name, value: value}}"
    )
    dataset = load(tmp_path, parts, p=PROPERTIES)
    assert dataset.items == (Item("1", "", (), ("size=M",)), Item("2"))


def test_joins_add_columns_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(
        "events: {file: lines.csv, user_id: person, item_id: product, action: {always: like},"
        " time: {column: at, unit: s}, joins: ["
        "{file: orders.csv, on: order, columns: [customer, at]},"
        "{file: customers.parquet, on: {customer: id}, columns: [person]}]}\n"
        "items: {file: products.csv, item_id: product, categories: english,"
        " joins: [{file: names.csv, on: category, columns: [english]}]}"
    )
    files = {
        "lines": "order,product\no1,p1\no1,p2\no2,p1\no3,p1\no4,p1\n",
        "orders": "order,customer,at,more\no1,7,10,x\no2,8,20,x\no4,9,40,x\no1,8,99,again\n",
        "products": "product,category\np1,becher\np2,stift\n",
        "names": "category,english\nbecher,mugs\n",
    }
    for name, content in files.items():
        (tmp_path / f"{name}.csv").write_text(content)
    customers = pa.table({"id": [7, 8], "person": ["ann", "bob"]})
    pq.write_table(customers, tmp_path / "customers.parquet")
    dataset = table.load(tmp_path)
    told = [(event.user_id, event.event_time_ms) for event in dataset.events()]
    assert told == [("ann", 10_000), ("ann", 10_000), ("bob", 20_000)]
    assert bad(dataset) == [(4, "at", "missing"), (5, "person", "missing")]
    assert dataset.items == (Item("p1", "", ("mugs",)), Item("p2"))


def test_joins_that_do_not_fit_are_refused_with_their_place(tmp_path: Path) -> None:
    joins = "joins: [{file: o.csv, on: i, columns: [x]}, {file: gone.csv, on: {y: z}, columns: []}]"
    with pytest.raises(ConfigError) as caught:
        load(
            tmp_path,
            f"items: {{file: i.csv, item_id: i, title: x, {joins}}}",
            i="i\n1\n",
            o="i\n1\n",
        )
    for problem in (
        "items.joins[0]: o.csv has no column 'x'",
        f"items.joins[1].file: there is no file {tmp_path / 'gone.csv'}",
        "items.joins: i.csv has no column 'y'",
    ):
        assert problem in str(caught.value)


def test_a_price_is_a_word_of_its_size_and_currency(tmp_path: Path) -> None:
    price = "{column: p, currency: EUR, pattern: '1.234,50 EUR'}"
    rows = 'i,p\n1,"12,50 EUR"\n2,"1.999,00"\n3,\n4,cheap\n5,"0,00"\n6,"10,00"\n7,"0,07"\n'
    dataset = load(tmp_path, f"items: {{file: i.csv, item_id: i, price: {price}}}", i=rows)
    assert [item.attributes for item in dataset.items] == [
        ("price=10-20 EUR",), ("price=1000-2000 EUR",), (), ("price=0 EUR",), ("price=10-20 EUR",),
        ("price=0.05-0.1 EUR",),
    ]  # fmt: skip
    assert bad(dataset) == [(4, "p", "expected a number, got 'cheap'")]


def test_words_for_nothing_are_nothing_where_they_are_named(tmp_path: Path) -> None:
    rows = "i,n,c\n1,NULL,red\n2,Pen,\\N\n"
    parts = "items: {file: i.csv, item_id: i, title: n, attributes: [c]%s}"
    dataset = load(tmp_path, parts % "", i=rows)
    assert dataset.items == (Item("1", "NULL", (), ("c=red",)), Item("2", "Pen", (), ("c=\\N",)))
    assert dataset.counts is not None
    assert dataset.counts.null_words == {"i.csv: n": 1, "i.csv: c": 1}
    dataset = load(tmp_path, parts % ", format: {nulls: [NULL, \\N]}", i=rows)
    assert dataset.items == (Item("1", "", (), ("c=red",)), Item("2", "Pen"))
    assert dataset.counts is not None and dataset.counts.null_words == {}


def test_stock_window_and_age_come_from_columns(tmp_path: Path) -> None:
    until = "{column: u, zone: Europe/Berlin}"
    keys = f"stock: s, min_age: a, available_from: f, available_until: {until}"
    price = "{column: p, currency: EUR}"
    rows = (
        "i,p,s,a,f,u\n1,9.99,0,18,2024-05-01T00:00:00Z,2024-06-01 00:00\n"
        "2,,,,,\n3,1,-1,,,\n4,1,2.5,,,\n5,1,,,soon,\n"
    )
    dataset = load(tmp_path, f"items: {{file: i.csv, item_id: i, price: {price}, {keys}}}", i=rows)
    window = 1_714_521_600_000, 1_717_192_800_000
    words = ("price=5-10 EUR",)
    assert dataset.items == (Item("1", "", (), words, 9_990_000, "EUR", 0, *window, 18), Item("2"))
    assert [(line, column) for line, column, _ in bad(dataset)] == [(3, "s"), (4, "s"), (5, "f")]
