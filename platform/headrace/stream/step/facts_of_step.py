"""The facts about users and items in the events of one step, and its requests for features.

N facts   M measures
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
from headrace.features.aggregation.facts import Ints, measures_of
from headrace.features.inputs import RequestFeatures

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
