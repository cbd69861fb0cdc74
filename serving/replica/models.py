"""Models of a replica: published versions, ready to rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.application.current import APPLICATION
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
from headrace.model.tower_vectors import TowerVectors, stamp_of
from headrace.paths import indexes_path
from headrace.registry.manifest import Manifest, check_vectors
from headrace.registry.versions import load_weights
from headrace.settings.variables import variable
from headrace.slates.cached_items import CachedItems


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A published version, ready to rank."""

    manifest: Manifest
    ranker: Ranker
    calibration: PlattBank
    items: CachedItems  # by catalogue row
    weight_J: NDArray[np.float32]  # of each action's probability, in the order of slates
    factors: FactorVectors  # of this version, as its sources search them
    towers: TowerVectors | None = None  # likewise, where a source asks for them

    @property
    def config(self) -> RankerConfig:
        return self.manifest.model

    def is_relative(self, surface: str) -> bool:
        """Whether the probabilities that slates and ads read on a surface only order items."""
        relative_J = self.calibration.is_relative_SJ[self.manifest.model.surface_number(surface)]
        read_J = self.weight_J != 0
        read_J[0] = True  # the click's, which is told and which ads are priced by
        return bool((relative_J.numpy() & read_J).any())

    def follow_items(self, put: Ints, removed: Ints) -> None:
        """Take in the keys of items that came or changed, and of those that went."""
        self.items.forget(put)
        self.factors.follow(put, removed)
        if self.towers is not None:
            self.towers.follow(put, removed)

    @property
    def weighed(self) -> dict[str, int]:
        """The heads beside the click that slates are ordered by, with their columns."""
        names = [head.name for head in self.manifest.model.scalar_heads]
        return {
            name: column for column, name in enumerate(names) if column and self.weight_J[column]
        }

    def of_impression(self, p_XJ: NDArray[np.float32]) -> NDArray[np.float32]:
        """[X, J]: the heads' probabilities, none of them given a click any more."""
        return per_impression(p_XJ, self.manifest.model.after_click)

    def scores(self, p_XJ: NDArray[np.float32]) -> NDArray[np.float32]:
        """[X]: the order of slates, from probabilities of an impression."""
        scores_X: NDArray[np.float32] = p_XJ @ self.weight_J
        return scores_X


def load_model(
    manifest: Manifest,
    settings: Settings,
    catalogue: ItemTable,
    content: ContentTable,
    loaded: Sequence[LiveModel] = (),
) -> LiveModel:
    """The version of a manifest over this catalogue, of which it has computed no item yet. It has
    the tower vectors of one that is loaded where their towers are the same.

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
    factors, towers = factor_vectors(ranker, catalogue), None
    if TWO_TOWER in APPLICATION.sources and "towers" in weights:
        known = [model.towers for model in loaded]
        folder = indexes_path(settings)
        towers = _tower_vectors(weights["towers"], catalogue, content, known, folder)
    return LiveModel(manifest, ranker, calibration, items, weight_J, factors, towers)


def _tower_vectors(
    state: dict[str, Any],
    catalogue: ItemTable,
    content: ContentTable,
    known: Sequence[TowerVectors | None],
    folder: Path,
) -> TowerVectors:
    """The vectors of these towers: those that are known, or made of the whole catalogue."""
    stamp = stamp_of(state)
    same = next((one for one in known if one is not None and one.stamp == stamp), None)
    return same or TowerVectors(state, content, catalogue.keys(catalogue.rows()), folder)


def factor_vectors(ranker: Ranker, catalogue: ItemTable) -> FactorVectors:
    """The ranker's factors of the items of this catalogue."""
    return FactorVectors(ranker.factors, catalogue.rows_of_keys(ranker.factors.key_I) != 0)


def _weights(weights: Mapping[str, float], model: RankerConfig) -> NDArray[np.float32]:
    """[J]: the weight of each scalar head; raises `ConfigError` for a head that is not there."""
    names = [head.name for head in model.scalar_heads]
    for name in weights:
        if name not in names:
            raise ConfigError(
                f"slates are to be ranked by {name!r}, the model's heads are {', '.join(names)}: "
                f"change {variable('rank_by')}"
            )
    return np.array([weights.get(name, 0.0) for name in names], dtype=np.float32)
