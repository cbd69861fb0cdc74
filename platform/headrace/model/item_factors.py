"""Item factors: what everybody made of items, so that few outcomes say much of a user.

Outcomes have grades from 0 to 1: a click or none, or a share (`headrace.features.facts.grades`). A
user's grade above what is expected of an item is a linear function of the item's vector
(alternating least squares, as Hu, Koren and Volinsky, 2008, on the residual). Items are fitted from
time to time and saved with each version of the weights; the user's part is solved anew for every
request, over the history as it is then, so it is exact at every event and always of these vectors.

    N rows   I items   U users or items   X items   B requests   P past events   C candidates
    W width of a vector   V width of a sum   F = W + 1 with a constant, for the user's own mean
    E = F + 1 with the expected grade
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

WIDTH: Final = 8
# Ridge over the variance of what is explained: that of noise over that of a vector's entries, so
# that clicks, which vary much, are believed less than shares.
RIDGE_PER_VARIANCE: Final = 22.0
FIRST_RIDGE: Final = 4.0
MIN_RIDGE: Final = 0.1
CONSTANT: Final = 1.0
PRIOR_ROWS: Final = 10.0  # at the mean of all, that an item begins with
NUM_ENTRIES: Final = WIDTH + 2
NUM_AFFINITIES: Final = 2
LEAST_SHARE: Final = 0.02  # and the greatest is as far from 1
GAIN: Final = 5.0  # log odds of a grade vary by about half a unit, and say more than most features


@dataclass(frozen=True, slots=True)
class ItemFactors:
    """What is known of items; of one that it does not know, that it is like all."""

    key_I: Ints  # ascending
    entry_IE: NDArray[np.float32]
    mean: float  # grade
    ridge: float  # of the users' part

    @classmethod
    def empty(cls) -> ItemFactors:
        """Nothing known of any item."""
        return cls(np.zeros(0, np.int64), np.zeros((0, NUM_ENTRIES), np.float32), 0.5, FIRST_RIDGE)

    def of(self, key_X: Tensor) -> Tensor:
        """[..., E]: the entries of these items, on the CPU; zeros for key 0, which is no item."""
        keys_X = key_X.numpy()
        entry_XE = np.zeros((*keys_X.shape, NUM_ENTRIES), np.float32)
        entry_XE[keys_X != 0, WIDTH:] = CONSTANT, self.mean
        if len(self.key_I):
            place_X = np.searchsorted(self.key_I, keys_X).clip(max=len(self.key_I) - 1)
            known_X = self.key_I[place_X] == keys_X
            entry_XE[known_X] = self.entry_IE[place_X[known_X]]
        return torch.from_numpy(entry_XE)

    def state(self) -> dict[str, Tensor]:
        """Everything that `from_state` needs."""
        return {
            "key": torch.from_numpy(self.key_I),
            "entry": torch.from_numpy(self.entry_IE),
            "mean": torch.tensor(self.mean, dtype=torch.float64),
            "ridge": torch.tensor(self.ridge, dtype=torch.float64),
        }

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> ItemFactors:
        """The factors that `state` described."""
        numbers = float(state["mean"]), float(state["ridge"])
        return cls(state["key"].numpy(), state["entry"].numpy(), *numbers)


def fit(
    user_N: Ints, item_N: Ints, grade_N: Floats, start: ItemFactors, num_rounds: int = 2
) -> ItemFactors:
    """The factors of these rows, from those of before; items of which no row is are forgotten."""
    key_I, item_N = np.unique(item_N, return_inverse=True)
    _, user_N = np.unique(user_N, return_inverse=True)
    mean = float(grade_N.mean())
    expected_I = mean + _shrunk_means(item_N, grade_N - mean, PRIOR_ROWS)
    residual_N = grade_N - expected_I[item_N]
    ridge = max(RIDGE_PER_VARIANCE * float(np.square(residual_N).mean()), MIN_RIDGE)
    own_N = residual_N - _shrunk_means(user_N, residual_N, ridge / CONSTANT**2)[user_N]
    vector_IW = _start(key_I, start)
    by_user, by_item = _Groups.of(user_N, item_N, own_N), _Groups.of(item_N, user_N, own_N)
    for _ in range(num_rounds):
        vector_IW = by_item.solved(by_user.solved(vector_IW, ridge), ridge)
    constant_I = np.full(len(key_I), CONSTANT)
    entry_IE = np.column_stack([vector_IW, constant_I, expected_I]).astype(np.float32)
    return ItemFactors(key_I, entry_IE, mean, ridge)


@torch.no_grad()
def folded(entry_BPE: Tensor, grade_BP: Tensor, ridge: float) -> Tensor:
    """[B, F]: the users' part, solved over their past events; zeros for one without any."""
    entry_BPE, eye = entry_BPE.double(), torch.eye(NUM_ENTRIES - 1, device=entry_BPE.device)
    x_BPF, there_BP = entry_BPE[..., :-1], entry_BPE[..., -2] != 0
    residual_BP = (grade_BP - entry_BPE[..., -1]) * there_BP
    matrix_BFF = x_BPF.transpose(1, 2) @ x_BPF + ridge * eye
    right_BF1 = x_BPF.transpose(1, 2) @ residual_BP[..., None]
    solved_BF1: Tensor = torch.cholesky_solve(right_BF1, torch.linalg.cholesky(matrix_BFF))
    return solved_BF1[..., 0].float()


@torch.no_grad()
def affinities(user_CF: Tensor, entry_CE: Tensor) -> Tensor:
    """[C, 2]: the grade that is expected of the item, and of it with this user, as log odds."""
    expected_C = entry_CE[:, -1]
    predicted_C = expected_C + (user_CF * entry_CE[:, :-1]).sum(-1)
    return GAIN * torch.stack([expected_C, predicted_C], -1).logit(LEAST_SHARE)


def _shrunk_means(of_N: Ints, value_N: Floats, prior: float) -> Floats:
    """[U]: the mean of each one's values, and of `prior` zeros."""
    means_U: Floats = np.bincount(of_N, value_N) / (np.bincount(of_N) + prior)
    return means_U


def _start(key_I: Ints, start: ItemFactors) -> Floats:
    """[I, W]: the vectors of before, zeros for new items; small random ones for the first fit."""
    if not len(start.key_I):
        return np.random.default_rng(0).normal(0, 0.1, (len(key_I), WIDTH))
    return start.of(torch.from_numpy(key_I)).numpy()[:, :WIDTH].astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Rows in the order of whose they are, and where those of each user, or item, begin."""

    other_N: Tensor  # the item, or user, of each row
    value_N: Tensor
    start_U: Tensor

    @classmethod
    def of(cls, of_N: Ints, other_N: Ints, value_N: Floats) -> _Groups:
        order_N, count_U = np.argsort(of_N, kind="stable"), np.bincount(of_N)
        arrays = other_N[order_N], value_N[order_N], np.cumsum(count_U) - count_U
        return cls(*map(torch.from_numpy, arrays))

    def solved(self, vector_XW: Floats, ridge: float) -> Floats:
        """[U, W]: each one's ridge regression of its values on the vectors of the others."""
        products_XV = (vector_XW[:, :, None] * vector_XW[:, None]).reshape(len(vector_XW), -1)
        matrix_UWW = self._sums(products_XV).reshape(-1, WIDTH, WIDTH) + ridge * np.eye(WIDTH)
        right_UW = self._sums(vector_XW, self.value_N)
        solved_UW1: NDArray[Any] = np.linalg.solve(matrix_UWW, right_UW[..., None])
        return solved_UW1[..., 0]

    def _sums(self, what_XV: Floats, weight_N: Tensor | None = None) -> Floats:
        """[U, V]: the sum over each one's rows, without a copy of what is summed for every row."""
        sums_UV: Floats = functional.embedding_bag(
            self.other_N,
            torch.from_numpy(what_XV),
            self.start_U,
            mode="sum",
            per_sample_weights=weight_N,
        ).numpy()
        return sums_UV
