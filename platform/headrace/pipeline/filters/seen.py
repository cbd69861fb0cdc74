"""The filter `seen`: items that the user has seen are left out, as the policy says.

C candidates   N of them that are left out   L entries of a sequence
"""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.action import BOUGHT
from headrace.features.table import USER_LAYOUT
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context
from headrace.settings.seen import PolicyName, SeenPolicy

# Of sequences of the user's state, which hold keys of items and ages first.
_BOUGHT: Final = ("user_bought",) if BOUGHT else ()
READ: Final[dict[PolicyName, tuple[str, ...]]] = {
    "never_again": ("user_history", "user_shown", *_BOUGHT),
    "after": ("user_history", "user_shown", *_BOUGHT),
    "after_purchase": _BOUGHT,
    "always": (),
}


class Seen:
    """Removes items that the user was shown, did something with or bought, as the policy says.

    Where too few would be left for the slate, those that were seen longest ago stay
    (`Context.seen_again`), unless the policy is strict. So it stands after other filters, and no
    more of them stay than are ranked (`limit`).
    """

    name: Final = "seen"

    def __init__(self, policy: SeenPolicy, limit: int) -> None:
        self._policy, self._limit = policy, limit
        self._sequences = [USER_LAYOUT.feature(name) for name in READ[policy.policy]]

    @property
    def most(self) -> int:
        """How many items it may remove."""
        return sum(sequence.shape[1] for sequence in self._sequences)

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        age_ms = self._ages_ms(context)
        keeps_C = context.outside([*age_ms])
        missing = min(context.num_items, self._limit) - int(keeps_C.sum())
        if missing > 0 and not self._policy.strict:
            place_N = np.flatnonzero(~keeps_C)
            age_ms_N = [age_ms[row] for row in context.candidates.row_C[place_N].tolist()]
            again = place_N[np.argsort(age_ms_N, kind="stable")[::-1][:missing]]
            context.seen_again = context.candidates.row_C[again].tolist()
            keeps_C[again] = True
        return keeps_C

    def _ages_ms(self, context: Context) -> dict[int, int]:
        """The rows that the policy leaves out, and how long ago each was seen; of items that are
        not in the catalogue, row 0."""
        now_ms_1, after_s = np.array([context.now_ms]), self._policy.after_s
        values = USER_LAYOUT.values(context.user.state_1, now_ms_1, self._sequences)
        ages_ms: dict[int, int] = {}
        for key_L, age_ms_L, *_ in (value[0].tolist() for value in values):
            for key, age_ms in zip(key_L, age_ms_L, strict=True):
                if key and (after_s is None or age_ms < 1_000 * after_s):
                    row = context.catalogue.row_of_key.get(key, 0)
                    ages_ms[row] = min(age_ms, ages_ms.get(row, age_ms))
        return ages_ms
