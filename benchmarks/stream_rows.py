"""What a stream has written: rows of topics and of the online store, as counts to compare."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import numpy as np

from benchmarks.load_events import USERS
from benchmarks.passing_items import FORGOTTEN_AFTER_S
from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.config import Settings
from headrace.features.aggregation.facts import COUNTED
from headrace.features.online.store import OnlineStore
from headrace.features.rows.merged import MergedState
from headrace.features.rows.messages.merged_rows import MergedRows
from headrace.features.rows.messages.row_messages import MERGED, RowDecoder, row_key_of
from headrace.features.rows.schemas import nothing_described
from headrace.features.rows.state_row import Rows, decode_rows
from headrace.features.store.last_items import USER_HIDES
from headrace.features.table import ITEM, ITEM_LAYOUT, LIFE, USER_LAYOUT
from headrace.skipped import Skipped

MERGED_WITHIN_S = 20.0
FORGOTTEN_WITHIN_S = FORGOTTEN_AFTER_S + 20.0


def read(settings: Settings, topic: str, num_partitions: int | None = None) -> list[Record]:
    """All records of a topic, which has as many partitions as the events unless told."""
    numbers = range(num_partitions or settings.stream.num_partitions)
    reader = LogReader(settings, topic, dict.fromkeys(numbers, 0), 5_000)
    records = [record for batch in reader.read_to_end() for record in batch]
    reader.close()
    return records


def published_items(settings: Settings) -> dict[str, list[float]]:
    """The counts of the merged rows in their topic, once they are those of all partial rows,
    or have had `MERGED_WITHIN_S` to be."""
    deadline_s, topics = time.monotonic() + MERGED_WITHIN_S, Topics(settings.namespace)
    while True:
        state = MergedState(lambda item_id: None)
        state.apply(read(settings, topics.item_partials))
        decoder = RowDecoder(MERGED, nothing_described, Skipped())
        reader = MergedRows(settings.stream.num_partitions, decoder, (ITEM,))
        new = reader.read(read(settings, topics.item_features))[ITEM]
        merged = state.items.merged(state.items.find(new.ids))
        is_all = set(new.ids) == set(state.items.ids) - {""}
        same = is_all and np.array_equal(merged["position"], new.rows["position"])
        if same or time.monotonic() > deadline_s:
            rows = np.split(new.rows, len(new.ids))
            return {id_: _item_counts(row) for id_, row in zip(new.ids, rows, strict=True)}
        time.sleep(0.2)


def left_of(settings: Settings, gone: Collection[str], store: OnlineStore) -> set[str]:
    """Those of the items that were taken away of which there is a row yet, once there is none
    or they have had `FORGOTTEN_WITHIN_S` to be forgotten."""
    deadline_s, topics = time.monotonic() + FORGOTTEN_WITHIN_S, Topics(settings.namespace)
    while True:
        left = {id_ for id_ in gone if store.read_rows(ITEM_LAYOUT, [id_])[0]}
        for topic in (topics.item_partials, topics.item_features):
            last = {record.key: record.value for record in read(settings, topic)}
            rows = (row_key_of(key) for key, value in last.items() if value)
            left |= {row.entity_id for row in rows if row and row.entity_id in gone}
        if not left or time.monotonic() > deadline_s:
            return left
        time.sleep(0.2)


def counted(rows: Rows | None = None, field: str = USER_LAYOUT.field_of[LIFE]) -> list[float]:
    """Counts in the order of `COUNTED`, zeros without a row."""
    if rows is None or not len(rows):
        return [0.0] * len(COUNTED)
    counts: list[float] = rows["state"][field][0].tolist()
    return counts


def online_items(store: OnlineStore, ids: Sequence[str]) -> dict[str, list[float]]:
    """The counts of the items' rows in the online store."""
    rows = zip(ids, store.read_rows(ITEM_LAYOUT, ids), strict=True)
    return {id_: _item_counts(decode_rows([row] if row else [], ITEM_LAYOUT)) for id_, row in rows}


def hidden_by(store: OnlineStore) -> dict[tuple[str, str], dict[int, int]]:
    """The entries of each user's lists of hidden items, by user and list."""
    lists = store.read_users(USERS, [*USER_HIDES]).lists
    return {
        (user, name): dict(entries.tolist())
        for name, of_users in lists.items()
        for user, entries in zip(USERS, of_users, strict=True)
    }


def _item_counts(rows: Rows) -> list[float]:
    return counted(rows, ITEM_LAYOUT.field_of[LIFE])
