"""The small Open Bandit Dataset: fashion impressions of ZOZOTOWN with true propensities.

10,000 impressions for each pair of policy (random, bts) and campaign (all, men, women) ship inside
a PyPI wheel. One row is one impression. The data has no user id: a user here is a combination of
the four published user features, so one `user_id` (their hash) stands for many people.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from headrace.catalogue import columnar
from headrace.catalogue.item import Dataset, Item, User
from headrace.errors import DatasetError
from headrace.event import Event, ImpressionEvent, Shown
from headrace.services import download

POLICIES: Final = ("random", "bts")
CAMPAIGNS: Final = ("all", "men", "women")
USER_FEATURES: Final = tuple(f"user_feature_{n}" for n in range(4))
LOG_TYPES: Final = {
    "timestamp": pa.timestamp("us", tz="UTC"),
    "item_id": pa.int64(),
    "position": pa.int64(),
    "click": pa.int64(),
    "propensity_score": pa.float64(),
} | dict.fromkeys(USER_FEATURES, pa.string())
# item_feature_0 is a standardised number without a published meaning and is left out.
ITEM_TYPES: Final = {"item_id": pa.int64()} | dict.fromkeys(
    ("item_feature_1", "item_feature_2", "item_feature_3"), pa.string()
)


def load(folder: Path | None = None, policy: str = "random", campaign: str = "all") -> Dataset:
    """The impressions of one policy and campaign, from the wheel or from a folder with its files.

    A folder holds `<campaign>.csv` and `item_context.csv` of one policy; `policy` is not used then.
    """
    if policy not in POLICIES or campaign not in CAMPAIGNS:
        raise DatasetError(
            f"no Open Bandit log {policy}/{campaign}: policies are {', '.join(POLICIES)},"
            f" campaigns are {', '.join(CAMPAIGNS)}"
        )
    names = (f"{campaign}.csv", "item_context.csv")
    texts = (
        _from_wheel(f"{policy}/{campaign}", names)
        if folder is None
        else [columnar.read_bytes(folder / name) for name in names]
    )
    log = _checked_log(columnar.read_text(names[0], texts[0], LOG_TYPES), names[0])
    items = columnar.read_text(names[1], texts[1], ITEM_TYPES)
    columnar.check_complete(items, names[1])
    users = _users(log)
    times_us = log.column("timestamp")

    def events() -> Iterator[Event]:
        for batch in log.to_batches(max_chunksize=columnar.BATCH_ROWS):
            for time_us, item, position, click, propensity, *features in columnar.rows(batch):
                user = users[tuple(features)].user_id
                shown = Shown(str(item), position - 1, bool(click), propensity=propensity)
                yield _event(user, time_us, shown)

    return Dataset(
        name="openbandit",
        items=tuple(map(_item, columnar.rows(items))),
        users=tuple(users.values()),
        events=events,
        num_events=len(log),
        start_ms=times_us[0].as_py() // 1000,
        end_ms=times_us[-1].as_py() // 1000,
    )


def _from_wheel(log: str, names: tuple[str, ...]) -> list[bytes]:
    with zipfile.ZipFile(download.fetch(download.OBP)) as wheel:
        return [wheel.read(f"obp/dataset/obd/{log}/{name}") for name in names]


def _checked_log(log: pa.Table, name: str) -> pa.Table:
    """The log by time, with the time as an integer; every row is usable."""
    columnar.check_complete(log, name)
    rules = {
        "click is 0 or 1": pc.is_in(log["click"], pa.array([0, 1])),
        "position counts from 1": pc.greater_equal(log["position"], 1),
        "propensity_score is above 0 and at most 1": pc.and_(
            pc.greater(log["propensity_score"], 0), pc.less_equal(log["propensity_score"], 1)
        ),
    }
    broken = [rule for rule, holds in rules.items() if not pc.all(holds).as_py()]
    if broken or len(log) == 0:
        raise DatasetError(f"{name}: no rows, or not true in all rows: {'; '.join(broken)}")
    times_us = log["timestamp"].cast(pa.int64())
    return log.set_column(0, "timestamp", times_us).sort_by("timestamp")  # a stable sort


def _users(log: pa.Table) -> dict[tuple[str, ...], User]:
    """A user for each combination of features, in order of appearance."""
    users: dict[tuple[str, ...], User] = {}
    for features in columnar.rows(log.select(USER_FEATURES)):
        if features not in users:
            user_id = hashlib.blake2b("|".join(features).encode(), digest_size=8).hexdigest()
            pairs = zip(USER_FEATURES, features, strict=True)
            users[features] = User(user_id, tuple(f"{name}={value}" for name, value in pairs))
    return users


def _event(user_id: str, time_us: int, shown: Shown) -> Event:
    # The time keeps its microseconds in the id: two requests may share a millisecond.
    name = f"ob-{user_id}-{time_us}-{shown.item_id}-{shown.position}"
    return ImpressionEvent(
        event_id=name,
        event_time_ms=time_us // 1000,
        user_id=user_id,
        request_id=name,
        items=(shown,),
    )


def _item(row: tuple[Any, ...]) -> Item:
    item_id, feature_1, feature_2, feature_3 = row
    attributes = (f"item_feature_1={feature_1}", f"item_feature_2={feature_2}")
    return Item(str(item_id), "", (f"item_feature_3={feature_3}",), attributes)
