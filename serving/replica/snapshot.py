"""The snapshot: the immutable view of a replica that one request reads until it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.api.slate import InvalidRequest
from headrace.catalogue.content_index import ContentIndex
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import Ints
from headrace.features.companions import COMPANION_LAYOUT
from headrace.model.factor_vectors import FactorVectors
from headrace.model.tower_vectors import TowerVectors
from headrace.pipeline.sessions import SessionMemory
from serving.replica.group_states import GroupStates
from serving.replica.models import LiveModel
from serving.replica.state_pages import StatePages, States

NO_ROWS: Final = np.zeros(0, np.int64)
NO_COMPANIONS: Final = StatePages(COMPANION_LAYOUT, 1).states


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The loaded versions and the items' states of one moment."""

    models: tuple[LiveModel, ...]  # the one that answers, then older ones
    states: States  # by catalogue row
    trending_rows: Ints  # catalogue rows, most clicked of late first
    companions: States = NO_COMPANIONS  # by catalogue row
    sessions: SessionMemory = field(default_factory=SessionMemory)  # of this replica's requests
    surface_trends: Mapping[int, State] = field(default_factory=dict)  # by the byte of a surface
    groups: GroupStates = GroupStates()  # of categories and authors, where anything reads them
    content: ContentIndex | None = None  # until it was made
    towers: TowerVectors | None = None  # likewise; both are of one version, the newest that has any
    fresh_rows: Ints = field(default_factory=lambda: NO_ROWS)  # new items, shown least first

    @property
    def model(self) -> LiveModel | None:
        """The model that answers, None before there is one."""
        return self.models[0] if self.models else None

    @property
    def factors(self) -> FactorVectors | None:
        """The item factors of the model that answers."""
        return self.model.factors if self.model else None

    def of_version(self, version: int | None) -> Snapshot:
        """The snapshot in which this version answers, None for the one that does; raises
        `InvalidRequest` for one that is not loaded."""
        if version is None:
            return self
        loaded = {model.manifest.version: model for model in self.models}
        if version not in loaded:
            numbers = ", ".join(map(str, sorted(loaded))) or "none yet"
            told = f"model version {version} is not loaded, there are: {numbers}"
            raise InvalidRequest(told, "model_version")
        return replace(self, models=(loaded[version],))

    def weighed(self, weights: Mapping[str, float]) -> Snapshot:
        """The snapshot whose slates are ordered by these weights, and by the others as before."""
        return replace(self, models=tuple(model.weighed_by(weights) for model in self.models))

    def vectors(self, name: str, row_N: Ints) -> NDArray[np.float32] | None:
        """[N, D]: the items' content or factors, as the model that answers reads them."""
        return self.model.items.vectors(name, row_N) if self.model else None

    def with_models(self, loaded: tuple[LiveModel, ...], most: int) -> Snapshot:
        """The snapshot in which the first of these answers; of those that were loaded before,
        the newest stay, so that there are `most` together."""
        versions = {model.manifest.version for model in loaded}
        before = [model for model in self.models if model.manifest.version not in versions]
        return replace(self, models=(*loaded, *before)[:most])
