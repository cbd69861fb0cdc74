"""The learner of an evaluation of slates, and the model that its weights are at a point."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headrace.application.current import APPLICATION
from headrace.application.reranking import VALUE
from headrace.application.sources import TWO_TOWER
from headrace.catalogue.item import Dataset
from headrace.catalogue.table.table import ItemTable
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.config import Settings
from headrace.evaluation.progressive import ranker_config
from headrace.evaluation.row import BATCH_IMPRESSIONS
from headrace.evaluation.slates.asked import AskedSlates
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import batch_of_samples
from headrace.model.calibration import PlattBank, per_impression
from headrace.model.config import RankerConfig
from headrace.model.factor_vectors import FactorVectors
from headrace.model.tower_vectors import TowerVectors, stamp_of
from headrace.sample import Sample
from headrace.slates.cached_items import CachedItems
from headrace.slates.value import PAID, value_weights, weighted_scores


@dataclass(frozen=True, slots=True)
class WalkedModel:
    """The learner's ranker as it is now, and the weights of its heads."""

    config: RankerConfig
    items: CachedItems
    calibration: PlattBank
    weight_J: NDArray[np.float32]
    value_J: NDArray[np.float32] | None
    factors: FactorVectors
    towers: TowerVectors | None
    deviation_JRS: Tensor | None  # draws of the last layer's weights, where any are wanted

    def of_impression(self, p_XJ: NDArray[np.float32]) -> NDArray[np.float32]:
        """[X, J]: the heads' probabilities, none of them given a click any more."""
        return per_impression(p_XJ, self.config.after_click)

    def scores(
        self, p_XJ: NDArray[np.float32], price_micros_X: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """[X]: the order of slates, from probabilities of an impression and the items' prices."""
        return weighted_scores(p_XJ, price_micros_X, self.weight_J, self.value_J)


class WalkLearner:
    """Learns samples in the batches that a trainer takes; `rank_by` says which heads it has."""

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        asked: AskedSlates,
        surfaces: Iterable[str],
        with_deviations: bool = False,
    ) -> None:
        self._with_deviations = with_deviations
        items = {item.item_id: item for item in dataset.items}
        self.content = ContentTable(items, ContentVectors.of(settings))
        rank_by = settings.serving.rank_by
        towers = self.content if TWO_TOWER in APPLICATION.sources else None
        self._towers: TowerVectors | None = None
        widths = self.content.vectors.widths
        paid = [name for name in settings.training.heads if name in PAID and VALUE in rank_by]
        heads = tuple(dict.fromkeys([*(name for name in rank_by if name != VALUE), *paid]))
        self._config = ranker_config(asked.size, heads, surfaces, widths)
        self._learner = OnlineLearner(self._config, asked.seed, window=1 << 62, content=towers)
        names = [head.name for head in self._config.scalar_heads]
        self._weight_J = np.array([rank_by.get(name, 0.0) for name in names], np.float32)
        self._value_J = value_weights(names, rank_by.get(VALUE, 0.0))
        self._pending: deque[Sample] = deque()
        self._num_pending = 0
        self._model: WalkedModel | None = None
        self.num_learned = 0

    def learn(self, samples: Sequence[Sample]) -> None:
        """Take in samples, in the order of the log."""
        for sample in samples:
            self._pending.append(sample)
            self._num_pending += sample.num_impressions
            if self._num_pending >= BATCH_IMPRESSIONS:
                self._learner.learn(batch_of_samples(self._pending, self.content, self._config))
                self.num_learned += self._num_pending
                self._num_pending, self._model = 0, None
                self._pending.clear()

    def model(self, catalogue: ItemTable) -> WalkedModel | None:
        """The model of now; None before anything was learned."""
        if self._model is None and self.num_learned:
            ranker = self._learner.ranker.eval()
            items = CachedItems(ranker, self.content, catalogue.keys)
            calibration = self._learner.calibration
            factors = FactorVectors(
                ranker.factors, catalogue.rows_of_keys(ranker.factors.key_I) != 0
            )
            vectors = factors, self._tower_vectors(catalogue)
            weights = self._weight_J, self._value_J
            deviation_JRS = self._learner.deviations() if self._with_deviations else None
            of_heads = *weights, *vectors, deviation_JRS
            self._model = WalkedModel(self._config, items, calibration, *of_heads)
        return self._model

    def _tower_vectors(self, catalogue: ItemTable) -> TowerVectors | None:
        """The published towers' vectors, made anew when there are others."""
        state = self._learner.towers.weights() if self._learner.towers else {}
        if not state:
            return None
        if self._towers is None or self._towers.stamp != stamp_of(state):
            self._towers = TowerVectors(state, self.content, catalogue.keys(catalogue.rows()))
        return self._towers
