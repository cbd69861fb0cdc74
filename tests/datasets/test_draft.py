"""A draft of an application file: what is guessed of common layouts, and what has to be said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import invented_shops as shops
import pytest
import yaml

from headrace.application.sections import read_sections
from headrace.datasets.draft.choice import Draft
from headrace.datasets.draft.draft import drafted
from headrace.datasets.draft.page import page_of
from headrace.datasets.table.mapping import problems_of
from headrace.errors import ConfigError, DatasetError

GBP: Final = {"events.money.currency": "GBP"}

# A shop, what a person says of it, and the sections that are written then.
DRAFTS: Final[dict[str, tuple[Callable[[Path], None], dict[str, Any], dict[str, Any]]]] = {
    "views and purchases": (
        shops.views_and_purchases,
        {},
        {
            "actions": ["click", "add_to_cart", "purchase"],
            "events": {
                "file": "events.csv",
                "user_id": "visitorid",
                "item_id": "itemid",
                "time": {"column": "timestamp", "unit": "ms"},
                "action": {
                    "column": "event",
                    "values": {
                        "view": "click",
                        "addtocart": "add_to_cart",
                        "transaction": "purchase",
                    },
                },
            },
            "items": {
                "file": ["item_properties_part1.csv", "item_properties_part2.csv"],
                "item_id": "itemid",
                "properties": {
                    "name": "property",
                    "value": "value",
                    "time": {"column": "timestamp", "unit": "ms"},
                },
                "categories": "categoryid",
            },
        },
    ),
    "order lines": (
        shops.order_lines,
        GBP,
        {
            "actions": ["click", "purchase"],
            "events": {
                "file": "retail.csv",
                "format": {"encoding": "cp1252"},
                "user_id": {"column": "CustomerID", "guest": "InvoiceNo"},
                "item_id": "StockCode",
                "time": {"column": "InvoiceDate", "pattern": "%m/%d/%Y %H:%M"},
                "action": {"always": "purchase"},
                "money": {"column": "UnitPrice", "quantity": "Quantity", "currency": "GBP"},
            },
            "items": {
                "file": "retail.csv",
                "format": {"encoding": "cp1252"},
                "item_id": "StockCode",
                "title": "Description",
                "distinct": "last",
            },
            "users": {
                "file": "retail.csv",
                "format": {"encoding": "cp1252"},
                "user_id": "CustomerID",
                "attributes": ["Country"],
                "distinct": "last",
            },
        },
    ),
    "transactions and articles": (
        shops.transactions_and_articles,
        GBP,
        {
            "actions": ["click", "purchase"],
            "events": {
                "file": "transactions_train.csv",
                "user_id": "customer_id",
                "item_id": "article_id",
                "time": {"column": "t_dat", "unit": "iso"},
                "action": {"always": "purchase"},
                "money": {"column": "price", "currency": "GBP"},
            },
            "items": {
                "file": "articles.csv",
                "item_id": "article_id",
                "categories": "product_type_name",
                "title": "prod_name",
                "attributes": ["colour_group_name"],
            },
            "users": {
                "file": "customers.csv",
                "user_id": "customer_id",
                "attributes": ["club_member_status", "age"],
            },
        },
    ),
    "lines of orders apart": (
        shops.lines_of_orders_apart,
        GBP,
        {
            "actions": ["click", "purchase"],
            "events": {
                "file": "order_items.csv",
                "user_id": "customer_id",
                "item_id": "product_id",
                "time": {"column": "order_purchase_timestamp", "unit": "iso"},
                "action": {"always": "purchase"},
                "money": {"column": "price", "currency": "GBP"},
                "joins": [
                    {
                        "file": "orders.csv",
                        "on": "order_id",
                        "columns": ["customer_id", "order_purchase_timestamp"],
                    }
                ],
            },
        },
    ),
    "ratings": (
        shops.ratings,
        {},
        {
            "events": {
                "file": "ratings.csv",
                "user_id": "userId",
                "item_id": "movieId",
                "time": {"column": "timestamp", "unit": "s"},
                "clicked": {"column": "rating", "at_least": 4},
                "value": {"column": "rating", "of": 5},
            },
            "items": {
                "file": "movies.csv",
                "item_id": "movieId",
                "categories": "genres",
                "title": "title",
            },
        },
    ),
    "German orders": (
        shops.german_orders,
        {},
        {
            "actions": ["click", "purchase"],
            "events": {
                "file": "bestellungen.csv",
                "format": {"delimiter": ";"},
                "user_id": "Kunde",
                "item_id": "Artikel",
                "time": {"column": "Datum", "pattern": "%d.%m.%Y %H:%M"},
                "action": {"always": "purchase"},
                "money": {
                    "column": "Preis",
                    "pattern": "1.234,50 EUR",
                    "quantity": "Menge",
                    "currency": "EUR",
                },
            },
        },
    ),
    "impressions": (
        shops.impressions,
        {},
        {
            "actions": ["click", "add_to_cart"],
            "events": {
                "file": "log.tsv",
                "user_id": "client",
                "item_id": "sku",
                "time": {"column": "ts", "unit": "iso"},
                "clicked": "clicked",
                "outcomes": {"add_to_cart": "added_to_cart"},
                "request_id": "page_view",
                "position": {"column": "slot", "first": 1},
                "surface": "page",
            },
            "items": {
                "file": "products.csv",
                "item_id": "id",
                "title": "name",
                "image": "photo",
                "attributes": ["brand"],
            },
        },
    ),
}


def draft_of(folder: Path, shop: Callable[[Path], None], **said: Any) -> Draft:
    shop(folder)
    return drafted(folder, said)


@pytest.mark.parametrize("name", DRAFTS)
def test_common_layouts_are_guessed(tmp_path: Path, name: str) -> None:
    shop, said, expected = DRAFTS[name]
    draft = draft_of(tmp_path, shop, **said)
    written = yaml.safe_load(page_of(draft))
    assert written == expected and not draft.open()
    application, problems = read_sections(written)
    names = [row.name for row in application.actions]
    assert problems + problems_of(written, names) == []


@pytest.mark.parametrize("name", DRAFTS)
def test_each_guess_has_a_reason_beside_it(tmp_path: Path, name: str) -> None:
    shop, said, _ = DRAFTS[name]
    draft = draft_of(tmp_path, shop, **said)
    lines = page_of(draft).splitlines()
    assert all(choice.why for _, choice in draft.choices())
    assert all(any(choice.why in line for line in lines) for _, choice in draft.choices())


def test_what_nothing_tells_is_asked_for(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, shops.unnamed)
    asked = {path: choice.options for path, choice in draft.open()}
    assert [*asked] == [
        "events.user_id",
        "events.item_id",
        "events.time.pattern",
        "events.action.always",
    ]
    assert asked["events.user_id"] == ("a", "b")
    assert asked["events.time.pattern"] == ("%m/%d/%Y", "%d/%m/%Y")
    marked = [line for line in page_of(draft).splitlines() if "# ? " in line]
    assert len(marked) == len(asked)


def test_a_persons_word_stands_for_a_guess(tmp_path: Path) -> None:
    said = {
        "events.user_id": "a",
        "events.item_id": "b",
        "events.time.pattern": "%d/%m/%Y",
        "events.action": "purchase",
    }
    draft = draft_of(tmp_path, shops.unnamed, **said)
    events = yaml.safe_load(page_of(draft))["events"]
    assert not draft.open()
    assert events == {
        "file": "log.csv",
        "user_id": "a",
        "item_id": "b",
        "time": {"column": "c", "pattern": "%d/%m/%Y"},
        "action": {"always": "purchase"},
    }


def test_one_answer_leaves_the_other_questions_of_a_key(tmp_path: Path) -> None:
    kinds = ["view", "buy", "ping", "pong", "cart"]
    shops.write(
        tmp_path, "log.csv", "user_id,item_id,time,event",
        lambda n: (n % 9, n % 14, 1_714_557_600 + n, kinds[n % 5]),
    )  # fmt: skip
    asked = [path for path, _ in drafted(tmp_path, {}).open()]
    assert asked == ["events.action.values.ping", "events.action.values.pong"]
    draft = drafted(tmp_path, {"events.action.values.ping": "share"})
    assert [path for path, _ in draft.open()] == ["events.action.values.pong"]
    nothing = drafted(tmp_path, dict.fromkeys(asked))
    assert not nothing.open()


def test_a_file_that_is_named_is_taken_and_one_that_is_not_there_refused(tmp_path: Path) -> None:
    shops.ratings(tmp_path)
    shops.german_orders(tmp_path)
    draft = drafted(tmp_path, {"events.file": "bestellungen.csv"})
    assert yaml.safe_load(page_of(draft))["events"]["user_id"] == "Kunde"
    with pytest.raises(ConfigError, match=r"--set events.file=none.csv: expected one of .*movies"):
        drafted(tmp_path, {"events.file": "none.csv"})


def test_files_that_have_no_part_are_named(tmp_path: Path) -> None:
    shops.ratings(tmp_path)
    shops.write(tmp_path, "weather.csv", "place,degrees", lambda n: ("here", n))
    notes = drafted(tmp_path, {}).notes
    assert notes == ["not used: weather.csv (place, degrees)"]


def test_a_folder_without_rows_is_a_dataset_error(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# nothing\n")
    with pytest.raises(DatasetError, match="no file that may hold rows"):
        drafted(tmp_path, {})


def test_the_key_of_a_file_is_the_item_whatever_it_is_called(tmp_path: Path) -> None:
    things = [f"T{n},Tool {n}" for n in range(9)]
    (tmp_path / "tools.csv").write_text("\n".join(["tool,name", *things]) + "\n")
    rows = [f"2026-09-01 08:00:{n:02},m{n % 5},T{n % 9},{n % 2},{n % 3 // 2}" for n in range(60)]
    header = "when,member,tool,opened,rent"
    (tmp_path / "visits.csv").write_text("\n".join([header, *rows]) + "\n")
    draft = drafted(tmp_path, {"events.file": "visits.csv", "items.file": "tools.csv"})
    assert draft.open() == []
    events, items = draft.sections["events"], draft.sections["items"]
    assert isinstance(events, dict) and isinstance(items, dict)
    assert (events["user_id"].value, events["item_id"].value) == ("member", "tool")
    assert (items["item_id"].value, items["title"].value) == ("tool", "name")
    assert any("not used: rent of visits.csv, yes or no" in note for note in draft.notes)


def test_a_file_of_items_without_a_key_is_asked_about(tmp_path: Path) -> None:
    shops.ratings(tmp_path)
    (tmp_path / "stock.csv").write_text("a,b\n1,1\n1,2\n2,2\n")
    draft = drafted(tmp_path, {"items.file": "stock.csv"})
    assert [path for path, _ in draft.open()] == ["items.item_id"]
