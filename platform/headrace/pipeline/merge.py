"""Merging: the rows of all sources become candidates, each once, with all of its sources.

C distinct rows   S sources   N rows of all sources
"""

from __future__ import annotations

import numpy as np

from headrace.pipeline.candidates import ABSENT, Candidates
from headrace.pipeline.context import Context


def merge(context: Context) -> None:
    """Turn `context.found` into candidates, in the order in which they were found first."""
    found = list(context.found.values())
    row_N = np.concatenate([np.zeros(0, np.int64), *found])
    distinct, first, number_N = np.unique(row_N, return_index=True, return_inverse=True)
    order_C = np.argsort(first)
    place_N = np.argsort(order_C)[number_N.reshape(-1)]
    rank_SC = np.full((len(found), len(distinct)), ABSENT, np.int32)
    begin = 0
    for rank_C, rows in zip(rank_SC, found, strict=True):
        rank_C[place_N[begin : begin + len(rows)]] = np.arange(len(rows))
        begin += len(rows)
    context.candidates = Candidates(tuple(context.found), distinct[order_C], rank_SC)
