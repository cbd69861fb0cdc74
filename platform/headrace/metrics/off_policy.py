"""Off-policy estimates: the rate that another policy would have had on a log of impressions, each
with the probability with which it was shown.

An impression weighs as much as the other policy would have shown it more often (inverse propensity
scores: Horvitz and Thompson, 1952), the weights as they are (`ips`), made to a sum of one
(`snips`: Swaminathan and Joachims, 2015), or with what a model of the rewards leaves
(`doubly_robust`: Dudik et al., 2014). All are of each place by itself: what an item does to those
beside it counts as chance.

    N impressions   D draws
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from headrace.metrics import bootstrap
from headrace.metrics.bootstrap import Draws, Floats, Ints

MIN_EFFECTIVE: Final = 1_000.0  # impressions
MIN_OVERLAP: Final = 0.8


@dataclass(frozen=True, slots=True)
class LoggedImpressions:
    """Impressions whose propensity and outcome are known; items, users and requests are keys."""

    item_N: Ints
    position_N: Ints
    request_N: Ints
    user_N: Ints
    reward_N: Floats  # 1 where it was clicked
    propensity_N: Floats
    policies: Mapping[str, int]  # how many of each logging policy

    def __len__(self) -> int:
        return len(self.item_N)


@dataclass(frozen=True, slots=True)
class Weighted:
    """Importance weights of impressions, and the reward that a model expects where there is one."""

    reward_N: Floats
    weight_N: Floats  # how much more often the other policy would have shown it
    modelled_N: Floats | None = None  # of the item that was shown
    expected_N: Floats | None = None  # over the items that the other policy would have shown

    @property
    def effective_sample_size(self) -> float:
        """As many impressions of the policy's own say as much as these (Kish, 1965)."""
        squares = float(np.square(self.weight_N).sum())
        return float(self.weight_N.sum()) ** 2 / squares if squares else 0.0

    @property
    def overlap(self) -> float:
        """The policy's probability mass on items that the log can have shown, at most 1.

        A weight's mean is 1 where the log shows all of that with some probability, and lacks as
        much as it never shows.
        """
        return min(1.0, float(self.weight_N.mean())) if len(self.weight_N) else 0.0

    def refusal(self) -> str:
        """Why nothing can be concluded from the log; empty where something can."""
        reasons = []
        if self.effective_sample_size < MIN_EFFECTIVE:
            reasons.append(
                f"the log is worth {self.effective_sample_size:,.0f} impressions of the policy, "
                f"expected {MIN_EFFECTIVE:,.0f} or more"
            )
        if self.overlap < MIN_OVERLAP:
            reasons.append(
                f"the log can have shown {self.overlap:.0%} of what the policy shows, expected "
                f"{MIN_OVERLAP:.0%} or more"
            )
        return "; ".join(reasons)

    def estimates(self, draws: Draws) -> dict[str, Floats]:
        """[D] by estimator; the first draw is the log as it is."""
        num_D, won_N = draws.sums(np.ones(len(self.reward_N))), self.weight_N * self.reward_N
        won_D, weight_D = draws.sums(won_N), draws.sums(self.weight_N)
        found = {"ips": bootstrap.ratio(won_D, num_D), "snips": bootstrap.ratio(won_D, weight_D)}
        if self.modelled_N is not None and self.expected_N is not None:
            left_N = self.weight_N * (self.reward_N - self.modelled_N)
            found["doubly_robust"] = bootstrap.ratio(draws.sums(self.expected_N + left_N), num_D)
        return found

    def logged(self, draws: Draws) -> Floats:
        """[D]: the rate of the log's own policy."""
        return bootstrap.ratio(draws.sums(self.reward_N), draws.sums(np.ones(len(self.reward_N))))
