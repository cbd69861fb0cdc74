"""A replay over a real broker: what it sends is never ahead of its sending."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace import config
from headrace.broker.reader import LogReader
from headrace.broker.topics import Topics
from headrace.catalogue.item import Dataset
from headrace.clock import now_ms
from headrace.config import Settings
from headrace.datasets.replay import Pace, Replayed, replay
from headrace.event import ClickEvent, decode
from headrace.services.kafka import start_broker
from headrace.services.redis import start_redis

pytestmark = pytest.mark.services

NUM_EVENTS = 100
PER_S = 100.0
START_MS = 1_714_554_000_000
YEAR_MS = 365 * 86_400_000


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("replay")
    with start_redis(folder / "redis") as redis, start_broker(folder / "kafka", {}) as broker:
        yield config.settings(
            redis_url=redis.url, kafka_bootstrap=broker.bootstrap, num_partitions=1
        )


def log(times_ms: list[int]) -> Dataset:
    """One click at each time."""
    events = [ClickEvent(f"e{n}", time_ms, "ann", "mug") for n, time_ms in enumerate(times_ms)]
    return Dataset("clicks", (), (), lambda: iter(events), len(events), times_ms[0], times_ms[-1])


def sent(settings: Settings, dataset: Dataset, keep_time: bool) -> tuple[Replayed, list[int]]:
    """The replay's account, and how long before its sending the time of each event lies."""
    done = replay(dataset, settings, Pace(PER_S, not keep_time), now_ms)
    reader = LogReader(settings, Topics(settings.namespace).events, {0: 0})
    records = [record for some in reader.read_to_end() for record in some]
    reader.close()
    times = [decode(record.value, record.arrival_ms).event_time_ms for record in records]
    return done, [record.arrival_ms - ms for record, ms in zip(records, times, strict=True)]


def test_events_that_are_closer_than_the_replay_sends_them_count_as_of_their_sending(
    servers: Settings,
) -> None:
    settings = config.changed(servers, namespace="burst")
    done, ages_ms = sent(settings, log([START_MS] * NUM_EVENTS), keep_time=False)
    assert len(ages_ms) == NUM_EVENTS and min(ages_ms) >= 0
    assert max(ages_ms) < 500 and done.num_ahead == 0  # within a second: no more than clocks differ


def test_distances_between_events_stay_where_none_lies_ahead(servers: Settings) -> None:
    settings = config.changed(servers, namespace="hours")
    hours = [START_MS + n * 3_600_000 for n in range(NUM_EVENTS)]
    done, ages_ms = sent(settings, log(hours), keep_time=False)
    ends = [age_ms / 3_600_000 for age_ms in ages_ms]
    expected = [NUM_EVENTS - 1 - n for n in range(NUM_EVENTS)]
    assert ends == pytest.approx(expected, abs=0.001) and done.num_ahead == 0


def test_times_that_are_kept_and_lie_ahead_are_told(servers: Settings) -> None:
    settings = config.changed(servers, namespace="future")
    done, ages_ms = sent(settings, log([now_ms() + YEAR_MS] * NUM_EVENTS), keep_time=True)
    assert min(ages_ms) >= 0 and done.num_ahead == NUM_EVENTS
