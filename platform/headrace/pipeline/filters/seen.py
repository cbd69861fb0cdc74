"""The filter `seen`: items that the user has seen are left out, as the policy says.

C candidates   N of them that are left out   L entries of a sequence
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.action import BOUGHT
from headrace.application.seen import SeenPolicy
from headrace.features.inputs import HISTORY, HISTORY_LENGTH
from headrace.features.store.last_items import EMPTY, LENGTHS, USER_BOUGHT, USER_SHOWN
from headrace.features.store.seen_sketch import DAY_MS, USER_SEEN, days_of, decode_sketch
from headrace.features.table import USER_LAYOUT
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context

EMPTY_SKETCH: Final = decode_sketch(None)


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
        age_ms_C = _ages_ms(context, policy)
        within_ms = 1_000 * policy.after_s or np.inf
        keeps_C = (age_ms_C >= within_ms) | ~context.outside([*context.pinned])
        limit = self._limit if context.given is None else len(context.candidates)
        missing = min(context.num_items, limit) - int(keeps_C.sum())
        if missing > 0 and not policy.strict:
            place_N = np.flatnonzero(~keeps_C)
            again = place_N[np.argsort(age_ms_C[place_N], kind="stable")[::-1][:missing]]
            context.seen_again = context.candidates.row_C[again].tolist()
            keeps_C[again] = True
        return keeps_C


def lists_of(*policies: SeenPolicy) -> tuple[str, ...]:
    """The lists and sketches of users' last items that policies read, beside their histories."""
    shown = (USER_SHOWN, USER_SEEN) if any(one.is_of_all_seen for one in policies) else ()
    buys = BOUGHT and any(one.policy != "always" for one in policies)
    return (*shown, USER_BOUGHT) if buys else shown


def _most(policy: SeenPolicy) -> int:
    of_history = HISTORY_LENGTH if policy.is_of_all_seen else 0
    return of_history + sum(LENGTHS.get(name, 0) for name in lists_of(policy))


def _ages_ms(context: Context, policy: SeenPolicy) -> NDArray[np.float64]:
    """[C]: how long ago each candidate was seen, infinity where it was not."""
    row_C = context.candidates.row_C
    seen = [(key, age_ms) for key, age_ms in _seen(context, policy) if key]
    row_N = context.catalogue.rows_of_keys([key for key, _ in seen])
    age_ms_N = np.array([age_ms for _, age_ms in seen], np.float64)
    order_N = np.lexsort((-age_ms_N, row_N))  # of one item's the newest is the last
    row_N, age_ms_N = np.append(-1, row_N[order_N]), np.append(np.inf, age_ms_N[order_N])
    place_C = np.searchsorted(row_N, row_C, "right") - 1
    age_ms_C = np.where(row_N[place_C] == row_C, age_ms_N[place_C], np.inf)
    sketch = context.user.lists.get(USER_SEEN, EMPTY_SKETCH)
    if policy.is_of_all_seen and len(sketch):
        day_C = days_of(sketch, context.catalogue.keys(row_C))
        is_sketched_C = (day_C >= 0) & np.isinf(age_ms_C)
        age_ms_C[is_sketched_C] = np.maximum(context.now_ms - DAY_MS * day_C[is_sketched_C], 0)
    return age_ms_C


def _seen(context: Context, policy: SeenPolicy) -> Iterator[tuple[int, int]]:
    """Keys of items and how long ago each was seen; an empty place has the key 0."""
    now_ms = context.now_ms
    if policy.is_of_all_seen:
        state_1, now_ms_1 = context.user.state_1, np.array([now_ms])
        key_L, age_ms_L, *_ = USER_LAYOUT.value(HISTORY.name, state_1, now_ms_1)[0].tolist()
        yield from zip(key_L, age_ms_L, strict=True)
    for name in lists_of(policy):
        if name == USER_SEEN:
            continue
        for key, time_s in context.user.lists.get(name, EMPTY).tolist():
            yield key, max(now_ms - 1_000 * time_s, 0)
