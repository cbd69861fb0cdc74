"""The rows that item factors are fitted on: the last ones learned, and when to fit again."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.learning.factors.item_factors import fit
from headrace.model.batch import Batch, Users
from headrace.model.item_factors import ItemFactors

MAX_ROWS: Final = 1 << 18
FIRST_ROWS: Final = 1_000  # before the first fit
GROWTH: Final = 1.25  # rows learned from one fit to the next, so that fits cost a share of learning


class FactorLog:
    """A ring of (user, item, grade), and the attributes of its users."""

    def __init__(self) -> None:
        self._user_R: NDArray[np.int64] = np.zeros(MAX_ROWS, np.int64)
        self._item_R: NDArray[np.int64] = np.zeros(MAX_ROWS, np.int64)
        self._grade_R: NDArray[np.float32] = np.zeros(MAX_ROWS, np.float32)
        self._attributes_of: dict[int, bytes] = {}  # keys, as int64
        self._num_rows, self._next_fit = 0, FIRST_ROWS

    def add(self, batch: Batch) -> None:
        """Take in those candidates of a batch whose item and grade are known."""
        assert batch.items is not None
        candidates = batch.candidates
        grade_C = candidates.grade_C.cpu().numpy()
        item_C = batch.items.key_U[candidates.item_C.cpu()].numpy()
        known_K = np.flatnonzero(~np.isnan(grade_C) & (item_C != 0))  # 0: in no catalogue
        place_K = (self._num_rows + np.arange(len(known_K))) % MAX_ROWS
        self._user_R[place_K] = batch.users.key_B[candidates.request_C.cpu()].numpy()[known_K]
        self._item_R[place_K] = item_C[known_K]
        self._grade_R[place_K] = grade_C[known_K]
        self._num_rows += len(known_K)
        self._attributes_of |= _attributes(batch.users)

    def refitted(self, factors: ItemFactors) -> ItemFactors:
        """Fitted anew if it is time, else these factors."""
        if self._num_rows < self._next_fit:
            return factors
        self._next_fit = int(self._num_rows * GROWTH)
        kept = slice(min(self._num_rows, MAX_ROWS))
        user_N, item_N = self._user_R[kept], self._item_R[kept]
        users = set(user_N.tolist())
        self._attributes_of = {u: keys for u, keys in self._attributes_of.items() if u in users}
        grade_N = self._grade_R[kept].astype(np.float64)
        return fit(user_N, item_N, grade_N, factors, self._attributes_of)

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs."""
        kept = slice(min(self._num_rows, MAX_ROWS))
        columns: tuple[NDArray[Any], ...] = (self._user_R, self._item_R, self._grade_R)
        names = ("user", "item", "grade")
        rows = {n: torch.from_numpy(c[kept].copy()) for n, c in zip(names, columns, strict=True)}
        bags = list(self._attributes_of.values())
        attributes = {
            "attributes_of": np.array(list(self._attributes_of), np.int64),
            "num_attributes": np.array([len(bag) // 8 for bag in bags], np.int64),
            "attributes": np.frombuffer(bytearray(b"".join(bags)), np.int64),
        }
        rows |= {name: torch.from_numpy(column) for name, column in attributes.items()}
        return {**rows, "num_rows": self._num_rows, "next_fit": self._next_fit}

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the log that `state` described."""
        kept = slice(len(state["user"]))
        self._user_R[kept], self._item_R[kept] = state["user"].numpy(), state["item"].numpy()
        self._grade_R[kept] = state["grade"].numpy()
        bags = state["attributes"].split(state["num_attributes"].tolist())
        keys = state["attributes_of"].tolist()
        self._attributes_of = {k: bag.numpy().tobytes() for k, bag in zip(keys, bags, strict=True)}
        self._num_rows, self._next_fit = state["num_rows"], state["next_fit"]


def _attributes(users: Users) -> dict[int, bytes]:
    """By user's key, the keys of the user's attributes, as int64; without those who have none."""
    words = users.words
    key_N = words.key_V[words.row_N].cpu().numpy()
    bags = np.split(key_N, words.start_G[1:].cpu().numpy())
    pairs = zip(users.key_B.tolist(), bags, strict=True)
    return {user: bag.tobytes() for user, bag in pairs if len(bag)}
