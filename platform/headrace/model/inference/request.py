"""Inference for one request: its user and features, and items that are computed, to logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.model.batch import BatchRequest
from headrace.model.inference.affine import Floats
from headrace.model.inference.candidates import CandidateForward
from headrace.model.inference.user import PastItems, UserForward, trimmed
from headrace.model.ranker import Ranker


class RequestRanker:
    """The forward of one version for one request at a time, in single precision."""

    def __init__(self, ranker: Ranker) -> None:
        self._length = ranker.config.history
        self._user, self._candidates = UserForward(ranker), CandidateForward(ranker)

    def num_past(self, request: BatchRequest) -> int:
        """How many events of the user's history are read."""
        return min(self._length, int(trimmed(request.features.history_3T).shape[1]))

    def logits(self, request: BatchRequest, past: PastItems, sides: Sequence[Floats]) -> Floats:
        """[C, K]: the logits of candidates. `past` are the items of the `num_past` newest events of
        the user, `sides` the parts of the candidates' side in the order of `CandidateSide`."""
        dense_CF = np.asarray(request.features.dense_NF, np.float32)
        return self._candidates(self._user(request, past), sides, dense_CF)
