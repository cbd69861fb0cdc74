"""How sure a metric, or a difference between two models, is: a bootstrap over users, paired.

N samples   P positives   M negatives   U users   D draws

A user's samples depend on each other, so whole users are drawn, with replacement, and both models
are measured on the same draws. A metric here is its values on all of them, [D]; whatever does not
depend on the draw is done once: samples are sorted, or added up by user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Draws:
    """How often each user counts: once in the first draw, which is the samples as they are.

    It keeps 8 bytes per draw and user.
    """

    user_N: Ints  # numbered from 0
    weight_DU: Floats

    @classmethod
    def of(cls, user_N: Ints, num_draws: int = 1_000, seed: int = 0) -> Draws:
        """The samples as they are, and so many draws of their users; the same for a seed."""
        distinct_U, user_N = np.unique(user_N, return_inverse=True)
        random, num_users = np.random.default_rng(seed), len(distinct_U)
        weight_DU = np.ones((1 + num_draws, num_users))
        for draw in range(1, 1 + num_draws if num_users else 0):
            drawn = random.integers(0, num_users, num_users)
            weight_DU[draw] = np.bincount(drawn, minlength=num_users)
        return cls(user_N, weight_DU)

    def sums(self, value_N: Floats) -> Floats:
        """[D]: the sum of the samples' values, each as often as its user counts."""
        num_users = len(self.weight_DU.T)
        return _products(self.weight_DU, np.bincount(self.user_N, value_N, num_users))


class Interval(NamedTuple):
    """The bounds of a 95 % interval; NaN where the metric is never defined."""

    low: float
    high: float


def interval(value_D: Floats) -> Interval:
    """The 2.5 % and 97.5 % quantiles over the draws in which a metric is defined."""
    defined = value_D[1:][~np.isnan(value_D[1:])]
    low, high = np.quantile(defined, [0.025, 0.975]) if len(defined) else (NAN, NAN)
    return Interval(float(low), float(high))


class Difference(NamedTuple):
    """A metric of one model minus that of another, with the bounds of a 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def paired_difference(one_D: Floats, other_D: Floats) -> Difference:
    """`one` minus `other` on all samples, and the 2.5 % and 97.5 % quantiles over the draws.

    Draws in which a metric is not defined are left out; NaN bounds if it never is.
    """
    difference_D = one_D - other_D
    return Difference(float(difference_D[0]), *interval(difference_D))


def auc(score_N: Floats, label_N: Floats, draws: Draws) -> Floats:
    """[D]: AUC, exact, ties counting half; NaN where a draw has one class only."""
    order_N = np.argsort(score_N)
    positive_P, negative_M = (order_N[label_N[order_N] == label] for label in (1, 0))
    ascending_M, score_P = score_N[negative_M], score_N[positive_P]
    below_P, up_to_P = (np.searchsorted(ascending_M, score_P, side) for side in ("left", "right"))
    user_P, user_M = draws.user_N[positive_P], draws.user_N[negative_M]
    negatives = np.zeros(1 + len(user_M))  # at place m: how many the first m count for
    auc_D = np.full(len(draws.weight_DU), NAN)
    for draw, weight_U in enumerate(draws.weight_DU):
        np.cumsum(weight_U[user_M], out=negatives[1:])
        weight_P = weight_U[user_P]
        if pairs := weight_P.sum() * negatives[-1]:
            won = _products(weight_P, negatives[below_P] + negatives[up_to_P]) / 2
            auc_D[draw] = won / pairs
    return auc_D


def normalized_entropy(p_N: Floats, label_N: Floats, draws: Draws) -> Floats:
    """[D]: log loss over that of always predicting the base rate of the same draw."""
    p_N = np.clip(p_N.astype(np.float64), 1e-7, 1 - 1e-7)
    loss_D = draws.sums(-np.where(label_N == 1, np.log(p_N), np.log1p(-p_N)))
    total_D, clicked_D = draws.sums(np.ones(len(p_N))), draws.sums(label_N)
    both_D = (clicked_D > 0) & (clicked_D < total_D)
    rate_D = ratio(clicked_D, np.where(both_D, total_D, 0))
    entropy_D = -(rate_D * np.log(rate_D) + (1 - rate_D) * np.log(1 - rate_D))
    return ratio(loss_D, total_D * entropy_D)


def mean(value_N: Floats, draws: Draws) -> Floats:
    """[D]: the mean of the values that are not NaN: of recall by list, or of `sample_auc`."""
    defined_N = ~np.isnan(value_N)
    return ratio(draws.sums(np.where(defined_N, value_N, 0.0)), draws.sums(defined_N))


def ratio(one_D: Floats, other_D: Floats) -> Floats:
    """[D]: one over the other, NaN over zero."""
    over_D: Floats = np.full(len(one_D), NAN)
    return np.divide(one_D, other_D, out=over_D, where=other_D != 0)


def _products(weight_N: Floats, value_N: NDArray[Any]) -> Floats:
    """Summed over the last axis. Not `@`: its threads wait for each other on a busy machine."""
    product: Floats = np.einsum("...n,n->...", weight_N, value_N)
    return product
