"""Dynamic embeddings: tables that grow with the ids they meet, without collisions.

    N keys asked for   U distinct keys   D width   R rows in use

`KeyIndex` maps 63-bit keys to row numbers by open addressing, in numpy operations over all keys at
once. `DynamicEmbedding` holds a row per key and trains the touched rows only, with row-wise Adagrad
(one accumulator per row: Mudigere et al., 2022, section 4).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Keys = NDArray[np.int64]

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads keys over the high bits
_MISSING = np.int64(0)  # row 0 belongs to no key: all zeros, never trained


class KeyIndex:
    """Row numbers of keys, given out in the order in which keys first come. Key 0 is no key."""

    def __init__(self, capacity: int = 1 << 10) -> None:
        self.num_rows = 1
        self._allocate(capacity)

    def find(self, keys_N: Keys) -> Keys:
        """The row of each key, 0 where it has none."""
        slot_N, row_N = self._home(keys_N), np.zeros(len(keys_N), dtype=np.int64)
        pending_P = np.flatnonzero(keys_N)
        while len(pending_P):
            slot_P = slot_N[pending_P]
            found_P = self._keys[slot_P] == keys_N[pending_P]
            row_N[pending_P[found_P]] = self._rows[slot_P[found_P]]
            pending_P = pending_P[~found_P & (self._keys[slot_P] != 0)]
            slot_N[pending_P] = (slot_N[pending_P] + 1) % len(self._keys)
        return row_N

    def add(self, keys_U: Keys) -> Keys:
        """The row of each key, a new one where it had none. The keys must be distinct."""
        row_U = self.find(keys_U)
        fresh = keys_U[(row_U == 0) & (keys_U != 0)]
        if len(fresh):
            if 2 * (self.num_rows + len(fresh)) > len(self._keys):
                self._grow(self.num_rows + len(fresh))
            self._place(fresh, np.arange(self.num_rows, self.num_rows + len(fresh)))
            self.num_rows += len(fresh)
            row_U[(row_U == 0) & (keys_U != 0)] = np.arange(
                self.num_rows - len(fresh), self.num_rows
            )
        return row_U

    def keys_by_row(self) -> Keys:
        """[R]: the key of each row; row 0 has key 0."""
        keys_R = np.zeros(self.num_rows, dtype=np.int64)
        used = self._keys != 0
        keys_R[self._rows[used]] = self._keys[used]
        return keys_R

    def _allocate(self, capacity: int) -> None:
        self._shift = np.uint64(64 - (capacity.bit_length() - 1))
        self._keys: Keys = np.zeros(capacity, dtype=np.int64)
        self._rows: Keys = np.zeros(capacity, dtype=np.int64)

    def _home(self, keys_N: Keys) -> Keys:
        return ((keys_N.astype(np.uint64) * _MULTIPLIER) >> self._shift).astype(np.int64)

    def _grow(self, num_keys: int) -> None:
        keys_R = self.keys_by_row()
        self._allocate(1 << (4 * num_keys - 1).bit_length())
        self._place(keys_R[1:], np.arange(1, self.num_rows))

    def _place(self, keys_U: Keys, rows_U: Keys) -> None:
        """Write keys that are not in the table; of two that want a slot the last writer has it."""
        slot_U, pending_P = self._home(keys_U), np.arange(len(keys_U))
        while len(pending_P):
            slot_P = slot_U[pending_P]
            free_P = self._keys[slot_P] == 0
            self._keys[slot_P[free_P]] = keys_U[pending_P[free_P]]
            won_P = free_P & (self._keys[slot_P] == keys_U[pending_P])
            self._rows[slot_P[won_P]] = rows_U[pending_P[won_P]]
            pending_P = pending_P[~won_P]
            slot_U[pending_P] = (slot_U[pending_P] + 1) % len(self._keys)


class DynamicEmbedding:
    """A row of `dim` weights per key. New rows start at zero, so an unseen id says nothing."""

    def __init__(self, dim: int, learning_rate: float, epsilon: float = 1e-8) -> None:
        self.dim, self.learning_rate, self.epsilon = dim, learning_rate, epsilon
        self.index = KeyIndex()
        self.weight_RD = torch.zeros(1 << 10, dim)
        self.accumulator_R = torch.zeros(1 << 10)
        self._touched: list[tuple[Tensor, Tensor]] = []  # rows, their weights as gradient leaves

    def __len__(self) -> int:
        return self.index.num_rows - 1

    def read(self, keys_N: Tensor) -> Tensor:
        """[N, D]: the rows of these keys, zeros for keys never trained. For serving."""
        rows_N = self.index.find(keys_N.numpy().ravel())
        return self.weight_RD[torch.from_numpy(rows_N)].reshape(*keys_N.shape, self.dim)

    def train(self, keys_N: Tensor) -> Tensor:
        """[N, D]: the same, giving rows to new keys and remembering them for `step`."""
        distinct_U, inverse_N = np.unique(keys_N.numpy().ravel(), return_inverse=True)
        rows_U = torch.from_numpy(self.index.add(distinct_U))
        self._reserve(self.index.num_rows)
        leaf_UD = self.weight_RD[rows_U].requires_grad_(True)
        self._touched.append((rows_U, leaf_UD))
        return leaf_UD[torch.from_numpy(inverse_N.ravel())].reshape(*keys_N.shape, self.dim)

    @torch.no_grad()
    def step(self) -> None:
        """Apply the gradients of the rows touched since the last step, then forget them."""
        for rows_U, leaf_UD in self._touched:
            if leaf_UD.grad is None:
                continue
            trained_U = rows_U != 0
            rows_U, grad_UD = rows_U[trained_U], leaf_UD.grad[trained_U]
            self.accumulator_R[rows_U] += grad_UD.square().mean(1)
            rate_U = self.learning_rate / (self.accumulator_R[rows_U].sqrt() + self.epsilon)
            self.weight_RD[rows_U] -= rate_U[:, None] * grad_UD
        self._touched.clear()

    def forget(self) -> None:
        """Drop the touched rows without training them."""
        self._touched.clear()

    def state_dict(self, with_optimizer: bool) -> dict[str, Any]:
        """Keys and weights of the rows in use; with the accumulators for a checkpoint."""
        used = self.index.num_rows
        state = {"keys": torch.from_numpy(self.index.keys_by_row()),
                 "weight": self.weight_RD[:used].clone()}  # fmt: skip
        if with_optimizer:
            state["accumulator"] = self.accumulator_R[:used].clone()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become the table that `state_dict` described, row for row."""
        keys_R = state["keys"].numpy()
        self.index = KeyIndex()
        self.index.add(keys_R[1:])
        self.weight_RD, self.accumulator_R = torch.zeros(0, self.dim), torch.zeros(0)
        self._reserve(len(keys_R))
        self.weight_RD[: len(keys_R)] = state["weight"]
        if "accumulator" in state:
            self.accumulator_R[: len(keys_R)] = state["accumulator"]
        self._touched.clear()

    def _reserve(self, num_rows: int) -> None:
        if num_rows <= len(self.weight_RD):
            return
        capacity = max(1 << 10, 1 << (num_rows - 1).bit_length())
        grown_RD, grown_R = torch.zeros(capacity, self.dim), torch.zeros(capacity)
        grown_RD[: len(self.weight_RD)] = self.weight_RD
        grown_R[: len(self.accumulator_R)] = self.accumulator_R
        self.weight_RD, self.accumulator_R = grown_RD, grown_R
