"""A namespace's start with the state of an earlier log: its rows in the store and the topic."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import numpy as np
from redis import Redis

from headrace import config
from headrace.broker import LogWriter, Topics, create_topics
from headrace.config import Settings
from headrace.datasets.catalogue import read_items
from headrace.features.online import OnlineStore
from headrace.features.row_schemas import RowSchemas
from headrace.features.shared import topic_messages
from headrace.features.table import ITEM_LAYOUT, LAYOUTS, SHARED_LAYOUTS
from headrace.keys import key
from headrace.offline.folder import offline_path
from headrace.offline.start_state import START_FOLDER, read_rows

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
    items = read_items(config.catalogue_path(settings))
    store, writer = OnlineStore(settings), LogWriter(settings)
    topic, num_rows = Topics(settings.namespace).item_features, {}
    for layout in LAYOUTS:
        ids, rows = read_rows(folder, layout)
        if layout is ITEM_LAYOUT:  # of others the stream keeps a share, and none of before
            known = np.array([item_id in items for item_id in ids], bool)
            ids, rows = [item_id for item_id in ids if item_id in items], rows[known]
        num_rows[layout.entity] = len(ids)
        for first in range(0, len(ids), ROWS_PER_WRITE):
            part = slice(first, first + ROWS_PER_WRITE)
            if layout in SHARED_LAYOUTS:
                messages = topic_messages({layout.entity: (ids[part], rows[part])})
                for id_, (row_key, value) in zip(ids[part], messages, strict=True):
                    writer.send(topic, value, row_key, key(id_) % settings.num_partitions)
            store.write(layout, ids[part], rows[part])
    writer.flush()
    writer.close()
    return num_rows
