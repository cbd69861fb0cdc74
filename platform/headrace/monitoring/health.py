"""Health: what the workers say about the features, put together. F numbers of a view."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import msgspec
import numpy as np
from redis import Redis

from headrace.features.aggregation.layout import Layout
from headrace.features.checks.drift import (
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
from headrace.features.schema import VIEW_SCHEMA
from headrace.features.table import LAYOUTS
from headrace.latency import Latencies
from headrace.monitoring.monitor import ReferenceStore
from headrace.monitoring.status import FRESH_MS, StatusBoard, StreamDocument
from headrace.services.redis_condition import RedisCondition, read_conditions
from headrace.skipped import Skipped, SkippedKind
from headrace.skipped import merged as together
from headrace.stream.commit_store import CommitStore
from headrace.stream.step.commit import Commit

MIN_VALUES = 500  # in the window, for a drift: of fewer, equal distributions seem to differ by 0.02
PARTS = ("stream", "train", "serve", "archive")
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
    skipped: tuple[tuple[str, SkippedKind], ...] = ()  # by part that runs
    stores: tuple[RedisCondition, ...] = ()  # the servers that rows and commits lie on
    lost_rows: int = 0  # of users, written and gone when they were needed, as far as is known
    corrected: dict[str, str] = field(default_factory=dict)  # by a commit's count: the first

    @property
    def num_late(self) -> int:
        """Events accepted though later than the allowed lateness."""
        return sum(commit.late for commit in self.commits.values())

    @property
    def num_ahead(self) -> int:
        """Events accepted with a time ahead of their arrival."""
        return sum(commit.ahead for commit in self.commits.values())

    @property
    def num_unsigned(self) -> int:
        """Events accepted without their served features."""
        return sum(commit.unsigned for commit in self.commits.values())

    @property
    def num_lost(self) -> int:
        """Events gone from the log before they were read."""
        return sum(commit.lost for commit in self.commits.values())

    @property
    def num_misplaced(self) -> int:
        """Events accepted in other partitions than their users'."""
        return sum(commit.misplaced for commit in self.commits.values())

    @property
    def first_misplaced(self) -> str:
        """Where one of these lies, of the lowest partition that has any."""
        return next((c.first_misplaced for c in self.commits.values() if c.misplaced), "")


def read_health(redis: Redis, namespace: str, now_ms: int) -> Health:
    """What is true at `now_ms`.

    The counts of a worker that was replaced end with it, the rows that it wrote do not. Workers of
    another feature table are left out: their columns are others.
    """
    skipped = Skipped(lambda: now_ms)
    board = StatusBoard(redis, namespace, skipped)
    documents = [d for d in board.read("stream", StreamDocument) if d["schema"] == VIEW_SCHEMA]
    documents = [document for document in documents if is_readable(document)]
    documents.sort(key=lambda document: (document["worker"], document["updated_ms"]))
    newest = {document["worker"]: document for document in documents}
    running = {w: d for w, d in newest.items() if now_ms - d["updated_ms"] < FRESH_MS}
    references = ReferenceStore(redis, namespace, skipped).read()
    return Health(
        tuple(_view(layout, documents, references.get(layout.view), now_ms) for layout in LAYOUTS),
        {worker: document["lag"] for worker, document in running.items()},
        dict(sorted(CommitStore(redis, namespace).read_all(skipped).items())),
        tuple(skipped_by_parts(board, now_ms, skipped)),
        _stores(redis, documents),
        sum(document.get("lost_rows", 0) for document in documents),
        {kind: text for d in running.values() for kind, text in d.get("corrected", {}).items()},
    )


def is_readable(document: Document) -> bool:
    """Whether what a document says of the views can be read; of another feature table's, nothing is
    asked."""
    if document["schema"] != VIEW_SCHEMA:
        return True
    try:
        for layout in LAYOUTS:
            _view(layout, [document], None, 0)
            Latencies.merged([document["views"][layout.view]["latency"]]).percentile(0.5)
    except Exception:  # whatever lies there
        return False
    return True


def skipped_by_parts(
    board: StatusBoard, now_ms: int, own: Skipped
) -> Iterator[tuple[str, SkippedKind]]:
    """What the parts that run have passed over, and what the caller has, by part."""
    for part in PARTS:
        running = [d for d in board.read(part) if now_ms - d["updated_ms"] < FRESH_MS]
        reports = [d.get("skipped") for d in running]
        yield from ((part, kind) for kind in together(r for r in reports if isinstance(r, list)))
    yield from (("status", kind) for kind in together([own.report()]))


def _stores(redis: Redis, documents: Sequence[Document]) -> tuple[RedisCondition, ...]:
    """The server asked as it is now, and the others as the workers found them last."""
    told = [store for document in documents for store in document.get("stores", ())]
    found = [*msgspec.convert(told, list[RedisCondition]), *read_conditions(redis)]
    return tuple({store.address: store for store in found}.values())


def _view(
    layout: Layout, documents: Sequence[Document], reference: Reference | None, now_ms: int
) -> ViewHealth:
    """A view in the documents, which are in the order of their workers and times."""
    reports = [document["views"][layout.view] for document in documents]
    newest_ms = max((report["newest_event_ms"] for report in reports), default=0)
    lately = [now_ms - document["updated_ms"] < WINDOW_MS for document in documents]
    windows = [from_columns(report["window"]) for report in compress(reports, lately)]
    window = merged(windows, len(layout.numbers))
    workers = {
        document["worker"]: ViewWorker(
            report["rows"], report["expired"], Latencies(dict(report["latency"]))
        )
        for document, report in zip(documents, reports, strict=True)
    }
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
