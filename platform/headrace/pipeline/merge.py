"""Merging: the rows of all sources become candidates, each once, with all of its sources.

C distinct rows   S sources   I rows of the catalogue
"""

from __future__ import annotations

import numpy as np

from headrace.pipeline.candidates import ABSENT, Candidates
from headrace.pipeline.context import Context


def merge(context: Context) -> None:
    """Turn `context.found` into candidates, in the order in which they were found first."""
    # Zeros, because only the pages that are touched cost anything in a large catalogue.
    number_I = np.zeros(len(context.catalogue.items), np.int32)  # from 1; 0: not found yet
    row_C = np.zeros(0, np.int64)
    for rows in context.found.values():
        new = rows[number_I[rows] == 0]
        number_I[new] = np.arange(len(row_C) + 1, len(row_C) + len(new) + 1)
        row_C = np.concatenate([row_C, new])
    rank_SC = np.full((len(context.found), len(row_C)), ABSENT, np.int32)
    for rank_C, rows in zip(rank_SC, context.found.values(), strict=True):
        rank_C[number_I[rows] - 1] = np.arange(len(rows))
    context.candidates = Candidates(tuple(context.found), row_C, rank_SC)
