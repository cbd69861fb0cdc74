"""The exporter: what Prometheus gets when it scrapes, from a real server over a real Redis."""

from __future__ import annotations

import math
import urllib.request

import pytest
from monitored_worker import NAMESPACE, NOW_MS, MonitoredWorker, with_reference
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from headrace import config
from headrace.errors import ServiceError
from headrace.features.checks.drift import REFERENCE_ROWS
from headrace.features.table import USER_LAYOUT
from headrace.monitoring.metrics_server import serve_metrics
from headrace.positions.commit import Commit
from headrace.positions.store import CommitStore
from headrace.services.ports import free_port
from headrace.services.redis import RedisServer

pytestmark = pytest.mark.services


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

    def count(self, name: str) -> int:
        """How many series there are of a name."""
        return sum(sample.name == name for sample in self._samples)


def exporter_settings(url: str, port: int) -> config.Settings:
    return config.settings(namespace=NAMESPACE, redis_url=url, metrics_port=port)


def test_one_scrape_has_everything_of_all_workers(redis: Redis, server: RedisServer) -> None:
    one, other = MonitoredWorker(redis, 0), MonitoredWorker(redis, 1)
    with_reference(redis, one, other)
    other.write(USER_LAYOUT, 100)
    one.report(lag=3)
    other.report(lag=4)
    counts = {"late": 4, "ahead": 5, "unsigned": 6, "lost": 7, "misplaced": 8}
    commit = Commit(accepted=90, rejected=2, duplicates=3, **counts)
    commits = CommitStore(redis, NAMESPACE)
    for number in (0, 1):
        commits.claim(number)
    commits.write({0: commit, 1: Commit(accepted=1)})
    port = free_port()
    with serve_metrics(exporter_settings(server.url, port), lambda: NOW_MS):
        got = Scrape(port)
    of_users, name = {"view": "user_activity"}, "headrace_feature_"
    assert got.value(f"{name}redis_up") == 1
    outcomes = {"accepted": 90, "rejected": 2, "duplicate": 3}
    for outcome, expected in outcomes.items():
        assert got.value(f"{name}events_total", partition="0", outcome=outcome) == expected
    for count, expected in counts.items():
        assert got.value(f"{name}{count}_events_total", partition="0") == expected
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
    worker = MonitoredWorker(redis, 0)
    with_reference(redis, worker)
    now_ms = NOW_MS + 700_000
    worker.write(USER_LAYOUT, 1_000, now_ms, shift=1.0)
    worker.report(now_ms)
    port = free_port()
    with serve_metrics(exporter_settings(server.url, port), lambda: now_ms):
        got = Scrape(port)
    feature = {"view": "user_activity", "feature": "user_click_rate"}
    assert got.value("headrace_feature_psi", **feature) > 0.25


def test_what_is_not_known_has_no_series(redis: Redis, server: RedisServer) -> None:
    MonitoredWorker(redis, 0).report()
    port = free_port()
    with serve_metrics(exporter_settings(server.url, port), lambda: NOW_MS):
        got = Scrape(port)
    assert got.value("headrace_feature_window_rows", view="user_activity") == 0
    assert "headrace_feature_psi" in got.types and got.count("headrace_feature_psi") == 0
    assert got.count("headrace_feature_staleness_seconds") == 0


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
    assert config.Settings().http.metrics_port == 0
