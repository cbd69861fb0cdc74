"""Health: what the workers say about the features, put together. F numbers of a view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from redis import Redis

from headrace.features.layout import Layout
from headrace.features.quality import (
    NUM_TILES,
    TILE_MS,
    Reference,
    Summary,
    from_columns,
    mean,
    merged,
    null_rate,
    psi,
)
from headrace.features.table import LAYOUTS, SCHEMA
from headrace.latency import Latencies
from headrace.status import FRESH_MS, StatusBoard
from headrace.stream.commit import Commit, CommitStore
from headrace.stream.monitor import ReferenceStore

MIN_VALUES = 500  # in the window, for a drift: of fewer, equal distributions seem to differ by 0.02
WINDOW_MS = NUM_TILES * TILE_MS

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FeatureHealth:
    """One number of a view over the window; NaN where there are no or too few rows for it."""

    name: str
    null_rate: float
    mean: float
    psi: float


@dataclass(frozen=True, slots=True)
class ViewWorker:
    """What one worker did for a view since it started."""

    num_rows: int
    num_expired: int  # of these: older than the view's shortest ttl when they were written
    latency: Latencies  # of events, from their arrival to their row being readable


@dataclass(frozen=True, slots=True)
class ViewHealth:
    """One view, over all workers."""

    name: str
    staleness_s: float  # age of the newest event in a row; NaN before the first row
    num_window: int  # rows written in the last ten minutes
    workers: dict[int, ViewWorker]
    features: tuple[FeatureHealth, ...]

    @property
    def num_rows(self) -> int:
        """Rows written by the workers that run, or ran last."""
        return sum(worker.num_rows for worker in self.workers.values())

    @property
    def num_expired(self) -> int:
        """Those of them that were older than the view's shortest ttl."""
        return sum(worker.num_expired for worker in self.workers.values())

    @property
    def latency(self) -> Latencies:
        """Event-to-readable latency of all workers."""
        return Latencies.merged(worker.latency.to_pairs() for worker in self.workers.values())


@dataclass(frozen=True, slots=True)
class Health:
    """The features at one moment."""

    views: tuple[ViewHealth, ...]
    lags: dict[int, int]  # by worker that runs: events not read yet
    commits: dict[int, Commit]  # by partition


def read_health(redis: Redis, namespace: str, now_ms: int) -> Health:
    """What is true at `now_ms`; a worker that was replaced is spoken for by the one after it.

    Workers of another feature table are left out: their columns are others.
    """
    newest: dict[int, Document] = {}
    documents = StatusBoard(redis, namespace).read("stream")
    ours = [document for document in documents if document["schema"] == SCHEMA]
    for document in sorted(ours, key=lambda document: document["updated_ms"]):
        newest[document["worker"]] = document
    references = ReferenceStore(redis, namespace).read()
    running = {w: d for w, d in newest.items() if now_ms - d["updated_ms"] < FRESH_MS}
    return Health(
        tuple(_view(layout, newest, references.get(layout.view), now_ms) for layout in LAYOUTS),
        {worker: document["lag"] for worker, document in sorted(running.items())},
        dict(sorted(CommitStore(redis, namespace).read_all().items())),
    )


def _view(
    layout: Layout, documents: Mapping[int, Document], reference: Reference | None, now_ms: int
) -> ViewHealth:
    by_worker = {worker: d["views"][layout.view] for worker, d in sorted(documents.items())}
    lately = [w for w, d in documents.items() if now_ms - d["updated_ms"] < WINDOW_MS]
    newest_ms = max((report["newest_event_ms"] for report in by_worker.values()), default=0)
    workers = {
        worker: ViewWorker(report["rows"], report["expired"], Latencies(dict(report["latency"])))
        for worker, report in by_worker.items()
    }
    windows = [from_columns(by_worker[worker]["window"]) for worker in lately]
    window = merged(windows, len(layout.numbers))
    return ViewHealth(
        layout.view,
        (now_ms - newest_ms) / 1_000 if newest_ms else math.nan,
        int(window["rows"].max(initial=0)),
        workers,
        _features(layout, window, reference),
    )


def _features(
    layout: Layout, window: Summary, reference: Reference | None
) -> tuple[FeatureHealth, ...]:
    psi_F = np.full(len(window), np.nan)
    if reference is not None:
        enough_F = window["bins"].sum(1) >= MIN_VALUES
        psi_F[enough_F] = psi(reference["seen"], window)[enough_F]
    names = [feature.name for feature in layout.numbers]
    columns = (names, null_rate(window).tolist(), mean(window).tolist(), psi_F.tolist())
    return tuple(FeatureHealth(*row) for row in zip(*columns, strict=True))
