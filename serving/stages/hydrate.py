"""The stage `hydrate`: one read of the online store, for the requesting user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from headrace.catalogue.words import user_word_keys
from headrace.features.rows.state_row import decode_rows
from headrace.features.store.last_items import Entries
from headrace.features.table import USER_LAYOUT
from headrace.pipeline.context import Context, User, age_of
from serving.breaker import Breaker


class Stored(Protocol):
    """Of each user that was read, the bytes of the row, None before any event, the attributes, and
    the entries of each list that was asked for."""

    @property
    def rows(self) -> Sequence[bytes | None]: ...
    @property
    def attributes(self) -> Sequence[Sequence[str]]: ...
    @property
    def lists(self) -> Mapping[str, Sequence[Entries]]: ...


class Users(Protocol):
    """The online store, as this stage reads it."""

    def read_users(self, user_ids: Sequence[str], lists: Sequence[str] = ()) -> Stored: ...


class Hydrate:
    """Reads the user's state, attributes, and these lists of his last items; raises
    `StoreUnavailable` where nothing answers."""

    def __init__(
        self, users: Users, breaker: Breaker | None = None, lists: Sequence[str] = ()
    ) -> None:
        self._users, self._lists = users, lists
        self._breaker = breaker or Breaker("the online store", lambda: None)

    def __call__(self, context: Context) -> None:
        ids = [context.user_id]
        stored = self._breaker.call(lambda: self._users.read_users(ids, self._lists))
        rows = [row for row in stored.rows if row]
        state_1 = decode_rows(rows, USER_LAYOUT)["state"] if rows else USER_LAYOUT.new(1)
        lists = {name: entries for name, (entries,) in stored.lists.items()}
        attributes = stored.attributes[0]
        told = user_word_keys(attributes), lists, age_of(attributes), tuple(attributes)
        context.user = User(state_1, *told)
