"""Totals: the parts' own reports, aggregated for the view and the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from headrace.access.own_key import read_key
from headrace.clock import now_ms
from headrace.config import Settings
from headrace.features.aggregation.facts import CLICK
from headrace.features.table import USER_LAYOUT
from headrace.metrics import Scores
from headrace.metrics.latency import Latencies
from headrace.metrics.ranking import RankedLists
from headrace.monitoring.documents import (
    DOCUMENT_OF,
    Choices,
    Document,
    EncodeDocument,
    Quality,
    ReplayDocument,
    ServeDocument,
    StreamDocument,
    TrainDocument,
)
from headrace.monitoring.health import skipped_by_parts, stream_documents
from headrace.monitoring.progress import ChoiceBoard, ProgressBoard
from headrace.monitoring.status import StatusBoard
from headrace.positions.store import COMMITS, CommitStore
from headrace.skipped import Skipped, SkippedKind, shortened

TIMEOUT_S: Final = 2.0  # a view that waits longer tells nobody that Redis is away
AnyDocument = TypeVar("AnyDocument", bound=Document)
COUNTS: Final = ("accepted", "rejected", "duplicates", "unreadable", "ahead", "unsigned")


@dataclass(frozen=True, slots=True)
class Totals:
    """The state of the whole platform at one moment."""

    now_ms: int
    replay: ReplayDocument | None  # before the replay starts
    accepted: int
    rejected: int
    duplicates: int
    stream_lag: int
    feature_freshness: Latencies
    samples: int
    train_lag: int | None  # while no trainer reports
    windows: dict[int, Scores]  # of the click
    action_windows: dict[str, dict[int, Scores]]  # of the other heads
    num_published: int
    num_served: int
    model_freshness: Latencies
    model_version: int  # the oldest that a replica answers with now
    model_age_ms: int | None
    requests: int
    latency: Latencies
    errors: tuple[str, ...]
    unreadable: int = 0  # messages in batches that are damaged
    ahead: int = 0
    unsigned: int = 0
    held: str = ""  # why the newest version of the model is not published
    quality: dict[str, Quality] = field(default_factory=dict)  # by slice, newest impressions
    choices: Choices | None = None  # newest drawn requests
    choice_windows: dict[int, RankedLists] = field(default_factory=dict)
    encoding: EncodeDocument | None = None  # of items as they arrive, where that is done
    skipped: int = 0  # messages and keys that the running parts and this view passed over

    @property
    def processed(self) -> int:
        """Events that the stream has dealt with."""
        return self.accepted + self.rejected + self.duplicates + self.unreadable


class Observer:
    """Reads the totals of one namespace from Redis; raises Redis's own errors while it is away."""

    def __init__(self, settings: Settings) -> None:
        self.redis = Redis.from_url(
            settings.redis_url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),  # once, for a connection that an earlier Redis has closed
        )
        self._namespace = settings.namespace
        self._skipped = Skipped(now_ms)
        self._board = StatusBoard(self.redis, settings.namespace, self._skipped)
        self._commits = CommitStore(self.redis, settings.namespace)
        self._progress = {
            head: ProgressBoard(self.redis, settings.namespace, head, self._skipped)
            for head in settings.training.heads
        }
        self._choices = ChoiceBoard(self.redis, settings.namespace, self._skipped)

    def is_up(self, part: str, now_ms: int) -> bool:
        """Whether an instance of the part has reported within the last seconds."""
        return bool(_fresh(self._board.read(DOCUMENT_OF[part]), now_ms))

    def reported_ms(self, part: str) -> int | None:
        """When an instance of the part reported last, None if none has within the hour."""
        documents = self._board.read(DOCUMENT_OF[part])
        return max((document.updated_ms for document in documents), default=None)

    def close(self) -> None:
        """Gives the connection back."""
        self.redis.close()

    def totals(self, now_ms: int) -> Totals:
        """The totals at `now_ms`."""
        stream = stream_documents(self._board, self._skipped)
        serve = self._board.read(ServeDocument)
        train = _newest(self._board.read(TrainDocument))
        commits = self._commits.read_all(self._skipped).values()
        live = [document for document in _fresh(serve, now_ms) if document.model_version]
        oldest = min(live, key=lambda document: document.model_version, default=None)
        windows = {head: board.read() for head, board in self._progress.items()}
        choice_windows = self._choices.read()
        num_published, num_served = self._num_published(), self._num_served()
        skipped = list(skipped_by_parts(self._board, now_ms, self._skipped))  # after all is read
        return Totals(
            now_ms=now_ms,
            replay=_newest(self._board.read(ReplayDocument)),
            **{name: sum(getattr(commit, name) for commit in commits) for name in COUNTS},
            stream_lag=sum(document.lag for document in _fresh(stream, now_ms)),
            feature_freshness=_freshness(stream),
            samples=train.samples if train else 0,
            train_lag=train.lag if train and train.is_fresh(now_ms) else None,
            held=train.held if train else "",
            quality=train.quality if train else {},
            choices=train.choices if train else None,
            choice_windows=choice_windows,
            encoding=_newest(_fresh(self._board.read(EncodeDocument), now_ms)),
            windows=windows.pop(CLICK, {}),
            action_windows=windows,
            num_published=num_published,
            num_served=num_served,
            model_freshness=Latencies.merged(document.model_freshness for document in serve),
            model_version=oldest.model_version if oldest else 0,
            model_age_ms=now_ms - oldest.model_created_ms if oldest else None,
            requests=sum(document.requests for document in serve),
            latency=Latencies.merged(document.latency for document in serve),
            errors=(*_errors(_fresh(serve, now_ms)), *_damaged(skipped)),
            skipped=sum(kind.count for _, kind in skipped),
        )

    def _num_published(self) -> int:
        name = f"{self._namespace}:model_version"
        text = read_key(name, lambda: self.redis.get(name), None, self._skipped)
        if text is None or text.isdigit():
            return int(text or 0)
        self._skipped.add("model version", "no number", f"key {name} in Redis: {shortened(text)}")
        return 0

    def _num_served(self) -> int:
        name = f"{self._namespace}:served_versions"
        return read_key(name, lambda: int(self.redis.scard(name)), 0, self._skipped)


def _freshness(documents: Iterable[StreamDocument]) -> Latencies:
    views = (one.views[USER_LAYOUT.view] for one in documents if USER_LAYOUT.view in one.views)
    return Latencies.merged(view.latency for view in views)


def _errors(documents: Sequence[ServeDocument]) -> list[str]:
    return [document.error for document in documents if document.error]


def _damaged(skipped: Sequence[tuple[str, SkippedKind]]) -> list[str]:
    """Why partitions stand still."""
    return [kind.first for _, kind in skipped if kind.source == COMMITS]


def _fresh(documents: Sequence[AnyDocument], now_ms: int) -> list[AnyDocument]:
    return [document for document in documents if document.is_fresh(now_ms)]


def _newest(documents: Sequence[AnyDocument]) -> AnyDocument | None:
    return max(documents, key=lambda document: document.updated_ms, default=None)
