"""The monitor: what workers saw of their rows, put together and scraped as Prometheus does."""

from __future__ import annotations

import io
import json
import math

import pytest
from monitored_worker import NAMESPACE, NOW_MS, RATE, MonitoredWorker, with_reference
from redis import Redis
from rich.console import Console

from headrace.features.aggregation.layout import Layout
from headrace.features.checks.drift import REFERENCE_ROWS
from headrace.features.table import CAMPAIGN_LAYOUT, ITEM_LAYOUT, USER_LAYOUT
from headrace.monitoring.documents import FRESH_MS, StreamDocument
from headrace.monitoring.health import Health, ViewHealth, read_health
from headrace.monitoring.health_report import to_document, to_tables
from headrace.monitoring.monitor import AGREE_EVERY_MS, ReferenceStore
from headrace.monitoring.status import StatusBoard

pytestmark = pytest.mark.services


def health(redis: Redis, now_ms: int = NOW_MS) -> Health:
    return read_health(redis, NAMESPACE, now_ms)


def view(health: Health, layout: Layout = USER_LAYOUT) -> ViewHealth:
    return next(view for view in health.views if view.name == layout.view)


def test_the_views_of_all_workers_are_put_together(redis: Redis) -> None:
    one, other = MonitoredWorker(redis, 0), MonitoredWorker(redis, 1)
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
    MonitoredWorker(redis, 0).report()
    campaigns = view(health(redis), CAMPAIGN_LAYOUT)
    assert (campaigns.num_rows, campaigns.num_window) == (0, 0)
    assert math.isnan(campaigns.staleness_s) and math.isnan(campaigns.latency.percentile(0.5))
    assert all(math.isnan(feature.null_rate) for feature in campaigns.features)


def test_staleness_grows_while_nothing_comes(redis: Redis) -> None:
    worker = MonitoredWorker(redis, 0)
    worker.write(USER_LAYOUT, 1)
    worker.report()
    assert view(health(redis, NOW_MS + 59_000)).staleness_s == 60.0


def test_workers_share_one_reference_also_after_a_restart(redis: Redis) -> None:
    with_reference(redis, MonitoredWorker(redis, 0), MonitoredWorker(redis, 1))
    restarted = MonitoredWorker(redis, 1)
    restarted.report(NOW_MS + AGREE_EVERY_MS)
    now_ms = NOW_MS + 700_000  # the first rows are no longer in the window
    restarted.write(USER_LAYOUT, 1_000, now_ms)
    restarted.report(now_ms)
    users = view(health(redis, now_ms))
    assert users.num_window == 1_000
    assert max(feature.psi for feature in users.features) < 0.1


def test_of_two_proposals_the_first_becomes_the_reference(redis: Redis) -> None:
    one, other = MonitoredWorker(redis, 0), MonitoredWorker(redis, 1)
    one.write(USER_LAYOUT, REFERENCE_ROWS)
    other.write(USER_LAYOUT, REFERENCE_ROWS, shift=1.0)
    one.report()
    first = ReferenceStore(redis, NAMESPACE).read()[USER_LAYOUT.view]
    other.report()
    assert ReferenceStore(redis, NAMESPACE).read()[USER_LAYOUT.view].tobytes() == first.tobytes()


def test_a_shift_shows_as_drift_of_the_features_that_shifted(redis: Redis) -> None:
    worker = MonitoredWorker(redis, 0)
    with_reference(redis, worker)
    now_ms = NOW_MS + 700_000
    worker.write(USER_LAYOUT, 1_000, now_ms, shift=1.0)
    worker.report(now_ms)
    now = health(redis, now_ms)
    assert min(feature.psi for feature in view(now).features) > 0.25
    assert to_document(now)["views"][USER_LAYOUT.view]["features"]["user_click_rate"]["psi"] > 0.25


def test_few_rows_say_nothing_about_drift(redis: Redis) -> None:
    worker = MonitoredWorker(redis, 0)
    with_reference(redis, worker)
    now_ms = NOW_MS + 700_000
    worker.write(USER_LAYOUT, 400, now_ms, shift=1.0)
    worker.report(now_ms)
    assert all(math.isnan(feature.psi) for feature in view(health(redis, now_ms)).features)


def test_a_forgotten_reference_is_replaced_by_the_rows_that_follow(redis: Redis) -> None:
    one, other = MonitoredWorker(redis, 0), MonitoredWorker(redis, 1)
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


def test_the_counts_of_a_replaced_worker_end_and_its_rows_do_not(redis: Redis) -> None:
    before, after = MonitoredWorker(redis, 0), MonitoredWorker(redis, 0)
    before.write(USER_LAYOUT, 30)
    before.report(lag=9)
    after.report(NOW_MS + 10, lag=1)
    now = health(redis, NOW_MS + 10)
    assert (now.lags, view(now).num_rows) == ({0: 1}, 0)
    assert (view(now).num_window, view(now).staleness_s) == (30, 1.01)


def test_the_rows_of_a_worker_that_ended_leave_the_window_in_ten_minutes(redis: Redis) -> None:
    worker = MonitoredWorker(redis, 0)
    worker.write(USER_LAYOUT, 30)
    worker.report()
    assert view(health(redis, NOW_MS + 599_999)).num_window == 30
    assert view(health(redis, NOW_MS + 600_000)).num_window == 0


def test_a_worker_that_no_longer_reports_has_no_lag(redis: Redis) -> None:
    MonitoredWorker(redis, 0).report(lag=9)
    assert health(redis, NOW_MS + FRESH_MS).lags == {}


def test_a_worker_of_another_feature_table_is_left_out(redis: Redis) -> None:
    other = StreamDocument(worker=0, lag=5, schema=1, views={})
    StatusBoard(redis, NAMESPACE).write(other, NOW_MS)
    assert health(redis).lags == {}


def test_the_report_is_a_table_of_views_and_one_of_each_that_lives(redis: Redis) -> None:
    worker = MonitoredWorker(redis, 0)
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
