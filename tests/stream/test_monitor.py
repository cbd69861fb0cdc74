"""The monitor: what workers saw of their rows, put together and scraped as Prometheus does."""

from __future__ import annotations

import io
import json
import math
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rich.console import Console

from headrace import config
from headrace.errors import ServiceError
from headrace.features.layout import Layout
from headrace.features.quality import REFERENCE_ROWS
from headrace.features.state import fresh_rows
from headrace.features.table import CAMPAIGN_LAYOUT, ITEM_LAYOUT, USER_LAYOUT
from headrace.services.ports import free_port
from headrace.services.redis import RedisServer, start_redis
from headrace.status import FRESH_MS, StatusBoard
from headrace.stream.commit import Commit, CommitStore
from headrace.stream.exporter import serve_metrics
from headrace.stream.health import Health, ViewHealth, read_health
from headrace.stream.health_report import to_document, to_tables
from headrace.stream.monitor import AGREE_EVERY_MS, Monitor, ReferenceStore, Written

pytestmark = pytest.mark.services

NOW_MS = 1_714_554_000_000
NAMESPACE = "monitored"
RATE = [feature.name for feature in USER_LAYOUT.numbers].index("user_click_rate")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(server.url) as client:
        client.flushdb()
        yield client


class Worker:
    """The monitor of a worker, and where it writes its status."""

    def __init__(self, redis: Redis, number: int) -> None:
        self.number = number
        self._monitor = Monitor(ReferenceStore(redis, NAMESPACE))
        self._board = StatusBoard(redis, NAMESPACE)

    def write(
        self, layout: Layout, num: int, now_ms: int = NOW_MS, shift: float = 0.0, late_ms: int = 0
    ) -> None:
        """Write rows whose numbers are normal, of events that arrived 50 ms ago."""
        rows = fresh_rows(layout, num)
        rows["event_time_ms"] = now_ms - 1_000 - late_ms
        random = np.random.default_rng(now_ms % 1_000 + self.number)
        number_NF = random.normal(shift, 1, (num, len(layout.numbers))).astype(np.float32)
        number_NF[::4, RATE % number_NF.shape[1]] = np.nan
        self._monitor.take(Written(layout, rows, number_NF, [now_ms - 50] * num), now_ms)

    def report(self, now_ms: int = NOW_MS, lag: int = 0) -> None:
        document = {"worker": self.number, "lag": lag, **self._monitor.report(now_ms)}
        self._board.write("stream", document, now_ms)


def health(redis: Redis, now_ms: int = NOW_MS) -> Health:
    return read_health(redis, NAMESPACE, now_ms)


def view(health: Health, layout: Layout = USER_LAYOUT) -> ViewHealth:
    return next(view for view in health.views if view.name == layout.view)


def with_reference(redis: Redis, *workers: Worker) -> None:
    """Let the workers agree on a reference, made of what the first of them wrote."""
    workers[0].write(USER_LAYOUT, REFERENCE_ROWS)
    for worker in workers:
        worker.report()
    later_ms = NOW_MS + AGREE_EVERY_MS
    for worker in workers:
        worker.report(later_ms)


def test_the_views_of_all_workers_are_put_together(redis: Redis) -> None:
    one, other = Worker(redis, 0), Worker(redis, 1)
    one.write(USER_LAYOUT, 30)
    one.write(ITEM_LAYOUT, 5)
    other.write(USER_LAYOUT, 10, late_ms=7_000)
    one.report(lag=3)
    other.report(lag=4)
    now = health(redis)
    assert now.lags == {0: 3, 1: 4}
    users = view(now)
    assert (users.num_rows, users.num_window, view(now, ITEM_LAYOUT).num_rows) == (40, 40, 5)
    assert users.staleness_s == 1.0
    assert users.latency.percentile(0.5) == pytest.approx(50, rel=0.05)
    assert len(users.latency) == 40
    assert users.features[RATE].null_rate == pytest.approx((8 + 3) / 40)
    assert users.features[RATE + 1].null_rate == 0


def test_a_view_that_nothing_was_written_of_is_not_known(redis: Redis) -> None:
    Worker(redis, 0).report()
    campaigns = view(health(redis), CAMPAIGN_LAYOUT)
    assert (campaigns.num_rows, campaigns.num_window) == (0, 0)
    assert math.isnan(campaigns.staleness_s) and math.isnan(campaigns.latency.percentile(0.5))
    assert all(math.isnan(feature.null_rate) for feature in campaigns.features)


def test_staleness_grows_while_nothing_comes(redis: Redis) -> None:
    worker = Worker(redis, 0)
    worker.write(USER_LAYOUT, 1)
    worker.report()
    assert view(health(redis, NOW_MS + 59_000)).staleness_s == 60.0


def test_workers_share_one_reference_also_after_a_restart(redis: Redis) -> None:
    with_reference(redis, Worker(redis, 0), Worker(redis, 1))
    restarted = Worker(redis, 1)
    restarted.report(NOW_MS + AGREE_EVERY_MS)
    now_ms = NOW_MS + 700_000  # the first rows are no longer in the window
    restarted.write(USER_LAYOUT, 1_000, now_ms)
    restarted.report(now_ms)
    users = view(health(redis, now_ms))
    assert users.num_window == 1_000
    assert max(feature.psi for feature in users.features) < 0.1


def test_a_shift_shows_as_drift_of_the_features_that_shifted(redis: Redis) -> None:
    worker = Worker(redis, 0)
    with_reference(redis, worker)
    now_ms = NOW_MS + 700_000
    worker.write(USER_LAYOUT, 1_000, now_ms, shift=1.0)
    worker.report(now_ms)
    now = health(redis, now_ms)
    assert min(feature.psi for feature in view(now).features) > 0.25
    assert to_document(now)["views"][USER_LAYOUT.view]["features"]["user_click_rate"]["psi"] > 0.25


def test_few_rows_say_nothing_about_drift(redis: Redis) -> None:
    worker = Worker(redis, 0)
    with_reference(redis, worker)
    now_ms = NOW_MS + 700_000
    worker.write(USER_LAYOUT, 400, now_ms, shift=1.0)
    worker.report(now_ms)
    assert all(math.isnan(feature.psi) for feature in view(health(redis, now_ms)).features)


def test_a_forgotten_reference_is_replaced_by_the_rows_that_follow(redis: Redis) -> None:
    one, other = Worker(redis, 0), Worker(redis, 1)
    with_reference(redis, one, other)
    ReferenceStore(redis, NAMESPACE).forget()
    for worker in (one, other):
        worker.report(NOW_MS + 2 * AGREE_EVERY_MS)
    other.write(USER_LAYOUT, REFERENCE_ROWS, NOW_MS + 700_000, shift=1.0)
    other.report(NOW_MS + 700_000)
    one.report(NOW_MS + 700_000)
    one.write(USER_LAYOUT, 1_000, NOW_MS + 700_001, shift=1.0)
    one.report(NOW_MS + 700_001)
    assert max(feature.psi for feature in view(health(redis, NOW_MS + 700_001)).features) < 0.1


def test_a_replaced_worker_is_spoken_for_by_the_next(redis: Redis) -> None:
    before, after = Worker(redis, 0), Worker(redis, 0)
    before.write(USER_LAYOUT, 30)
    before.report(lag=9)
    after.write(USER_LAYOUT, 2, NOW_MS + 10)
    after.report(NOW_MS + 10, lag=1)
    now = health(redis, NOW_MS + 10)
    assert (now.lags, view(now).num_rows) == ({0: 1}, 2)


def test_a_worker_that_no_longer_reports_has_no_lag(redis: Redis) -> None:
    Worker(redis, 0).report(lag=9)
    assert health(redis, NOW_MS + FRESH_MS).lags == {}


def test_a_worker_of_another_feature_table_is_left_out(redis: Redis) -> None:
    StatusBoard(redis, NAMESPACE).write("stream", {"schema": 1, "worker": 0}, NOW_MS)
    assert health(redis).lags == {}


def test_the_report_is_a_table_of_views_and_one_of_each_that_lives(redis: Redis) -> None:
    worker = Worker(redis, 0)
    with_reference(redis, worker)
    worker.write(USER_LAYOUT, 1_000, shift=1.0)
    worker.report(NOW_MS, lag=12)
    out = io.StringIO()
    for table in to_tables(health(redis)):
        Console(file=out, width=120).print(table)
    said = out.getvalue()
    assert "1 stream workers, lag 12 events" in said
    assert "user_click_rate" in said and "large" in said and "item_click_rate" not in said
    document = json.loads(json.dumps(to_document(health(redis))))
    assert document["lag"] == 12
    assert document["views"][CAMPAIGN_LAYOUT.view]["staleness_s"] is None


class Scrape:
    """What Prometheus gets from an exporter that serves meanwhile."""

    def __init__(self, port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        self.types = {family.name: family.type for family in families}
        self._samples = [sample for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        (value,) = [
            s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items()
        ]
        return float(value)


def exporter_settings(url: str, port: int) -> config.Settings:
    return config.Settings(namespace=NAMESPACE, redis_url=url, metrics_port=port)


def test_one_scrape_has_everything_of_all_workers(redis: Redis, server: RedisServer) -> None:
    one, other = Worker(redis, 0), Worker(redis, 1)
    with_reference(redis, one, other)
    other.write(USER_LAYOUT, 100)
    one.report(lag=3)
    other.report(lag=4)
    commit = Commit(accepted=90, rejected=2, duplicates=3, late=4)
    CommitStore(redis, NAMESPACE).write({0: commit, 1: Commit(accepted=1)})
    port = free_port()
    with serve_metrics(exporter_settings(server.url, port), lambda: NOW_MS):
        got = Scrape(port)
    of_users, name = {"view": "user_activity"}, "headrace_feature_"
    assert got.value(f"{name}redis_up") == 1
    outcomes = {"accepted": 90, "rejected": 2, "duplicate": 3}
    for outcome, expected in outcomes.items():
        assert got.value(f"{name}events_total", partition="0", outcome=outcome) == expected
    assert got.value(f"{name}late_events_total", partition="0") == 4
    assert got.value(f"{name}lag_events", worker="1") == 4
    assert got.value(f"{name}rows_written_total", **of_users, worker="1") == 100
    assert got.value(f"{name}window_rows", **of_users) == REFERENCE_ROWS + 100
    assert got.value(f"{name}staleness_seconds", **of_users) == 1
    feature = {**of_users, "feature": "user_click_rate"}
    assert got.value(f"{name}null_ratio", **feature) == pytest.approx(0.25)
    assert not math.isnan(got.value(f"{name}mean", **feature))
    latency, of_worker = f"{name}latency_seconds", {**of_users, "worker": "1"}
    assert got.types[latency] == "histogram"
    assert got.value(f"{latency}_bucket", **of_worker, le="+Inf") == 100
    assert got.value(f"{latency}_count", **of_worker) == 100
    assert got.value(f"{latency}_sum", **of_worker) == pytest.approx(5.0, rel=0.05)


def test_drift_is_scraped(redis: Redis, server: RedisServer) -> None:
    worker = Worker(redis, 0)
    with_reference(redis, worker)
    now_ms = NOW_MS + 700_000
    worker.write(USER_LAYOUT, 1_000, now_ms, shift=1.0)
    worker.report(now_ms)
    port = free_port()
    with serve_metrics(exporter_settings(server.url, port), lambda: now_ms):
        got = Scrape(port)
    feature = {"view": "user_activity", "feature": "user_click_rate"}
    assert got.value("headrace_feature_psi", **feature) > 0.25


def test_a_scrape_without_redis_says_so(redis: Redis) -> None:
    port = free_port()
    settings = exporter_settings(f"redis://127.0.0.1:{free_port()}/0", port)
    with serve_metrics(settings, lambda: NOW_MS):
        got = Scrape(port)
    assert got.value("headrace_feature_redis_up") == 0
    assert set(got.types) == {"headrace_feature_redis_up"}


def test_the_port_is_free_again_when_serving_ends(server: RedisServer) -> None:
    port = free_port()
    for _ in range(2):
        with serve_metrics(exporter_settings(server.url, port), lambda: NOW_MS):
            Scrape(port)
        with pytest.raises(OSError):
            Scrape(port)


def test_a_taken_port_is_named_with_the_variable_that_sets_another(server: RedisServer) -> None:
    port = free_port()
    settings = exporter_settings(server.url, port)
    with (
        serve_metrics(settings, lambda: NOW_MS),
        pytest.raises(ServiceError, match=f"port {port}.*HEADRACE_METRICS_PORT"),
        serve_metrics(settings, lambda: NOW_MS),
    ):
        pass


def test_without_a_port_nothing_listens() -> None:
    with serve_metrics(config.Settings(redis_url="redis://127.0.0.1:1/0"), lambda: NOW_MS):
        pass
    assert config.Settings().metrics_port == 0
