"""Labelled values that an encoder is trained on: of the catalogue's items, or of a file.

N values
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace import config
from headrace.catalogue import columnar, content
from headrace.catalogue.files import ITEMS_FILE
from headrace.encoders.trained.recipe import Read, Recipe
from headrace.errors import DatasetError

LABEL: Final = "label"
IDS: Final = ("item_id", "clip_id", "file")
Labelled = tuple[str, Any, str]  # id, value, label


@dataclass(frozen=True, slots=True)
class Examples:
    """Values that can be read, with their labels, and why the others cannot, by id."""

    read_N: Read
    label_N: NDArray[np.int64]
    labels: tuple[str, ...]
    problems: dict[str, str]

    @property
    def digest(self) -> str:
        """Eight digits that are others for other values or labels."""
        told = sha256(np.ascontiguousarray(self.read_N).tobytes())
        told.update(self.label_N.tobytes() + "\n".join(self.labels).encode())
        return told.hexdigest()[:8]


def of_catalogue(settings: config.Settings, modality: str) -> list[Labelled]:
    """The items with a value and a category; their label is the first one."""
    folder = config.catalogue_path(settings)
    items = columnar.read_parquet(folder / ITEMS_FILE, ["item_id", "categories"])
    label_of = {item_id: names[0] for item_id, names in columnar.rows(items) if names}
    columns = ["item_id", *content.columns(modality)]
    table = columnar.read_parquet(folder / content.CONTENT_FILE, columns)
    pairs = zip(table["item_id"].to_pylist(), content.values(table, modality), strict=True)
    return [
        (item_id, value, label_of[item_id])
        for item_id, value in pairs
        if value is not None and item_id in label_of
    ]


def of_file(path: Path, modality: str) -> list[Labelled]:
    """The rows of a Parquet file with a label and a column whose name begins as the modality."""
    names = columnar.column_names(path)
    found = [name for name in names if name.startswith(modality)]
    if len(found) != 1:
        told = ", ".join(found) or "none"
        raise DatasetError(f"{path}: columns of {modality}: {told}: expected one, beside {LABEL!r}")
    known = next((name for name in IDS if name in names), None)
    table = columnar.read_parquet(path, [found[0], LABEL, *([known] if known else [])])
    ids: Sequence[Any] = table[known].to_pylist() if known else range(len(table))
    rows = zip(ids, table[found[0]].to_pylist(), table[LABEL].to_pylist(), strict=True)
    return [
        (str(one), value, str(label))
        for one, value, label in rows
        if value is not None and label is not None
    ]


def read_examples(recipe: Recipe, rows: Sequence[Labelled]) -> Examples:
    """The values as the recipe reads them; raises `DatasetError` with fewer than two labels."""
    read: list[Read] = []
    labels: list[str] = []
    problems: dict[str, str] = {}
    for one, value, label in rows:
        try:
            read.append(recipe.read(value))
            labels.append(label)
        except ValueError as error:
            problems[one] = str(error)
    known = tuple(sorted(set(labels)))
    if len(known) < 2:
        raise DatasetError(
            f"{recipe.name}: {len(known)} labels of {len(read)} values of {recipe.modality} that "
            "can be read: expected at least two"
        )
    number_of = {label: number for number, label in enumerate(known)}
    label_N = np.array([number_of[label] for label in labels], dtype=np.int64)
    read_N: Any = np.stack(read)  # of one type, as all that a recipe reads
    return Examples(read_N, label_N, known, problems)
