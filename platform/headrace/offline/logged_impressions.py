"""The archived impressions that tell their propensity, for policies evaluated on them.

N impressions
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
import pyarrow as pa

from headrace.action import BIT, CLICK
from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.event import POSITION_UNKNOWN
from headrace.keys import key
from headrace.metrics.off_policy import LoggedImpressions
from headrace.offline.folder import SAMPLES, log_folder
from headrace.paths import offline_path

_COLUMNS: Final = (
    *("source_partition", "source_offset", "lane", "request_id", "user_key", "labelled"),
    *("item_keys", "outcomes", "positions", "propensity", "policy"),
)
NOT_NAMED: Final = "not named"


def archived_impressions(settings: Settings) -> LoggedImpressions:
    """The impressions of the archived samples whose click is a label; raises `ServiceError` where
    none tells its propensity."""
    folder = log_folder(settings, SAMPLES)
    tables = [
        table.select(list(_COLUMNS))
        for partition in folder.partitions()
        for table in folder.tables(partition)
        if {*_COLUMNS} <= {*table.column_names}  # files of before propensities were told lack them
    ]
    rows = {_place(row): row for table in tables for row in table.to_pylist() if _tells(row)}
    if not rows:
        raise ServiceError(
            f"{offline_path(settings)}: no archived impression has a propensity and a known "
            "outcome; expected those of `headrace archive`, or a log with --data or --dataset"
        )
    return _together(list(rows.values()))


def _place(row: dict[str, object]) -> tuple[object, ...]:
    """Where a request came from: the last of two rows counts."""
    return row["source_partition"], row["lane"], row["source_offset"]


def _tells(row: dict[str, int | bytes]) -> bool:
    return bool(row["propensity"]) and bool(int(row["labelled"]) & BIT[CLICK])


def _together(rows: list[dict[str, object]]) -> LoggedImpressions:
    table = pa.Table.from_pylist(rows)
    num_R = np.array([len(one) for one in table.column("item_keys").to_pylist()])
    item_N, outcome_N = (_flat(table, name) for name in ("item_keys", "outcomes"))
    position_N = np.concatenate(
        [
            one or np.full(num, POSITION_UNKNOWN)
            for one, num in zip(table.column("positions").to_pylist(), num_R, strict=True)
        ]
    ).astype(np.int64)
    request_R = np.array([key(one) for one in table.column("request_id").to_pylist()])
    propensity_N = np.frombuffer(b"".join(table.column("propensity").to_pylist()), "<f4")
    is_known_N = propensity_N > 0  # NaN is not
    named_R = [one or NOT_NAMED for one in table.column("policy").to_pylist()]
    policy_N = np.repeat(named_R, num_R)[is_known_N]
    return LoggedImpressions(
        item_N=item_N[is_known_N],
        position_N=position_N[is_known_N],
        request_N=np.repeat(request_R, num_R)[is_known_N],
        user_N=np.repeat(table.column("user_key").to_numpy(), num_R)[is_known_N],
        reward_N=(outcome_N[is_known_N] & BIT[CLICK] != 0).astype(np.float64),
        propensity_N=propensity_N[is_known_N].astype(np.float64),
        policies=Counter(policy_N.tolist()),
    )


def _flat(table: pa.Table, name: str) -> np.ndarray:
    return np.concatenate([np.array(one, np.int64) for one in table.column(name).to_pylist()])
