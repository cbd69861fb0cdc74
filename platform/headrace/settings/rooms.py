"""The settings of the stream, of training and of serving, each in a room of its own.

Those of Kafka and HTTP are in `access/`, beside the checks that go with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from headrace.action import windows_s
from headrace.application.current import APPLICATION
from headrace.settings.room import Room
from headrace.settings.variables import variable

Positive = Annotated[float, msgspec.Meta(gt=0)]
PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
RankerSize = Literal["nano", "base", "large"]  # `SIZES` of the model
FusionName = Literal[  # `FUSIONS` of the model
    "concat", "mean", "max", "gated", "attention", "early", "late", "co_attention",
    "cross_attention", "perceiver",
]  # fmt: skip
Names = tuple[str, ...]
Wait = Annotated[float, msgspec.Meta(gt=0, le=4)]  # HAProxy gives an answer up after five seconds


class StreamSettings(Room, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of the event log, and of the workers and the archive that read it."""

    num_partitions: PositiveInt = 4  # of the topics; one that has another number is refused
    events_retention_h: Positive = 168.0  # that events and samples stay in topics headrace makes
    num_stream_workers: PositiveInt = 2
    dedupe_window: PositiveInt = 200_000  # event ids remembered per partition
    click_window_s: Positive = 300.0  # attribution window of actions that have none of their own
    make_samples: bool = True  # false: features only, nothing to train on
    # Items drawn beside a click, purchase and the like that no impression explains (0: none are),
    # and the power of their popularity by which they are.
    negatives_per_positive: Annotated[int, msgspec.Meta(ge=0, le=32)] = (
        APPLICATION.negatives.per_positive
    )
    negatives_popularity: Annotated[float, msgspec.Meta(ge=0, le=1)] = (
        APPLICATION.negatives.popularity
    )
    allowed_lateness_s: Positive = 60.0  # how far behind the newest an event may be, not to be late
    max_ahead_s: Positive = 300.0  # how far ahead of its arrival an event's time may lie
    archive_every_s: Positive = 15.0  # `headrace archive` writes what came this often

    # What is in no catalogue has a share of memory, in each stream worker, and ends. In Redis a row
    # of a user who was not materialized lives for so long after its last event.
    max_unknown_items: PositiveInt = 10_000
    unknown_item_ttl_s: Positive = 120.0
    max_unknown_campaigns: PositiveInt = 10_000  # in no campaigns' file
    unknown_campaign_ttl_s: Positive = 2_592_000.0
    unknown_user_ttl_s: Positive = 604_800.0

    def problems(self) -> Iterator[str]:
        """The errors in these settings, one line each: contradictions."""
        window_s = max(windows_s(self.click_window_s).values())
        if 3_600 * self.events_retention_h < window_s:
            yield (
                f"{variable('events_retention_h')}={self.events_retention_h:g} is shorter than the "
                f"longest attribution window, {window_s:g} s ({variable('click_window_s')}, or an "
                "action's own)"
            )


class TrainingSettings(Room, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of the ranker that a namespace is begun with, and of its online training."""

    ranker_size: RankerSize = "nano"
    fusion: FusionName = "gated"  # how it makes one vector of what describes an item
    heads: Annotated[Names, msgspec.Meta(min_length=1)] = APPLICATION.heads  # the click first
    surfaces: Names = APPLICATION.surfaces  # that have a calibration and a position bias
    vector_tables: Names = ()  # of the items' content that the ranker reads
    # Where files may lie that items' documents name: below a folder, on these hosts.
    content_folder: str = ""
    content_hosts: Names = ()
    model_seed: int = 0
    # When a user without attributes has embeddings, and how many impressions trained without a
    # user, an item or a word end his or its.
    embedding_admit_after: Annotated[int, msgspec.Meta(ge=1, le=255)] = 2  # requests of the user's
    embedding_expire_after: PositiveInt = 5_000_000

    batch_size: PositiveInt = 256  # impressions per training step, at most
    batch_wait_s: Positive = 0.25  # a smaller batch is trained after this long
    publish_every_s: Positive = 3.0
    guard_patience_s: Positive = 1_800.0  # versions are held this long before a change is learned
    checkpoint_every_s: Positive = 10.0
    progressive_window: PositiveInt = 1_000  # impressions per point of the quality curves


class ServingSettings(Room, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of replicas: what one takes on at one time, and how long it waits for what may
    be away."""

    num_replicas: PositiveInt = 1
    platform: str = ""  # what its own HAProxy calls it, so that no other's requests are answered
    rank_by: dict[str, float] = msgspec.field(  # slates: the sum of weight x probability of actions
        default_factory=lambda: dict(APPLICATION.ranking)
    )
    max_candidates: PositiveInt = 500
    seen: str = APPLICATION.seen.text  # such as after:30d: `headrace.settings.seen`
    loaded_versions: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1  # that a request may name
    ready_without_model: bool = False  # `/readyz` before the first model
    stale_model_s: Positive = 3_600.0  # slates by an older model are marked

    slate_threads: PositiveInt = 1  # that make slates and ads; more help where Redis is far away
    max_waiting_slates: PositiveInt = 24  # slates and ads at one time; one more is refused
    slate_deadline_s: Wait = 1.0  # one that could not be begun by then is refused
    max_waiting_events: PositiveInt = 10_000  # sent and not acknowledged; more are refused
    events_deadline_s: Wait = 3.0  # that the log may take to acknowledge events
    body_timeout_s: Wait = 4.0  # that a body may take to arrive
    store_timeout_s: Positive = 0.25  # that Redis may take for an answer
    ad_reservation_s: Positive = 600.0  # that the price of an ad waits for the ad to be shown
    spool_bytes: Annotated[int, msgspec.Meta(ge=0)] = 64_000_000  # for impressions; 0: no spool
