"""MovieLens-100K as files in the columns of KuaiRand, so that `headrace evaluate` can read them.

A rating is one impression, and a rating of 4 or 5 is its click, as in `movielens.py`. The rating
itself is the share that was watched, in fifths: features may read it as the outcome's value. Genres
are tags; the decade stands in `video_type`; what the published films do not have is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.catalogue.item import Item, User
from headrace.datasets.movielens import loader as movielens

USER_COLUMNS: Final = ("age", "gender", "occupation")


def write(folder: Path, source: Path | None = None, train_share: float = 0.8) -> None:
    """Writes `train`, `test`, `users` and `videos.parquet`; no second is divided between the two.

    `source` is a folder that `movielens.load` reads, or None for the wheel. The test begins after
    the second in which the train has got its share of the ratings.
    """
    ratings, _, _ = movielens.read(source)
    time_s = ratings.column("timestamp").to_numpy()
    last_s = time_s[int(train_share * len(time_s)) - 1]
    num_train = int(np.searchsorted(time_s, last_s, side="right"))
    log = _impressions(ratings)
    dataset = movielens.load(source)
    tables = {
        "train": log.slice(0, num_train),
        "test": log.slice(num_train),
        "users": _users(dataset.users),
        "videos": _videos(dataset.items),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")


def _impressions(ratings: pa.Table) -> pa.Table:
    user, item, rating, time_s = (column.to_numpy() for column in ratings.columns)
    return pa.table(
        {
            "user_id": user,
            "video_id": item,
            "time_ms": time_s * 1_000,
            "is_click": (rating >= movielens.LIKED).astype(np.int8),
            "tab": np.zeros(len(user), np.int8),
            "play_time_ms": rating,
            "duration_ms": np.full(len(user), movielens.HIGHEST),
        }
    )


def _users(users: Sequence[User]) -> pa.Table:
    """Attributes as columns whose names say that they are categories."""
    known = [_values(user.attributes) for user in users]
    columns = {f"{name}_range": [of[name] for of in known] for name in USER_COLUMNS}
    return pa.table({"user_id": [int(user.user_id) for user in users], **columns})


def _videos(films: Sequence[Item]) -> pa.Table:
    nothing = pa.nulls(len(films), pa.string())
    return pa.table(
        {
            "video_id": [int(film.item_id) for film in films],
            "tag": [",".join(film.categories) for film in films],
            "author_id": nothing,
            "music_type": nothing,
            "video_type": pa.array([_values(film.attributes).get("year") for film in films]),
            "upload_type": nothing,
            "video_duration": pa.nulls(len(films), pa.float64()),
        }
    )


def _values(attributes: Sequence[str]) -> dict[str, str]:
    """Words such as age=18-24 by name."""
    return dict(attribute.split("=", 1) for attribute in attributes)
