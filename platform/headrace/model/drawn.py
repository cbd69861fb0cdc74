"""Drawn requests: what a batch knows of positives that no impression showed, and of what was drawn
beside them.

Nobody says that what was drawn would not have been chosen: only how probable it was to be drawn. So
they tell which candidate is chosen rather than another, and nothing of how often.

    Q drawn requests   X candidates of one, the chosen one first   C candidates of the batch
    J heads   K logits
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from headrace.model.config import Head

MIN_P: Final = 1e-7


@dataclass(frozen=True, slots=True)
class DrawnRequests:
    """The drawn requests of a batch, padded to the longest of them."""

    candidate_QX: Tensor  # places among the batch's candidates; of the padding: that of the chosen
    there_QX: Tensor  # False for the padding
    log_q_QX: Tensor
    known_QJ: Tensor  # which heads' actions the chosen one came with

    def corrected(self, logit_C: Tensor) -> Tensor:
        """[Q, X]: logits less log q, as if all items were drawn alike; minus infinity for the
        padding. They are log-probabilities of being the chosen one, but for a constant."""
        logit_QX = logit_C[self.candidate_QX] - self.log_q_QX
        return logit_QX.masked_fill(~self.there_QX, -torch.inf)

    def choice(self, p_C: Tensor) -> Tensor:
        """[Q, X]: how probable it is that each one is the chosen, by the probabilities of the
        candidates' clicks."""
        return self.corrected(torch.logit(p_C, MIN_P)).softmax(1)

    def rank(self, p_C: Tensor) -> Tensor:
        """[Q]: where the chosen one comes by these probabilities, 1 for the first; a tie counts
        against it."""
        p_QX = p_C[self.candidate_QX]
        before_QX = self.there_QX & (p_QX >= p_QX[:, :1])
        return before_QX.sum(1)


def drawn_requests(
    first_Q: Sequence[int], log_qs: Sequence[NDArray[np.float32]], known_QJ: NDArray[np.bool_]
) -> DrawnRequests | None:
    """The drawn requests whose candidates begin at these places; None where there are none."""
    if not first_Q:
        return None
    size_Q1 = np.array([len(log_q_X) for log_q_X in log_qs])[:, None]
    place_X = np.arange(size_Q1.max())
    there_QX = place_X < size_Q1
    log_q_QX = np.zeros(there_QX.shape, np.float32)
    log_q_QX[there_QX] = np.concatenate(log_qs)
    candidate_QX = np.array(first_Q)[:, None] + np.where(there_QX, place_X, 0)
    return DrawnRequests(*map(torch.from_numpy, (candidate_QX, there_QX, log_q_QX, known_QJ)))


def chosen_score(head: Head, click_C: Tensor, logit_C: Tensor) -> Tensor:
    """[C]: how much speaks for an action, as a logarithm: the logit, or of what follows a click the
    logarithm of both probabilities' product."""
    if head.kind != "after_click":
        return logit_C
    return functional.logsigmoid(click_C) + functional.logsigmoid(logit_C)
