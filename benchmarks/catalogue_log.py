"""A generated shop: any number of items with titles, categories and attributes, and a small log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalogue.files import ITEM_SCHEMA, ITEMS_FILE
from headrace.catalogue.item import Item

NUM_WORDS, NUM_CATEGORIES, NUM_BRANDS = 50_000, 500, 20_000
TITLE_WORDS: Final = 6
CHUNK: Final = 100_000
NUM_EVENTS: Final = 5_000
MAPPING: Final = """\
events: {file: events.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c}
items:
  file: items.parquet
  item_id: item_id
  title: title
  categories: categories
  attributes: [brand, colour]
"""

WORD: Final = np.array([f"word{n}" for n in range(NUM_WORDS)], np.object_)
COLOURS: Final = ("red", "green", "blue", "black")


def items_of(start: int, num: int) -> Iterator[Item]:
    """The items with these numbers, the same whenever they are asked for."""
    draw = np.random.default_rng(start)
    words = (NUM_WORDS * draw.random((num, TITLE_WORDS)) ** 2).astype(np.int64)
    categories = draw.integers(0, NUM_CATEGORIES, (num, 2)).tolist()
    brands = draw.integers(0, NUM_BRANDS, num).tolist()
    for place, title in enumerate(WORD[words].tolist()):
        number = start + place
        yield Item(
            f"item-{number}",
            " ".join(title),
            tuple(f"category {one}" for one in categories[place]),
            (f"brand=brand {brands[place]}", f"colour={COLOURS[number % 4]}"),
        )


def write_items(folder: Path, num_items: int) -> None:
    """The items' file of a catalogue."""
    with pq.ParquetWriter(folder / ITEMS_FILE, ITEM_SCHEMA) as writer:
        for start in range(0, num_items, CHUNK):
            rows = list(items_of(start, min(CHUNK, num_items - start)))
            columns = [
                [item.item_id for item in rows],
                [item.title for item in rows],
                [item.categories for item in rows],
                [item.attributes for item in rows],
                *([None] * len(rows) for _ in ITEM_SCHEMA.names[4:-1]),
                pa.array([0] * len(rows), ITEM_SCHEMA.types[-1]),
            ]
            writer.write_table(pa.table(columns, ITEM_SCHEMA))


def write_log(folder: Path, num_items: int) -> None:
    """A folder that `headrace up --data` takes: the items, and some events of the first of them."""
    folder.mkdir()
    (folder / "headrace.yaml").write_text(MAPPING)
    schema = pa.schema([(name, pa.string()) for name in ("item_id", "title", "brand", "colour")])
    schema = schema.append(pa.field("categories", pa.list_(pa.string())))
    with pq.ParquetWriter(folder / "items.parquet", schema) as writer:
        for start in range(0, num_items, CHUNK):
            rows = list(items_of(start, min(CHUNK, num_items - start)))
            brand, colour = ([i.attributes[n].split("=")[1] for i in rows] for n in (0, 1))
            columns = [[i.item_id for i in rows], [i.title for i in rows], brand, colour]
            writer.write_table(pa.table([*columns, [i.categories for i in rows]], schema))
    draw = np.random.default_rng(0)
    events = [
        f"{draw.integers(0, 500)},item-{draw.integers(0, 1_000)},{1_714_600_000 + 10 * n},{n % 2}"
        for n in range(NUM_EVENTS)
    ]
    (folder / "events.csv").write_text("\n".join(["u,i,t,c", *events]) + "\n")
