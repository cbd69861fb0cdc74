"""The monitor: statistics of the rows that a worker writes, for its status document.

N rows written   F numbers of a view
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from redis import Redis

from headrace.access.own_key import read_key, write_key
from headrace.features.aggregation.layout import Layout
from headrace.features.checks.drift import REFERENCE, Reference, Window, is_possible, to_columns
from headrace.features.rows.state_row import Rows
from headrace.features.schema import VIEW_SCHEMA
from headrace.features.table import LAYOUTS
from headrace.metrics.latency import Latencies
from headrace.monitoring.documents import Columns, ViewReport
from headrace.skipped import Skipped

AGREE_EVERY_MS = 5_000


@dataclass(frozen=True, slots=True)
class Written:
    """Rows that can be read from now on, their numbers, and when events in them arrived."""

    layout: Layout
    rows: Rows
    number_NF: NDArray[np.float32]
    arrivals_ms: Sequence[int]


class ReferenceStore:
    """The reference distributions of the views for all workers: a Redis hash per feature table."""

    def __init__(self, redis: Redis, namespace: str, skipped: Skipped | None = None) -> None:
        self._redis, self._name = redis, f"{namespace}:reference:{VIEW_SCHEMA:08x}"
        self._skipped = skipped or Skipped()

    def read(self) -> dict[str, Reference]:
        """The references by view; an invalid one is passed over and counted."""
        nothing: dict[bytes, bytes] = {}
        name, redis = self._name, self._redis
        stored = read_key(name, lambda: redis.hgetall(name), nothing, self._skipped)
        found = {}
        for layout in LAYOUTS:
            payload = stored.get(layout.view.encode())
            if payload is None:
                continue
            if len(payload) == REFERENCE.itemsize * len(layout.numbers):
                reference = np.frombuffer(payload, REFERENCE)
                if is_possible(reference):
                    found[layout.view] = reference
                    continue
            what = f"{self._name} {layout.view}: begin anew with features status --new-reference"
            self._skipped.add("references", "no reference", what)
        return found

    def propose(self, view: str, reference: Reference) -> None:
        """Make this the reference of a view that has none."""

        def write() -> None:
            self._redis.hsetnx(self._name, view, reference.tobytes())

        write_key(self._redis, self._name, write, self._skipped)

    def forget(self) -> None:
        """Let the workers take the rows that they write next as references."""
        self._redis.delete(self._name)


class Monitor:
    """The statistics of the rows that a worker writes, by view. Time is an argument."""

    def __init__(self, references: ReferenceStore) -> None:
        self._references, self._agree_due_ms = references, 0
        self._views = {layout.view: _ViewMonitor(layout) for layout in LAYOUTS}

    def take(self, written: Written, now_ms: int) -> None:
        """Take in rows that were written just now."""
        self._views[written.layout.view].take(written, now_ms)

    def report(self, now_ms: int) -> dict[str, ViewReport]:
        """The views of the worker's status document."""
        if now_ms >= self._agree_due_ms:
            self._agree_due_ms = now_ms + AGREE_EVERY_MS
            self._agree()
        return {name: view.report(now_ms) for name, view in self._views.items()}

    def _agree(self) -> None:
        """Propose references where there are none, and use those that all workers use."""
        for name, view in self._views.items():
            proposal = view.window.proposal()
            if proposal is not None:
                self._references.propose(name, proposal)
        stored = self._references.read()
        for name, view in self._views.items():
            view.window.compare_with(stored.get(name))


class _ViewMonitor:
    """The statistics of the rows that a worker writes of one view."""

    def __init__(self, layout: Layout) -> None:
        self.window = Window(len(layout.numbers))
        self._latency = Latencies()
        self._num_rows = self._num_expired = self._newest_event_ms = 0
        ttls_s = [feature.ttl_s for feature in layout.features if feature.ttl_s]
        self._ttl_ms = 1_000 * min(ttls_s, default=0)

    def take(self, written: Written, now_ms: int) -> None:
        if len(written.arrivals_ms):
            self._latency.extend(now_ms - np.asarray(written.arrivals_ms))
        if not len(written.rows):
            return
        event_time_ms_N = written.rows["event_time_ms"]
        self._num_rows += len(event_time_ms_N)
        self._newest_event_ms = max(self._newest_event_ms, int(event_time_ms_N.max()))
        if self._ttl_ms:
            self._num_expired += int((event_time_ms_N < now_ms - self._ttl_ms).sum())
        self.window.add(written.number_NF, now_ms)

    def report(self, now_ms: int) -> ViewReport:
        return ViewReport(
            rows=self._num_rows,
            expired=self._num_expired,
            newest_event_ms=self._newest_event_ms,
            latency=self._latency.to_pairs(),
            window=Columns(**to_columns(self.window.summary(now_ms))),
        )
