"""A namespace's start with the state of an earlier log: its rows in the store and the topic."""

from __future__ import annotations

import shutil
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from redis import Redis

from headrace import config
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import read_items, read_users
from headrace.config import Settings
from headrace.features.aggregation.layout import Layout
from headrace.features.online.store import OnlineStore
from headrace.features.rows.bounds import Bounds, row_ttls_s
from headrace.features.rows.messages.ownership import owner_of
from headrace.features.rows.messages.row_messages import merged_messages, partial_messages
from headrace.features.rows.schemas import RowSchemas
from headrace.features.rows.state_row import Rows
from headrace.features.store.columns import Expiry
from headrace.features.table import CAMPAIGN, ITEM, ITEM_LAYOUT, LAYOUTS, SHARED_LAYOUTS, USER
from headrace.offline.start_state import START_FOLDER, read_rows
from headrace.paths import offline_path

ROWS_PER_WRITE: Final = 2_000


def publish_start_state(state: Path, settings: Settings) -> dict[str, int]:
    """Put the rows of a backfill where they belong; returns their numbers by kind of entity.

    Doing it again, after a crash, changes nothing.
    """
    folder = offline_path(settings) / START_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    shutil.move(state, folder)
    create_topics(settings)
    RowSchemas(Redis.from_url(settings.redis_url), settings.namespace).remember()
    catalogue = config.catalogue_path(settings)
    known: dict[str, Container[str]] = {
        USER: read_users(catalogue),
        ITEM: read_items(catalogue),
        CAMPAIGN: Bounds.of(settings).known_campaigns,
    }
    store, writer = OnlineStore(settings), LogWriter(settings)
    num_rows = {}
    for layout in LAYOUTS:
        ids, rows = read_rows(folder, layout)
        of_kind = known.get(layout.entity, frozenset(ids))
        unknown_N = np.array([id_ not in of_kind for id_ in ids], bool)
        if layout is ITEM_LAYOUT:  # of others the stream keeps a share, and none of before
            ids = [item_id for item_id in ids if item_id in of_kind]
            rows, unknown_N = rows[~unknown_N], unknown_N[~unknown_N]
        num_rows[layout.entity], ttl_s = len(ids), row_ttls_s(settings).get(layout.entity, 0)
        for first in range(0, len(ids), ROWS_PER_WRITE):
            part = slice(first, first + ROWS_PER_WRITE)
            if layout in SHARED_LAYOUTS:
                _send(writer, settings, layout, ids[part], rows[part])
            store.write(layout, ids[part], rows[part], expiry=Expiry(unknown_N[part], ttl_s))
    writer.flush()
    writer.close()
    return num_rows


def _send(
    writer: LogWriter, settings: Settings, layout: Layout, ids: Sequence[str], rows: Rows
) -> None:
    """Send rows to both of their topics: until a stream counts they are all that is merged."""
    topics = Topics(settings.namespace)
    for topic, messages in (
        (topics.item_partials, partial_messages({layout.entity: (ids, rows)})),
        (topics.item_features, merged_messages(layout, ids, rows)),
    ):
        for about, value in messages:
            number = owner_of(about.entity_id, settings.stream.num_partitions)
            writer.send(topic, value, about.encoded(), number)
