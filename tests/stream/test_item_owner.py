"""Owners of items on a real broker: what two workers count is merged once, and read by all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count

import pytest
from stream_servers import shop, started

from headrace import config
from headrace.broker.partitioner import partition_of
from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.clock import now_ms
from headrace.event import ImpressionEvent, Shown, encode
from headrace.features.rows.messages.merged_rows import MergedRows
from headrace.features.rows.messages.ownership import owner_of
from headrace.features.rows.messages.row_messages import MERGED, RowDecoder, partial_messages
from headrace.features.rows.schemas import nothing_described
from headrace.features.rows.state_row import blank_rows
from headrace.features.table import ITEM, ITEM_LAYOUT, LIFE
from headrace.skipped import Skipped
from headrace.stream.worker import Worker
from serving.replica.item_states import ItemStates

pytestmark = pytest.mark.services

IDS = [f"item {number}" for number in range(6)]
ITEMS = tuple(Item(item_id) for item_id in IDS)
USERS = [[u for u in map(str, range(40)) if partition_of(u.encode(), 2) == n] for n in (0, 1)]
numbers = count()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    folder = tmp_path_factory.mktemp("owner")
    with started(folder, shop(ITEMS), num_partitions=2, make_samples=False) as settings:
        yield settings


@contextmanager
def running(settings: config.Settings, *own: int) -> Iterator[None]:
    """A worker of these partitions."""
    stop = threading.Event()
    thread = threading.Thread(target=Worker(settings, own, now_ms).run, args=(stop.is_set,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def send(settings: config.Settings) -> None:
    """Each item is shown once to a user of either partition."""
    writer = LogWriter(settings)
    for users in USERS:
        number, shown = next(numbers), tuple(Shown(id_, n, False) for n, id_ in enumerate(IDS))
        event = ImpressionEvent(f"e{number}", now_ms(), users[0], f"r{number}", shown)
        writer.send(Topics(settings.namespace).events, encode(event), users[0].encode())
    writer.flush()
    writer.close()


def records_of(settings: config.Settings, topic: str) -> list[Record]:
    reader = LogReader(settings, topic, {0: 0, 1: 0})
    records = [record for polled in reader.read_to_end() for record in polled]
    reader.close()
    return records


def merged_rows() -> MergedRows:
    return MergedRows(2, RowDecoder(MERGED, nothing_described, Skipped()), (ITEM,))


def shown(settings: config.Settings) -> dict[str, float]:
    """How often each item was shown, of the merged rows in the topic."""
    new = merged_rows().read(records_of(settings, Topics(settings.namespace).item_features))
    if ITEM not in new:
        return {}
    life = new[ITEM].rows["state"][ITEM_LAYOUT.field_of[LIFE]]
    return dict(zip(new[ITEM].ids, life[:, 0].tolist(), strict=True))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def have_been_shown(settings: config.Settings, num: int) -> bool:
    return shown(settings) == dict.fromkeys(IDS, num)


def test_what_two_workers_count_is_merged_by_the_owner_of_each_item(
    servers: config.Settings,
) -> None:
    assert {owner_of(item_id, 2) for item_id in IDS} == {0, 1}
    settings = config.changed(servers, namespace="two")
    create_topics(settings)
    with running(settings, 0), running(settings, 1):
        for round in (1, 2):
            send(settings)
            until(partial(have_been_shown, settings, 2 * round))
    send(settings)
    with running(settings, 1):  # of those that it owns it knows what the other one had counted
        until(lambda: sum(shown(settings).values()) > 4 * len(IDS))
        mine = [item_id for item_id in IDS if owner_of(item_id, 2) == 1]
        until(lambda: [shown(settings)[i] for i in mine] == [5] * len(mine))
    with running(settings, 0, 1):  # and a worker that takes both over, of all
        until(partial(have_been_shown, settings, 6))
    topic = Topics(settings.namespace).item_features
    before = len(records_of(settings, topic))
    with running(settings, 0), running(settings, 1):
        send(settings)
        until(partial(have_been_shown, settings, 8))
    later = records_of(settings, topic)[before:]
    assert all(row.value for row in later)
    table = table_of(ITEMS)  # a replica that starts late
    states = ItemStates(table, merged_rows(), now_ms)
    assert states.take(records_of(settings, topic))
    taken = states.states.take(table.rows_of_ids(IDS))[ITEM_LAYOUT.field_of[LIFE]]
    assert taken[:, 0].tolist() == [8] * len(IDS)


def test_partial_rows_of_an_earlier_version_move_to_their_topic_once(
    servers: config.Settings,
) -> None:
    settings = config.changed(servers, namespace="earlier")
    create_topics(settings)
    topics, writer = Topics(settings.namespace), LogWriter(settings)
    for source in (0, 1):
        rows = blank_rows(ITEM_LAYOUT, len(IDS), source)
        rows["state"][ITEM_LAYOUT.field_of[LIFE]][:, 0] = 10 + source
        rows["position"] = 0
        for about, value in partial_messages({ITEM: (IDS, rows)}):
            writer.send(topics.item_features, value, about.encoded(), source)
    writer.flush()
    writer.close()
    with running(settings, 0, 1):
        until(partial(have_been_shown, settings, 21))
    assert len(records_of(settings, topics.item_partials)) == 2 * len(IDS)
    num_before = len(records_of(settings, topics.item_features))
    assert num_before == 5 * len(IDS)  # each row, that it is gone, and the merged one
    with running(settings, 0, 1):
        time.sleep(0.5)
    assert len(records_of(settings, topics.item_features)) == num_before
