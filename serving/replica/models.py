"""Models of a replica: published versions, ready to rank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from headrace.api.slate import InvalidRequest
from headrace.application.current import APPLICATION
from headrace.application.reranking import VALUE
from headrace.application.sources import TWO_TOWER
from headrace.catalogue.table.table import ItemTable
from headrace.catalogue.words import ContentTable
from headrace.config import Settings
from headrace.errors import ConfigError
from headrace.features.aggregation.facts import Ints
from headrace.model.calibration import PlattBank, make_calibration, per_impression
from headrace.model.config import RankerConfig
from headrace.model.factor_vectors import FactorVectors
from headrace.model.ranker import Ranker
from headrace.registry.manifest import Manifest, check_vectors
from headrace.registry.versions import load_weights
from headrace.settings.variables import variable
from headrace.slates.cached_items import CachedItems
from headrace.slates.value import PAID, value_weights, weighted_scores
from serving.replica.towers import FollowedTowers


@dataclass(frozen=True)
class LiveModel:
    """A published version, ready to rank; its derived tables are made once."""

    manifest: Manifest
    ranker: Ranker
    calibration: PlattBank
    items: CachedItems  # by catalogue row
    weight_J: NDArray[np.float32]  # of each action's probability, in the order of slates
    value_J: NDArray[np.float32] | None = None  # of each one's value
    # [J, R, S] draws of how far the last layer's weights may lie off; None: not known
    deviation_JRS: Tensor | None = None
    factors: FactorVectors | None = None  # of this version, as its sources search them

    @property
    def config(self) -> RankerConfig:
        return self.manifest.model

    def is_relative(self, surface: str) -> bool:
        """Whether the probabilities that slates and ads read on a surface only order items."""
        return bool(self._is_relative_S[self.manifest.model.surface_number(surface)])

    @cached_property
    def _is_relative_S(self) -> NDArray[np.bool_]:
        read_J = self._are_weighed_J
        read_J[0] = True  # the click's, which is told and which ads are priced by
        return np.asarray((self.calibration.is_relative_SJ.numpy() & read_J).any(1), np.bool_)

    def follow_items(self, put: Ints, removed: Ints) -> None:
        """Take in the keys of items that came or changed, and of those that went."""
        self.items.forget(put)
        if self.factors is not None:
            self.factors.follow(put, removed)

    @cached_property
    def weighed(self) -> dict[str, int]:
        """The heads beside the click that slates are ordered by, with their columns."""
        are_weighed_J = self._are_weighed_J.tolist()
        named = enumerate(zip(self._names, are_weighed_J, strict=True))
        return {name: place for place, (name, is_weighed) in named if place and is_weighed}

    def weighed_by(self, weights: Mapping[str, float]) -> LiveModel:
        """The same version, its slates ordered by these weights and by the others as before;
        raises `InvalidRequest` for a head that it does not have."""
        weight_J = self.weight_J.copy()
        for name, weight in weights.items():
            if name == VALUE:
                continue
            if name not in self._names:
                told = f"model version {self.manifest.version} does not predict it"
                raise InvalidRequest(told, f"weights.{name}")
            weight_J[self._names.index(name)] = weight
        is_told = VALUE in weights
        value_J = value_weights(self._names, weights[VALUE]) if is_told else self.value_J
        return replace(self, weight_J=weight_J, value_J=value_J)

    def of_impression(self, p_XJ: NDArray[np.float32]) -> NDArray[np.float32]:
        """[X, J]: the heads' probabilities, none of them given a click any more."""
        return per_impression(p_XJ, self._after_click)

    @cached_property
    def _after_click(self) -> tuple[bool, ...]:
        return self.manifest.model.after_click

    def scores(
        self, p_XJ: NDArray[np.float32], price_micros_X: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """[X]: the order of slates, from probabilities of an impression and the items' prices."""
        return weighted_scores(p_XJ, price_micros_X, self.weight_J, self.value_J)

    @property
    def _names(self) -> list[str]:
        return [head.name for head in self.manifest.model.scalar_heads]

    @property
    def _are_weighed_J(self) -> NDArray[np.bool_]:
        """[J]: which heads slates are ordered by."""
        are_weighed_J: NDArray[np.bool_] = self.weight_J != 0
        return are_weighed_J if self.value_J is None else are_weighed_J | (self.value_J != 0)


def load_model(
    manifest: Manifest,
    settings: Settings,
    catalogue: ItemTable,
    content: ContentTable,
    towers: FollowedTowers | None = None,
) -> LiveModel:
    """The version of a manifest over this catalogue, of which it has computed no item yet. Its two
    towers are taken by those that are followed.

    Raises `ConfigError` where it does not fit the settings, `ServiceError` for damaged weights.
    """
    weight_J = _weights(settings.serving.rank_by, manifest.model)
    check_vectors(manifest, content.vectors.names)
    weights = load_weights(manifest)
    ranker = Ranker(manifest.model)
    ranker.load_state(weights["ranker"])
    ranker.eval()
    calibration = make_calibration(manifest.model)
    calibration.load_state(weights["calibration"])
    items = CachedItems(ranker, content, catalogue.keys)
    if towers is not None and TWO_TOWER in APPLICATION.sources and "towers" in weights:
        towers.take(weights["towers"], manifest.version)
    names = [head.name for head in manifest.model.scalar_heads]
    value_J = value_weights(names, settings.serving.rank_by.get(VALUE, 0.0))
    deviation_JRS = weights.get("last_layer_deviations")  # versions of before have none
    ranking = manifest, ranker, calibration, items, weight_J, value_J, deviation_JRS
    return LiveModel(*ranking, factor_vectors(ranker, catalogue))


def factor_vectors(ranker: Ranker, catalogue: ItemTable) -> FactorVectors:
    """The ranker's factors of the items of this catalogue."""
    return FactorVectors(ranker.factors, catalogue.rows_of_keys(ranker.factors.key_I) != 0)


def _weights(weights: Mapping[str, float], model: RankerConfig) -> NDArray[np.float32]:
    """[J]: the weight of each scalar head; raises `ConfigError` for a head that is not there."""
    names = [head.name for head in model.scalar_heads]
    for name in weights:
        if name not in names and not (name == VALUE and not PAID.isdisjoint(names)):
            raise ConfigError(
                f"slates are to be ranked by {name!r}, the model's heads are {', '.join(names)}: "
                f"change {variable('rank_by')}"
            )
    return np.array([weights.get(name, 0.0) for name in names], dtype=np.float32)
