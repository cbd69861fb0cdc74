"""Replay: a log as live traffic, in event-time order, at a chosen rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from headrace import config
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.item import Dataset
from headrace.epoch import MAX_SKEW_MS
from headrace.event import ImpressionEvent, encode
from headrace.monitoring.documents import ReplayDocument
from headrace.monitoring.status import StatusBoard

DEFAULT_DURATION_S = 180.0
TICK_S = 0.05  # events are sent in bursts of this length
STATUS_EVERY_TICKS = 10
REDIS_AWAY_S = 120  # seconds that a replay waits for a Redis that is away, before it fails


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to replay, and whether event times move so that the log ends as the replay does."""

    events_per_s: float
    shift_to_now: bool = True


@dataclass(frozen=True, slots=True)
class Replayed:
    """The counts and duration of a replay."""

    num_events: int
    num_impressions: int
    duration_s: float
    num_ahead: int  # events whose times lay ahead of their sending, by more than clocks differ


def default_pace(dataset: Dataset) -> Pace:
    """The whole log in about three minutes."""
    return Pace(max(dataset.num_events / DEFAULT_DURATION_S, 1.0))


def replay(
    dataset: Dataset, settings: config.Settings, pace: Pace, clock: Callable[[], int]
) -> Replayed:
    """Send the log to the `events` topic; returns when the broker has all of it.

    No event is sent with a time that lies ahead of its sending. Event ids are the dataset's own: a
    log replayed twice counts once.
    """
    create_topics(settings)
    topic = Topics(settings.namespace).events
    redis = Redis.from_url(settings.redis_url, retry=Retry(ConstantBackoff(1.0), REDIS_AWAY_S))
    status = StatusBoard(redis, settings.namespace)
    writer = LogWriter(settings)
    started_ms = clock()
    expected_end_ms = started_ms + int(1_000 * dataset.num_events / pace.events_per_s)
    shift_ms = expected_end_ms - dataset.end_ms if pace.shift_to_now else 0
    num_events = num_impressions = num_ahead = ticks = 0

    def report(done: bool) -> None:
        counts = {"sent": num_events, "impressions": num_impressions, "of": dataset.num_events}
        status.write(ReplayDocument(**counts, done=done), clock())

    for event in dataset.events():
        time_ms, sent_ms = event.event_time_ms + shift_ms, clock()
        num_ahead += time_ms > sent_ms + MAX_SKEW_MS
        moved = msgspec.structs.replace(event, event_time_ms=min(time_ms, sent_ms))
        writer.send(topic, encode(moved), key=event.user_id.encode())
        num_events += 1
        num_impressions += len(event.items) if isinstance(event, ImpressionEvent) else 1
        if num_events >= pace.events_per_s * (ticks + 1) * TICK_S:
            ticks += 1
            if ticks % STATUS_EVERY_TICKS == 0:
                report(done=False)
            due_ms = started_ms + 1_000 * ticks * TICK_S
            time.sleep(max(0.0, (due_ms - clock()) / 1_000))
    writer.flush()
    report(done=True)
    writer.close()
    return Replayed(num_events, num_impressions, (clock() - started_ms) / 1_000, num_ahead)
