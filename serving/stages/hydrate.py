"""The stage `hydrate`: one read of the online store, for the requesting user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.catalogue.words import user_token_keys
from headrace.features.rows.state_row import decode_rows
from headrace.features.table import USER_LAYOUT
from headrace.pipeline.context import Context, User
from serving.breaker import Breaker

if TYPE_CHECKING:  # Feast takes seconds to import: the replica does, the deploying process need not
    from headrace.feast_adapter.online import OnlineStore


class Hydrate:
    """Reads the user's state and attributes; raises `StoreUnavailable` where nothing answers."""

    def __init__(self, store: OnlineStore, breaker: Breaker | None = None) -> None:
        self._store = store
        self._breaker = breaker or Breaker("the online store", lambda: None)

    def __call__(self, context: Context) -> None:
        stored = self._breaker.call(lambda: self._store.read_users([context.user_id]))
        rows = [row for row in stored.rows if row]
        state_1 = decode_rows(rows, USER_LAYOUT)["state"] if rows else USER_LAYOUT.new(1)
        context.user = User(state_1, user_token_keys(stored.attributes[0]))
