"""Dynamic embeddings: tables that grow with the ids they meet and give up those that stay away.

    N keys asked for   U distinct ones   D width   R rows   L rows in use

An id gets a row of its own when it has occurred often enough, and loses it when it was not trained
for long enough. Only touched rows are trained, with row-wise Adagrad (one accumulator per row:
Mudigere et al., 2022, section 4). Rows may live on another device; keys and index are on the CPU.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headrace.catalogue.table.key_index import KeyIndex, Keys, Rows, longer
from headrace.errors import ConfigError
from headrace.model.embedding.admission import MAX_COUNT, FrequencySketch

SWEEPS = 16  # how often expired rows are looked for while one expires


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a key gets a row and when it loses it; by default at once, and never."""

    admit_after: int = 1  # occurrences in `train`, this one included
    expire_after: int | None = None  # since it was last trained: steps, or what `step` is given
    sketch_bytes: int = 1 << 20  # for counting keys that have no row yet

    def __post_init__(self) -> None:
        if not 1 <= self.admit_after <= MAX_COUNT:
            raise ConfigError(
                f"admit_after is {self.admit_after}; choose from 1 to {MAX_COUNT} occurrences"
            )
        if self.expire_after is not None and self.expire_after < 1:
            raise ConfigError(f"expire_after is {self.expire_after}; choose 1 or more, or None")


UNLIMITED = Lifetime()


class DynamicEmbedding:
    """A row of `dim` weights per key.

    A key without a row reads as `start_ND` where the caller gives it (what its content says through
    a layer of the caller's, or a vector from elsewhere), else as zeros; so does a row begin. Key 0
    is no key: it reads as zeros. Several reads of one step are one gradient per row.
    """

    def __init__(
        self,
        dim: int,
        learning_rate: float,
        epsilon: float = 1e-8,
        lifetime: Lifetime = UNLIMITED,
        device: str = "cpu",
    ) -> None:
        self.dim, self.learning_rate, self.epsilon = dim, learning_rate, epsilon
        self.lifetime, self.now = lifetime, 0
        counted = lifetime.admit_after > 1
        self._sketch = FrequencySketch(lifetime.sketch_bytes) if counted else None
        self._device = torch.device(device)
        self._reads: list[tuple[Rows, Tensor]] = []  # rows, and their weights as gradient leaves
        self._occurred: Counter[int] = Counter()  # keys without a row, since the last step
        self._admitted: list[Keys] = []  # since the last step
        self._removed: list[Keys] | None = None  # since the last delta, once somebody takes them
        self._clear()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def num_bytes(self) -> int:
        """Everything that is kept for the rows, for their index and for counting."""
        per_row = (self.weight_RD, self.accumulator_R)
        arrays = (self._trained_R, self._changed_R, self._position_R)
        sketch = self._sketch.num_bytes if self._sketch else 0
        total = sum(t.nbytes for t in per_row) + sum(a.nbytes for a in arrays)
        return total + self.index.num_bytes + sketch

    def read(self, keys_N: Tensor, start_ND: Tensor | None = None) -> Tensor:
        """[N, D]: the rows of these keys; nothing is counted or given a row. For serving."""
        key_N = keys_N.numpy().reshape(-1)
        row_N = self.index.find(key_N)
        read_ND = self.weight_RD.index_select(0, self._on_device(row_N))
        if start_ND is not None:
            bare_N = self._on_device((row_N == 0) & (key_N != 0))
            read_ND = torch.where(bare_N[:, None], start_ND.reshape(-1, self.dim), read_ND)
        return read_ND.reshape(*keys_N.shape, self.dim)

    def train(
        self,
        keys_N: Tensor,
        start_ND: Tensor | None = None,
        known_N: NDArray[np.bool_] | None = None,
    ) -> Tensor:
        """[N, D]: the same, counting keys, giving rows to new ones, and remembered for `step`.

        Where a key had no row before this call the gradient goes to `start_ND` as well. Keys that
        are known are admitted at once.
        """
        key_N = keys_N.numpy().reshape(-1)
        row_N = self.index.find(key_N)
        bare_N = (row_N == 0) & (key_N != 0)
        bare = np.flatnonzero(bare_N)
        start_ND = None if start_ND is None else start_ND.reshape(-1, self.dim)
        if len(bare):
            known_M = np.zeros(len(bare), bool) if known_N is None else known_N[bare]
            self._admit(key_N[bare], bare, start_ND, known_M)
            row_N[bare] = self.index.find(key_N[bare])
        self._trained_R[row_N] = self.now
        leaf_ND = self.weight_RD.index_select(0, self._on_device(row_N)).requires_grad_(True)
        self._reads.append((row_N, leaf_ND))
        read_ND = leaf_ND
        if len(bare) and start_ND is not None:
            moved_ND = start_ND - leaf_ND.detach()  # zero where the row begins at it
            read_ND = leaf_ND + moved_ND.where(self._on_device(bare_N)[:, None], 0.0)
        return read_ND.reshape(*keys_N.shape, self.dim)

    @torch.no_grad()
    def step(self, now: int | None = None) -> None:
        """Apply the gradients of the rows read since the last step, and expire the rows due.

        `now` is the time of `expire_after`, for example the event time; without it steps count.
        """
        reads = [(row_N, leaf.grad) for row_N, leaf in self._reads if leaf.grad is not None]
        self._reads.clear()
        self._admitted.clear()
        if self._sketch and self._occurred:
            counts = (self._occurred.keys(), self._occurred.values())
            self._sketch.count(*(np.fromiter(column, np.int64) for column in counts))
            self._occurred.clear()
        if reads:
            row_N = np.concatenate([row_N for row_N, _ in reads])
            self._descend(row_N, torch.cat([gradient_ND for _, gradient_ND in reads]))
        before, self.now = self.now, self.now + 1 if now is None else max(self.now, now)
        if self.lifetime.expire_after is not None:
            period = max(1, self.lifetime.expire_after // SWEEPS)
            if before // period != self.now // period:
                self.expire(self.now - self.lifetime.expire_after)

    def forget(self) -> None:
        """Drop the reads since the last step without training or counting them."""
        self._reads.clear()
        self._occurred.clear()
        for key_U in self._admitted:
            self._free(key_U)
        self._admitted.clear()

    def expire(self, before: int) -> int:
        """Free the rows last trained before this time, between steps; how many those were."""
        row_L = self.index.rows()
        return self._free(self.index.keys(row_L[self._trained_R[row_L] < before]))

    def erase(self, keys_N: Tensor) -> int:
        """Free the rows of these keys, between steps; how many there were."""
        return self._free(np.unique(keys_N.numpy()))

    def state_dict(self, with_optimizer: bool) -> dict[str, Any]:
        """Keys and weights of the rows in use; for a checkpoint with all that training keeps."""
        row_L = self.index.rows()
        state: dict[str, Any] = self._keys_and_weights(row_L)
        if with_optimizer:
            state["accumulator"] = self.accumulator_R[self._on_device(row_L)]
            state["trained"], state["now"] = torch.from_numpy(self._trained_R[row_L]), self.now
            state["sketch"] = self._sketch.state_dict() if self._sketch else None
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become the table that `state_dict` described."""
        self._clear()
        row_L = self._put(state)
        self.now = state.get("now", 0)
        self._trained_R[row_L] = state["trained"].numpy() if "trained" in state else self.now
        if "accumulator" in state:
            accumulator_L = state["accumulator"].to(self._device)
            self.accumulator_R[self._on_device(row_L)] = accumulator_L
        if self._sketch and state.get("sketch"):
            self._sketch.load_state_dict(state["sketch"])

    def take_delta(self) -> dict[str, Tensor]:
        """The changes since the last call: keys and weights of trained rows, and the keys removed.

        The first call, and the first after loading, has every row.
        """
        removed = np.concatenate([np.zeros(0, np.int64), *(self._removed or [])])
        delta = self._keys_and_weights(np.flatnonzero(self._changed_R))
        self._changed_R[:] = False
        self._removed = []
        return {**delta, "removed": torch.from_numpy(removed)}

    def apply_delta(self, delta: dict[str, Tensor]) -> None:
        """Follow the table that `take_delta` was called on."""
        self.erase(delta["removed"])
        self._put(delta)

    def _clear(self) -> None:
        self.index = KeyIndex()
        self.weight_RD = torch.zeros(0, self.dim, device=self._device)
        self.accumulator_R = torch.zeros(0, device=self._device)
        self._trained_R: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._changed_R: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._position_R: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._removed = None
        self._reads.clear()
        self._occurred.clear()
        self._admitted.clear()
        self._reserve()

    def _reserve(self) -> None:
        """Room for as many rows as the index has room for."""
        num_rows = self.index.capacity
        if num_rows > len(self._trained_R):
            self.weight_RD = self._longer(self.weight_RD, num_rows)
            self.accumulator_R = self._longer(self.accumulator_R, num_rows)
            self._trained_R = longer(self._trained_R, num_rows)
            self._changed_R = longer(self._changed_R, num_rows)
            self._position_R = longer(self._position_R, num_rows)

    def _longer(self, rows: Tensor, num_rows: int) -> Tensor:
        # By numpy, which asks for large pages where torch does not: rows are then read 20 % faster.
        return torch.from_numpy(longer(rows.cpu().numpy(), num_rows)).to(self._device)

    @torch.no_grad()
    def _admit(
        self, key_M: Keys, at_M: Rows, start_ND: Tensor | None, known_M: NDArray[np.bool_]
    ) -> None:
        """Give rows to those of these keys that are known or occurred often enough."""
        key_U, first_U, times_U = np.unique(key_M, return_index=True, return_counts=True)
        if self._sketch:
            self._occurred.update(dict(zip(key_U.tolist(), times_U.tolist(), strict=True)))
            times_U = np.array([self._occurred[k] for k in key_U.tolist()], np.int64)
            often_U = self._sketch.seen(key_U) + times_U >= self.lifetime.admit_after
            often_U |= known_M[first_U]
            key_U, first_U = key_U[often_U], first_U[often_U]
        self._admitted.append(key_U)
        row_U = self.index.add(key_U)
        self._reserve()
        self._changed_R[row_U] = True
        rows = self._on_device(row_U)
        self.accumulator_R[rows] = 0.0
        start = 0.0 if start_ND is None else start_ND.detach()[self._on_device(at_M[first_U])]
        self.weight_RD[rows] = start

    def _descend(self, row_N: Rows, gradient_ND: Tensor) -> None:
        """One step of row-wise Adagrad on the summed gradient of each row."""
        row_U, number_N = self._distinct(row_N)
        self._changed_R[row_U] = True
        rows = self._on_device(row_U)
        gradient_UD = torch.zeros(len(row_U), self.dim, device=self._device)
        gradient_UD.index_add_(0, self._on_device(number_N), gradient_ND)
        square_U = self.accumulator_R[rows] + gradient_UD.square().mean(1)
        self.accumulator_R[rows] = square_U
        rate_U = self.learning_rate / (square_U.sqrt() + self.epsilon)
        # Torch has a fast path without `alpha`.
        self.weight_RD.index_add_(0, rows, gradient_UD * -rate_U[:, None])
        self.weight_RD[0], self.accumulator_R[0], self._changed_R[0] = 0.0, 0.0, False

    def _distinct(self, row_N: Rows) -> tuple[Rows, NDArray[np.int64]]:
        """The distinct rows, and for each row its number among them; half the time of sorting."""
        order_N = np.arange(len(row_N), dtype=np.int32)
        self._position_R[row_N] = order_N
        position_N = self._position_R[row_N]
        chosen_N = position_N == order_N
        return row_N[chosen_N], (np.cumsum(chosen_N) - 1)[position_N]

    def _free(self, key_U: Keys) -> int:
        row_U = self.index.remove(key_U)
        self._changed_R[row_U] = False
        if self._removed is not None:
            self._removed.append(key_U)
        return len(row_U)

    def _keys_and_weights(self, row_L: Rows) -> dict[str, Tensor]:
        keys_L = torch.from_numpy(self.index.keys(row_L))
        return {"keys": keys_L, "weight": self.weight_RD[self._on_device(row_L)]}

    @torch.no_grad()
    def _put(self, state: dict[str, Any]) -> Rows:
        """Rows with these weights for these keys."""
        row_L = self.index.add(state["keys"].numpy())
        self._reserve()
        self.weight_RD[self._on_device(row_L)] = state["weight"].to(self._device)
        self._changed_R[row_L] = True
        return row_L

    def _on_device(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._device)
