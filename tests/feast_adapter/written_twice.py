"""A program that writes the same rows through Feast and through the online store, in a process of
the settings of its environment, and prints what Redis then has of both.

The last line of its output is JSON: the views in Feast's registry, as packed ones; and of each
streaming view the keys and values that Feast wrote, those that the online store wrote, and the rows
of each as the other reads them.
"""

from __future__ import annotations

import dataclasses
import json

from headrace.feast_adapter import first_import as _before_feast  # noqa: F401

# isort: split
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from feast import FeatureStore
from redis import Redis

from headrace import config
from headrace.catalogue.files import USERS_FILE, read_users
from headrace.feast_adapter.request import view_of
from headrace.features.aggregation.layout import Layout
from headrace.features.online.store import OnlineStore
from headrace.features.rows.state_row import Rows, blank_rows, encode_rows
from headrace.features.table import LAYOUTS
from headrace.offline import materialize

IDS = ["196", "a user, with %", "müsli/=1"]
TIME_MS = 1_767_225_600_000


def rows_of(layout: Layout) -> Rows:
    """Rows as the stream writes them, but of no position: Feast knows of none."""
    rows = blank_rows(layout, len(IDS), partition=0xFFFFFFFF)
    rows["event_time_ms"] = TIME_MS + np.arange(len(IDS))
    return rows


def as_frame(layout: Layout, rows: Rows) -> pd.DataFrame:
    number_NF = layout.number_values(rows["state"], rows["event_time_ms"])
    numbers = {row.name: number_NF[:, place] for place, row in enumerate(layout.numbers)}
    times = pd.to_datetime(rows["event_time_ms"], unit="ms", utc=True)
    ids = {f"{layout.entity}_id": IDS}
    return pd.DataFrame({**ids, **numbers, "state": encode_rows(rows), "event_timestamp": times})


def stored(redis: Redis, project: str, view: str) -> dict[str, str]:
    """The rows of a view in Redis: keys and values, as hexadecimal text."""
    keys = sorted(redis.scan_iter(f"{project}/{view}/*"))
    return {key.hex(): redis.get(key).hex() for key in keys}


def read_as_of_ms(settings: config.Settings) -> int:
    """The event time of the catalogue's rows."""
    table = pq.read_table(config.catalogue_path(settings) / USERS_FILE)
    return round(1_000 * table["event_timestamp"][0].as_py().timestamp())


def main() -> None:
    settings = config.load()
    materialize.apply(settings)
    feast, store = FeatureStore("feature_repo"), OnlineStore(settings)
    redis = Redis.from_url(settings.redis_url)
    views = {view.name: view_of(feast.config, view) for view in feast.list_feature_views()}
    told = {}
    for layout in LAYOUTS:
        rows = rows_of(layout)
        feast.write_to_online_store(layout.view, as_frame(layout, rows))
        of_feast = stored(redis, settings.namespace, layout.view)
        read_by_us = store.read_rows(layout, IDS)
        store.delete(layout, IDS)
        store.write(layout, IDS, rows)
        ours = stored(redis, settings.namespace, layout.view)
        entities = [{f"{layout.entity}_id": one} for one in IDS]
        answer = feast.get_online_features([f"{layout.view}:state"], entities).to_dict()
        told[layout.view] = {
            "feast": of_feast,
            "ours": ours,
            "read_by_us": [(row or b"").hex() for row in read_by_us],
            "read_by_feast": [(row or b"").hex() for row in answer["state"]],
            "rows": [row.hex() for row in encode_rows(rows)],
        }
    as_of_ms = read_as_of_ms(settings)
    materialize.materialize(settings, as_of_ms)
    of_feast = stored(redis, settings.namespace, "user_profile")
    store.write_profiles(list(read_users(config.catalogue_path(settings)).values()), as_of_ms)
    ours = stored(redis, settings.namespace, "user_profile")
    told["user_profile"] = {"feast": of_feast, "ours": ours}
    packed = {name: dataclasses.asdict(view) for name, view in views.items()}
    print(json.dumps({"views": packed, "rows": told}))


if __name__ == "__main__":
    main()
