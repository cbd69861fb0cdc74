"""Item factors: matrix factorisation of rows of user, item and grade into a vector per item.

The vectors come from all users' outcomes, so that few outcomes say much of one user.

Outcomes have grades from 0 to 1: a click or none, or a share
(`headrace.features.aggregation.facts.grades`). A grade is the mean of all, what the item adds, what
the user adds, the product of the item's vector with the user's, and noise. All of it is normal, and
fitted by variational Bayes (Lim and Teh, 2007), so that an item of few rows stays near all others
by itself. Items are fitted from time to time and saved with each version of the weights; the user's
part is solved anew for every request, over the history as it is then, so it is exact at every event
and always of these vectors. Before any outcome it is what users of the same attributes have
(`headrace.learning.factors.attribute_priors`).

    N rows   I items   U users   X items, or users or items   B requests   P past events
    C candidates   A attributes   W width of a vector   F = W + 1 with what is added
    E = F + 1 with the expected grade   Z numbers that are summed
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from headrace.learning.factors.attribute_priors import Attributes
from headrace.model.item_factors import CONSTANT, WIDTH, Ints, ItemFactors

Floats = NDArray[np.float64]

# Variances as shares of that of the grades: of what a width of a vector explains, and, to start
# with, of what items add and of the noise, which are fitted.
OF_A_WIDTH, OF_ITEMS, OF_NOISE = 0.1, 0.1, 0.7
LEAST_VARIANCE: Final = 1e-6
FIRST_ROUNDS, ROUNDS = 12, 4


class Effects(NamedTuple):
    """Vectors, and last the bias, as normal distributions: one for each user or item."""

    mean_XF: Floats
    covariance_XFF: Floats

    @property
    def second_XFF(self) -> Floats:
        """The expected products of their entries."""
        return self.mean_XF[:, :, None] * self.mean_XF[:, None] + self.covariance_XFF

    def variance_added(self, prior_XF: Floats | float = 0.0) -> float:
        """The prior variance of the bias under which these are most likely."""
        square_X = np.square(self.mean_XF - prior_XF)[:, WIDTH]
        return max(float((square_X + self.covariance_XFF[:, WIDTH, WIDTH]).mean()), LEAST_VARIANCE)


def fit(
    user_N: Ints,
    item_N: Ints,
    grade_N: Floats,
    start: ItemFactors,
    attributes_of: Mapping[int, bytes],
) -> ItemFactors:
    """The factors of these rows, from those of before; items of which no row is are forgotten.

    `attributes_of` has the keys of users' attributes, as int64.
    """
    key_I, item_N = np.unique(item_N, return_inverse=True)
    key_U, user_N = np.unique(user_N, return_inverse=True)
    attributes = Attributes.of(key_U, attributes_of)
    attribute_AF = start.attributes(attributes.key_A).astype(np.float64)
    mean = float(grade_N.mean())
    variance = max(float(grade_N.var()), LEAST_VARIANCE)
    by_user = _Rows.of(user_N, item_N, grade_N - mean)
    by_item = _Rows.of(item_N, user_N, grade_N - mean)
    of_item, noise = OF_ITEMS * variance, OF_NOISE * variance
    of_user = noise / start.ridge
    items = _start(key_I, start)
    told, prior_UF = by_user.told(items), attributes.priors(attribute_AF)
    num_rounds = ROUNDS if len(start.key_I) else FIRST_ROUNDS
    for round_number in range(num_rounds):
        users = told.posterior(np.full(WIDTH + 1, of_user), noise, prior_UF)
        of_user = users.variance_added(prior_UF)
        if round_number == num_rounds // 2:
            attribute_AF = attributes.fitted(users.mean_XF, attribute_AF)
            prior_UF = attributes.priors(attribute_AF)
        variance_F = np.append(np.full(WIDTH, OF_A_WIDTH * variance / of_user), of_item)
        items = by_item.told(users).posterior(variance_F, noise)
        of_item = items.variance_added()
        told = by_user.told(items)
        noise = max(told.unexplained(users) / len(grade_N), LEAST_VARIANCE)
    vectors = attributes.key_A, attribute_AF.astype(np.float32)
    return ItemFactors(key_I, _entries(items, mean), *vectors, mean, noise / of_user)


def _entries(items: Effects, mean: float) -> NDArray[np.float32]:
    """[I, E]: the entries of the items, as `ItemFactors` keeps them."""
    constant_I = np.full(len(items.mean_XF), CONSTANT)
    parts = items.mean_XF[:, :WIDTH], constant_I, mean + items.mean_XF[:, WIDTH]
    return np.column_stack(parts).astype(np.float32)


def _start(key_I: Ints, start: ItemFactors) -> Effects:
    """The effects to start at: those of before, as if sure; at first, small random vectors."""
    entry_IE = start.of(torch.from_numpy(key_I)).numpy().astype(np.float64)
    mean_IF = np.delete(entry_IE, WIDTH, axis=1)  # all but the constant
    mean_IF[:, WIDTH] -= start.mean
    if not len(start.key_I):
        mean_IF[:, :WIDTH] = np.random.default_rng(0).normal(0, 0.3, (len(key_I), WIDTH))
    return Effects(mean_IF, np.zeros((len(key_I), WIDTH + 1, WIDTH + 1)))


class _Told(NamedTuple):
    """The expected sufficient statistics of the effects of each user, or item, given the others'.

    A grade less what the other adds is a linear function of a design: the other's vector and 1.
    """

    moment_UFF: Floats  # sums of the expected products of the designs' entries
    right_UF: Floats  # sums of the expected products of the designs and those grades
    square: float  # the expected sum of the squares of those grades

    def posterior(
        self, variance_F: Floats, noise: float, prior_UF: Floats | float = 0.0
    ) -> Effects:
        """The effects, given these variances about these means."""
        precision_UFF = self.moment_UFF / noise + np.diag(1 / variance_F)
        covariance_UFF = np.linalg.inv(precision_UFF).astype(np.float64)
        right_UF = self.right_UF / noise + prior_UF / variance_F
        return Effects((covariance_UFF @ right_UF[..., None])[..., 0], covariance_UFF)

    def unexplained(self, effects: Effects) -> float:
        """The expected sum of squared residuals of the grades under these effects."""
        explained = 2 * (self.right_UF * effects.mean_XF).sum()
        return float(self.square - explained + (self.moment_UFF * effects.second_XFF).sum())


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows in the order of whose they are, and where those of each user, or item, begin."""

    other_N: Tensor  # the item, or user, of each row
    grade_N: Tensor
    start_U: Tensor

    @classmethod
    def of(cls, of_N: Ints, other_N: Ints, grade_N: Floats) -> _Rows:
        order_N, num_U = np.argsort(of_N, kind="stable"), np.bincount(of_N)
        arrays = other_N[order_N], grade_N[order_N], np.cumsum(num_U) - num_U
        return cls(*map(torch.from_numpy, arrays))

    def told(self, others: Effects) -> _Told:
        """The expected sufficient statistics of these rows, given the others' uncertain effects."""
        mean_XF, second_XFF = others.mean_XF, others.second_XFF
        added_X1, square_X1 = mean_XF[:, WIDTH:], second_XFF[:, WIDTH, WIDTH:].copy()
        design_XF = np.append(mean_XF[:, :WIDTH], np.ones_like(added_X1), axis=1)
        crossed_XF = np.append(second_XFF[:, WIDTH, :WIDTH], added_X1, axis=1)
        second_XFF[:, WIDTH] = second_XFF[:, :, WIDTH] = design_XF
        moment_XZ = second_XFF.reshape(len(mean_XF), -1)
        sums_UZ = self._sums(np.concatenate([moment_XZ, crossed_XF, square_X1], axis=1))
        graded_UZ = self._sums(np.append(design_XF, added_X1, axis=1), self.grade_N)
        moment_UZ, crossed_UF, square_U1 = np.split(sums_UZ, [moment_XZ.shape[1], -1], axis=1)
        square = float(self.grade_N.square().sum() - 2 * graded_UZ[:, -1].sum() + square_U1.sum())
        moment_UFF = moment_UZ.reshape(-1, WIDTH + 1, WIDTH + 1)
        return _Told(moment_UFF, graded_UZ[:, :-1] - crossed_UF, square)

    def _sums(self, value_XZ: Floats, weight_N: Tensor | None = None) -> Floats:
        """[U, Z]: the sum over each one's rows, without a copy of the summands for every row."""
        sums_UZ: Floats = functional.embedding_bag(
            self.other_N,
            torch.from_numpy(value_XZ),
            self.start_U,
            mode="sum",
            per_sample_weights=weight_N,
        ).numpy()
        return sums_UZ
