"""The datasets by name, and which of them a folder holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from headrace.catalogue.item import Dataset
from headrace.datasets import openbandit
from headrace.datasets.kuairand import history as kuairand_history
from headrace.datasets.kuairand import loader as kuairand
from headrace.datasets.movielens import loader as movielens
from headrace.datasets.table import loader as table
from headrace.datasets.table.mapping import MAPPING_FILE
from headrace.errors import DatasetError

Loader = Callable[[Path | None], Dataset]

LOADERS: Final[dict[str, Loader]] = {
    "movielens": movielens.load,
    "kuairand": kuairand.load,
    "kuairand-history": kuairand_history.load,
    "openbandit": openbandit.load,
    "table": table.load,
}

# The first row whose files are all in the folder decides: a mapping is the user's own word.
MARKS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("table", (MAPPING_FILE,)),
    ("kuairand", ("impressions.parquet", "videos.parquet")),
    ("movielens", ("ratings.parquet",)),
    ("movielens", ("ml-100k.inter",)),
    ("openbandit", ("all.csv", "item_context.csv")),
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
    for name, files in MARKS:
        if all((folder / file).is_file() for file in files):
            return name
    looked_for = "; ".join(f"{' and '.join(files)} ({name})" for name, files in MARKS)
    raise DatasetError(f"{folder}: no dataset found there; looked for {looked_for}")


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise DatasetError(f"{folder}: {what}; --data expects a folder with data files")
