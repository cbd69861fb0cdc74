"""Item factors: a vector of each item, and the parts of users that are solved over their history.

How they are fitted is in `headrace.learning.factors.item_factors`. Here they are read: entries of
items by key, a user's part over past events as they are at a request, and the grade that both
expect.

    B requests   P past events   C candidates   I items   X items   A attributes
    W width of a vector   F = W + 1 with what is added   E = F + 1 with the expected grade
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from headrace.model.word_bags import WordBags

Ints = NDArray[np.int64]

WIDTH: Final = 4
FIRST_RIDGE: Final = 4.0
CONSTANT: Final = 1.0
NUM_ENTRIES: Final = WIDTH + 2
NUM_AFFINITIES: Final = 2
LEAST_SHARE: Final = 0.02  # and the greatest is as far from 1
GAIN: Final = 5.0  # log odds of a grade vary by about half a unit, and say more than most features


@dataclass(frozen=True, slots=True)
class ItemFactors:
    """The factors of items and of users' attributes; an unknown item has the mean grade."""

    key_I: Ints  # ascending
    entry_IE: NDArray[np.float32]
    key_A: Ints  # of users' attributes, ascending
    attribute_AF: NDArray[np.float32]  # whose sum a user's part is before any outcome
    mean: float  # grade
    ridge: float  # of the users' part: the noise over what users vary by

    @classmethod
    def empty(cls) -> ItemFactors:
        """Nothing known of any item, or attribute."""
        no_key, no_entry = np.zeros(0, np.int64), np.zeros((0, NUM_ENTRIES), np.float32)
        return cls(no_key, no_entry, no_key, no_entry[:, :-1], 0.5, FIRST_RIDGE)

    def of(self, key_X: Tensor) -> Tensor:
        """[..., E]: the entries of these items, on the CPU; zeros for key 0, which is no item."""
        keys_X = key_X.numpy()
        entry_XE = np.zeros((*keys_X.shape, NUM_ENTRIES), np.float32)
        entry_XE[keys_X != 0, WIDTH:] = CONSTANT, self.mean
        _put_known(entry_XE, self.entry_IE, self.key_I, keys_X)
        return torch.from_numpy(entry_XE)

    def of_candidates(self, key_X: Tensor) -> Tensor:
        """[X, E]: the same, where key 0 is an item that is not in the catalogue: like all."""
        entry_XE = self.of(key_X)
        entry_XE[key_X == 0, WIDTH:] = torch.tensor([CONSTANT, self.mean])
        return entry_XE

    def priors(self, words: WordBags) -> Tensor:
        """[B, F]: the parts of users with these attributes before any outcome."""
        vector_VF = torch.from_numpy(self.attributes(words.key_V.cpu().numpy()))
        vector_VF = vector_VF.to(words.row_N.device)
        return functional.embedding_bag(words.row_N, vector_VF, words.start_G, mode="sum")

    def attributes(self, key_X: Ints) -> NDArray[np.float32]:
        """[X, F]: the vectors of these attributes, zeros for those that are not known."""
        vector_XF = np.zeros((len(key_X), WIDTH + 1), np.float32)
        _put_known(vector_XF, self.attribute_AF, self.key_A, key_X)
        return vector_XF

    def state(self) -> dict[str, Tensor]:
        """Everything that `from_state` needs."""
        return {
            "key": torch.from_numpy(self.key_I),
            "entry": torch.from_numpy(self.entry_IE),
            "attribute_key": torch.from_numpy(self.key_A),
            "attribute": torch.from_numpy(self.attribute_AF),
            "mean": torch.tensor(self.mean, dtype=torch.float64),
            "ridge": torch.tensor(self.ridge, dtype=torch.float64),
        }

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> ItemFactors:
        """The factors that `state` described."""
        return cls(
            key_I=state["key"].numpy(),
            entry_IE=state["entry"].numpy(),
            key_A=state["attribute_key"].numpy(),
            attribute_AF=state["attribute"].numpy(),
            mean=float(state["mean"]),
            ridge=float(state["ridge"]),
        )


@torch.no_grad()
def folded(entry_BPE: Tensor, grade_BP: Tensor, ridge: float, prior_BF: Tensor) -> Tensor:
    """[B, F]: the users' part, solved over their past events; the prior for one without any."""
    entry_BPE, eye = entry_BPE.double(), torch.eye(NUM_ENTRIES - 1, device=entry_BPE.device)
    x_BPF, there_BP = entry_BPE[..., :-1], entry_BPE[..., -2] != 0
    known_BP = entry_BPE[..., -1] + (x_BPF @ prior_BF.double()[..., None])[..., 0]
    residual_BP = (grade_BP - known_BP) * there_BP
    matrix_BFF = x_BPF.transpose(1, 2) @ x_BPF + ridge * eye
    right_BF1 = x_BPF.transpose(1, 2) @ residual_BP[..., None]
    solved_BF1: Tensor = torch.cholesky_solve(right_BF1, torch.linalg.cholesky(matrix_BFF))
    return prior_BF + solved_BF1[..., 0].float()


@torch.no_grad()
def affinities(user_CF: Tensor, entry_CE: Tensor) -> Tensor:
    """[C, 2]: the grade that is expected of the item, and of it with this user, as log odds."""
    expected_C = entry_CE[:, -1]
    predicted_C = expected_C + (user_CF * entry_CE[:, :-1]).sum(-1)
    return GAIN * torch.stack([expected_C, predicted_C], -1).logit(LEAST_SHARE)


def _put_known(
    value_XZ: NDArray[np.float32], of_IZ: NDArray[np.float32], key_I: Ints, key_X: Ints
) -> None:
    """Overwrite the values of those keys that are known, which are in ascending order."""
    if len(key_I):
        place_X = np.searchsorted(key_I, key_X).clip(max=len(key_I) - 1)
        known_X = key_I[place_X] == key_X
        value_XZ[known_X] = of_IZ[place_X[known_X]]
