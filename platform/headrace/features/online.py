"""The online store: rows of streaming state and static features.

A row is one absolute value: an entity's state and the position in the event log that it includes
(`headrace.features.state`). It is one value in Redis, so that no reader sees half of it. Feast
reads the same rows by name: beside the state they hold the numbers as of the entity's last event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from feast import FeatureStore
from numpy.typing import NDArray
from redis import Redis

from headrace import config
from headrace.features.column_store import ColumnStore, Expiry
from headrace.features.layout import Layout
from headrace.features.packed.round_trip import redis_errors
from headrace.features.packed.row import Stamp
from headrace.features.row_schemas import RowSchemas, carry_over
from headrace.features.state import Rows, decode_rows, encode_rows
from headrace.features.table import USER, USER_LAYOUT


@dataclass(frozen=True, slots=True)
class StoredUsers:
    """What the online store holds about N users: the bytes of their rows, None before their first
    event, their attributes, and who has no profile: nobody announced them."""

    rows: list[bytes | None]
    attributes: list[tuple[str, ...]]
    unknown: list[bool]


class OnlineStore:
    """Reads and writes streaming rows; raises `StoreUnavailable` where Redis does not answer.

    Rows that another feature table wrote are read as this build's would be.
    """

    def __init__(self, settings: config.Settings) -> None:
        config.export(settings)
        feast = FeatureStore(repo_path=str(config.repository_path("feature_repo")))
        self._columns = ColumnStore.of(feast)
        self._schemas = RowSchemas(Redis.from_url(settings.redis_url), settings.namespace)

    def read_users(self, user_ids: Sequence[str]) -> StoredUsers:
        """What is known of these users, in one round trip."""
        if not user_ids:
            return StoredUsers([], [], [])
        requests = [(f"{USER}_activity", user_ids), (f"{USER}_profile", user_ids)]
        activity, profile = self._columns.read(requests)
        attributes = [tuple(names or ()) for names in profile.values("attributes")]
        rows = self._current(activity.cells("state"), USER_LAYOUT)
        return StoredUsers(rows, attributes, (~profile.found_N).tolist())

    def read_user_rows(self, user_ids: Sequence[str]) -> Rows:
        """The rows of those of these users that have one."""
        stored = self.read_users(user_ids)
        return decode_rows([row for row in stored.rows if row], USER_LAYOUT)

    def read_rows(self, layout: Layout, ids: Sequence[str]) -> list[bytes | None]:
        """The bytes of these entities' rows, None before their first event."""
        (activity,) = self._columns.read([(layout.view, ids)])
        return self._current(activity.cells("state"), layout)

    def write(
        self,
        layout: Layout,
        ids: Sequence[str],
        rows: Rows,
        number_NF: NDArray[np.float32] | None = None,
        expiry: Expiry | None = None,
    ) -> None:
        """Replace the rows of these entities. `number_NF` are their numbers as of the last event
        (`Layout.number_values`), for a caller that has them already."""
        if not len(rows):
            return
        if number_NF is None:
            number_NF = layout.number_values(rows["state"], rows["event_time_ms"])
        columns = {"state": encode_rows(rows)}
        stamp = Stamp(rows["event_time_ms"] * 1_000, rows["position"], rows["partition"])
        self._columns.write(layout.view, ids, number_NF, columns, stamp, expiry)

    def delete(self, layout: Layout, ids: Sequence[str]) -> None:
        """Delete the rows of these entities."""
        self._columns.delete(layout.view, ids)

    def _current(self, payloads: Sequence[bytes | None], layout: Layout) -> list[bytes | None]:
        with redis_errors("read"):
            return carry_over(payloads, layout, self._schemas.description)
