"""Share limits: samples thinned so that no request, user or item teaches the model alone.

Each user and each item has an allowance of impressions, which refills with the impressions of all
others (a token bucket whose clock is the stream itself): a burst of `BURST`, and beyond it no more
than everybody else together. So whoever sends a million impressions teaches four steps' worth, and
the pace at which they come does not matter. A surface is no sender, and is not limited: a shop may
have one.

    C impressions   Z slots that keys are hashed into; keys that share one share an allowance
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from headrace.sample import Sample

BURST: Final = 1_024  # impressions: four full steps
REFILL: Final = 1.0  # for each impression of somebody else
MAX_OF_A_REQUEST: Final = 128  # impressions of one request, half a step; slates have 100 at most
NUM_SLOTS: Final = 1 << 14
KINDS: Final = ("user", "item")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class ShareLimit:
    """The allowances as of the last impression taken; time is the number of impressions."""

    def __init__(self) -> None:
        self.num_left_out = 0
        self._num_seen = 0
        self._carry = 0.0  # of what was kept in part, so that the parts add up
        self._level_of = {kind: np.full(NUM_SLOTS, float(BURST)) for kind in KINDS}
        self._last_of = {kind: np.zeros(NUM_SLOTS, np.int64) for kind in KINDS}

    def thinned(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples without the impressions that are beyond an allowance, evenly left out.

        All of them, where none is: the usual case.
        """
        if not samples:
            return []
        num_S = np.array([sample.num_impressions for sample in samples])
        user_C = np.repeat(np.array([sample.user_key for sample in samples]), num_S)
        item_C = np.array([key for sample in samples for key in sample.item_keys])
        share_C = np.repeat(np.minimum(1.0, MAX_OF_A_REQUEST / num_S), num_S)
        for kind, key_C in zip(KINDS, (user_C, item_C), strict=True):
            share_C *= self._allowed(kind, key_C % NUM_SLOTS, share_C)
        self._num_seen += len(share_C)
        if (share_C >= 1).all():
            return list(samples)
        total_C = self._carry + np.cumsum(share_C)
        kept_C = np.floor(total_C) > np.floor(total_C - share_C)
        self._carry = float(total_C[-1] % 1)
        kept_C = _whole_where_drawn(samples, kept_C, num_S)
        self.num_left_out += int((~kept_C).sum())
        kept = zip(samples, np.split(kept_C, np.cumsum(num_S)[:-1]), strict=True)
        return [_some(sample, kept_N) for sample, kept_N in kept if kept_N.any()]

    def _allowed(self, kind: str, slot_C: Ints, wanted_C: Floats) -> Floats:
        """[C]: the share of each impression that its key's allowance covers; it is used up."""
        level_Z, last_Z = self._level_of[kind], self._last_of[kind]
        slot_U, key_C = np.unique(slot_C, return_inverse=True)
        wanted_U = np.bincount(key_C, wanted_C)
        refilled_U = level_Z[slot_U] + REFILL * (self._num_seen - last_Z[slot_U])
        level_U = np.minimum(refilled_U, BURST)
        used_U = np.minimum(wanted_U, level_U)
        others_U = len(slot_C) - np.bincount(key_C)
        level_Z[slot_U] = np.minimum(level_U - used_U + REFILL * others_U, BURST)
        last_Z[slot_U] = self._num_seen + len(slot_C)
        allowed_C: Floats = (used_U / wanted_U.clip(min=1e-9))[key_C]
        return allowed_C

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs."""
        arrays = {
            **{f"{kind}_level": torch.from_numpy(self._level_of[kind].copy()) for kind in KINDS},
            **{f"{kind}_last": torch.from_numpy(self._last_of[kind].copy()) for kind in KINDS},
        }
        counts = {"num_left_out": self.num_left_out, "num_seen": self._num_seen}
        return {**arrays, **counts, "carry": self._carry}

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the limit that `state` described."""
        for kind in KINDS:
            self._level_of[kind] = state[f"{kind}_level"].numpy().copy()
            self._last_of[kind] = state[f"{kind}_last"].numpy().copy()
        self.num_left_out, self._num_seen = state["num_left_out"], state["num_seen"]
        self._carry = state["carry"]


def _whole_where_drawn(
    samples: Sequence[Sample], kept_C: NDArray[np.bool_], num_S: Ints
) -> NDArray[np.bool_]:
    """[C]: which impressions are kept, where a drawn request is kept whole or not at all: as its
    first candidate is, the chosen one."""
    is_drawn_C = np.repeat([bool(sample.log_q) for sample in samples], num_S)
    chosen_C = np.repeat(kept_C[np.cumsum(num_S) - num_S], num_S)
    return np.where(is_drawn_C, chosen_C, kept_C)


def _some(sample: Sample, kept_N: NDArray[np.bool_]) -> Sample:
    """The sample with these of its impressions."""
    if kept_N.all():
        return sample
    places = np.flatnonzero(kept_N).tolist()

    def taken(column: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(column[place] for place in places) if column else ()

    return msgspec.structs.replace(
        sample,
        item_keys=taken(sample.item_keys),
        outcomes=taken(sample.outcomes),
        positions=taken(sample.positions),
        dense=sample.dense_NF[places].tobytes(),
        propensity=sample.propensity_N[places].tobytes() if sample.propensity else b"",
    )
