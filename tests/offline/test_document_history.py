"""The history of items: a join as of a moment finds the price of then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headrace import config
from headrace.broker.log_sender import Message
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.item import Dataset, Item, User
from headrace.clock import now_ms
from headrace.documents.document import ITEM, ItemDocument, accept_part
from headrace.documents.feed import publish_catalogue
from headrace.documents.messages import part_message, removal, whole_message
from headrace.offline.archive import Archive
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis
from headrace.stream.worker import Worker

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
ITEMS = (Item("mug", "A mug", price_micros=5, currency="EUR"), Item("pen"))
JOIN = """
import json, sys
import pandas as pd
from headrace.feast_adapter import first_import
from feast import FeatureStore
from headrace import config
from headrace.offline import materialize
settings = config.load()
materialize.apply(settings)
materialize.materialize(settings, int(sys.argv[1]))
times = pd.to_datetime(json.loads(sys.argv[2]), unit="ms", utc=True)
asked = pd.DataFrame({"item_id": "mug", "event_timestamp": times})
store = FeatureStore("feature_repo")
names = ["item_content:price_micros", "item_content:currency", "item_content:title"]
rows = store.get_historical_features(asked, names).to_df().astype(object)
online = store.get_online_features(names, [{"item_id": "pen"}]).to_dict()
found = rows.where(rows.notna(), None)[["price_micros", "currency"]]
print(json.dumps([found.values.tolist(), online]))
"""


ONLINE = """
import json
from headrace.feast_adapter import first_import
from feast import FeatureStore
names = [f"item_content:{name}" for name in ("title", "categories", "price_micros", "stock")]
rows = [{"item_id": "mug"}, {"item_id": "cup"}]
print(json.dumps(FeatureStore("feature_repo").get_online_features(names, rows).to_dict()))
"""


@dataclass(frozen=True)
class Shop:
    """Its settings, and the moments after each change of the mug."""

    settings: config.Settings
    moments_ms: list[int]

    def change(self, message: Message) -> None:
        with closing(LogWriter(self.settings)) as writer:
            writer.send(Topics(self.settings.namespace).items, message.value, message.key)
            writer.flush()
        self.remember()

    def remember(self) -> None:
        time.sleep(0.01)
        self.moments_ms.append(now_ms())
        time.sleep(0.01)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("history")
    with start_redis(folder / "redis") as redis, start_broker(folder / "kafka", {}) as broker:
        settings = config.settings(
            namespace="history",
            home=str(folder / "home"),
            redis_url=redis.url,
            kafka_bootstrap=broker.bootstrap,
            num_partitions=2,
        )
        yield Shop(settings, [])


def asked(settings: config.Settings, program: str, *arguments: str) -> Any:
    """What a program that uses Feast prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **config.environment(settings)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return json.loads(done.stdout.splitlines()[-1])


def archive(settings: config.Settings, seconds: float) -> None:
    """An archive that runs for so long."""
    part, ends_s = Archive(settings, now_ms), time.monotonic() + seconds
    part.run(lambda: time.monotonic() > ends_s)


def test_a_join_finds_the_price_of_then(shop: Shop) -> None:
    shop.remember()
    dataset = Dataset("shop", ITEMS, (User("ann"),), lambda: iter(()), 0, 0, 0)
    publish_catalogue(shop.settings, dataset, now_ms())
    shop.remember()
    shop.change(part_message(ITEM, accept_part(ITEM, {"item_id": "mug", "price_micros": 6})))
    archive(shop.settings, 1.0)
    shop.change(part_message(ITEM, accept_part(ITEM, {"item_id": "mug", "currency": None})))
    shop.change(removal("mug"))
    archive(shop.settings, 1.0)  # another one goes on where the first was
    joined, online = asked(shop.settings, JOIN, str(now_ms()), json.dumps(shop.moments_ms))
    assert joined == [[None, None], [5, "EUR"], [6, "EUR"], [6, None], [None, None]]
    assert online["price_micros"] == [None] and online["title"] == [""]


def test_feast_reads_online_what_a_worker_has_followed(shop: Shop) -> None:
    shop.change(whole_message(ITEM, ItemDocument("cup", "A cup", ("tea",), price_micros=7)))
    shop.change(part_message(ITEM, accept_part(ITEM, {"item_id": "cup", "stock": 0})))
    ends_s = time.monotonic() + 3
    Worker(shop.settings, (0, 1), now_ms).run(lambda: time.monotonic() > ends_s)
    found = asked(shop.settings, ONLINE)
    assert found["price_micros"] == [None, 7] and found["stock"] == [None, 0]
    assert found["title"] == [None, "A cup"] and found["categories"] == [None, ["tea"]]
