"""Prints the slates of a user who bought two of six items, by policy; a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def main() -> None:
    from request_path import NOW_MS, request, user_of

    from headrace.event import ActionEvent, ImpressionEvent, Shown
    from headrace.pipeline.candidates import Candidates
    from headrace.pipeline.filters.seen import Seen
    from headrace.pipeline.rerank.outranked import Outranked
    from headrace.pipeline.stage import Rules
    from headrace.settings.seen import seen_policy

    replayed = (Shown("i1", clicked=True), Shown("i2", clicked=True, outcomes={"purchase": True}))
    live = tuple(Shown(f"i{n}") for n in range(3, 7))
    user = user_of(
        ImpressionEvent("e1", NOW_MS - 3_000, "ann", "r1", replayed),
        ImpressionEvent("e2", NOW_MS - 2_000, "ann", "r2", live),
        ActionEvent("e3", NOW_MS - 1_000, "ann", "i5", "purchase", request_id="r2"),
    )
    slates = {}
    for text in ("never_again", "after_purchase", "after_purchase:strict"):
        trending = Candidates.of("trending", np.arange(1, 13))
        context = request(candidates=trending, user=user, num_items=5)
        Rules(Seen(seen_policy(text), 500), Outranked())(context)
        slates[text] = context.candidates.row_C.tolist()
    print(json.dumps(slates))


sys.path[:0] = [str(ROOT / "platform"), str(ROOT)]
import numpy as np  # noqa: E402

import headrace  # noqa: E402, F401

main()
