"""Covisits: pairs of items that a user chose in one session, out of the facts of a step.

N facts   K of items that were chosen   U users   L entries of a history
E choices of these users, by user and time   P pairs
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.facts import MEASURES, Facts, Ints, are_chosen
from headrace.features.companions import WEIGHT
from headrace.features.rows.user_table import UserTable
from headrace.features.table import LAST, USER_LAYOUT

SESSION_MS: Final = 3_600_000  # between two choices of a pair
MAX_APART: Final = 4  # choices of one user, the one after it being one apart
BACKWARD: Final = 0.5  # how much an earlier item counts as a companion of a later one
MAX_IDS: Final = 100_000  # of items that were chosen last, whose ids are known by their keys
NOT_NEW: Final = -1  # the fact of a choice from before the step

_HISTORY: Final = USER_LAYOUT.field_of[LAST]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Facts about items and their companions: whose each is, and the fact of the step that tells
    it, in the order of the log."""

    item_ids: list[str]  # each once
    item_P: Ints  # places in them
    fact_P: Ints
    facts: Facts  # [P]; `item_key_N` are those of the companions


@dataclass(frozen=True, slots=True)
class _Choices:
    """Choices, each once, sorted by user, time and key."""

    user_E: Ints
    time_ms_E: Ints
    key_E: Ints
    fact_E: Ints


class Covisits:
    """Finds the pairs of a partition. It knows the ids of the items that were chosen lately."""

    def __init__(self) -> None:
        self._id_of: dict[int, str] = {}
        self._earlier_id_of: dict[int, str] = {}

    def pairs(self, user_N: Ints, item_ids: Sequence[str], facts: Facts, users: UserTable) -> Pairs:
        """The pairs with a choice that is new: `users`, as before the step, do not have it."""
        chosen_K = np.flatnonzero(facts.settled_N & are_chosen(facts.action_mask_N()))
        keys = facts.item_key_N[chosen_K].tolist()
        self._remember(zip(keys, (item_ids[fact] for fact in chosen_K.tolist()), strict=True))
        choices = _choices(facts, chosen_K, user_N[chosen_K], users)
        fact_P, about_P, with_P, weight_P = _pairs(choices)
        distinct_I, item_P = np.unique(about_P, return_inverse=True)
        ids = [self._known(one) for one in distinct_I.tolist()]
        known_I = np.array([one is not None for one in ids], np.bool_)
        order_P = np.flatnonzero(known_I[item_P])
        order_P = order_P[np.argsort(fact_P[order_P], kind="stable")]
        taken = facts.take(fact_P[order_P])
        taken.measure_NM[:, MEASURES.index(WEIGHT)] = weight_P[order_P]
        return Pairs(
            [one for one in ids if one is not None],
            (known_I.cumsum() - 1)[item_P[order_P]],
            fact_P[order_P],
            replace(taken, item_key_N=with_P[order_P]),
        )

    def _known(self, item_key: int) -> str | None:
        return self._id_of.get(item_key) or self._earlier_id_of.get(item_key)

    def _remember(self, chosen: Iterable[tuple[int, str]]) -> None:
        self._id_of.update(chosen)
        if len(self._id_of) > MAX_IDS // 2:
            self._earlier_id_of, self._id_of = self._id_of, {}


def _choices(facts: Facts, chosen_K: Ints, user_K: Ints, users: UserTable) -> _Choices:
    """The choices of the step, and those of the same users from up to a session before them."""
    distinct_U, place_K = np.unique(user_K, return_inverse=True)
    history_U = users.read(distinct_U)["state"][_HISTORY]
    since_ms_U = np.full(len(distinct_U), np.iinfo(np.int64).max)
    np.minimum.at(since_ms_U, place_K, facts.time_ms_N[chosen_K] - SESSION_MS)
    is_past_UL = (history_U["item"] != 0) & are_chosen(history_U["action"])
    is_past_UL &= history_U["time_ms"] >= since_ms_U[:, None]
    past_U, past_L = np.nonzero(is_past_UL)
    user_E = np.concatenate([past_U, place_K])
    time_ms_E = np.concatenate([history_U["time_ms"][past_U, past_L], facts.time_ms_N[chosen_K]])
    key_E = np.concatenate([history_U["item"][past_U, past_L], facts.item_key_N[chosen_K]])
    fact_E = np.concatenate([np.full(len(past_U), NOT_NEW), chosen_K])
    order = np.lexsort((fact_E, key_E, time_ms_E, user_E))
    user_E, time_ms_E, key_E = user_E[order], time_ms_E[order], key_E[order]
    is_first_E = np.ones(len(order), np.bool_)
    is_first_E[1:] = (np.diff(user_E) != 0) | (np.diff(time_ms_E) != 0) | (np.diff(key_E) != 0)
    return _Choices(
        user_E[is_first_E], time_ms_E[is_first_E], key_E[is_first_E], fact_E[order][is_first_E]
    )


def _pairs(choices: _Choices) -> tuple[Ints, Ints, Ints, NDArray[np.float64]]:
    """[P] each: the fact that tells a pair, the item that it is about, the companion, and its
    weight: the more, the fewer choices are between both, and more for what comes after."""
    found = []
    for apart in range(1, MAX_APART + 1):
        later = np.arange(apart, len(choices.user_E))
        earlier = later - apart
        key_X, other_X = choices.key_E[earlier], choices.key_E[later]
        fact_X = np.maximum(choices.fact_E[earlier], choices.fact_E[later])
        is_pair_X = (choices.user_E[earlier] == choices.user_E[later]) & (key_X != other_X)
        is_pair_X &= choices.time_ms_E[later] - choices.time_ms_E[earlier] <= SESSION_MS
        is_pair_X &= fact_X != NOT_NEW
        fact_X, key_X, other_X = fact_X[is_pair_X], key_X[is_pair_X], other_X[is_pair_X]
        found.append((fact_X, key_X, other_X, np.full(len(fact_X), 1 / apart)))
        found.append((fact_X, other_X, key_X, np.full(len(fact_X), BACKWARD / apart)))
    fact_P, about_P, with_P, weight_P = (np.concatenate(one) for one in zip(*found, strict=True))
    return fact_P, about_P, with_P, weight_P
