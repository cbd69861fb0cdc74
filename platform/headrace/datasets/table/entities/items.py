"""Items out of their file, and the contents that encoders read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa

from headrace.catalogue.item import Content, Item
from headrace.datasets.table.cells import cell, column
from headrace.datasets.table.cells.column import Parsed
from headrace.datasets.table.cells.number import NumberPattern
from headrace.datasets.table.entities.markup import plain
from headrace.datasets.table.entities.pictures import by_template, picture
from headrace.datasets.table.entities.source import Row, Source
from headrace.datasets.table.entities.users import tokens
from headrace.datasets.table.entities.web import Pictures
from headrace.datasets.table.keys.values import Coin, Image, Labels, Price
from headrace.datasets.table.log.tally import Tally
from headrace.datasets.table.mapping import ItemColumns

SOME: Final = 256  # items of which pictures are fetched together


class Items:
    """The items of a part of the mapping, and what encoders read of them."""

    def __init__(self, folder: Path, part: ItemColumns, tally: Tally) -> None:
        self._part, self._folder = part, folder
        self._pattern = _pattern(part.price)
        price = {} if part.price is None else {part.price.column: self._prices}
        self._source = Source(folder, part, tally, price)

    def items(self) -> Iterator[Item]:
        """What is known of each item before any behaviour, in the order of the file."""
        part, labels = self._part, _labels(self._part.categories)
        for row in self._source.rows():
            yield Item(
                row.id,
                cell.text(row.cells[part.title]) if part.title else "",
                cell.labels(row.cells[labels.column], labels.separator) if labels else (),
                (*tokens(row.cells, part.attributes), *self._price(row)),
            )

    def contents(self) -> Iterator[Content]:
        """The encoders' input of each item, if the mapping names any."""
        part, numbers = self._part, _labels(self._part.vector)
        if not (part.description or part.image or part.vector):
            return
        pictures = Pictures(part.image.hosts if isinstance(part.image, Image) else ())
        rows = self._source.rows()
        while some := list(islice(rows, SOME)):
            for row, image in zip(some, self._images(some, pictures), strict=True):
                told = plain(cell.text(row.cells[part.description])) if part.description else ""
                vector = (
                    cell.vector(row.cells[numbers.column], numbers.separator) if numbers else None
                )
                yield Content(row.id, told or None, image, vector)

    def _images(self, rows: Sequence[Row], pictures: Pictures) -> Iterable[bytes | Path | None]:
        image = self._part.image
        if image is None:
            return [None] * len(rows)
        if isinstance(image, str):
            return [picture(row.cells[image], self._folder) for row in rows]
        if image.url is not None:
            return pictures.fetched([cell.text(row.cells[image.url]).strip() for row in rows])
        template = image.template or ""
        return [by_template(template, row.cells, self._folder) for row in rows]

    def _prices(self, cells: pa.Array) -> Parsed:
        return column.micros(cells, self._pattern)

    def _price(self, row: Row) -> tuple[str, ...]:
        """The price as one token: its size in steps of 1, 2 and 5, and its currency."""
        price = self._part.price
        if price is None or not cell.text(row.cells[price.column]):
            return ()
        currency = price.currency
        if isinstance(currency, Coin):
            currency = cell.text(row.cells[currency.column]).strip().upper()
        units = cell.micros(row.cells[price.column], self._pattern) / cell.MICROS
        return (f"price={_step(units)} {currency}".strip(),)


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
