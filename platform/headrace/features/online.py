"""The online store: rows of streaming state and static features.

A user's row is one absolute value: its state and the position in the event log that it includes
(`headrace.features.state`). It is one value in Redis, so that no reader sees half of it. Feast
reads the same rows by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import prometheus_client as _before_feast  # noqa: F401  or feast.metrics redirects it
from feast import FeatureStore

from headrace import config
from headrace.features.column_store import ColumnStore
from headrace.features.packed.row import Stamp
from headrace.features.state import Row, decode_row, encode_row
from headrace.features.table import ITEM, ITEM_LAYOUT, USER, USER_LAYOUT, Layout


@dataclass(frozen=True, slots=True)
class UserRow:
    """What the online store holds about a user; `row` is None before the first event."""

    row: Row | None
    attributes: tuple[str, ...]


class OnlineStore:
    """Reads and writes streaming rows; raises `StoreUnavailable` where Redis does not answer."""

    def __init__(self, settings: config.Settings) -> None:
        config.export(settings)
        feast = FeatureStore(repo_path=str(config.repository_path("feature_repo")))
        self._columns = ColumnStore.of(feast)

    def read_users(self, user_ids: Sequence[str]) -> dict[str, UserRow]:
        """The rows of these users; users never seen have no state and no attributes."""
        if not user_ids:
            return {}
        requests = [(f"{USER}_activity", user_ids), (f"{USER}_profile", user_ids)]
        activity, profile = self._columns.read(requests)
        columns = zip(user_ids, activity.cells("state"), profile.values("attributes"), strict=True)
        return {
            user_id: UserRow(
                decode_row(state, USER_LAYOUT) if state else None, tuple(attributes or ())
            )
            for user_id, state, attributes in columns
        }

    def write_users(self, rows: Iterable[tuple[str, Row]]) -> None:
        """Replace the rows of these users."""
        self._write(USER, USER_LAYOUT, list(rows))

    def write_items(self, rows: Iterable[tuple[str, Row]]) -> None:
        """Replace the rows of these items."""
        self._write(ITEM, ITEM_LAYOUT, list(rows))

    def _write(self, entity: str, layout: Layout, rows: Sequence[tuple[str, Row]]) -> None:
        if not rows:
            return
        time_ms_N = np.array([row.event_time_ms for _, row in rows], np.int64)
        floats_NF = layout.dense_values(np.stack([row.state_W for _, row in rows]), time_ms_N)
        stamp = Stamp(
            time_ms_N * 1_000,
            np.array([row.position for _, row in rows], np.int64),
            np.array([row.partition for _, row in rows], np.int32),
        )
        states = {"state": [encode_row(row) for _, row in rows]}
        ids = [entity_id for entity_id, _ in rows]
        self._columns.write(f"{entity}_activity", ids, floats_NF, states, stamp)
