"""The stage `hydrate`: one read of the online store, for the requesting user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headrace.catalogue.words import user_word_keys
from headrace.features.rows.state_row import decode_rows
from headrace.features.table import USER_LAYOUT
from headrace.pipeline.context import Context, User
from serving.breaker import Breaker


class Stored(Protocol):
    """Of each user that was read, the bytes of the row, None before any event, and attributes."""

    @property
    def rows(self) -> Sequence[bytes | None]: ...
    @property
    def attributes(self) -> Sequence[Sequence[str]]: ...


class Users(Protocol):
    """The online store, as this stage reads it."""

    def read_users(self, user_ids: Sequence[str]) -> Stored: ...


class Hydrate:
    """Reads the user's state and attributes; raises `StoreUnavailable` where nothing answers."""

    def __init__(self, users: Users, breaker: Breaker | None = None) -> None:
        self._users = users
        self._breaker = breaker or Breaker("the online store", lambda: None)

    def __call__(self, context: Context) -> None:
        stored = self._breaker.call(lambda: self._users.read_users([context.user_id]))
        rows = [row for row in stored.rows if row]
        state_1 = decode_rows(rows, USER_LAYOUT)["state"] if rows else USER_LAYOUT.new(1)
        context.user = User(state_1, user_word_keys(stored.attributes[0]))
