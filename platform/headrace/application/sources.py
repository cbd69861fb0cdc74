"""The section `sources`: who proposes candidates, in which order, and how many each may have.

    sources: {covisited: 0.4, trending: 1}

A source is a module of `headrace.retrieval`, by its name; its quota is the share of the ranked
candidates that it may have at most. Those that come first choose first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from headrace.application.reading import keys_of

FOLDER: Final = Path(__file__).resolve().parents[1] / "retrieval"
NAMES: Final = tuple(
    sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "registry"))
)
DEFAULT: Final = {
    "neighbours": 0.5,
    "covisited": 0.25,
    "best_categories": 0.25,
    "trending": 1.0,
}

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
