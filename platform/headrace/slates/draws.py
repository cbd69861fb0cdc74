"""Draws of the scores of candidates, from the posterior of a version.

Two things are not known for certain. The weights of the last layer are drawn from their posterior,
once for all candidates (Thompson sampling with a Bayesian last layer: Riquelme et al., 2018). And
an item may be liked more or less than what the model reads of it says: that is drawn per item, and
the less the more often it was shown.

    C candidates   D draws   J scalar heads   R numbers that the last layer reads   S its deviations
    F features
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headrace.application.exploration import Exploration
from headrace.features.inputs import DENSE_NAMES
from headrace.model.batch import Batch
from headrace.model.ranker import Scored
from headrace.pipeline.exploration.draws import generator
from headrace.slates.rank import RankContext, RankingModel

SCORES: Final = "scores"  # names the random numbers of these draws
TIMES_SHOWN: Final = "item_impressions_log"  # log(1 + impressions), the feature


@dataclass(frozen=True, slots=True)
class PosteriorDraws:
    """Draws scores by the posterior of a version, a request's own."""

    exploration: Exploration

    def scores(
        self, context: RankContext, batch: Batch, scored: Scored, model: RankingModel
    ) -> NDArray[np.float32]:
        """[D, C]: scores, a row per draw."""
        num = len(model.calibration.weight_SJ2[0])
        logit_CJ, used = scored.logit_CK[:, :num].cpu(), _used(model)
        random = generator(context.request_id, SCORES)
        logit_DCJ = logit_CJ.repeat(self.exploration.draws, 1, 1)
        off_JRS = None if model.deviation_JRS is None else model.deviation_JRS[used]
        logit_DCJ[..., used] += self._of_weights(scored.read_CR.cpu(), off_JRS, random)
        dense_CF = batch.candidates.dense_CF
        logit_DCJ[..., used] += self._of_items(dense_CF, logit_CJ[:, used], random)
        surface_X = batch.surface_C.repeat(len(logit_DCJ))
        p_XJ = model.calibration(logit_DCJ.reshape(-1, num), surface_X).numpy()
        price_micros_C = context.catalogue.numbers("price_micros", context.candidates.row_C)
        price_micros_X = np.tile(price_micros_C, len(logit_DCJ))
        drawn_X = model.scores(model.of_impression(p_XJ), price_micros_X)
        return drawn_X.reshape(len(logit_DCJ), -1)

    def _of_weights(
        self, read_CR: Tensor, deviation_JRS: Tensor | None, random: np.random.Generator
    ) -> Tensor:
        """[D, C, J]: log odds to add, of other weights of the last layer."""
        num = self.exploration.draws
        if deviation_JRS is None:
            return torch.zeros(num, 1, 1)
        size = deviation_JRS.shape[2]
        normal_DS = _normal(random, num, size) * size**-0.5
        off_JSC = (read_CR @ deviation_JRS).mT
        off_DCJ: Tensor = (normal_DS @ off_JSC).permute(1, 2, 0)
        return off_DCJ

    def _of_items(self, dense_CF: Tensor, logit_CJ: Tensor, random: np.random.Generator) -> Tensor:
        """[D, C, J]: log odds to add, of an item's own.

        After n impressions the precision of a log odds that was normal before has grown by
        n p (1 - p).
        """
        num, deviation = self.exploration.draws, self.exploration.item_deviation
        if not deviation or TIMES_SHOWN not in DENSE_NAMES:
            return torch.zeros(num, 1, 1)
        times_C1 = dense_CF[:, [DENSE_NAMES.index(TIMES_SHOWN)]].expm1().clamp_min(0)
        p_CJ = logit_CJ.sigmoid()
        left_CJ = (deviation**-2 + times_C1 * p_CJ * (1 - p_CJ)).rsqrt()
        return left_CJ * _normal(random, num, *logit_CJ.shape)


def _used(model: RankingModel) -> list[int]:
    """The heads that scores are made of; the others are not drawn."""
    is_used_J = model.weight_J != 0
    if model.value_J is not None:
        is_used_J = is_used_J | (model.value_J != 0)
    after_J = np.array(model.config.after_click)
    is_used_J[0] |= bool((is_used_J & after_J).any())  # the click that they come after
    used: list[int] = np.flatnonzero(is_used_J).tolist()
    return used


def _normal(random: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(random.standard_normal(shape, np.float32))
