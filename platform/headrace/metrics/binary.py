"""Metrics of predicted probabilities, mergeable across workers and windows.

A `Scores` sketch keeps the positives and negatives per bin of predicted probability, and the sums
that log loss and calibration need. Counts, log loss and calibration are exact. AUC is that of 2,000
bins of the logit, in which samples of one bin tie: within 1e-4 of the true one from a thousand of
the rarer class on, if logits spread over more than a unit; within `auc_error` always. `grouped.py`
has the exact one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 2_000
LOGIT_RANGE = 10.0


def auc_of(negative_T: NDArray[Any], positive_T: NDArray[Any]) -> float:
    """AUC from the negatives and positives at each distinct score, ascending; NaN for one class."""
    pairs = negative_T.sum() * positive_T.sum()
    below_T = np.cumsum(negative_T) - negative_T
    return float((positive_T * (below_T + negative_T / 2)).sum() / pairs) if pairs else float("nan")


def _histogram() -> NDArray[np.float64]:
    return np.zeros((2, NUM_BINS))


@dataclass(frozen=True, slots=True)
class Decile:
    """A tenth of the samples: how many, how probable a click was said to be, how many clicked."""

    num_samples: int
    mean_p: float
    click_rate: float

    @property
    def calibration(self) -> float:
        """Predicted over observed; NaN without a click."""
        return self.mean_p / self.click_rate if self.click_rate else float("nan")


@dataclass(slots=True)
class Scores:
    """Predictions and labels seen so far. Every property is NaN where it is not defined."""

    bins_2: NDArray[np.float64] = field(default_factory=_histogram)  # negatives, positives
    sum_p: float = 0.0
    sum_log_loss: float = 0.0  # nats

    def add(self, p_N: NDArray[np.float32], label_N: NDArray[np.float32]) -> None:
        """Take in N predictions and their labels (0 or 1)."""
        p_N = np.clip(p_N.astype(np.float64), 1e-7, 1 - 1e-7)
        logit_N = np.log(p_N) - np.log1p(-p_N)
        scaled_N = (logit_N + LOGIT_RANGE) * (NUM_BINS / (2 * LOGIT_RANGE))
        bin_N = np.clip(scaled_N.astype(np.int64), 0, NUM_BINS - 1)
        for label in (0, 1):
            self.bins_2[label] += np.bincount(bin_N[label_N == label], minlength=NUM_BINS)
        self.sum_p += float(p_N.sum())
        self.sum_log_loss -= float(np.where(label_N == 1, np.log(p_N), np.log1p(-p_N)).sum())

    def merge(self, other: Scores) -> None:
        """Take in the bins and sums of another sketch."""
        self.bins_2 = self.bins_2 + other.bins_2
        self.sum_p += other.sum_p
        self.sum_log_loss += other.sum_log_loss

    @property
    def num_samples(self) -> int:
        return int(self.bins_2.sum())

    @property
    def num_clicked(self) -> int:
        return int(self.bins_2[1].sum())

    @property
    def auc(self) -> float:
        """Probability that a clicked sample scores above one that was not; ties count half."""
        return auc_of(*self.bins_2)

    @property
    def auc_error(self) -> float:
        """How far `auc` can be from the exact one: half the share of pairs that share a bin."""
        negative, positive = self.bins_2
        pairs = negative.sum() * positive.sum()
        return float((negative * positive).sum() / pairs / 2) if pairs else float("nan")

    @property
    def normalized_entropy(self) -> float:
        """Log loss divided by that of always predicting the base rate (He et al., 2014)."""
        total, clicked = self.num_samples, self.num_clicked
        if clicked in (0, total):
            return float("nan")
        rate = clicked / total
        entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
        return float(self.sum_log_loss / total / entropy)

    @property
    def calibration(self) -> float:
        """Sum of predicted probabilities over the number of clicks; 1 is perfect."""
        return self.sum_p / self.num_clicked if self.num_clicked else float("nan")

    def calibration_by_decile(self) -> list[Decile]:
        """Samples in ten parts of equal size, by ascending probability; empty parts are left out.

        Predictions are those of the bins' middles, within 0.5 % between 5e-5 and its complement. A
        bin is never divided, so parts are of equal size only as far as bins allow.
        """
        total_B = self.bins_2.sum(0)
        middle_B = (np.arange(NUM_BINS) + 0.5) * (2 * LOGIT_RANGE / NUM_BINS) - LOGIT_RANGE
        rank_B = np.cumsum(total_B) - total_B / 2
        part_B = np.minimum(10 * rank_B / max(1.0, total_B.sum()), 9).astype(np.int64)
        sums = (total_B, total_B / (1 + np.exp(-middle_B)), self.bins_2[1])
        parts = np.stack([np.bincount(part_B, weights, minlength=10) for weights in sums], axis=1)
        return [Decile(int(num), p / num, clicked / num) for num, p, clicked in parts if num]

    def to_bytes(self) -> bytes:
        """A compact form for a store; `from_bytes` reads it back."""
        head = np.array([self.sum_p, self.sum_log_loss])
        return head.tobytes() + self.bins_2.astype("<u4").tobytes()

    @classmethod
    def from_bytes(cls, payload: bytes) -> Scores:
        """The sketch that `to_bytes` wrote."""
        sum_p, sum_log_loss = np.frombuffer(payload[:16])
        bins_2 = np.frombuffer(payload[16:], dtype="<u4").reshape(2, NUM_BINS)
        return cls(bins_2.astype(np.float64), float(sum_p), float(sum_log_loss))
