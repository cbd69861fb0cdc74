"""Vectors of items as they arrive: from a document on its topic to what rankers read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from redis import Redis
from stream_servers import started

from headrace import config
from headrace.broker.log_sender import Message
from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.item import Content, Dataset, Item
from headrace.catalogue.vector_table import SCHEMA, VectorTable
from headrace.catalogue.vectors import ContentVectors, VectorColumn
from headrace.documents.document import ITEM, ItemDocument
from headrace.documents.messages import removal, whole_message
from headrace.encoders.arrivals.messages import VectorFollower, vector_message
from headrace.errors import ConfigError
from headrace.keys import key
from headrace.monitoring.documents import EncodeDocument
from headrace.monitoring.status import StatusBoard
from headrace.skipped import Skipped
from trainers.arrivals import ArrivalEncoder

TABLE = "given_vector/1-2d"


def numbers(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def record(message: Message, offset: int = 0) -> Record:
    return Record(0, offset, 0, message.key, message.value or b"")


def test_a_table_follows_the_topic_and_passes_over_what_is_none() -> None:
    column, skipped = VectorColumn.of(TABLE, ["mug"], numbers(1, 2)[None]), Skipped()
    follower = VectorFollower(ContentVectors([column]), skipped)
    keys = np.array([key("mug"), key("cup")])
    told = [
        vector_message(TABLE, "cup", 5, numbers(3, 4), 1),
        vector_message("another/1", "mug", 5, numbers(3, 4, 5), 1),
        vector_message(TABLE, "mug", 5, None, 1),
    ]
    assert sorted(follower.take(map(record, told)).tolist()) == sorted(keys.tolist())
    vector_UD, has_U = column.find(keys)
    assert vector_UD.tolist() == [[0, 0], [3, 4]] and has_U.tolist() == [False, True]
    junk = [
        *(vector_message(TABLE, "cup", 5, bad, 1) for bad in (numbers(1), numbers(1, np.nan))),
        *(Message(junk_key, b"12345678") for junk_key in (b"", b"x", b"\xff\0\xff")),
        Message(told[0].key, b"123"),
    ]
    assert not len(follower.take(map(record, junk)))
    assert skipped.total() == len(junk) and column.find(keys)[0].tolist() == [[0, 0], [3, 4]]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    """Servers, and a catalogue of which one item has a vector, in a finished table."""
    folder = tmp_path_factory.mktemp("arrivals")
    contents = (Content("mug", vector=(1.0, 2.0)),)
    items = (Item("mug", "Mug"), Item("cup", "Cup"))
    dataset = Dataset(
        *("shop", items, (), lambda: iter(()), 0, 0, 0), contents=lambda: iter(contents)
    )
    given = {"vector_tables": (TABLE,), "num_partitions": 2}
    with started(folder, dataset, **given) as settings:
        table = VectorTable(config.vectors_path(settings), TABLE)
        row = {"item_id": "mug", "content_hash": 7, "vector": [1.0, 2.0], "problem": None}
        table.append(pa.Table.from_pylist([row], SCHEMA))
        table.finish({"mug": 7})
        yield settings


def tell(settings: config.Settings, *messages: Message) -> None:
    with closing(LogWriter(settings)) as writer:
        for key_, value, _, partition in messages:
            writer.send(Topics(settings.namespace).items, value, key_, partition)
        writer.flush()


def whole(item_id: str, *vector: float, **fields: str) -> Message:
    given = vector or None
    return whole_message(ITEM, ItemDocument(item_id, vector=given, **fields))


def read(settings: config.Settings) -> dict[str, list[float] | None]:
    """What a ranker that starts now reads of three items."""
    vectors = ContentVectors.of(settings)
    follower = VectorFollower(vectors, Skipped())
    topic = Topics(settings.namespace).item_vectors
    with closing(LogReader(settings, topic, {0: 0, 1: 0})) as reader:
        for records in reader.read_to_end():
            follower.take(records)
    ids = ("mug", "cup", "pen")
    vector_UMW, mask_UM = vectors.vectors(np.array([key(one) for one in ids]))
    found = zip(ids, vector_UMW[:, 0].tolist(), mask_UM[:, 0], strict=True)
    return {item_id: vector if has_one else None for item_id, vector, has_one in found}


def encode(settings: config.Settings, until: int) -> None:
    """One who encodes, from his start until he has encoded so many."""
    with closing(ArrivalEncoder(settings, "cpu")) as encoder:
        for _ in range(200):
            encoder.step()
            encoder._report()
            if status(settings).encoded >= until and not sum(status(settings).waiting.values()):
                return
    raise AssertionError(f"not encoded: {status(settings)}")


def status(settings: config.Settings) -> EncodeDocument:
    with Redis.from_url(settings.redis_url) as redis:
        documents = StatusBoard(redis, settings.namespace).read(EncodeDocument)
        return max(documents, key=lambda document: document.updated_ms)


@pytest.mark.services
def test_items_are_encoded_as_they_come_change_and_go(settings: config.Settings) -> None:
    assert read(settings) == {"mug": [1, 2], "cup": None, "pen": None}
    tell(settings, whole("mug", title="Mug"), whole("cup", 3, 4), whole("pen", 5, 6, title="Pen"))
    encode(settings, until=2)
    assert read(settings) == {"mug": [1, 2], "cup": [3, 4], "pen": [5, 6]}
    tell(settings, whole("cup", 3, 5), whole("pen", 1, 2, 3), removal("mug"))
    encode(settings, until=2)
    assert read(settings) == {"mug": None, "cup": [3, 5], "pen": None}
    told = status(settings)
    assert (told.failed, told.waiting, told.lag_ms) == (1, {TABLE: 0}, 0)
    assert "item 'pen': expected 2 numbers, got 3" in told.last_failure


@pytest.mark.services
def test_a_table_of_another_version_is_refused(settings: config.Settings) -> None:
    changed = config.changed(settings, vector_tables=("given_vector/1-3d",))
    with pytest.raises(ConfigError, match="was made by version 1-3d of given_vector, this build"):
        ArrivalEncoder(changed, "cpu")
