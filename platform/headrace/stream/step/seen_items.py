"""Items that users have seen in a step, for the lists of their last items.

N facts   K of one list   U users
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.action import BOUGHT
from headrace.features.aggregation.facts import SHOWN, Facts
from headrace.features.rows.user_table import UserTable
from headrace.features.store.last_items import USER_BOUGHT, USER_SHOWN, encode_items


@dataclass(frozen=True, slots=True)
class SeenItems:
    """Entries for the front of U users' lists of one name, and whose lists expire."""

    name: str
    user_ids: list[str]
    payloads: list[bytes]
    expires_U: NDArray[np.bool_]


def seen_items(user_ids: Sequence[str], facts: Facts, users: UserTable) -> list[SeenItems]:
    """The entries of a step's facts. An impression that comes with its outcome is in the user's
    history at once, and in no list."""
    found = []
    for name, is_one_N in _listed(facts):
        places: dict[str, list[int]] = {}
        for place in np.flatnonzero(is_one_N).tolist():
            places.setdefault(user_ids[place], []).append(place)
        if places:
            payloads = [
                encode_items(facts.item_key_N[place_K], facts.time_ms_N[place_K])
                for place_K in map(np.array, places.values())
            ]
            expires_U = users.are_unknown(users.indexes(places))
            found.append(SeenItems(name, [*places], payloads, expires_U))
    return found


def _listed(facts: Facts) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The lists, and [N] which facts belong into each."""
    if not facts.settled_N.all():  # all are, in a replayed log
        yield USER_SHOWN, ~facts.settled_N & (facts.measures([SHOWN])[:, 0] > 0)
    if BOUGHT:
        yield USER_BOUGHT, facts.measures(BOUGHT).max(axis=1) > 0
