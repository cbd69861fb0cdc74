"""The facts about users and items in the events of one step, and its requests for features.

N facts   M measures   K, V, U, Q of entities, rows and requests
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.broker.record import Record
from headrace.event import Event
from headrace.events.declared import WORDS
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import Facts, Ints, measures_of
from headrace.features.aggregation.layout import Layout
from headrace.features.inputs import RequestFeatures
from headrace.features.rows.state_row import Rows

# One fact: user, item, event time, position, surface, settled, campaign, offset,
# ordinal of the event, whether it was shown, the actions that came as bits (their negative if they
# were taken back), how much it was liked, what was paid, and the codes of the context's words. A
# plain and flat tuple, which the
# collector of cycles leaves alone, because there is one for every event.
Fact = tuple[Any, ...]
NUM_COLUMNS = 14


class SampleRequest(msgspec.Struct, gc=False):
    """A request of which a sample is made: with the features as of before event `ordinal`."""

    event: Event
    record: Record
    item_ids: tuple[str, ...]
    sequence: int
    labelled: int  # the actions of which it is or will be known whether they came, as bits
    ordinal: int
    features: RequestFeatures | None = None
    user_word_keys: tuple[int, ...] = ()
    chosen: int = 0  # where no impression explains it: the wishes that the event tells, as bits
    log_q: bytes = b""  # of items that were drawn, the chosen one first


class Labelled(msgspec.Struct, frozen=True, gc=False):
    """A request and the outcome of each of its items."""

    request: SampleRequest
    outcomes: tuple[int, ...]


@dataclass(slots=True)
class StepFacts:
    """Facts in the order of the log, requests that need features, and requests now labelled;
    the ads that were shown; without requests where no samples are made (`with_requests`)."""

    with_requests: bool = True
    facts: list[Fact] = field(default_factory=list)
    requests: list[SampleRequest] = field(default_factory=list)
    complete: list[Labelled] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)  # of the events, the newest last
    shown_ads: list[tuple[str, str]] = field(default_factory=list)  # campaign and request

    def columns(self) -> Columns:
        """The facts in columns."""
        columns = list(zip(*self.facts, strict=True)) if self.facts else [()] * NUM_COLUMNS
        users, items, times, positions, surfaces, settled, campaigns = columns[:7]
        offsets, ordinals, shown, came, value, amount, words = columns[7:]
        action_NA = measures_of(np.array(came, np.int64))
        others_3N = [np.array(one, np.float32) for one in (shown, value, amount)]
        return Columns(
            user_ids=users,
            item_ids=items,
            campaign_ids=campaigns,
            time_ms_N=np.array(times, np.int64),
            position_N=np.array(positions, np.int64),
            surface_N=np.array(surfaces, np.int64),
            measure_NM=np.column_stack([others_3N[0], action_NA, *others_3N[1:]]),
            settled_N=np.array(settled, bool),
            offset_N=np.array(offsets, np.int64),
            ordinal_N=np.array(ordinals, np.int64),
            word_NW=np.array(words if WORDS else (), np.int64).reshape(len(words), len(WORDS)),
        )


@dataclass(frozen=True, slots=True)
class Columns:
    """Facts in columns."""

    user_ids: Sequence[str]
    item_ids: Sequence[str]
    campaign_ids: Sequence[str | None]
    time_ms_N: Ints
    position_N: Ints
    surface_N: Ints
    measure_NM: NDArray[np.float32]
    settled_N: NDArray[np.bool_]
    offset_N: Ints
    ordinal_N: Ints
    word_NW: Ints


@dataclass(frozen=True, slots=True)
class StepLog:
    """Facts, the offsets of their events, and the events' ordinals within the step."""

    facts: Facts
    offset_N: Ints
    ordinal_N: Ints

    def take(self, index_K: Ints) -> StepLog:
        return StepLog(self.facts.take(index_K), self.offset_N[index_K], self.ordinal_N[index_K])

    def about(self, entity_N: Ints) -> StepLog:
        return StepLog(self.facts.about(entity_N), self.offset_N, self.ordinal_N)

    def not_included(self, rows_U: Rows) -> StepLog:
        """Those that the rows do not include yet, sorted by entity and then as the log has them."""
        new_K = np.flatnonzero(self.offset_N > rows_U["position"][self.facts.entity_N])
        return self.take(new_K[np.argsort(self.facts.entity_N[new_K], kind="stable")])

    def add_and_snapshot(
        self, layout: Layout, state_U: State, entity_Q: Ints, ordinal_Q: Ints
    ) -> State:
        """Take these facts into states; returns those of `entity_Q` before events `ordinal_Q`."""
        span = max(self.ordinal_N.max(initial=0), ordinal_Q.max(initial=0)) + 1
        place_N = self.facts.entity_N * span + self.ordinal_N
        first_Q = np.searchsorted(self.facts.entity_N, entity_Q)
        seen_Q: NDArray[np.int64] = np.searchsorted(place_N, entity_Q * span + ordinal_Q) - first_Q
        return layout.add_and_snapshot(state_U, self.facts, entity_Q, seen_Q)

    def after_each(self, layout: Layout, rows_U: Rows) -> tuple[Ints, Rows]:
        """[K]: the rows as each event leaves them, and whose they are; `rows_U` do not change."""
        entity_N, time_N = self.facts.entity_N, self.facts.time_ms_N
        is_last_N = np.diff(entity_N, append=-1).astype(bool)
        is_last_N |= np.diff(self.ordinal_N, append=-1).astype(bool)
        last_K = np.flatnonzero(is_last_N)  # the last fact of each event about an entity
        entity_K = entity_N[last_K]
        rows_K = rows_U[entity_K]
        seen_K = last_K - np.searchsorted(entity_N, entity_K) + 1
        rows_K["state"] = layout.add_and_snapshot(
            rows_U["state"].copy(), self.facts, entity_K, seen_K
        )
        rows_K["position"] = self.offset_N[last_K]
        newest_N = np.maximum(time_N, rows_U["event_time_ms"][entity_N])
        for first, end in zip(*_bounds(entity_N), strict=True):
            np.maximum.accumulate(newest_N[first:end], out=newest_N[first:end])
        rows_K["event_time_ms"] = newest_N[last_K]
        return entity_K, rows_K

    def stamp(self, rows_U: Rows) -> Ints:
        """Let rows say that they include these facts; returns which of them do so now."""
        entity_N = self.facts.entity_N
        starts_V = np.flatnonzero(np.diff(entity_N, prepend=-1))
        entity_V = entity_N[starts_V]
        last_V = np.append(starts_V[1:], len(entity_N))[: len(starts_V)] - 1
        newest_V = np.maximum.reduceat(self.facts.time_ms_N, starts_V)
        rows_U["position"][entity_V] = self.offset_N[last_V]
        rows_U["event_time_ms"][entity_V] = np.maximum(rows_U["event_time_ms"][entity_V], newest_V)
        return entity_V


def _bounds(entity_N: Ints) -> tuple[list[int], list[int]]:
    """Where the facts of each entity begin and end; they lie together."""
    starts = np.flatnonzero(np.diff(entity_N, prepend=-1)).tolist()
    return starts, [*starts[1:], len(entity_N)] if starts else []
