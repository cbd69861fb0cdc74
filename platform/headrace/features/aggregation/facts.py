"""Facts: the observations of entities that events carry, in columns.

    N facts   M measures   S category slots of a fact, padded with -1

One event gives one fact per item that it names and entity that it is about. A measure is a number
that a fact carries: whether the item was shown and what came of it. An impression whose outcome is
known has shown=1 and the outcome; one whose outcome is still open has shown=1, settled=False, and
what comes of it follows as a fact with shown=0. An action that is taken back measures -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.action import ACTIONS as ACTIONS
from headrace.action import (
    AVERSIONS,
    BIT,
    DEFAULT_TABLE,
    EVERY_ACTION,
    FEATURED,
    MAX_ACTIONS,
    TABLE,
)
from headrace.action import CLICK as CLICK
from headrace.events.declared import WORDS

SHOWN: Final = "shown"
SURFACE: Final = "surface"  # beside the words of a context
VALUE: Final = "value"  # how much the item was liked, where that was told: a rating, a share
AMOUNT: Final = "amount"  # what was paid, in units of its currency; below 0 what was paid back

MEASURES: Final = (SHOWN, *ACTIONS, VALUE, AMOUNT)
COUNTED: Final = (SHOWN, *FEATURED)  # by features of everything and of the last outcomes

# An outcome is a number: an action mask, and above it the value as a share of 1, in 255ths.
SHARE_SHIFT: Final = MAX_ACTIONS
WHOLE: Final = 255
# Part of the input schema. Models and samples from before there were built-in actions that are only
# told stay readable: a table without any others has the code of its first three rows.
_CODED: Final = TABLE[: len(FEATURED)] if TABLE == DEFAULT_TABLE else TABLE
OUTCOME_CODE: Final = (
    tuple(row.name for row in _CODED),
    sum(BIT[row.name] for row in _CODED if not row.wish),
    SHARE_SHIFT,
    WHOLE,
)
WISHES: Final = EVERY_ACTION - AVERSIONS
MAX_OUTCOME: Final = WHOLE << SHARE_SHIFT | EVERY_ACTION

Ints = NDArray[np.int64]

_MASK_X = np.arange(-EVERY_ACTION, EVERY_ACTION + 1)
_CAME_XA = np.abs(_MASK_X)[:, None] & np.array(list(BIT.values())) != 0
_MEASURES_OF: Final = (np.sign(_MASK_X)[:, None] * _CAME_XA).astype(np.float32)

_MASK_S = np.arange(EVERY_ACTION + 1)
_SET_OF_MASK = sum((_MASK_S & BIT[name] != 0) << place for place, name in enumerate(FEATURED))
_UNTOLD = AVERSIONS & ~sum(BIT[name] for name in FEATURED)
_SET_OF_MASK *= _MASK_S & _UNTOLD == 0


@dataclass(frozen=True, slots=True)
class Facts:
    """N facts in the order of the log; `entity_N` says which of some states each is about."""

    entity_N: Ints
    time_ms_N: Ints
    item_key_N: Ints
    position_N: Ints
    surface_N: Ints  # `headrace.keys.surface_code`
    measure_NM: NDArray[np.float32]
    settled_N: NDArray[np.bool_]
    slot_NS: Ints
    word_NW: Ints  # `headrace.events.declared.word_codes`

    def __len__(self) -> int:
        return len(self.entity_N)

    def take(self, index_K: Ints | NDArray[np.bool_]) -> Facts:
        """These facts, in this order; a fact may be taken more than once."""
        return Facts(*(getattr(self, column.name)[index_K] for column in fields(self)))

    def about(self, entity_N: Ints) -> Facts:
        """The same facts, about other states."""
        columns = {column.name: getattr(self, column.name) for column in fields(self)}
        return Facts(**{**columns, "entity_N": entity_N})

    def measures(self, names: Sequence[str]) -> NDArray[np.float32]:
        """[N, m]: these measures."""
        columns: NDArray[np.float32] = self.measure_NM[:, [MEASURES.index(name) for name in names]]
        return columns

    def measure(self, name: str) -> NDArray[np.float32]:
        """[N]: this measure."""
        column: NDArray[np.float32] = self.measure_NM[:, MEASURES.index(name)]
        return column

    def codes(self, field: str) -> Ints:
        """[N]: the codes of the surfaces, or of the words of a field; 0 where it was not told."""
        return codes_of(field, self.surface_N, self.word_NW)

    def action_mask_N(self) -> NDArray[np.uint8]:
        """[N]: the actions of each fact as bits; none of what was taken back."""
        bits_A = 1 << np.arange(len(ACTIONS), dtype=np.uint8)
        mask_N: NDArray[np.uint8] = ((self.measures(ACTIONS) > 0) * bits_A).sum(1, dtype=np.uint8)
        return mask_N

    def share_N(self) -> NDArray[np.uint8]:
        """[N]: the value of each fact as a share of 1, clipped to [0, 1], in 255ths."""
        value_N = self.measure(VALUE)
        share_N: NDArray[np.uint8] = np.rint(np.clip(value_N, 0, 1) * WHOLE).astype(np.uint8)
        return share_N


def codes_of(field: str, surface_X: Ints, word_XW: Ints) -> Ints:
    """[X]: the codes of a field of the context, or of surfaces, which are always told."""
    return surface_X + 1 if field == SURFACE else word_XW[:, WORDS.index(field)]


def measures_of(came_N: Ints) -> NDArray[np.float32]:
    """[N, A]: a measure per action, of actions that came as bits; where they were taken back, of
    the negative of the bits."""
    of_N: NDArray[np.float32] = _MEASURES_OF[came_N + EVERY_ACTION]
    return of_N


def outcome(action_mask: int, value: float) -> int:
    """The outcome of an impression; a value that is not above zero changes nothing."""
    if value <= 0:
        return action_mask
    return action_mask | round(min(value, 1.0) * WHOLE) << SHARE_SHIFT


def action_masks(outcome_X: Ints) -> Ints:
    """The actions of outcomes, as bits."""
    return outcome_X & ((1 << SHARE_SHIFT) - 1)


def are_chosen(mask_X: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether something wished for came of impressions, and no aversion, by their actions."""
    chosen_X: NDArray[np.bool_] = (mask_X & WISHES != 0) & (mask_X & AVERSIONS == 0)
    return chosen_X


def told_apart(outcome_X: Ints) -> Ints:
    """The sets of actions with features that the ranker tells apart in outcomes of the past, bit b
    for the b-th of `FEATURED`; none where there was an aversion that has no features."""
    set_X: Ints = _SET_OF_MASK[action_masks(outcome_X)]
    return set_X


def grades(outcome_X: Ints) -> NDArray[np.float32]:
    """How much came of impressions, from 0 to 1: the share that is told, else whether anything
    wished for came; 0 where there was an aversion."""
    share_X, wished_X = outcome_X >> SHARE_SHIFT, outcome_X & WISHES
    grade_X = np.where(share_X > 0, share_X / WHOLE, wished_X > 0).astype(np.float32)
    grade_X[outcome_X & AVERSIONS != 0] = 0
    return grade_X
