"""Items out of their file, and the contents that encoders read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa

from headrace.catalogue.content import FILES
from headrace.catalogue.item import Content, Item
from headrace.datasets.table.cells import cell, column
from headrace.datasets.table.cells.column import Parsed
from headrace.datasets.table.cells.number import NumberPattern
from headrace.datasets.table.entities.limits import Limits
from headrace.datasets.table.entities.markup import plain
from headrace.datasets.table.entities.media import by_template, medium
from headrace.datasets.table.entities.source import Row, Source
from headrace.datasets.table.entities.users import words
from headrace.datasets.table.entities.web import Web
from headrace.datasets.table.keys.values import Coin, Labels, Located, Price
from headrace.datasets.table.log.tally import Tally
from headrace.datasets.table.mapping import ItemColumns

SOME: Final = 256  # items of which files are fetched together


class Items:
    """The items of a part of the mapping, and what encoders read of them."""

    def __init__(self, folder: Path, part: ItemColumns, tally: Tally) -> None:
        self._part, self._folder = part, folder
        self._pattern = _pattern(part.price)
        self._limits = Limits(part)
        parsers = self._limits.parsers()
        if part.price is not None:
            parsers[part.price.column] = self._prices
        self._source = Source(folder, part, tally, parsers)

    def items(self) -> Iterator[Item]:
        """What is known of each item before any behaviour, in the order of the file."""
        part, labels = self._part, _labels(self._part.categories)
        for row in self._source.rows():
            price_micros, currency = self._price(row)
            word = () if price_micros is None else (_price_word(price_micros, currency),)
            yield Item(
                row.id,
                cell.text(row.cells[part.title]) if part.title else "",
                cell.labels(row.cells[labels.column], labels.separator) if labels else (),
                (*words(row.cells, part.attributes), *word),
                price_micros if price_micros is not None and price_micros >= 0 else None,
                currency,
                *self._limits.of(row.cells),
            )

    def contents(self) -> Iterator[Content]:
        """The encoders' input of each item, if the mapping names any."""
        part, numbers = self._part, _labels(self._part.vector)
        media = {name: given for name in FILES if (given := getattr(part, name)) is not None}
        if not (part.description or media or part.vector):
            return
        webs = {
            name: Web(given.hosts) for name, given in media.items() if isinstance(given, Located)
        }
        rows = self._source.rows()
        while some := list(islice(rows, SOME)):
            columns = {
                name: self._media(some, given, webs.get(name)) for name, given in media.items()
            }
            for place, row in enumerate(some):
                files = {name: column[place] for name, column in columns.items()}
                yield Content(
                    row.id,
                    (plain(cell.text(row.cells[part.description])) or None)
                    if part.description
                    else None,
                    cell.vector(row.cells[numbers.column], numbers.separator) if numbers else None,
                    {name: file for name, file in files.items() if file is not None},
                )

    def _media(
        self, rows: Sequence[Row], given: str | Located, web: Web | None
    ) -> Sequence[bytes | Path | None]:
        """The file of each row."""
        if isinstance(given, str):
            return [medium(row.cells[given], self._folder) for row in rows]
        if given.url is not None and web is not None:
            return web.fetched([cell.text(row.cells[given.url]).strip() for row in rows])
        return [by_template(given.template or "", row.cells, self._folder) for row in rows]

    def _prices(self, cells: pa.Array) -> Parsed:
        return column.micros(cells, self._pattern)

    def _price(self, row: Row) -> tuple[int | None, str]:
        """The price in millionths, None where there is none, and its currency."""
        price = self._part.price
        if price is None or not cell.text(row.cells[price.column]):
            return None, ""
        currency = price.currency
        if isinstance(currency, Coin):
            currency = cell.text(row.cells[currency.column]).strip().upper()
        return cell.micros(row.cells[price.column], self._pattern), currency or ""


def _price_word(price_micros: int, currency: str) -> str:
    """The price as one word: its size in steps of 1, 2 and 5, and its currency."""
    return f"price={_step(price_micros / cell.MICROS)} {currency}".strip()


def _step(units: float) -> str:
    """The bucket of a price: "10-20" of 12.50."""
    if units <= 0:
        return "0"
    power = 10.0 ** math.floor(math.log10(units))
    ends = [power * step for step in (1, 2, 5, 10)]
    above = next((place for place, end in enumerate(ends) if units < end), len(ends) - 1)
    return f"{ends[max(above - 1, 0)]:g}-{ends[above]:g}"


def _pattern(price: Price | None) -> NumberPattern | None:
    return NumberPattern.of(price.pattern) if price and price.pattern else None


def _labels(given: str | Labels | None) -> Labels | None:
    """A plain column name stands for the default separator."""
    return Labels(column=given) if isinstance(given, str) else given
