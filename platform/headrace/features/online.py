"""The online store: rows of streaming state and static features, through Feast.

A user's row is one absolute value: its state and the position in the event log that it includes
(`headrace.features.state`). It is written as one Redis hash field set, so that no reader sees half.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import prometheus_client as _before_feast  # noqa: F401  or feast.metrics redirects it
from feast import FeatureStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from headrace import config
from headrace.features.state import Row, decode_row, encode_row
from headrace.features.table import ITEM, ITEM_LAYOUT, USER, USER_LAYOUT, Layout


@dataclass(frozen=True, slots=True)
class UserRow:
    """What the online store holds about a user; `row` is None before the first event."""

    row: Row | None
    attributes: tuple[str, ...]


class OnlineStore:
    """Reads and writes streaming rows through the Feast store of these settings."""

    def __init__(self, settings: config.Settings) -> None:
        config.export(settings)
        self._store = FeatureStore(repo_path=str(config.repository_path("feature_repo")))
        self._views = {
            entity: self._store.get_feature_view(f"{entity}_activity") for entity in (USER, ITEM)
        }

    def read_users(self, user_ids: Sequence[str]) -> dict[str, UserRow]:
        """The rows of these users; users never seen have no state and no attributes."""
        if not user_ids:
            return {}
        answer = self._store.get_online_features(
            features=["user_activity:state", "user_profile:attributes"],
            entity_rows=[{"user_id": user_id} for user_id in user_ids],
        ).to_dict()
        columns = zip(answer["user_id"], answer["state"], answer["attributes"], strict=True)
        return {
            user_id: UserRow(
                decode_row(state, USER_LAYOUT) if state else None, tuple(attributes or ())
            )
            for user_id, state, attributes in columns
        }

    def write_users(self, rows: Iterable[tuple[str, Row]]) -> None:
        """Replace the rows of these users."""
        self._write(USER, USER_LAYOUT, rows)

    def write_items(self, rows: Iterable[tuple[str, Row]]) -> None:
        """Replace the rows of these items."""
        self._write(ITEM, ITEM_LAYOUT, rows)

    def _write(self, entity: str, layout: Layout, rows: Iterable[tuple[str, Row]]) -> None:
        batch = [
            (
                EntityKey(join_keys=[f"{entity}_id"], entity_values=[Value(string_val=entity_id)]),
                _values(layout, row),
                datetime.fromtimestamp(row.event_time_ms / 1_000, tz=UTC),
                None,
            )
            for entity_id, row in rows
        ]
        if batch:
            provider = self._store._get_provider()
            provider.online_write_batch(self._store.config, self._views[entity], batch, None)


def _values(layout: Layout, row: Row) -> dict[str, Any]:
    dense_F = layout.dense_values(row.state_W, row.event_time_ms)
    values = {
        feature.name: Value(float_val=float(value))
        for feature, value in zip(layout.dense, dense_F, strict=True)
    }
    return {**values, "state": Value(bytes_val=encode_row(row))}
