"""The sections `sources` and `blend`: who proposes candidates, and how their ranks order slates.

    sources: {covisited: 0.4, trending: 1}
    blend:
      session: {ranker: 0.4, covisited: 0.5, trending: 0.2}
      begin: {ranker: 0.4, trending: 1}

A source is a module of `headrace.retrieval`, by its name; its quota is the share of the ranked
candidates that it may have at most. Those that come first choose first. The source `editorial`
proposes the items of a section of its name, which is a list of ids.

`blend` has weights for users who chose something in the last half hour (`session`) and for all
others (`begin`). `ranker` weighs the logarithm of the ranker's score, a source's name that of its
own score, or of one over the rank in its list. Without the section slates go by the ranker's score
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from headrace.application.document import shown
from headrace.application.reading import keys_of

FOLDER: Final = Path(__file__).resolve().parents[1] / "retrieval"
NAMES: Final = tuple(sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"))
DEFAULT: Final = {
    "neighbours": 0.4,
    "two_tower": 0.2,
    "covisited": 0.1,
    "best_categories": 0.1,
    "trending": 1.0,
}

RANKER: Final = "ranker"
SESSION, BEGIN = "session", "begin"
CASES: Final = (SESSION, BEGIN)

Weight = Annotated[float, msgspec.Meta(ge=-100, le=100)]
Weights = Mapping[str, float]
TWO_TOWER: Final = "two_tower"  # it is trained where it is named
MAX_EDITORIAL: Final = 1_000
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


def read_sources(section: object, problems: list[str]) -> Mapping[str, float]:
    """The quota of each source in the order of the file; adds what is wrong."""
    if section is None:
        return DEFAULT
    before = len(problems)
    quotas = keys_of(dict.fromkeys(NAMES, Share), section, "sources", problems)
    if not quotas and len(problems) == before:
        problems.append("sources: it is empty, expected quotas such as {trending: 1}")
    return quotas


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


def read_editorial(section: object, problems: list[str]) -> tuple[str, ...]:
    """The ids of the section `editorial`, in its order; adds what is wrong."""
    if section is None:
        return ()
    listed = section if isinstance(section, list) else []
    ids = [str(one) for one in listed]
    if not ids or not all(isinstance(one, str | int) and one != "" for one in listed):
        problems.append(f"editorial: got {shown(section)}, expected a list of items' ids")
    if len(ids) > MAX_EDITORIAL:
        problems.append(f"editorial: got {len(ids)} ids, expected at most {MAX_EDITORIAL}")
    return tuple(ids)
