"""A worker as far as its monitor sees it: it writes rows of made-up numbers and reports."""

from __future__ import annotations

import numpy as np
from redis import Redis

from headrace.features.aggregation.layout import Layout
from headrace.features.checks.drift import REFERENCE_ROWS
from headrace.features.rows.state_row import blank_rows
from headrace.features.schema import VIEW_SCHEMA
from headrace.features.table import USER_LAYOUT
from headrace.monitoring.documents import StreamDocument
from headrace.monitoring.monitor import AGREE_EVERY_MS, Monitor, ReferenceStore, Written
from headrace.monitoring.status import StatusBoard

NOW_MS = 1_714_554_000_000
NAMESPACE = "monitored"
RATE = [feature.name for feature in USER_LAYOUT.numbers].index("user_click_rate")


class MonitoredWorker:
    """The monitor of a worker, and where it writes its status."""

    def __init__(self, redis: Redis, number: int) -> None:
        self.number = number
        self._monitor = Monitor(ReferenceStore(redis, NAMESPACE))
        self._board = StatusBoard(redis, NAMESPACE)

    def write(
        self, layout: Layout, num: int, now_ms: int = NOW_MS, shift: float = 0.0, late_ms: int = 0
    ) -> None:
        """Write rows whose numbers are normal, of events that arrived 50 ms ago."""
        rows = blank_rows(layout, num)
        rows["event_time_ms"] = now_ms - 1_000 - late_ms
        random = np.random.default_rng(now_ms % 1_000 + self.number)
        number_NF = random.normal(shift, 1, (num, len(layout.numbers))).astype(np.float32)
        number_NF[::4, RATE % number_NF.shape[1]] = np.nan
        self._monitor.take(Written(layout, rows, number_NF, [now_ms - 50] * num), now_ms)

    def report(self, now_ms: int = NOW_MS, lag: int = 0) -> None:
        views = self._monitor.report(now_ms)
        document = StreamDocument(worker=self.number, lag=lag, schema=VIEW_SCHEMA, views=views)
        self._board.write(document, now_ms)


def with_reference(redis: Redis, *workers: MonitoredWorker) -> None:
    """Let the workers agree on a reference, made of what the first of them wrote."""
    workers[0].write(USER_LAYOUT, REFERENCE_ROWS)
    for worker in workers:
        worker.report()
    later_ms = NOW_MS + AGREE_EVERY_MS
    for worker in workers:
        worker.report(later_ms)
