"""The online store: rows of streaming state and static features.

A row is one absolute value: an entity's state and the position in the event log that it includes
(`headrace.features.rows.state_row`). It is one value in Redis, so that no reader sees half of it.
Feast reads the same rows by name: beside the state they hold the numbers as of the entity's last
event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from redis import Redis

from headrace import config
from headrace.access.redis import limit_waits
from headrace.catalogue.item import Item, User
from headrace.errors import ServiceError, StoreUnavailable
from headrace.features.aggregation.layout import Layout
from headrace.features.online.configuration import read_configuration
from headrace.features.online.views import ITEM_CONTENT, READ_VIEWS, USER_PROFILE
from headrace.features.rows.schemas import RowSchemas, carry_over
from headrace.features.rows.state_row import Rows, decode_rows, encode_rows, readable_rows
from headrace.features.store.columns import ColumnStore, Expiry
from headrace.features.store.connection import Connection
from headrace.features.store.last_items import EMPTY, Entries, decode_items, list_key
from headrace.features.store.round_trip import redis_errors
from headrace.features.store.row import Stamp
from headrace.features.store.seen_sketch import USER_SEEN, decode_sketch
from headrace.features.table import USER, USER_LAYOUT
from headrace.keys import key
from headrace.services.redis_condition import read_conditions, require_keeping
from headrace.skipped import Skipped

USERS_PER_WRITE: Final = 10_000
Read = TypeVar("Read")
DAMAGED: Final = (ServiceError, ValueError, TypeError, IndexError)  # what junk in a row leads to


@dataclass(frozen=True, slots=True)
class StoredUsers:
    """The stored data of N users: the bytes of their rows, None before their first event, their
    attributes, and who has no profile: nobody announced them. `lists` are those asked for, by name,
    and by user."""

    rows: list[bytes | None]
    attributes: list[tuple[str, ...]]
    unknown: list[bool]
    lists: dict[str, list[Entries]] = field(default_factory=dict)


class OnlineStore:
    """Reads and writes streaming rows; raises `StoreUnavailable` where Redis does not answer.

    Rows that another feature table wrote are read as this build's would be.
    """

    def __init__(
        self,
        settings: config.Settings,
        skipped: Skipped | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """With `timeout_s` an answer of Redis that takes longer is none."""
        self._skipped = skipped or Skipped()
        where = read_configuration(settings)
        client = where.connection.client()
        views = {view.name: view.packed(where.project) for view in READ_VIEWS}
        self._project = where.project
        self._columns = ColumnStore(client, views, key_ttl_s=where.key_ttl_s)
        self.clients_elsewhere = clients_elsewhere(where.connection, client, settings)
        redis = Redis.from_url(settings.redis_url)
        if timeout_s is not None:
            limit_waits(redis, timeout_s)
            self._columns.limit_waits(timeout_s)
        self._schemas = RowSchemas(redis, settings.namespace, self._skipped)

    def read_users(self, user_ids: Sequence[str], lists: Sequence[str] = ()) -> StoredUsers:
        """The stored data of these users, in one round trip; of damaged rows, nothing: they are
        counted, and the user begins anew."""
        if not user_ids:
            return StoredUsers([], [], [])
        requests = [(f"{USER}_activity", user_ids), (f"{USER}_profile", user_ids)]
        try:
            keys = [list_key(self._project, name, id_) for name in lists for id_ in user_ids]
            (activity, profile), payloads = self._columns.read_beside(requests, keys)
            states = self._current(activity.cells("state"), USER_LAYOUT)
            attributes = [tuple(names or ()) for names in profile.values("attributes")]
        except StoreUnavailable:
            raise
        except DAMAGED:
            return self._read_apart(user_ids)
        unknown = (~profile.found_N).tolist()
        each = map(self._entries, keys, payloads)
        entries = {name: [next(each) for _ in user_ids] for name in lists}
        return StoredUsers(self._whole(user_ids, states), attributes, unknown, entries)

    def _entries(self, key: str, payload: bytes | None) -> Entries:
        name, _, user_id = key.removeprefix(f"{self._project}/").partition("/user_id=")
        try:
            return decode_sketch(payload) if name == USER_SEEN else decode_items(payload)
        except ValueError as error:
            self._skipped.add(f"{name} lists", "damaged", f"{_who(user_id)}: {error}")
            return EMPTY

    def _read_apart(self, user_ids: Sequence[str]) -> StoredUsers:
        """The same where one of the rows is damaged: halves, until it is alone."""
        if len(user_ids) > 1:
            half = len(user_ids) // 2
            one, other = self.read_users(user_ids[:half]), self.read_users(user_ids[half:])
            return StoredUsers(
                one.rows + other.rows,
                one.attributes + other.attributes,
                one.unknown + other.unknown,
            )

        def state() -> list[bytes | None]:
            return self._whole(user_ids, self.read_rows(USER_LAYOUT, user_ids))

        def attributes() -> tuple[list[tuple[str, ...]], list[bool]]:
            (found,) = self._columns.read([(f"{USER}_profile", user_ids)])
            names = [tuple(names or ()) for names in found.values("attributes")]
            return names, (~found.found_N).tolist()

        nothing: tuple[list[tuple[str, ...]], list[bool]] = ([()], [False])
        none: list[bytes | None] = [None]
        rows = self._unless_damaged(state, none, f"{USER}_activity", user_ids[0])
        profile = self._unless_damaged(attributes, nothing, f"{USER}_profile", user_ids[0])
        return StoredUsers(rows, *profile)

    def _unless_damaged(
        self, read: Callable[[], Read], otherwise: Read, view: str, user_id: str
    ) -> Read:
        try:
            return read()
        except StoreUnavailable:
            raise
        except DAMAGED as error:
            self._skipped.add(f"{view} rows", "damaged", f"{_who(user_id)}: {error}")
            return otherwise

    def _whole(self, ids: Sequence[str], payloads: Sequence[bytes | None]) -> list[bytes | None]:
        """The rows of users without those that are none."""
        known = [number for number, payload in enumerate(payloads) if payload is not None]
        _, _, faults = readable_rows([payloads[n] or b"" for n in known], USER_LAYOUT)
        rows = list(payloads)
        for place, why in faults.items():
            rows[known[place]] = None
            where = f"{_who(ids[known[place]])}: {why}"
            self._skipped.add(f"{USER}_activity rows", "damaged", where)
        return rows

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

    def write_profiles(self, users: Sequence[User], as_of_ms: int) -> None:
        """Write the attributes of these users, as Feast materializes them from a catalogue that
        was written at `as_of_ms`."""
        for first in range(0, len(users), USERS_PER_WRITE):
            some = users[first : first + USERS_PER_WRITE]
            self._columns.write(
                USER_PROFILE.name,
                [user.user_id for user in some],
                np.zeros((len(some), 0), np.float32),
                {"attributes": [user.attributes for user in some]},
                Stamp(np.full(len(some), as_of_ms * 1_000)),
            )

    def delete_profiles(self, user_ids: Sequence[str]) -> None:
        """Delete the attributes of these users."""
        if user_ids:
            self._columns.delete(USER_PROFILE.name, user_ids)

    def write_contents(self, items: Sequence[Item], as_of_ms: int) -> None:
        """Write the static features of these items, as Feast materializes them."""
        if not items:
            return
        columns = {c.name: [getattr(item, c.name) for item in items] for c in ITEM_CONTENT.columns}
        columns["currency"] = [item.currency or None for item in items]
        self._columns.write(
            ITEM_CONTENT.name,
            [item.item_id for item in items],
            np.zeros((len(items), 0), np.float32),
            columns,
            Stamp(np.full(len(items), as_of_ms * 1_000)),
        )

    def delete_contents(self, item_ids: Sequence[str]) -> None:
        """Delete the static features of these items."""
        if item_ids:
            self._columns.delete(ITEM_CONTENT.name, item_ids)

    def add_to_lists(
        self, name: str, user_ids: Sequence[str], payloads: Sequence[bytes], expiry: Expiry
    ) -> None:
        """Put items to the front of users' lists (`headrace.features.store.last_items`)."""
        keys = [list_key(self._project, name, user_id) for user_id in user_ids]
        self._columns.add_to_lists(name, keys, payloads, expiry)

    def delete(self, layout: Layout, ids: Sequence[str]) -> None:
        """Delete the rows of these entities."""
        self._columns.delete(layout.view, ids)

    def _current(self, payloads: Sequence[bytes | None], layout: Layout) -> list[bytes | None]:
        with redis_errors("read"):
            return carry_over(payloads, layout, self._schemas.description)


def clients_elsewhere(connection: Connection, client: Any, settings: config.Settings) -> list[Any]:
    """The client of the online store where its connection leads to another Redis than REDIS_URL,
    such as a cluster; raises `ServiceError` if that one would lose rows."""
    if connection.string == settings.redis_url:
        return []
    with redis_errors("looked for"):
        require_keeping(read_conditions(client), settings)
    return [client]


def _who(user_id: str) -> str:
    """A user in a log: by his key (`headrace.keys`), which tells nobody else who he is."""
    return f"the user with key {key(user_id):016x}"
