"""Attribute priors: users' attributes in, the prior means of their parts of item factors out.

A user's prior mean is the sum of a vector for each attribute. The vectors are the ridge regression
of the users' posterior means on their attributes (regression-based latent factors, Agarwal and
Chen, 2009).

    U users   A attributes   N pairs of them   F width of what is predicted
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

RIDGE: Final = 10.0  # users at zero that each attribute begins with
NUM_STEPS: Final = 4  # of conjugate gradients, from the vectors of before


@dataclass(frozen=True, slots=True)
class Attributes:
    """Which of A attributes each of U users has."""

    key_A: Ints  # ascending
    _of_users: tuple[Tensor, Tensor]  # attributes in the order of users, and where each begins
    _of_attributes: tuple[Tensor, Tensor]  # users in the order of attributes, likewise
    _num_A: Floats  # users of each

    @classmethod
    def of(cls, key_U: Ints, keys_of: Mapping[int, bytes]) -> Attributes:
        """Those of these users; `keys_of` has the keys of each one's attributes, as int64."""
        bags = [keys_of.get(user, b"") for user in key_U.tolist()]
        num_U = np.array([len(bag) // 8 for bag in bags], np.int64)
        keys = np.frombuffer(b"".join(bags), np.int64)
        key_A, attribute_N = np.unique(keys, return_inverse=True)
        user_N = np.repeat(np.arange(len(bags)), num_U)[np.argsort(attribute_N, kind="stable")]
        num_A = np.bincount(attribute_N, minlength=len(key_A))
        of_users, of_attributes = (
            (torch.from_numpy(other_N), torch.from_numpy(np.cumsum(num_X) - num_X))
            for other_N, num_X in ((attribute_N, num_U), (user_N, num_A))
        )
        return cls(key_A, of_users, of_attributes, num_A.astype(np.float64))

    def priors(self, vector_AF: Floats) -> Floats:
        """[U, F]: the sums of the users' vectors."""
        return _sums(vector_AF, *self._of_users)

    def fitted(self, mean_UF: Floats, start_AF: Floats) -> Floats:
        """[A, F]: the vectors whose sums are nearest to these means."""
        weight_A1 = (self._num_A + RIDGE)[:, None]
        vector_AF = start_AF
        left_AF = _sums(mean_UF, *self._of_attributes) - self._product(vector_AF)
        direction_AF = step_AF = left_AF / weight_A1
        for _ in range(NUM_STEPS):
            before_F = (left_AF * step_AF).sum(0)
            product_AF = self._product(direction_AF)
            rate_F = before_F / np.maximum((direction_AF * product_AF).sum(0), np.finfo(float).tiny)
            vector_AF = vector_AF + rate_F * direction_AF
            left_AF = left_AF - rate_F * product_AF
            step_AF = left_AF / weight_A1
            turn_F = (left_AF * step_AF).sum(0) / np.maximum(before_F, np.finfo(float).tiny)
            direction_AF = step_AF + turn_F * direction_AF
        return vector_AF

    def _product(self, vector_AF: Floats) -> Floats:
        """[A, F]: the regression's matrix times these vectors."""
        return _sums(self.priors(vector_AF), *self._of_attributes) + RIDGE * vector_AF


def _sums(value_XF: Floats, row_N: Tensor, start_Y: Tensor) -> Floats:
    """[Y, F]: the sums of the rows of each bag."""
    sums_YF: Floats = functional.embedding_bag(
        row_N, torch.from_numpy(value_XF), start_Y, mode="sum"
    ).numpy()
    return sums_YF
