"""The report on next items: how far ahead lists had what came, beside the most popular of the run.

P points   D draws
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from headrace.evaluation.dataset.next_items import MODEL, Ranks
from headrace.metrics import bootstrap
from headrace.metrics.bootstrap import Draws, Floats, ratio
from headrace.metrics.ranking import values_of_ranks


def report(ranks: Ranks, top: int, num_draws: int) -> dict[str, Any]:
    """`lists.<list>` with its figures, and NDCG over that of the best list of the most popular.

    With intervals where there are draws.
    """
    draws = Draws.of(ranks.user_P, num_draws)
    every_D = {name: _figures(ranks, name, top, draws) for name in ranks.rank_P}
    ndcg = {name: float(of["ndcg_at_k"][0]) for name, of in every_D.items() if name != MODEL}
    best = max(ndcg, key=lambda name: ndcg[name])
    over_D = ratio(every_D[MODEL]["ndcg_at_k"], every_D[best]["ndcg_at_k"])
    return {
        "points": len(ranks.user_P),
        "top": top,
        "lists": {name: _with_intervals(of, num_draws) for name, of in every_D.items()},
        "best_popular": best,
        "ndcg_over_popular": _with_intervals({"ratio": over_D}, num_draws),
    }


def _figures(ranks: Ranks, name: str, top: int, draws: Draws) -> dict[str, Floats]:
    """[D] each: the figures of a list on all points, and on the draws."""
    values = values_of_ranks(ranks.user_P, ranks.rank_P[name], top)
    return {
        "recall_at_k": bootstrap.mean(values.recall_L, draws),
        "ndcg_at_k": bootstrap.mean(values.ndcg_L, draws),
        "mrr": bootstrap.mean(values.reciprocal_rank_L, draws),
    }


def _with_intervals(of_D: Mapping[str, Floats], num_draws: int) -> dict[str, Any]:
    found: dict[str, Any] = {name: _number(value_D[0]) for name, value_D in of_D.items()}
    if num_draws:
        found["intervals"] = {
            name: [_number(bound) for bound in bootstrap.interval(value_D)]
            for name, value_D in of_D.items()
        }
    return found


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 5)
