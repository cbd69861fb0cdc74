"""What a replica holds in memory and keeps fresh in the background: the model and the item table.

Requests read one reference, `Live.view`, and keep what they read until they end: a request never
sees half of a new version.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from redis import Redis

from headrace import config
from headrace.broker import LogReader, Topics
from headrace.datasets.catalogue import read_items
from headrace.datasets.dataset import Item
from headrace.features.aggregators import State
from headrace.features.item_table import ItemTable
from headrace.features.table import CATEGORIES, ITEM_LAYOUT
from headrace.keys import category_slots, key
from headrace.latency import Latencies
from headrace.model.batch import make_items
from headrace.model.calibration import PlattBank
from headrace.model.item_tower import ItemCache
from headrace.model.learner import make_calibration
from headrace.model.ranker import Ranker
from headrace.model.tokens import ContentTable
from headrace.registry import Manifest, Subscriber, load_weights

REFRESH_S = 0.2


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A published version, ready to rank: the item side of the whole catalogue is computed."""

    manifest: Manifest
    ranker: Ranker
    calibration: PlattBank
    items: ItemCache  # one row per catalogue row


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items that can be recommended. Row 0 stands for any item that is not among them.

    I rows of the catalogue
    """

    items: tuple[Item, ...]  # [I]
    row_of_key: dict[int, int]
    row_of_id: dict[str, int]
    slots: tuple[tuple[int, ...], ...]  # [I] category slots
    key_I: NDArray[np.int64]
    rows_of_slot: tuple[NDArray[np.int64], ...]  # [K] rows that have the category slot


@dataclass(frozen=True, slots=True)
class View:
    """What one request reads."""

    model: LiveModel | None
    states_IW: State
    trending_rows: NDArray[np.int64]  # catalogue rows, most clicked of late first


def build_catalogue(items: Sequence[Item]) -> Catalogue:
    """The catalogue of these items, with the unknown item in row 0."""
    rows = (Item(""), *items)
    slots = tuple(category_slots(item.categories, CATEGORIES.num_slots) for item in rows)
    keys = [0, *(key(item.item_id) for item in items)]
    of_slot = [
        np.array([row for row, own in enumerate(slots) if slot in own], dtype=np.int64)
        for slot in range(CATEGORIES.num_slots)
    ]
    return Catalogue(
        items=rows,
        row_of_key={item_key: row for row, item_key in enumerate(keys)},
        row_of_id={item.item_id: row for row, item in enumerate(rows)},
        slots=slots,
        key_I=np.array(keys, dtype=np.int64),
        rows_of_slot=tuple(of_slot),
    )


@dataclass(slots=True)
class Followed:
    """What the background thread has seen, for the status."""

    model_freshness: Latencies = field(default_factory=Latencies)
    last_error: str = ""


class Live:
    """Follows the `models` and `item-features` topics in a thread; `view` is always whole."""

    def __init__(self, settings: config.Settings, clock: Callable[[], int]) -> None:
        self._settings, self._clock = settings, clock
        items = read_items(config.catalogue_path(settings))
        self.catalogue = build_catalogue(list(items.values()))
        self.followed = Followed()
        self._content = ContentTable(items)
        self._table = ItemTable()
        self._redis = Redis.from_url(settings.redis_url)
        self._stopping = threading.Event()
        states_IW = np.tile(ITEM_LAYOUT.empty, (len(self.catalogue.items), 1))
        self.view = View(None, states_IW, np.arange(1, len(self.catalogue.items)))
        self._thread = threading.Thread(target=self._follow, name="live", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=5)

    def _follow(self) -> None:
        models = Subscriber(self._settings)
        topic = Topics(self._settings.namespace).item_features
        partitions = dict.fromkeys(range(self._settings.num_partitions), 0)
        reader = LogReader(self._settings, topic, partitions, max_records=20_000)
        while not self._stopping.wait(REFRESH_S):
            try:
                manifest = models.newest()
                model = self._load(manifest) if manifest else self.view.model
                changed = self._table.apply(reader.poll(timeout_ms=0))
                self.view = self._refreshed(model, changed)
            except Exception as error:  # the replica goes on with what it has, and says so
                self.followed.last_error = f"{type(error).__name__}: {error}"
        models.close()
        reader.close()

    def _load(self, manifest: Manifest) -> LiveModel:
        weights = load_weights(manifest)
        ranker = Ranker(manifest.model)
        ranker.load_state(weights["ranker"])
        ranker.eval()
        calibration = make_calibration(manifest.model)
        calibration.load_state(weights["calibration"])
        with torch.inference_mode():
            items = ranker.cache(make_items(self.catalogue.key_I, self._content))
        self._redis.sadd(f"{self._settings.namespace}:served_versions", manifest.version)
        now_ms = self._clock()
        for arrival_ms in manifest.arrivals_ms:
            self.followed.model_freshness.add(now_ms - arrival_ms)
        return LiveModel(manifest, ranker, calibration, items)

    def _refreshed(self, model: LiveModel | None, changed: Sequence[str]) -> View:
        rows = [self.catalogue.row_of_id[i] for i in changed if i in self.catalogue.row_of_id]
        if not rows:
            return View(model, self.view.states_IW, self.view.trending_rows)
        states_IW = self.view.states_IW.copy()
        states_IW[rows] = self._table.states_NW([self.catalogue.items[r].item_id for r in rows])
        return View(model, states_IW, self._trending(states_IW))

    def _trending(self, states_IW: State) -> NDArray[np.int64]:
        """Catalogue rows by the expected clicks of the recent past, best first."""
        dense_IF = ITEM_LAYOUT.dense_values(states_IW, self._clock())
        by_name = {feature.name: column for column, feature in enumerate(ITEM_LAYOUT.dense)}
        rate_I = dense_IF[:, by_name["item_click_rate_last50"]]
        popularity_I = rate_I * dense_IF[:, by_name["item_impressions_log"]]
        popularity_I[0] = -1.0
        return np.argsort(-popularity_I, kind="stable")[:-1]
