"""The exporter: the features' health as Prometheus metrics.

One process answers for all workers: it reads what they say from Redis at each scrape, so that they
may come and go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from redis import Redis, RedisError

from headrace.config import Settings
from headrace.metrics.latency import Latencies
from headrace.monitoring.health import Health, read_health

PREFIX = "headrace_feature"
COUNTS = {  # of a commit, beside what became of its events
    "late": "events accepted though later than the allowed lateness",
    "ahead": "events accepted with a time ahead of their arrival, which counts in its place",
    "unsigned": "events accepted without the served features, which no replica had signed",
    "lost": "events gone from the log before they were read",
    "misplaced": "events accepted though their users belong to other partitions",
}


class HealthCollector(Collector):
    """Makes the metrics anew at each scrape; without Redis only that it is not there."""

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        self._redis = Redis.from_url(settings.redis_url, socket_timeout=2.0)
        self._namespace, self._clock = settings.namespace, clock

    def collect(self) -> Iterator[Metric]:
        """All metrics, as of now."""
        up = "whether Redis, and with it what the workers say, could be read"
        try:
            health = read_health(self._redis, self._namespace, self._clock())
        except RedisError:  # away: what lies in it is no error
            yield Gauge(f"{PREFIX}_redis_up", up, value=0)
            return
        yield Gauge(f"{PREFIX}_redis_up", up, value=1)
        yield from _redis(health)
        yield from _events(health)
        yield from _skipped(health)
        yield from _views(health)
        yield from _features(health)
        yield from _quality(health)
        yield from _choices(health)


def _redis(health: Health) -> Iterator[Metric]:
    evicted = Counter(
        f"{PREFIX}_redis_evicted_keys_total", "keys that Redis evicted", labels=["node"]
    )
    used = Gauge(f"{PREFIX}_redis_memory_used_bytes", "memory that Redis uses", labels=["node"])
    limit = Gauge(f"{PREFIX}_redis_memory_max_bytes", "its maxmemory, 0: none", labels=["node"])
    keeps = Gauge(
        f"{PREFIX}_redis_keeps_rows", "0: its policy lets it evict any row", labels=["node"]
    )
    for store in health.stores:
        evicted.add_metric([store.address], store.evicted_keys)
        used.add_metric([store.address], store.used_memory)
        limit.add_metric([store.address], store.max_memory)
        keeps.add_metric([store.address], not store.may_evict)
    lost = "users' rows that were written and are gone, over the workers of the last hour"
    yield from (evicted, used, limit, keeps)
    yield Gauge(f"{PREFIX}_lost_rows", lost, value=health.lost_rows)


def _events(health: Health) -> Iterator[Metric]:
    events = Counter(
        f"{PREFIX}_events_total",
        "events read, by what became of them",
        labels=["partition", "outcome"],
    )
    counts = {
        name: Counter(f"{PREFIX}_{name}_events_total", text, labels=["partition"])
        for name, text in COUNTS.items()
    }
    for partition, commit in health.commits.items():
        events.add_metric([str(partition), "accepted"], commit.accepted)
        events.add_metric([str(partition), "rejected"], commit.rejected)
        events.add_metric([str(partition), "duplicate"], commit.duplicates)
        events.add_metric([str(partition), "unreadable"], commit.unreadable)
        for name, counter in counts.items():
            counter.add_metric([str(partition)], getattr(commit, name))
    lag = Gauge(f"{PREFIX}_lag_events", "events in the log and not read yet", labels=["worker"])
    for worker, num_events in health.lags.items():
        lag.add_metric([str(worker)], num_events)
    yield from (events, *counts.values(), lag)


def _skipped(health: Health) -> Iterator[Metric]:
    skipped = Counter(
        f"{PREFIX}_skipped_messages_total",
        "messages, and values in Redis, that a part passed over because they cannot be read",
        labels=["part", "source", "reason"],
    )
    for part, kind in health.skipped:
        skipped.add_metric([part, kind.source, kind.reason], kind.count)
    yield skipped


def _views(health: Health) -> Iterator[Metric]:
    of_worker = ["view", "worker"]
    rows = Counter(f"{PREFIX}_rows_written_total", "rows written to the store", labels=of_worker)
    expired = Counter(
        f"{PREFIX}_expired_rows_total",
        "rows that were older than the view's shortest ttl when they were written",
        labels=of_worker,
    )
    latency = Histogram(
        f"{PREFIX}_latency_seconds",
        "from the arrival of an event to its row being readable",
        labels=of_worker,
    )
    staleness = Gauge(
        f"{PREFIX}_staleness_seconds", "age of the newest event in a row", labels=["view"]
    )
    for view in health.views:
        _add_known(staleness, [view.name], view.staleness_s)
        for number, worker in view.workers.items():
            labels = [view.name, str(number)]
            rows.add_metric(labels, worker.num_rows)
            expired.add_metric(labels, worker.num_expired)
            latency.add_metric(labels, _buckets(worker.latency), worker.latency.total_ms / 1_000)
    yield from (rows, expired, latency, staleness)


def _features(health: Health) -> Iterator[Metric]:
    window = Gauge(f"{PREFIX}_window_rows", "rows written in the last ten minutes", labels=["view"])
    of_feature = ["view", "feature"]
    nulls = Gauge(f"{PREFIX}_null_ratio", "share of these without a value", labels=of_feature)
    mean = Gauge(f"{PREFIX}_mean", "mean of the values of these", labels=of_feature)
    psi = Gauge(
        f"{PREFIX}_psi",
        "population stability index of these against the reference",
        labels=of_feature,
    )
    for view in health.views:
        window.add_metric([view.name], view.num_window)
        for feature in view.features:
            labels = [view.name, feature.name]
            _add_known(nulls, labels, feature.null_rate)
            _add_known(mean, labels, feature.mean)
            _add_known(psi, labels, feature.psi)
    yield from (window, nulls, mean, psi)


def _quality(health: Health) -> Iterator[Metric]:
    names = {
        "impressions": "newest impressions that this is of: clicks, or slice=action:NAME",
        "auc": "AUC of the predictions over these",
        "normalized_entropy": "their log loss over that of always predicting the base rate",
        "calibration": "predicted over observed of these",
    }
    gauges = {
        name: Gauge(f"headrace_model_{name}", text, labels=["slice"])
        for name, text in names.items()
    }
    for of, one in health.quality.items():
        values = (one.samples, one.auc, one.normalized_entropy, one.calibration)
        for gauge, value in zip(gauges.values(), values, strict=True):
            _add_known(gauge, [of], value)
    yield from gauges.values()


def _choices(health: Health) -> Iterator[Metric]:
    """Where the chosen ones of drawn requests came; nothing where nothing was drawn."""
    if health.choices is None:
        return
    top, of = health.choices.top, health.choices
    names = {
        "requests": ("newest drawn requests, whose probabilities are relative", of.requests),
        "recall": (f"share of these whose chosen one came among the first {top}", of.recall),
        "ndcg": (f"NDCG@{top} of these", of.ndcg),
        "mrr": ("mean reciprocal rank of their chosen ones", of.mrr),
    }
    for name, (text, value) in names.items():
        gauge = Gauge(f"headrace_model_drawn_{name}", text, labels=[])
        _add_known(gauge, [], value)
        yield gauge


def _add_known(gauge: Gauge, labels: Sequence[str], value: float | None) -> None:
    """Add a sample, unless it is None or NaN: an unknown value has no series, and spoils no
    average."""
    if value is not None and not math.isnan(value):
        gauge.add_metric(labels, value)


def _buckets(latency: Latencies) -> list[tuple[str, float]]:
    """Prometheus's buckets: bounds in seconds, cumulative counts."""
    bounded = [(f"{bound_ms / 1_000:.3g}", float(count)) for bound_ms, count in latency.buckets()]
    return [*bounded, ("+Inf", float(len(latency)))]
