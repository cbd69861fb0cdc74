"""A real worker on a real broker and Redis: what it writes is seen by the monitor, view by view."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from redis import Redis
from rich.console import Console
from stream_servers import started

from headrace import config
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.clock import now_ms
from headrace.event import ClickEvent, Event, ImpressionEvent, Served, Shown, encode
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.table import LAYOUTS
from headrace.monitoring.health import Health, read_health
from headrace.monitoring.health_report import to_document, to_tables
from headrace.stream.delivery import STATUS_EVERY_MS
from headrace.stream.worker import Worker

pytestmark = pytest.mark.services

NUM_USERS = 20
PATIENCE_MS = 60_000
EVENT_AGE_MS = 5_000
WAITED_MS = 3_000  # that the events have been in the log when the worker comes


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    """Servers, and a catalogue of two films of one genre."""
    folder = tmp_path_factory.mktemp("monitored")
    with started(folder, namespace="monitored", num_partitions=2) as settings:
        yield settings


def send(settings: config.Settings) -> int:
    """An impression and a click of each user and one bad event; returns when they arrived."""
    writer, topic = LogWriter(settings), Topics(settings.namespace).events
    sent_ms = now_ms() - WAITED_MS
    for number in range(NUM_USERS):
        user, time_ms = f"user-{number}", sent_ms - EVENT_AGE_MS
        events: list[Event] = [
            ImpressionEvent(
                f"shown-{number}", time_ms, user, f"page-{number}",
                (Shown("7", 0, campaign_id="ad"), Shown("8", 1)),
            ),
            ClickEvent(f"click-{number}", time_ms + 1, user, "8", f"page-{number}"),
        ]  # fmt: skip
        for event in events:
            writer.send(topic, encode(event), user.encode(), arrival_ms=sent_ms)
    writer.send(topic, b"not an event", b"user-0", arrival_ms=sent_ms)
    writer.flush()
    writer.close()
    return sent_ms


def test_a_worker_says_of_every_view_how_fresh_and_whole_it_is(settings: config.Settings) -> None:
    sent_ms = send(settings)
    deadline_ms = now_ms() + PATIENCE_MS
    with Redis.from_url(settings.redis_url) as redis:

        def health() -> Health:
            return read_health(redis, settings.namespace, now_ms())

        def done() -> bool:
            written = [view.num_rows for view in health().views]
            assert now_ms() < deadline_ms, written
            return all(written)

        Worker(settings, [0, 1], now_ms).run(done)
        took_ms = now_ms() - sent_ms + STATUS_EVERY_MS
        seen = health()
    assert sum(commit.accepted for commit in seen.commits.values()) == 2 * NUM_USERS
    assert sum(commit.rejected for commit in seen.commits.values()) == 1
    assert list(seen.lags) == [0]
    for view, layout in zip(seen.views, LAYOUTS, strict=True):
        assert view.name == layout.view
        assert len(view.features) == len(layout.numbers)
        assert EVENT_AGE_MS <= 1_000 * view.staleness_s <= EVENT_AGE_MS + took_ms
        assert 0.95 * WAITED_MS < view.latency.percentile(0) <= view.latency.percentile(1)
        assert view.latency.percentile(1) < 1.05 * took_ms
    users, items, _, _ = seen.views
    assert users.num_window == users.num_rows >= NUM_USERS
    assert len(users.latency) == 2 * NUM_USERS + 1
    null_rates = {feature.name: feature.null_rate for feature in items.features}
    assert null_rates["item_value_max"] == 1  # nobody said what anything was worth
    assert null_rates["item_click_rate"] == 0


def test_what_was_not_taken_as_it_came_is_counted_and_the_first_of_each_is_named(
    settings: config.Settings,
) -> None:
    hour_ahead_ms = now_ms() + 3_000_000
    ahead = ImpressionEvent(
        *("ahead", hour_ahead_ms, "fast", "page-fast", (Shown("8", 0),)),
        served=Served(INPUT_SCHEMA, b"", b""),
    )
    writer = LogWriter(settings)
    topic = Topics(settings.namespace).events
    writer.send(topic, encode(ahead), b"fast", arrival_ms=hour_ahead_ms)
    writer.flush()
    writer.close()
    deadline_ms = now_ms() + PATIENCE_MS
    with Redis.from_url(settings.redis_url) as redis:

        def told() -> bool:
            assert now_ms() < deadline_ms
            return len(read_health(redis, settings.namespace, now_ms()).corrected) == 2

        Worker(settings, [0, 1], now_ms).run(told)
        seen = read_health(redis, settings.namespace, now_ms())
    assert (seen.num_ahead, seen.num_unsigned) == (1, 1)
    assert "set that clock, or the one of the record's producer" in seen.corrected["ahead"]
    assert "not signed by a replica" in seen.corrected["unsigned"]
    assert min(view.staleness_s for view in seen.views) >= 0
    text = io.StringIO()
    Console(file=text, width=200).print(*to_tables(seen))
    assert "not taken as they came" in text.getvalue() and "unsigned" in text.getvalue()
    assert to_document(seen)["events"] == {"late": 0, "ahead": 1, "unsigned": 1}
