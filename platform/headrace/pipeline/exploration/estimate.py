"""Estimated propensities: how often draws of the scores put an item at a place.

The draw that was shown counts as well. So an item that was shown has been drawn at least once of D
times, and one over its estimate is, in the mean, 1 - (1 - p)^D over its probability p: as good as
exact for what comes more often than a few times in D, and too small for what hardly ever comes,
where one over an unbiased estimate would have no mean at all.

    D draws   N places of the list   K places of the slate
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.facts import Ints
from headrace.pipeline.exploration.mixture import Floats, Mixture


def estimated(
    mixture: Mixture, drawn_DN: NDArray[np.float32], slate_K: Ints, is_fresh_N: NDArray[np.bool_]
) -> Floats:
    """[K]: the mean, over lists that are ordered by each draw, of the probability that the mixture
    of the list shows these items at these places."""
    num_places, is_fresh_N = len(slate_K), mixture.counted(is_fresh_N)
    if not num_places:
        return np.zeros(0)
    shown_DK = drawn_DN[:, slate_K]
    before_KN = np.arange(drawn_DN.shape[1]) < slate_K[:, None]  # who wins where two are alike
    is_alike_DKN = drawn_DN[:, None, :] == shown_DK[:, :, None]
    is_above_DKN = drawn_DN[:, None, :] > shown_DK[:, :, None]
    rank_DK = (is_above_DKN | (is_alike_DKN & before_KN)).sum(2)
    num_fresh_D = np.zeros(len(drawn_DN), np.int64)
    if is_fresh_N.any():
        top_DK = np.argpartition(-drawn_DN, num_places - 1, axis=1)[:, :num_places]
        num_fresh_D = is_fresh_N.sum() - is_fresh_N[top_DK].sum(1)
    p_DK = np.empty(rank_DK.shape)
    for num_fresh in np.unique(num_fresh_D).tolist():
        are_D = num_fresh_D == num_fresh
        about = is_fresh_N[slate_K], num_fresh, drawn_DN.shape[1]
        p_DK[are_D] = mixture.at_ranks(rank_DK[are_D], *about)
    mean_K: Floats = p_DK.mean(0)
    return mean_K
