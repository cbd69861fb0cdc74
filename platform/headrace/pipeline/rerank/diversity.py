"""The re-ranker `diversity`: of the best candidates those first that are good and differ.

By maximal marginal relevance (Carbonell and Goldstein, 1998) or a determinantal point process
(Chen et al., 2018), in the implementation of pyversity.

C candidates   K the best of them   D width of a vector   L words of a field
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyversity import Strategy, diversify

from headrace.application.reranking import Diversity
from headrace.features.aggregation.facts import Ints
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context

CATEGORIES: Final = "categories"
Floats = NDArray[np.float32]


class Diverse:
    """Puts as many candidates first as are wanted, chosen among the best ones; the others stay as
    they are, behind them."""

    name: Final = "diversity"

    def __init__(self, diversity: Diversity) -> None:
        self._told, self._strategy = diversity, Strategy(diversity.method)

    def keep(self, context: Context) -> Kept:
        """The places in their new order."""
        candidates = context.candidates
        num_C, num_K = len(candidates), min(self._told.among, len(candidates))
        if num_K < 2:
            return np.ones(num_C, np.bool_)
        vector_KD = self._vectors(context, candidates.row_C[:num_K])
        chosen = diversify(
            vector_KD,
            _relevance(context, num_K),
            min(context.num_items, num_K),
            self._strategy,
            self._told.strength,
        ).indices.astype(np.int64)
        is_left_C = np.ones(num_C, np.bool_)
        is_left_C[chosen] = False
        return np.concatenate([chosen, np.flatnonzero(is_left_C)])

    def _vectors(self, context: Context, row_K: Ints) -> Floats:
        """[K, D]: the vectors of the candidates, without a model their categories."""
        if self._told.by != CATEGORIES:
            vector_KD = context.snapshot.vectors(self._told.by, row_K)
            if vector_KD is not None:
                return vector_KD
        key_KL = context.catalogue.category_keys(row_K)
        distinct, place_X = np.unique(key_KL, return_inverse=True)
        vector_KD = np.zeros((len(row_K), len(distinct)), np.float32)
        np.put_along_axis(vector_KD, place_X.reshape(key_KL.shape), 1, axis=1)
        vector_KD[:, distinct == 0] = 0
        return vector_KD


def _relevance(context: Context, num_K: int) -> Floats:
    """[K]: scores from 0 to 1 among these, by their places where nothing has ranked them."""
    score_C = context.candidates.score_C
    score_K = -np.arange(num_K, dtype=np.float32) if score_C is None else score_C[:num_K]
    least, greatest = float(score_K.min()), float(score_K.max())
    relevance_K: Floats = (score_K - least) / max(greatest - least, 1e-12)
    return relevance_K
