"""The section `blend`: the order of slates beside the ranker's score.

    blend:
      session: {ranker: 0.4, neighbours: 0.5, trending: 0.2}
      begin: {ranker: 0.4, trending: 1}

`session` is for users who chose something in the last half hour, `begin` for all others. `ranker`
weighs the logarithm of the ranker's score, a source's name that of one over the rank in its list.
Without the section slates go by the ranker's score alone; `headrace evaluate --slates` tells the
weights that predict a log best.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from headrace.application.reading import keys_of

RANKER: Final = "ranker"
SESSION, BEGIN = "session", "begin"
CASES: Final = (SESSION, BEGIN)

Weight = Annotated[float, msgspec.Meta(ge=-100, le=100)]
Weights = Mapping[str, float]


def read_blend(section: object, sources: Weights, problems: list[str]) -> Mapping[str, Weights]:
    """The weights of signals by case, of an application with these sources; adds what is wrong."""
    if section is None:
        return {}
    before, kinds = len(problems), dict.fromkeys((RANKER, *sources), Weight)
    cases = keys_of(dict.fromkeys(CASES, Any), section, "blend", problems)
    found = {case: keys_of(kinds, cases.get(case), f"blend.{case}", problems) for case in CASES}
    if len(problems) == before:
        problems += [
            f"blend.{case}: missing, expected weights such as {{{RANKER}: 1, trending: 0.5}}"
            for case, weights in found.items()
            if not weights
        ]
    return found
