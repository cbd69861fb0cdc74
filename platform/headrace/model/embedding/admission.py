"""How often keys occurred, in bounded memory.

U distinct keys   H hash functions   W cells of each
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.catalogue.table.key_index import Keys

MAX_COUNT = 255
_MULTIPLIERS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93],
    dtype=np.uint64,
)


class FrequencySketch:
    """A count-min sketch with conservative update (Estan & Varghese, 2002) that forgets slowly.

    A count is never below the true one, up to `MAX_COUNT`, and above it only where a key shares all
    four cells with others. After as many occurrences as a hash function has cells, all counts are
    halved, so that what was rare long ago does not add up (Einziger et al., 2017).
    """

    def __init__(self, num_bytes: int) -> None:
        width = 1 << ((num_bytes // len(_MULTIPLIERS)).bit_length() - 1)
        self._cell_HW: NDArray[np.uint8] = np.zeros((len(_MULTIPLIERS), width), dtype=np.uint8)
        self._shift = np.uint64(64 - (width.bit_length() - 1))
        self._num_counted = 0  # since the last halving

    @property
    def num_bytes(self) -> int:
        return self._cell_HW.nbytes

    def seen(self, keys_U: Keys) -> NDArray[np.int64]:
        """How often each key occurred so far."""
        return self._seen(self._slots(keys_U))

    def count(self, keys_U: Keys, times_U: NDArray[np.int64]) -> NDArray[np.int64]:
        """How often each key occurred, with these occurrences. The keys must be distinct."""
        if self._num_counted >= self._cell_HW.shape[1]:
            self._cell_HW >>= 1
            self._num_counted = 0
        self._num_counted += int(times_U.sum())
        slot_HU = self._slots(keys_U)
        count_U: NDArray[np.int64] = np.minimum(self._seen(slot_HU) + times_U, MAX_COUNT)
        for cell_W, slot_U in zip(self._cell_HW, slot_HU, strict=True):
            np.maximum.at(cell_W, slot_U, count_U.astype(np.uint8))
        return count_U

    def _slots(self, keys_U: Keys) -> NDArray[np.int64]:
        """[H, U]: the cells of each key."""
        slot_HU = (keys_U.view(np.uint64) * _MULTIPLIERS[:, None]) >> self._shift
        return slot_HU.astype(np.int64)

    def _seen(self, slot_HU: NDArray[np.int64]) -> NDArray[np.int64]:
        least_U: NDArray[np.uint8] = np.take_along_axis(self._cell_HW, slot_HU, axis=1).min(0)
        return least_U.astype(np.int64)

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` needs to count on."""
        return {"cell": torch.from_numpy(self._cell_HW.copy()), "num_counted": self._num_counted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become the sketch that `state_dict` described."""
        self._cell_HW = state["cell"].numpy().copy()
        self._shift = np.uint64(64 - (self._cell_HW.shape[1].bit_length() - 1))
        self._num_counted = state["num_counted"]
