"""The feature table: every streaming feature, defined once.

Stream update, online read and the Feast definitions all come from these rows; adding a feature is
adding a row. The position of an entity's state is fixed by the order of its rows, and `SCHEMA`
changes whenever that order or a parameter does, so that no state is read by the wrong table.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregators import (
    Aggregator,
    CategoryRates,
    Count,
    DecayedRate,
    LastN,
    Outcome,
    Rate,
    SinceLast,
    State,
    Times,
    WindowRate,
)

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

USER: Final = "user"
ITEM: Final = "item"


@dataclass(frozen=True, slots=True)
class Feature:
    """One row: a named value of an entity, and the aggregator that keeps it."""

    name: str
    entity: str
    aggregator: Aggregator
    description: str


HISTORY: Final = LastN(length=32)
CATEGORIES: Final = CategoryRates(num_slots=32)

# Numbers that the ranker reads as they are.
DENSE: Final = (
    Feature("user_impressions_log", USER, Count(), "log(1 + items ever shown to the user)"),
    Feature("user_click_rate", USER, Rate(), "clicks per impression of the user"),
    Feature("user_click_rate_last10", USER, DecayedRate(10), "the same, recent outcomes first"),
    Feature("user_click_rate_last3", USER, DecayedRate(3, strength=1), "the same, the very last"),
    Feature("user_click_rate_1d", USER, WindowRate(HOUR_MS, 24), "the same, over the last day"),
    Feature("user_idle_log", USER, SinceLast(), "log(1 + seconds since the user's last outcome)"),
    Feature("item_impressions_log", ITEM, Count(), "log(1 + times the item was shown)"),
    Feature("item_click_rate", ITEM, Rate(), "clicks per impression of the item"),
    Feature("item_click_rate_last50", ITEM, DecayedRate(50), "the same, recent outcomes first"),
    Feature("item_click_rate_7d", ITEM, WindowRate(DAY_MS, 7), "the same, over the last 7 days"),
)

# What the ranker reads in a form of its own: vectors and sequences.
STRUCTURED: Final = (
    Feature("user_category_rates", USER, CATEGORIES, "the user's click rate per category, centred"),
    Feature("user_history", USER, HISTORY, "the last 32 outcomes: item, time, clicked"),
)


class Layout:
    """Where each feature of one entity lies in the entity's state."""

    def __init__(self, entity: str) -> None:
        self.entity = entity
        self.dense = tuple(f for f in DENSE if f.entity == entity)
        self.features = self.dense + tuple(f for f in STRUCTURED if f.entity == entity)
        ends = np.cumsum([feature.aggregator.width for feature in self.features]).tolist()
        self._slices = {
            feature.name: slice(end - feature.aggregator.width, end)
            for feature, end in zip(self.features, ends, strict=True)
        }
        self.width: int = ends[-1]

    @cached_property
    def empty(self) -> State:
        """The state of an entity never seen. Copy before adding to it."""
        return np.concatenate([feature.aggregator.initialize() for feature in self.features])

    def part(self, state_XW: State, name: str) -> State:
        """The slots of one feature, as a view."""
        return state_XW[..., self._slices[name]]

    def add(self, state_W: State, outcome: Outcome) -> None:
        """Take one outcome into every feature of the entity, in place."""
        for feature in self.features:
            feature.aggregator.add(state_W[self._slices[feature.name]], outcome)

    def merge(self, state_W: State, other_W: State) -> None:
        """Take a state that saw other outcomes into `state_W`, in place."""
        for feature in self.features:
            part = self._slices[feature.name]
            feature.aggregator.merge(state_W[part], other_W[part])

    def dense_values(self, state_XW: State, now_ms: Times) -> NDArray[np.float32]:
        """[X, F]: the dense features at `now_ms`, in the order of the table."""
        columns = [f.aggregator.value(self.part(state_XW, f.name), now_ms) for f in self.dense]
        return np.stack(columns, axis=-1).astype(np.float32)


USER_LAYOUT: Final = Layout(USER)
ITEM_LAYOUT: Final = Layout(ITEM)

SCHEMA: Final = int.from_bytes(
    hashlib.blake2b(repr(DENSE + STRUCTURED).encode(), digest_size=4).digest(), "big"
)
