"""Strangers: ids of the log that the catalogue's own file does not have, and near relatives."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from headrace.catalogue.counts import Strangers

MAX_EXAMPLES: Final = 5
FRACTION: Final = ".0"


def strangers(counts: Mapping[str, int], known: Collection[str] | None) -> Strangers:
    """The ids that are not known, of all with the rows of each; none where anybody is known."""
    if known is None:
        return Strangers()
    strange = {one: number for one, number in counts.items() if one not in known}
    if not strange:
        return Strangers()
    bare = {one.lstrip("0") for one in known}
    most = sorted(strange, key=lambda one: -strange[one])
    return Strangers(
        num_ids=len(strange),
        num_rows=sum(strange.values()),
        examples=tuple(most[:MAX_EXAMPLES]),
        num_with_fraction=sum(one.removesuffix(FRACTION) in known for one in strange),
        num_other_zeros=sum(one.lstrip("0") in bare for one in strange),
    )
