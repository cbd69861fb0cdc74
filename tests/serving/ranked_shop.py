"""A shop of twelve items with prices and brands, and a ranker that has learned nothing."""

from __future__ import annotations

from typing import Final

import numpy as np
from request_path import NOW_MS
from test_stages_of_a_slate import Store

from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.catalogue.words import ContentTable
from headrace.features.inputs import NUM_DENSE
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.table import ITEM_LAYOUT
from headrace.model.calibration import make_calibration
from headrace.model.config import RankerConfig, heads_of
from headrace.model.ranker import Ranker
from headrace.registry.manifest import Manifest
from headrace.slates.cached_items import CachedItems
from serving.replica.models import LiveModel
from serving.replica.snapshot import Snapshot
from serving.replica.state_pages import StatePages
from serving.stages.hydrate import Hydrate

CATEGORIES: Final = ("tea", "mugs", "pens")
ITEMS: Final = tuple(
    Item(f"i{n}", f"item {n}", (CATEGORIES[n % 3],), (f"brand={'ab'[n % 2]}",), 1_000_000 * n)
    for n in range(1, 13)
)
TABLE: Final = table_of(ITEMS)
STATES: Final = StatePages(ITEM_LAYOUT, 13).states
UNRANKED: Final = Snapshot((), STATES, np.arange(1, 13))
HYDRATE: Final = Hydrate(Store())


def version(*heads: str) -> LiveModel:
    """A version that predicts these actions, and ranks by the click."""
    config = RankerConfig(NUM_DENSE, heads=heads_of(heads or ("click", "purchase")))
    manifest = Manifest(
        version=1,
        uri="",
        sha256="",
        created_ms=NOW_MS,
        schema=INPUT_SCHEMA,
        model=config,
        num_samples=0,
        newest_event_ms=0,
    )
    ranker = Ranker(config).eval()
    items = CachedItems(ranker, ContentTable(TABLE), TABLE.keys)
    weight_J = np.array([1.0] + [0.0] * (len(config.scalar_heads) - 1), np.float32)
    return LiveModel(manifest, ranker, make_calibration(config), items, weight_J)


def ranked(*heads: str) -> Snapshot:
    """A snapshot in which such a version answers."""
    return Snapshot((version(*heads),), STATES, np.arange(1, 13))
