"""The guard: the learner's newest scores in, a verdict out, whether its version may be published.

It judges by progressive scores, which were made before the labels were used, of the newest
impressions whose click is known:

    not finite     a weight, or a probability of the newest impressions
    base rate      the normalised entropy is above 1, that of always predicting the base rate, by
                   more than its standard error
    usual          it is above what published versions had by more than `MARGIN` and its interval;
                   or that of the version that is served is, on what came since: the learner may
                   have taken to it by now, whatever it is
    published      on the same impressions the learner scored worse than the version that is served,
                   by more than `BOUND` and the interval of the difference

A learner that is held goes on learning. If it does so for `ROLL_BACK_AFTER` impressions it has to
go back to its last good state (`must_roll_back`), as otherwise it would learn whatever holds it,
until that looks right. If the world stays changed for as long as the guard's patience, it has to be
learned after all: then only the first two rules hold.

    N impressions
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

WINDOW: Final = 1_000  # newest impressions that are judged by, and more where clicks are rare
MIN_OF_EACH: Final = 50  # clicks, and impressions without, among them
MAX_WINDOW: Final = 10_000
MIN_RATE: Final = 1e-3  # of clicks, where few impressions have none
MARGIN: Final = 0.15  # normalised entropy; between windows of one log it varies by half of that
BOUND: Final = 0.02  # normalised entropy, on the same impressions
NUM_ERRORS: Final = 2.0  # standard errors to either side of an interval
MIN_PAIRED: Final = 200  # impressions since the published version, to be compared with it
MEMORY: Final = 0.9  # of the usual entropy, from one published version to the next
ROLL_BACK_AFTER: Final = 512  # a learner needs some two thousand to find what is false right

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """Predicted probabilities and labels of the click, of some impressions; both [N]."""

    p_N: Floats
    clicked_N: Floats

    @classmethod
    def of(cls, p_C: NDArray[np.float32], label_C: NDArray[np.float32]) -> Scored:
        """Those of a batch's candidates whose label is known."""
        known_C = ~np.isnan(label_C)
        return cls(p_C[known_C].astype(np.float64), label_C[known_C].astype(np.float64))

    def __len__(self) -> int:
        return len(self.p_N)

    @property
    def log_loss_N(self) -> Floats:
        p_N = self.p_N.clip(1e-7, 1 - 1e-7)
        loss_N: Floats = -np.where(self.clicked_N == 1, np.log(p_N), np.log1p(-p_N))
        return loss_N

    @property
    def is_enough(self) -> bool:
        """Whether something can be said of them."""
        return len(self) >= WINDOW // 2 and 0 < self.clicked_N.sum() < len(self)

    def then(self, later: Scored) -> Scored:
        """These, and later ones after them."""
        return Scored(
            np.concatenate([self.p_N, later.p_N]), np.concatenate([self.clicked_N, later.clicked_N])
        )

    def newest_that_are_enough(self) -> Scored:
        """The newest of them, as few as have `WINDOW` and `MIN_OF_EACH`; all that there are, and
        `MAX_WINDOW` at most."""
        clicks_N = np.cumsum(self.clicked_N[::-1])
        num_N = np.arange(1, len(self) + 1)
        rare_N = np.minimum(clicks_N, num_N - clicks_N)
        enough_N = (num_N >= WINDOW) & (rare_N >= MIN_OF_EACH) | (num_N >= MAX_WINDOW)
        start = len(self) - (int(enough_N.argmax()) + 1 if enough_N.any() else len(self))
        return Scored(self.p_N[start:], self.clicked_N[start:])


NOTHING: Final = Scored(np.zeros(0), np.zeros(0))


class Guard:
    """Takes in how the learner scores, and says why a version is held, if it is.

    Time is an argument.
    """

    def __init__(self, patience_ms: int) -> None:
        self._patience_ms = patience_ms
        self._recent = NOTHING
        self._usual = math.nan  # normalised entropy of published versions
        self._held_since_ms: int | None = None
        self._held_for = ""  # the reason that it was held for first
        self._num_held = 0  # impressions since the learner was held, or went back

    def take(self, scored: Scored) -> None:
        """Take in the progressive scores of a batch."""
        if self._held_since_ms is not None:
            self._num_held += len(scored)
        self._recent = self._recent.then(scored).newest_that_are_enough()

    def verdict(self, now_ms: int, paired: tuple[Scored, Scored] | None = None) -> str:
        """Why the learner is held, "" if it may be published; call it once per version.

        `paired` are the scores of the learner and of the published version, of impressions that
        neither had learned from when it scored them.
        """
        recent = self._recent
        reason = self._reason(recent, now_ms, paired) if recent.is_enough else ""
        if reason and self._held_since_ms is None:
            self._held_since_ms, self._held_for, self._num_held = now_ms, reason, 0
        elif not reason:
            if self._held_since_ms is not None and self._is_patience_over(now_ms):
                self._usual = math.nan
            if recent.is_enough:
                entropy, _ = normalized_entropy(recent)
                before = entropy if math.isnan(self._usual) else self._usual
                self._usual = MEMORY * before + (1 - MEMORY) * entropy
                self._held_since_ms = None
            elif self._held_since_ms is not None:
                return f"too little is known since it went back; it was held for {self._held_for}"
        return reason

    def must_roll_back(self, now_ms: int) -> bool:
        """Whether the learner was held for so long that it has to go back."""
        return self._num_held >= ROLL_BACK_AFTER and not self._is_patience_over(now_ms)

    def rolled_back(self) -> None:
        """The learner is in its last good state; its scores from before are forgotten."""
        self._recent, self._num_held = NOTHING, 0

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs."""
        columns = {"p": self._recent.p_N, "clicked": self._recent.clicked_N}
        window = {name: torch.from_numpy(column.copy()) for name, column in columns.items()}
        held = {"held_since_ms": self._held_since_ms, "held_for": self._held_for}
        return {**window, **held, "num_held": self._num_held, "usual": self._usual}

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the guard that `state` described."""
        self._recent = Scored(state["p"].numpy(), state["clicked"].numpy())
        self._usual = state["usual"]
        self._held_since_ms, self._held_for = state["held_since_ms"], state["held_for"]
        self._num_held = state["num_held"]

    def _reason(self, recent: Scored, now_ms: int, paired: tuple[Scored, Scored] | None) -> str:
        entropy, error = normalized_entropy(recent)
        of = f"normalised entropy {entropy:.3f} +- {error:.3f} over the newest {len(recent):,}"
        if not math.isfinite(entropy):
            return "probabilities that are not finite"
        if entropy - error > 1:
            return f"{of} impressions: worse than the base rate, which has 1"
        if self._is_patience_over(now_ms):
            return ""
        if entropy - NUM_ERRORS * error > self._usual + MARGIN:
            return f"{of} impressions: published versions had {self._usual:.3f}"
        if paired and len(paired[0]) >= MIN_PAIRED:
            return self._unusual(paired[1]) or _worse(*paired)
        return ""

    def _unusual(self, published: Scored) -> str:
        """The reason to hold if the published version scored worse than such ones do, else ""."""
        entropy, error = normalized_entropy(published)
        if not entropy - NUM_ERRORS * error > self._usual + MARGIN:
            return ""
        return (
            f"the version that is served has normalised entropy {entropy:.3f} +- {error:.3f} over "
            f"the newest {len(published):,} impressions, and had {self._usual:.3f}"
        )

    def _is_patience_over(self, now_ms: int) -> bool:
        since_ms = self._held_since_ms
        return since_ms is not None and now_ms - since_ms >= self._patience_ms


def normalized_entropy(scored: Scored) -> tuple[float, float]:
    """The log loss over that of always predicting the base rate, and its standard error."""
    loss_N, of_base = scored.log_loss_N, _entropy_of_base_rate(scored)
    error = float(loss_N.std()) / math.sqrt(len(loss_N))
    return float(loss_N.mean()) / of_base, error / of_base


def _entropy_of_base_rate(scored: Scored) -> float:
    rate = float(np.clip(scored.clicked_N.mean(), MIN_RATE, 1 - MIN_RATE))
    return -(rate * math.log(rate) + (1 - rate) * math.log1p(-rate))


def _worse(learner: Scored, published: Scored) -> str:
    """The reason to hold a learner that scored worse than the published version, else ""."""
    worse_N = (learner.log_loss_N - published.log_loss_N) / _entropy_of_base_rate(learner)
    mean, error = float(worse_N.mean()), float(worse_N.std()) / math.sqrt(len(worse_N))
    if mean - NUM_ERRORS * error <= BOUND:
        return ""
    return (
        f"normalised entropy worse than the published version's by {mean:.3f} +- {error:.3f} over "
        f"{len(worse_N):,} impressions"
    )
