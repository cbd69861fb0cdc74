"""What a replica reads, handed over in memory: the rows of users, and a version of a learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headrace.catalogue.table.table import ItemTable
from headrace.catalogue.words import ContentTable
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.store.last_items import Entries
from headrace.learning.learner import OnlineLearner
from headrace.model.calibration import make_calibration
from headrace.model.ranker import Ranker
from headrace.registry.manifest import Manifest
from headrace.slates.cached_items import CachedItems
from serving.replica.models import LiveModel, factor_vectors


@dataclass(frozen=True)
class Stored:
    rows: list[bytes | None]
    attributes: list[tuple[str, ...]]
    lists: dict[str, list[Entries]]


@dataclass(frozen=True)
class OnlineStore:
    """Redis: the users' rows, as the stream wrote them."""

    rows: dict[str, bytes]

    def read_users(self, user_ids: Sequence[str], lists: Sequence[str] = ()) -> Stored:
        return Stored([self.rows.get(one) for one in user_ids], [() for _ in user_ids], {})


def made_ready(
    learner: OnlineLearner, catalogue: ItemTable, content: ContentTable, now_ms: int
) -> LiveModel:
    """A version's weights in a replica, which computes items when they are read; by clicks."""
    config = learner.ranker.config
    manifest = Manifest(
        version=1,
        uri="",
        sha256="",
        created_ms=now_ms,
        schema=INPUT_SCHEMA,
        model=config,
        num_samples=learner.num_samples,
        newest_event_ms=now_ms,
    )
    weights, ranker, calibration = learner.weights(), Ranker(config), make_calibration(config)
    ranker.load_state(weights["ranker"])
    ranker.eval()
    calibration.load_state(weights["calibration"])
    items = CachedItems(ranker, content, catalogue.keys)
    by_clicks = np.array([1.0, *[0.0] * (len(config.scalar_heads) - 1)], np.float32)
    factors = factor_vectors(ranker, catalogue)
    return LiveModel(manifest, ranker, calibration, items, by_clicks, factors=factors)
