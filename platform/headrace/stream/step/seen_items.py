"""Items that users have seen or hidden in a step, for the lists of their last items.

N facts   K of one list   U users
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.action import BOUGHT, TABLE
from headrace.features.aggregation.facts import SHOWN, Facts, Ints
from headrace.features.rows.user_table import UserTable
from headrace.features.store.last_items import USER_BOUGHT, USER_HIDES, USER_SHOWN, encode_items
from headrace.features.store.seen_sketch import FINGERPRINT, USER_SEEN, encode_sketch

HIDES: Final = dict(zip(USER_HIDES, (row.name for row in TABLE if row.hides_s), strict=True))


@dataclass(frozen=True, slots=True)
class SeenItems:
    """Entries for the front of U users' lists of one name, and whose lists expire."""

    name: str
    user_ids: list[str]
    payloads: list[bytes]
    expires_U: NDArray[np.bool_]


def seen_items(user_ids: Sequence[str], facts: Facts, users: UserTable) -> list[SeenItems]:
    """The entries of a step's facts. An impression that comes with its outcome is in the user's
    history at once, and not in the list of what was shown."""
    found = []
    for name, is_one_N, time_ms_N in _listed(facts):
        places: dict[str, list[int]] = {}
        for place in np.flatnonzero(is_one_N).tolist():
            places.setdefault(user_ids[place], []).append(place)
        if places:
            payloads = [
                encode_items(facts.item_key_N[place_K], time_ms_N[place_K])
                for place_K in map(np.array, places.values())
            ]
            expires_U = users.are_unknown(users.indexes(places))
            found.append(SeenItems(name, [*places], payloads, expires_U))
    return found


def sketched(user_ids: Sequence[str], user_N: Ints, facts: Facts, users: UserTable) -> SeenItems:
    """The fingerprints of everything that a step's facts show, for the ends of users' sketches."""
    place_K = np.flatnonzero(facts.measure(SHOWN) > 0)
    place_K = place_K[np.argsort(user_N[place_K], kind="stable")]
    _, start_U = np.unique(user_N[place_K], return_index=True)
    payload = encode_sketch(facts.item_key_N[place_K], facts.time_ms_N[place_K])
    ids = [user_ids[place] for place in place_K[start_U].tolist()]
    bounds = (FINGERPRINT.itemsize * np.append(start_U, len(place_K))).tolist()
    payloads = [payload[start:end] for start, end in pairwise(bounds)]
    return SeenItems(USER_SEEN, ids, payloads, users.are_unknown(users.indexes(ids)))


def _listed(facts: Facts) -> Iterator[tuple[str, NDArray[np.bool_], Ints]]:
    """The lists, [N] which facts belong into each, and their times, 0 of what was taken back."""
    if not facts.settled_N.all():  # all are, in a replayed log
        is_shown_N = ~facts.settled_N & (facts.measure(SHOWN) > 0)
        yield USER_SHOWN, is_shown_N, facts.time_ms_N
    if BOUGHT:
        yield USER_BOUGHT, facts.measures(BOUGHT).max(axis=1) > 0, facts.time_ms_N
    for name, action in HIDES.items():
        came_N = facts.measure(action)
        yield name, came_N != 0, facts.time_ms_N * (came_N > 0)
