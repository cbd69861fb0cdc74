"""The filter `seen`: items that the user has seen are left out, as the policy says.

C candidates   N of them that are left out   L entries of a sequence
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from headrace.action import BOUGHT
from headrace.application.seen import SeenPolicy
from headrace.features.inputs import HISTORY, HISTORY_LENGTH
from headrace.features.store.last_items import EMPTY, LENGTHS, USER_BOUGHT, USER_SHOWN
from headrace.features.table import USER_LAYOUT
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context


class Seen:
    """Removes items that the user was shown, did something with or bought, as the policy says.

    Where too few would be left for the slate, those that were seen longest ago stay
    (`Context.seen_again`), unless the policy is strict. So it stands after other filters, and no
    more of them stay than are ranked (`limit`). Surfaces may have policies of their own (`on`).
    """

    name: Final = "seen"

    def __init__(
        self, policy: SeenPolicy, limit: int, on: Mapping[str, SeenPolicy] | None = None
    ) -> None:
        self._policy, self._limit, self._on = policy, limit, on or {}

    @property
    def most(self) -> int:
        """How many items it may remove."""
        return max(map(_most, (self._policy, *self._on.values())))

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        policy = self._on.get(context.surface, self._policy)
        age_ms = _ages_ms(context, policy)
        keeps_C = context.outside([row for row in age_ms if row not in context.pinned])
        limit = self._limit if context.given is None else len(context.candidates)
        missing = min(context.num_items, limit) - int(keeps_C.sum())
        if missing > 0 and not policy.strict:
            place_N = np.flatnonzero(~keeps_C)
            age_ms_N = [age_ms[row] for row in context.candidates.row_C[place_N].tolist()]
            again = place_N[np.argsort(age_ms_N, kind="stable")[::-1][:missing]]
            context.seen_again = context.candidates.row_C[again].tolist()
            keeps_C[again] = True
        return keeps_C


def lists_of(*policies: SeenPolicy) -> tuple[str, ...]:
    """The lists of users' last items that policies read, beside their histories."""
    shown = (USER_SHOWN,) if any(one.is_of_all_seen for one in policies) else ()
    buys = BOUGHT and any(one.policy != "always" for one in policies)
    return (*shown, USER_BOUGHT) if buys else shown


def _most(policy: SeenPolicy) -> int:
    of_history = HISTORY_LENGTH if policy.is_of_all_seen else 0
    return of_history + sum(LENGTHS[name] for name in lists_of(policy))


def _ages_ms(context: Context, policy: SeenPolicy) -> dict[int, int]:
    """The rows that a policy leaves out, and how long ago each was seen; of items that are not in
    the catalogue, row 0."""
    within_ms = 1_000 * policy.after_s or np.inf
    seen = [(key, ms) for key, ms in _seen(context, policy) if key and ms < within_ms]
    rows = context.catalogue.rows_of_keys([key for key, _ in seen]).tolist()
    ages_ms: dict[int, int] = {}
    for row, (_, age_ms) in zip(rows, seen, strict=True):
        ages_ms[row] = min(age_ms, ages_ms.get(row, age_ms))
    return ages_ms


def _seen(context: Context, policy: SeenPolicy) -> Iterator[tuple[int, int]]:
    """Keys of items and how long ago each was seen; an empty place has the key 0."""
    now_ms = context.now_ms
    if policy.is_of_all_seen:
        state_1, now_ms_1 = context.user.state_1, np.array([now_ms])
        key_L, age_ms_L, *_ = USER_LAYOUT.value(HISTORY.name, state_1, now_ms_1)[0].tolist()
        yield from zip(key_L, age_ms_L, strict=True)
    for name in lists_of(policy):
        for key, time_s in context.user.lists.get(name, EMPTY).tolist():
            yield key, max(now_ms - 1_000 * time_s, 0)
