"""Small invented files in the layouts that shops and public logs have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

NUM_ROWS = 60
Row = Callable[[int], Sequence[Any]]
Shop = Callable[[Path], None]


def write(folder: Path, name: str, header: str, row: Row, **form: Any) -> None:
    """A file of rows by their number; `form` may have a delimiter, an encoding and how many."""
    delimiter, num = form.get("delimiter", ","), form.get("num", NUM_ROWS)
    lines = [delimiter.join(map(str, row(number))) for number in range(num)]
    head = [header.replace(",", delimiter)] if header else []
    text = "\n".join([*head, *lines]) + "\n"
    (folder / name).write_text(text, encoding=form.get("encoding", "utf-8"))


def clock(number: int) -> str:
    """A time of day."""
    return f"{8 + number // 60:02d}:{number % 60:02d}"


def views_and_purchases(folder: Path) -> None:
    """Retailrocket: views, carts and transactions, with properties of items over time."""
    draw, kinds = Random(0), ["view", "view", "addtocart", "transaction"]
    write(
        folder, "events.csv", "timestamp,visitorid,event,itemid,transactionid",
        lambda n: (1_433_221_332_117 + 60_000 * n, draw.randint(1, 20), kinds[n % 4],
                   draw.randint(1, 30), n if n % 4 == 3 else ""),
    )  # fmt: skip
    for part in (1, 2):
        write(
            folder, f"item_properties_part{part}.csv", "timestamp,itemid,property,value",
            lambda n: (1_433_221_000_000 + n, n % 30, ["categoryid", "available", "790"][n % 3],
                       f"n{n % 7}.000"),
        )  # fmt: skip


def order_lines(folder: Path) -> None:
    """UCI Online Retail: flat lines of orders, guests and returns among them."""
    draw = Random(1)
    write(
        folder, "retail.csv",
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
        lambda n: (536_365 + n // 3, f"85{n % 20:03d}A", f'"MUG, NO {n % 20} £"', 1 + n % 12,
                   f"12/{13 + n % 9}/2010 8:{n % 60:02d}", f"{draw.randint(1, 9)}.55",
                   "" if n % 7 == 0 else 17_850 + n % 11, ["United Kingdom", "France"][n % 2]),
        encoding="cp1252",
    )  # fmt: skip


def transactions_and_articles(folder: Path) -> None:
    """H&M: transactions, articles and customers."""
    write(
        folder, "transactions_train.csv", "t_dat,customer_id,article_id,price,sales_channel_id",
        lambda n: (f"2020-09-{1 + n % 20:02d}", f"{n % 16:08x}", f"0108775{n % 20:03d}",
                   f"0.0{10 + n % 80}", 1 + n % 2),
    )  # fmt: skip
    write(
        folder, "articles.csv", "article_id,prod_name,product_type_name,colour_group_name",
        lambda n: (f"0108775{n:03d}", f"Strap top {n}", ["Vest top", "Bra"][n % 2],
                   ["Black", "White", "Red"][n % 3]),
        num=20,
    )  # fmt: skip
    write(
        folder, "customers.csv", "customer_id,club_member_status,age",
        lambda n: (f"{n:08x}", ["ACTIVE", "PRE-CREATE"][n % 2], 20 + n % 40),
        num=16,
    )  # fmt: skip


def lines_of_orders_apart(folder: Path) -> None:
    """Olist: what was ordered lies in one file, by whom and when in another."""
    write(
        folder, "order_items.csv", "order_id,product_id,price",
        lambda n: (f"o{n // 2}", f"p{n % 13}", f"{n % 9}.90"),
    )  # fmt: skip
    write(
        folder, "orders.csv", "order_id,customer_id,status,order_purchase_timestamp",
        lambda n: (f"o{n}", f"c{n % 8}", "delivered", f"2017-10-{1 + n % 28:02d} 10:56:33"),
        num=30,
    )  # fmt: skip


def ratings(folder: Path) -> None:
    """MovieLens: ratings and films."""
    draw = Random(3)
    write(
        folder, "ratings.csv", "userId,movieId,rating,timestamp",
        lambda n: (draw.randint(1, 20), draw.randint(1, 30), [1, 2, 3.5, 4, 5][n % 5],
                   964_982_703 + 60 * n),
    )  # fmt: skip
    genres = ["Comedy|Drama", "Drama", "Action|Comedy"]
    write(folder, "movies.csv", "movieId,title,genres",
          lambda n: (n, f"Film {n} (199{n % 9})", genres[n % 3]), num=30)  # fmt: skip


def german_orders(folder: Path) -> None:
    """Orders of a shop in German: semicolons, decimal commas, currency beside the price."""
    write(
        folder, "bestellungen.csv", "Datum,Kunde,Artikel,Menge,Preis",
        lambda n: (f"{13 + n % 9}.01.2023 {clock(n)}", f"K{n % 9}", f"A{n % 14}", 1 + n % 3,
                   f"{1 + n % 8}.234,50 EUR"),
        delimiter=";",
    )  # fmt: skip


def impressions(folder: Path) -> None:
    """What was shown where, and whether it was clicked; products with a plain id."""
    draw = Random(4)
    write(
        folder, "log.tsv", "ts,client,sku,slot,page_view,page,clicked,added_to_cart",
        lambda n: (f"2024-05-01T{clock(n // 3)}:00Z", f"c{n // 3 % 9}", f"s{draw.randint(0, 19)}",
                   1 + n % 3, f"pv{n // 3}", ["front", "search"][n // 3 % 2],
                   ["true", "false"][n % 2], int(n % 4 == 0)),
        delimiter="\t",
    )  # fmt: skip
    write(
        folder, "products.csv", "id,name,brand,photo",
        lambda n: (f"s{n}", f"Thing {n}", ["Acme", "Inkwell"][n % 2], f"{n}.jpg"), num=20,
    )  # fmt: skip


def unnamed(folder: Path) -> None:
    """A log whose columns say nothing, with days and months that may be either."""
    write(
        folder, "log.csv", "a,b,c", lambda n: (f"x{n % 9}", f"y{n % 14}", f"0{1 + n % 9}/02/2023"),
    )  # fmt: skip
