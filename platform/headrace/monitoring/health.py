"""Health: the workers' reports on the features, merged. F numbers of a view."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress

import msgspec
import numpy as np
from redis import Redis

from headrace.features.aggregation.layout import Layout
from headrace.features.checks.drift import (
    NUM_BINS,
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
from headrace.metrics.latency import Latencies
from headrace.monitoring.documents import (
    PARTS,
    Choices,
    Quality,
    StreamDocument,
    TrainDocument,
    ViewReport,
)
from headrace.monitoring.monitor import ReferenceStore
from headrace.monitoring.status import StatusBoard
from headrace.positions.commit import Commit
from headrace.positions.store import CommitStore
from headrace.services.redis_condition import RedisCondition, read_conditions
from headrace.skipped import Skipped, SkippedKind
from headrace.skipped import merged as together

MIN_VALUES = 500  # in the window, for a drift: of fewer, equal distributions seem to differ by 0.02
WINDOW_MS = NUM_TILES * TILE_MS


@dataclass(frozen=True, slots=True)
class FeatureHealth:
    """One number of a view over the window; NaN where there are no or too few rows for it."""

    name: str
    null_rate: float
    mean: float
    psi: float


@dataclass(frozen=True, slots=True)
class ViewWorker:
    """The row counts and latency of one worker for a view since it started."""

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
    quality: dict[str, Quality] = field(default_factory=dict)  # by slice, and action:NAME
    choices: Choices | None = None  # of drawn requests

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
    """The health of the features at `now_ms`.

    The counts of a worker that was replaced end with it, the rows that it wrote do not. Workers of
    another feature table are left out: their columns are others.
    """
    skipped = Skipped(lambda: now_ms)
    board = StatusBoard(redis, namespace, skipped)
    documents = [d for d in stream_documents(board, skipped) if d.schema == VIEW_SCHEMA]
    documents.sort(key=lambda document: (document.worker, document.updated_ms))
    newest = {document.worker: document for document in documents}
    running = {w: d for w, d in newest.items() if d.is_fresh(now_ms)}
    train = max(board.read(TrainDocument), key=lambda d: d.updated_ms, default=None)
    references = ReferenceStore(redis, namespace, skipped).read()
    return Health(
        tuple(_view(layout, documents, references.get(layout.view), now_ms) for layout in LAYOUTS),
        {worker: document.lag for worker, document in running.items()},
        dict(sorted(CommitStore(redis, namespace).read_all(skipped).items())),
        tuple(skipped_by_parts(board, now_ms, skipped)),
        _stores(redis, documents),
        sum(document.lost_rows for document in documents),
        {kind: text for d in running.values() for kind, text in d.corrected.items()},
        train.quality if train else {},
        train.choices if train else None,
    )


def stream_documents(board: StatusBoard, skipped: Skipped) -> list[StreamDocument]:
    """The documents of the stream workers; one of this feature table whose views do not fit it is
    passed over and counted."""
    found = []
    for document in board.read(StreamDocument):
        views = [(layout, document.views.get(layout.view)) for layout in LAYOUTS]
        wrong = [layout.view for layout, view in views if view is None or not _fits(layout, view)]
        if document.schema == VIEW_SCHEMA and wrong:
            where = f"of process {document.pid}: {', '.join(wrong)}"
            skipped.add("status", "views that cannot be", where)
        else:
            found.append(document)
    return found


def _fits(layout: Layout, view: ViewReport) -> bool:
    """Whether a report has a number of each kind for each number of the view."""
    window, num = view.window, len(layout.numbers)
    columns = (window.rows, window.nulls, window.sum, window.bins)
    return all(len(column) == num for column in columns) and all(
        len(bins) == NUM_BINS for bins in window.bins
    )


def skipped_by_parts(
    board: StatusBoard, now_ms: int, own: Skipped
) -> Iterator[tuple[str, SkippedKind]]:
    """The kinds of skipped data of the parts that run, and of the caller, each with its part."""
    for form in PARTS:
        reports = [d.skipped for d in board.read(form) if d.is_fresh(now_ms)]
        yield from ((form.part, kind) for kind in together(reports))
    yield from (("status", kind) for kind in together([own.report()]))


def _stores(redis: Redis, documents: Sequence[StreamDocument]) -> tuple[RedisCondition, ...]:
    """The server asked as it is now, and the others as the workers found them last."""
    told = [store for document in documents for store in document.stores]
    return tuple({store.address: store for store in (*told, *read_conditions(redis))}.values())


def _view(
    layout: Layout, documents: Sequence[StreamDocument], reference: Reference | None, now_ms: int
) -> ViewHealth:
    """A view in the documents, which are in the order of their workers and times."""
    reports = [document.views[layout.view] for document in documents]
    newest_ms = max((report.newest_event_ms for report in reports), default=0)
    lately = [now_ms - document.updated_ms < WINDOW_MS for document in documents]
    kept = compress(reports, lately)
    windows = [from_columns(msgspec.structs.asdict(report.window)) for report in kept]
    window = merged(windows, len(layout.numbers))
    workers = {
        document.worker: ViewWorker(report.rows, report.expired, Latencies(dict(report.latency)))
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
