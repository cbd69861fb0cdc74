"""The packed online store against raw Redis and against Feast's own Redis store.

One Redis, started for this; everything is measured as alternating pairs of the same run. The keys:

    read_vs_mget           500 entities x 32 floats as arrays, over a bare MGET of the same values
    read_vs_feast          the same read, over get_online_features(...).to_dict() on the stock store
    public_read_vs_feast   get_online_features on this store, over the same on the stock store;
                           public_read_to_dict_vs_feast is with the answer's to_dict() on both
    write_vs_feast         10,000 rows written as columns, as the stream writes them, over
                           write_to_online_store on the stock store;
                           public_write_vs_feast is write_to_online_store on both
    bytes_vs_feast         MEMORY USAGE of an entity: 32 floats and a sequence of 50
    unknown_ids_p99_ratio  p99 of reads with 1, 10 and 50 % unknown ids, over that with none
"""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import redis
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.repo_config import RepoConfig
from feast.types import Array, Float32

from benchmarks.pairs import NUM_PAIRS, compare, interval, seconds
from headrace.feast_adapter.columns import columns_of
from headrace.feast_adapter.request import view_of
from headrace.features.store.columns import ColumnStore
from headrace.features.store.row import Stamp
from headrace.services.ports import LOOPBACK
from headrace.services.redis import RedisServer, start_redis

STOCK, PACKED = "redis", "headrace.feast_adapter.online_store.PackedRedisOnlineStore"
NUM_ROWS, NUM_READ, NUM_FLOATS, NUM_ITEMS = 10_000, 500, 32, 50
READS_PER_SIDE = 40  # of the fast reads in each half of a pair, so that a half takes tens of ms
READS_FOR_P99 = 1_000  # of each kind in each of the pairs: a p99 is then the tenth from the top
UNKNOWN_PERCENT = (1, 10, 50)
TIME = datetime(2026, 3, 1, tzinfo=UTC)
IDS = [f"user{number}" for number in range(NUM_ROWS)]
FLOATS = [f"f{number}" for number in range(NUM_FLOATS)]
REFERENCES = [f"floats:{name}" for name in FLOATS]


def measure_store(num_pairs: int = NUM_PAIRS) -> dict[str, Any]:
    """All of the above, each with its median, interval and series."""
    with tempfile.TemporaryDirectory() as folder, start_redis(Path(folder)) as server:
        stock, packed = (repository(kind, Path(folder), server) for kind in (STOCK, PACKED))
        client = redis.Redis.from_url(server.url)
        rows, floats_NF = table(IDS, 0)
        stamp = Stamp(np.full(NUM_ROWS, int(TIME.timestamp() * 1e6)))
        columns = columns_of(packed, clock=lambda: int(TIME.timestamp() * 1_000))
        results = {
            "write_vs_feast": times_faster(
                lambda: columns.write("floats", IDS, floats_NF, {}, stamp),
                lambda: stock.write_to_online_store("floats", rows),
                num_pairs,
            ),
            "public_write_vs_feast": times_faster(
                lambda: packed.write_to_online_store("floats", rows),
                lambda: stock.write_to_online_store("floats", rows),
                num_pairs,
            ),
        }
        results |= measure_reads(stock, packed, columns, client, num_pairs)
        results["unknown_ids_p99_ratio"] = unknown_ids(columns, num_pairs)
        results["bytes_vs_feast"] = bytes_per_entity(stock, packed, client)
        client.close()
    return results


def measure_reads(
    stock: FeatureStore, packed: FeatureStore, columns: ColumnStore, client: Any, num_pairs: int
) -> dict[str, Any]:
    """Reads of NUM_READ entities."""
    ids = IDS[:NUM_READ]
    keys = view_of(packed.config, packed.get_feature_view("floats")).row_keys([ids])

    def arrays() -> None:
        for _ in range(READS_PER_SIDE):
            columns.read_arrays("floats", ids)

    def mget() -> None:
        for _ in range(READS_PER_SIDE):
            client.mget(keys)

    entity_rows = [{"user_id": user_id} for user_id in ids]

    def public(store: FeatureStore, to_dict: bool) -> Callable[[], Any]:
        def read() -> Any:
            answer = store.get_online_features(features=REFERENCES, entity_rows=entity_rows)
            return answer.to_dict() if to_dict else answer

        return read

    assert public(packed, True)() == public(stock, True)()
    return {
        "read_vs_mget": compare(arrays, mget, num_pairs),
        "read_vs_feast": times_faster(
            lambda: columns.read_arrays("floats", ids), public(stock, True), num_pairs
        ),
        "public_read_vs_feast": times_faster(
            public(packed, False), public(stock, False), num_pairs
        ),
        "public_read_to_dict_vs_feast": times_faster(
            public(packed, True), public(stock, True), num_pairs
        ),
    }


def times_faster(
    subject: Callable[[], object], baseline: Callable[[], object], num_pairs: int
) -> dict[str, Any]:
    """How many times the subject's time the baseline takes."""
    subject(), baseline()  # connections, and what Feast keeps of a registry
    result = compare(baseline, subject, num_pairs)
    return {
        "times_faster": result["time_ratio"],
        "interval_95": result["interval_95"],
        "subject_s": result["baseline_s"],
        "baseline_s": result["subject_s"],
    }


def unknown_ids(columns: ColumnStore, num_pairs: int) -> dict[str, Any]:
    """By share of unknown ids; reads with each share take turns, whose order changes by chance."""
    ids_of = {percent: some_unknown(percent) for percent in (0, *UNKNOWN_PERCENT)}
    for percent, ids in ids_of.items():
        known_N = columns.read_arrays("floats", ids)[1].any(1)
        assert known_N.sum() == NUM_READ * (100 - percent) // 100
    order, ratios_of = list(ids_of), {percent: list[float]() for percent in UNKNOWN_PERCENT}
    for pair in range(num_pairs):
        shuffle, took_s = random.Random(pair).shuffle, {percent: list[float]() for percent in order}
        for _ in range(READS_FOR_P99):
            shuffle(order)
            for percent in order:
                took_s[percent].append(read_s(columns, ids_of[percent]))
        p99_s = {percent: float(np.percentile(took_s[percent], 99)) for percent in order}
        for percent, ratios in ratios_of.items():
            ratios.append(p99_s[percent] / p99_s[0])
    return {
        f"{percent}_percent": {
            "ratio": statistics.median(ratios),
            "interval_95": interval(ratios),
            "ratios": ratios,
            "errors": 0,  # one would have ended the benchmark
        }
        for percent, ratios in ratios_of.items()
    }


def some_unknown(percent: int) -> list[str]:
    """NUM_READ ids, this share of which nobody has."""
    ids = IDS[:NUM_READ]
    num_unknown = NUM_READ * percent // 100
    unknown = np.random.default_rng(percent).choice(NUM_READ, num_unknown, replace=False)
    for place in unknown.tolist():
        ids[place] = f"nobody{place}"
    return ids


def read_s(columns: ColumnStore, ids: list[str]) -> float:
    """Wall time of one read."""
    return seconds(lambda: columns.read_arrays("floats", ids))


def bytes_per_entity(stock: FeatureStore, packed: FeatureStore, client: Any) -> dict[str, Any]:
    """Memory of entities that only have a row of the wide view, key included."""
    ids = [f"wide{number}" for number in range(100)]
    rows, _ = table(ids, NUM_ITEMS)
    used: list[list[int]] = []
    for store in (packed, stock):
        before = set(client.scan_iter(count=1_000))
        store.write_to_online_store("wide", rows)
        new = set(client.scan_iter(count=1_000)) - before
        of_entities = [key for key in new if b"user_id" in key]
        assert len(of_entities) == len(ids)
        used.append([client.memory_usage(key, samples=0) for key in of_entities])
    ratios = [one / other for one, other in zip(*map(sorted, used), strict=True)]
    return {
        "ratio": statistics.median(ratios),
        "interval_95": interval(ratios),
        "packed_bytes": statistics.median(used[0]),
        "stock_bytes": statistics.median(used[1]),
    }


def table(ids: list[str], num_items: int) -> tuple[pd.DataFrame, Any]:
    """Random rows of these users, as a data frame and as an array of their floats."""
    random = np.random.default_rng(0)
    floats_NF = random.random((len(ids), NUM_FLOATS), np.float32)
    frame = pd.DataFrame(floats_NF, columns=FLOATS)
    frame["user_id"], frame["event_timestamp"] = ids, pd.Timestamp(TIME)
    if num_items:
        frame["sequence"] = list(random.random((len(ids), num_items), np.float32))
    return frame, floats_NF


def repository(kind: str, folder: Path, server: RedisServer) -> FeatureStore:
    """A Feast repository on an online store, with two views of a user."""
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    floats = [Field(name=name, dtype=Float32) for name in FLOATS]
    sequence = Field(name="sequence", dtype=Array(Float32))
    file = FileSource(path=str(folder / "no.parquet"), timestamp_field="event_timestamp")
    table([], NUM_ITEMS)[0].to_parquet(folder / "no.parquet")
    address = f"{LOOPBACK}:{server.port},password={server.password}"
    name = kind.rpartition(".")[2].lower()
    store = FeatureStore(
        config=RepoConfig(
            project=name,
            provider="local",
            registry=str(folder / f"{name}.db"),
            online_store={"type": kind, "connection_string": address, "skip_dedup": True},
            entity_key_serialization_version=3,
        )
    )
    views = [
        FeatureView(name=name, entities=[user], ttl=timedelta(0), schema=schema, source=file)
        for name, schema in (("floats", floats), ("wide", [*floats, sequence]))
    ]
    store.apply([user, *views])
    return store
