"""The model of rewards: an item's rate in the other half of the users, drawn to the mean.

N impressions   A items   X rows of a policy's table
"""

from __future__ import annotations

from typing import Final

import numpy as np

from headrace.evaluation.policy.target import Table
from headrace.metrics.bootstrap import Floats
from headrace.metrics.off_policy import LoggedImpressions

PRIOR: Final = 20.0  # impressions of the mean that every item has beside its own
NUM_FOLDS: Final = 2


def modelled(log: LoggedImpressions, table: Table) -> tuple[Floats, Floats]:
    """[N], [N]: the rate of each impression's item, and the policy's mean rate in its place; both
    from users other than its own."""
    items, item_N = np.unique(log.item_N, return_inverse=True)
    place_X = np.searchsorted(items, table.item_X).clip(max=len(items) - 1)
    is_known_X = items[place_X] == table.item_X
    fold_N = log.user_N % NUM_FOLDS
    shown_N, expected_N = np.zeros(len(log)), np.zeros(len(log))
    num_groups = int(max(table.group_X.max(initial=0), table.group_N.max(initial=0))) + 1
    for fold in range(NUM_FOLDS):
        here_N = fold_N == fold
        learned_N = ~here_N if (~here_N).any() else here_N
        mean = float(log.reward_N[learned_N].mean())
        num_A = np.bincount(item_N[learned_N], minlength=len(items))
        won_A = np.bincount(item_N[learned_N], log.reward_N[learned_N], len(items))
        rate_A = (won_A + PRIOR * mean) / (num_A + PRIOR)
        rate_X = np.where(is_known_X, rate_A[place_X], mean)
        expected_G = np.bincount(table.group_X, table.p_X * rate_X, num_groups)
        shown_N[here_N] = rate_A[item_N[here_N]]
        expected_N[here_N] = expected_G[table.group_N[here_N]]
    return shown_N, expected_N
