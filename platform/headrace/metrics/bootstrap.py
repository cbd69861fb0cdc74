"""How sure a difference between two models is: a paired bootstrap over users.

N samples   U users   T distinct scores

A user's samples depend on each other, so whole users are drawn, with replacement, and both models
are measured on the same draw. A metric here is a function of the samples' weights: how often each
was drawn. The constructors below do what does not depend on the weights once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headrace.metrics.binary import auc_of

Floats = NDArray[np.float64]
Metric = Callable[[Floats], float]

NAN = float("nan")


class Difference(NamedTuple):
    """A metric of one model minus that of another, with the bounds of a 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def paired_difference(
    one: Metric, other: Metric, user_N: NDArray[np.int64], num_draws: int = 1_000, seed: int = 0
) -> Difference:
    """`one` minus `other` on all samples, and the 2.5 % and 97.5 % quantiles over draws of users.

    Draws in which a metric is not defined are left out; NaN bounds if it never is.
    """
    distinct_U, number_N = np.unique(user_N, return_inverse=True)
    random, differences = np.random.default_rng(seed), []
    for _ in range(num_draws if len(distinct_U) else 0):
        drawn = random.integers(0, len(distinct_U), len(distinct_U))
        weight_N = np.bincount(drawn, minlength=len(distinct_U)).astype(np.float64)[number_N]
        differences.append(one(weight_N) - other(weight_N))
    defined = np.array(differences)[~np.isnan(differences)]
    low, high = np.quantile(defined, [0.025, 0.975]) if len(defined) else (NAN, NAN)
    once_N = np.ones(len(user_N))
    return Difference(one(once_N) - other(once_N), float(low), float(high))


def auc(score_N: Floats, label_N: Floats) -> Metric:
    """AUC, exact, ties counting half."""
    distinct_T, tie_N = np.unique(score_N, return_inverse=True)

    def weighted(weight_N: Floats) -> float:
        positive_T = np.bincount(tie_N, weight_N * label_N, minlength=len(distinct_T))
        total_T = np.bincount(tie_N, weight_N, minlength=len(distinct_T))
        return auc_of(total_T - positive_T, positive_T)

    return weighted


def normalized_entropy(p_N: Floats, label_N: Floats) -> Metric:
    """Log loss over that of always predicting the base rate of the same draw."""
    p_N = np.clip(p_N.astype(np.float64), 1e-7, 1 - 1e-7)
    loss_N = -np.where(label_N == 1, np.log(p_N), np.log1p(-p_N))

    def weighted(weight_N: Floats) -> float:
        total, clicked = weight_N.sum(), weight_N @ label_N
        if clicked in (0, total):
            return NAN
        rate = clicked / total
        entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
        return float(weight_N @ loss_N / total / entropy)

    return weighted


def mean(value_N: Floats) -> Metric:
    """The mean of the values that are not NaN: of NDCG or recall by list, or of `sample_auc`."""
    defined_N = ~np.isnan(value_N)
    value_N = np.where(defined_N, value_N, 0.0)

    def weighted(weight_N: Floats) -> float:
        total = weight_N @ defined_N
        return float(weight_N @ value_N / total) if total else NAN

    return weighted
