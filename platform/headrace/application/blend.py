"""The section `blend`: what a slate's order is made of beside the ranker's score.

    blend: {ranker: 1, trending: 0.8, covisited: 0.5}

`ranker` weighs the logarithm of the ranker's score, a source's name the logarithm of one over the
rank in its list. Without the section slates go by the ranker's score alone; `headrace evaluate
--slates` tells which weights predict a log best.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from headrace.application.reading import keys_of
from headrace.application.sources import NAMES

RANKER: Final = "ranker"
Weight = Annotated[float, msgspec.Meta(ge=-100, le=100)]


def read_blend(
    section: object, sources: Mapping[str, float], problems: list[str]
) -> Mapping[str, float]:
    """The weights of an application with these sources; adds what is wrong."""
    if section is None:
        return {}
    weights = keys_of(dict.fromkeys((RANKER, *NAMES), Weight), section, "blend", problems)
    problems += [
        f"blend.{name}: it is no source of this application; expected {RANKER} or one of "
        f"{', '.join(sources)}"
        for name in weights
        if name != RANKER and name not in sources
    ]
    return weights
