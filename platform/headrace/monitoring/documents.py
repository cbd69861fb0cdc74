"""Status documents: the report of each part of the platform about itself, a struct for each.

Parts write them and views read them through these structs, as JSON. Builds of two ages may meet in
one namespace while a platform is updated, so a field keeps its name, a field that came later has a
default, and fields that a build does not know are passed over.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Final

import msgspec

from headrace.metrics import Scores
from headrace.metrics.latency import NUM_BINS
from headrace.metrics.ranking import RankedLists
from headrace.services.redis_condition import RedisCondition
from headrace.skipped import SkippedKind

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
FRESH_MS: Final = 5_000
Pairs = list[tuple[Annotated[int, msgspec.Meta(ge=0, lt=NUM_BINS)], Count]]  # of `Latencies`


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """When an instance of a part wrote its document, and which process it is: its board says so."""

    part: ClassVar[str]
    updated_ms: Count = 0
    pid: Count = 0

    def is_fresh(self, now_ms: int) -> bool:
        """Whether its writer still runs, as far as one can know."""
        return now_ms - self.updated_ms < FRESH_MS


class PartDocument(Document, frozen=True, kw_only=True):
    """The document of a part that runs until it is stopped, with the kinds of data it skipped."""

    skipped: tuple[SkippedKind, ...] = ()


class ReplayDocument(Document, frozen=True, kw_only=True):
    """How far a log has been replayed."""

    part: ClassVar[str] = "replay"
    sent: Count
    of: Count
    impressions: Count = 0
    done: bool = False


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """A summary of a view's numbers by its columns, as `features.checks.drift` makes them."""

    rows: list[Count]
    nulls: list[Count]
    sum: list[float | None]  # None: not finite, which JSON cannot say
    bins: list[list[Count]]


class ViewReport(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's statistics of the rows it wrote of one view, since it started and lately."""

    rows: Count
    expired: Count  # of these: older than the view's shortest ttl when they were written
    newest_event_ms: Count
    latency: Pairs  # from the arrival of an event to its row being readable
    window: Columns  # of the last ten minutes


class StreamDocument(PartDocument, frozen=True, kw_only=True):
    """The status of a stream worker: its lag, its views, and the data that it corrected or lost."""

    part: ClassVar[str] = "stream"
    worker: Count
    lag: Count  # events in the log and not read yet
    schema: Count  # of the feature table whose views these are
    views: dict[str, ViewReport]
    corrected: dict[str, str] = {}  # by kind: the first event that was not taken as it came
    unknown: dict[str, dict[str, Count]] = {}  # what became of unknown entities, by kind
    lost_rows: Count = 0  # of users, written and gone when they were needed
    stores: tuple[RedisCondition, ...] = ()  # the servers that rows and commits lie on


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Progressive quality of a predicted action; None where a number is not defined."""

    samples: Count
    auc: float | None
    normalized_entropy: float | None
    calibration: float | None  # predicted over observed

    @classmethod
    def of(cls, scores: Scores) -> Quality:
        """The metrics of these scores."""
        return cls(
            samples=scores.num_samples,
            auc=_known(scores.auc),
            normalized_entropy=_known(scores.normalized_entropy),
            calibration=_known(scores.calibration),
        )


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """Progressive quality of requests that were drawn beside what was chosen: where that came among
    the others. It says nothing of how often something is chosen."""

    requests: Count
    top: Count  # places of a list that count
    recall: float | None
    ndcg: float | None
    mrr: float | None

    @classmethod
    def of(cls, lists: RankedLists) -> Choices:
        """The metrics of these lists."""
        return cls(
            requests=lists.num_lists,
            top=lists.k,
            recall=_known(lists.recall),
            ndcg=_known(lists.ndcg),
            mrr=_known(lists.mrr),
        )


class TrainDocument(PartDocument, frozen=True, kw_only=True):
    """The status of the trainer: its lag, its counts, and the quality of its predictions."""

    part: ClassVar[str] = "train"
    lag: Count | None  # messages and samples not trained on yet; None while it is not known
    samples: Count  # impressions trained, left out and given up
    left_out: Count = 0  # by the limits of who teaches the model
    given_up: Count = 0  # learned, and given up again when the learner went back
    held: str = ""  # why the newest version is not published
    unreadable_samples: Count = 0  # of other feature tables
    lost_messages: Count = 0  # gone from the log before they were read
    skipped_batches: Count = 0  # whose features or loss were not finite
    version: Count = 0
    ids: dict[str, Count] = {}  # rows by embedding table
    # Of the newest impressions: clicks by slice of the traffic, other actions as action:NAME.
    quality: dict[str, Quality] = {}
    choices: Choices | None = None  # of the newest drawn requests, where there are any


class ServeDocument(PartDocument, frozen=True, kw_only=True):
    """The status of a replica: its request counts and latency, and the model that it serves."""

    part: ClassVar[str] = "serve"
    requests: Count
    failures: Count = 0
    refused: dict[str, Count] = {}  # requests by the budget that was full
    lost_impressions: Count = 0
    spooled_bytes: Count = 0
    latency: Pairs
    model_version: Count  # 0: none yet
    model_created_ms: Count
    model_freshness: Pairs
    error: str  # what is wrong now


class ArchiveDocument(PartDocument, frozen=True, kw_only=True):
    """How far the topics have been archived."""

    part: ClassVar[str] = "archive"
    lag: Count  # messages that are in no file yet
    lost: Count = 0  # messages gone from the log before they were read


class EncodeDocument(PartDocument, frozen=True, kw_only=True):
    """The status of who encodes items as they arrive: the items that wait, and the failures."""

    part: ClassVar[str] = "encode"
    waiting: dict[str, Count]  # items by vector table
    lag_ms: Count  # since the oldest of them came
    encoded: Count  # since it started
    failed: Count = 0  # of these: their content could not be read
    last_failure: str = ""


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


PARTS: Final[tuple[type[PartDocument], ...]] = (
    StreamDocument,
    TrainDocument,
    ServeDocument,
    ArchiveDocument,
    EncodeDocument,
)
EVERY: Final[tuple[type[Document], ...]] = (ReplayDocument, *PARTS)
DOCUMENT_OF: Final = {form.part: form for form in EVERY}
