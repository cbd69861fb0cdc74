"""What a replica holds in memory and keeps fresh in the background: the model and the item table.

Requests read one reference, `Live.view`, and keep what they read until they end: a request never
sees half of a new version.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from redis import RedisError

from headrace import config
from headrace.access.own_key import write_key
from headrace.access.redis import prompt_redis
from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.catalogue.files import read_items
from headrace.catalogue.item import Item
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.errors import ConfigError
from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import Ints
from headrace.features.rows.bounds import NOTHING, Bounds
from headrace.features.rows.item_columns import padded_slots
from headrace.features.rows.merged import SharedState
from headrace.features.rows.schemas import RowSchemas
from headrace.features.table import ITEM, ITEM_LAYOUT, SLOTS
from headrace.keys import key
from headrace.latency import Latencies
from headrace.model.batch import make_items
from headrace.model.calibration import PlattBank, make_calibration
from headrace.model.config import RankerConfig
from headrace.model.layers.item_tower import ItemCache
from headrace.model.ranker import Ranker
from headrace.registry.registry import (
    KEEP_VERSIONS,
    Manifest,
    Subscriber,
    check_tokens,
    load_weights,
)
from headrace.skipped import Skipped, shortened

REFRESH_S = 0.2
FIRST_LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A published version, ready to rank: the item side of the whole catalogue is computed."""

    manifest: Manifest
    ranker: Ranker
    calibration: PlattBank
    items: ItemCache  # one row per catalogue row
    weight_J: NDArray[np.float32]  # of each head's probability, in the order of slates


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items that can be recommended. Row 0 stands for any item that is not among them.

    I rows of the catalogue
    """

    items: tuple[Item, ...]  # [I]
    row_of_key: dict[int, int]
    row_of_id: dict[str, int]
    slot_IS: Ints  # category slots, padded with -1
    key_I: Ints
    rows_of_slot: tuple[Ints, ...]  # [K] rows that have the category slot


@dataclass(frozen=True, slots=True)
class View:
    """What one request reads."""

    model: LiveModel | None
    state_I: State
    trending_rows: Ints  # catalogue rows, most clicked of late first


def build_catalogue(items: Sequence[Item]) -> Catalogue:
    """The catalogue of these items, with the unknown item in row 0."""
    rows = (Item(""), *items)
    slot_IS = padded_slots([item.categories for item in rows])
    keys = [0, *(key(item.item_id) for item in items)]
    of_slot = [np.flatnonzero((slot_IS == slot).any(1)) for slot in range(SLOTS.num_slots)]
    return Catalogue(
        items=rows,
        row_of_key={item_key: row for row, item_key in enumerate(keys)},
        row_of_id={item.item_id: row for row, item in enumerate(rows)},
        slot_IS=slot_IS,
        key_I=np.array(keys, dtype=np.int64),
        rows_of_slot=tuple(of_slot),
    )


@dataclass(slots=True)
class Followed:
    """What the background thread has seen, for the status."""

    model_freshness: Latencies = field(default_factory=Latencies)
    version_error: str = ""  # why a newer version is not served, until one is
    reading_error: str = ""  # what was wrong when the topics were read last

    @property
    def last_error(self) -> str:
        """What is wrong now, empty when nothing is."""
        return self.reading_error or self.version_error


class Live:
    """Follows the `models` and `item-features` topics in a thread; `view` is always whole."""

    def __init__(self, settings: config.Settings, clock: Callable[[], int]) -> None:
        self._settings, self._clock = settings, clock
        items = read_items(config.catalogue_path(settings))
        self.catalogue = build_catalogue(list(items.values()))
        self.followed = Followed()
        self.content = ContentTable(items, ContentVectors.of(settings))
        self._redis = prompt_redis(settings.redis_url, settings.store_timeout_s)
        schemas = RowSchemas(self._redis, settings.namespace)
        self.skipped = Skipped(clock)
        known = Bounds(NOTHING, NOTHING)
        self._shared = SharedState(items.get, schemas.description, self.skipped, known)
        self._stopping, self._has_looked = threading.Event(), threading.Event()
        num_items = len(self.catalogue.items)
        self.view = View(None, ITEM_LAYOUT.new(num_items), np.arange(1, num_items))
        self._thread = threading.Thread(target=self._follow, name="live", daemon=True)

    def start(self) -> None:
        """Begin to follow, with the newest version where the topic has one and can be read in
        `FIRST_LOOK_S`: a replica that takes another's place begins with what that one had."""
        self._thread.start()
        self._has_looked.wait(FIRST_LOOK_S)

    @property
    def is_following(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the thread, if it runs, and leave the servers."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._redis.close()

    def catch_up(self, version: int | None = None) -> View:
        """What the topics say now, read once and without the thread, with this model version.

        Without a version it is the newest, if there is one. Raises `ConfigError` for a version that
        was not published or does not fit the settings, `ServiceError` for damaged weights.
        """
        with self._readers() as (models, states):
            announced = {manifest.version: manifest for manifest in models.announced()}
            if version is not None and version not in announced:
                raise ConfigError(
                    f"no model version {version} in namespace {self._settings.namespace!r}; "
                    f"published: {_range(announced)}"
                )
            chosen = announced.get(max(announced, default=0) if version is None else version)
            self.view = replace(self.view, model=self._load(chosen) if chosen else None)
            for records in states.read_to_end():
                self._take(records)
        return self.view

    def _follow(self) -> None:
        """Follow the topics from their beginning, anew where no broker answers at first."""
        while not self._stopping.wait(REFRESH_S):
            try:
                with self._readers() as (models, states):
                    self._follow_with(models, states)
            except Exception as error:
                self._say(error)

    def _follow_with(self, models: Subscriber, states: LogReader) -> None:
        while not self._stopping.wait(REFRESH_S):
            try:
                self._serve_newest(models)
                self._take(states.poll(timeout_ms=0))
                self.followed.reading_error = ""
                self._has_looked.set()
            except Exception as error:  # the replica goes on with what it has, and says so
                self._say(error)

    def _serve_newest(self, models: Subscriber) -> None:
        """Serve the newest version of those that were announced and can be: what is wrong with a
        later one is said for as long as none comes that is right."""
        announced, wrong = models.announced(), models.last_error
        models.last_error = ""
        for manifest in announced[: -KEEP_VERSIONS - 1 : -1]:
            try:
                model = self._serve(manifest)
            except Exception as error:
                wrong = wrong or f"{type(error).__name__}: {error}"
                self.skipped.add("models", "a version that cannot be served", str(error))
                continue
            self.view = replace(self.view, model=model)
            self.followed.version_error = wrong
            return
        self.followed.version_error = wrong or self.followed.version_error

    def _say(self, error: Exception) -> None:
        self.followed.reading_error = shortened(f"{type(error).__name__}: {error}")

    @contextmanager
    def _readers(self) -> Iterator[tuple[Subscriber, LogReader]]:
        topic = Topics(self._settings.namespace).item_features
        partitions = dict.fromkeys(range(self._settings.num_partitions), 0)
        with (
            closing(Subscriber(self._settings, self.skipped)) as models,
            closing(LogReader(self._settings, topic, partitions, max_records=20_000)) as states,
        ):
            yield models, states

    def _serve(self, manifest: Manifest) -> LiveModel:
        """The version ready to rank; from now on it counts as served."""
        model = self._load(manifest)
        name = f"{self._settings.namespace}:served_versions"
        try:
            add = partial(self._redis.sadd, name, manifest.version)
            write_key(self._redis, name, add, self.skipped)
        except RedisError as error:
            self.skipped.add("served versions", "not written", str(error))
        now_ms = self._clock()
        for arrival_ms in manifest.arrivals_ms:
            self.followed.model_freshness.add(now_ms - arrival_ms)
        return model

    def _load(self, manifest: Manifest) -> LiveModel:
        weight_J = _weights(self._settings.ranking_weights, manifest.model)
        check_tokens(manifest, self.content.vectors.names)
        weights = load_weights(manifest)
        ranker = Ranker(manifest.model)
        ranker.load_state(weights["ranker"])
        ranker.eval()
        calibration = make_calibration(manifest.model)
        calibration.load_state(weights["calibration"])
        with torch.inference_mode():
            items = ranker.cache(make_items(self.catalogue.key_I, self.content))
        return LiveModel(manifest, ranker, calibration, items, weight_J)

    def _take(self, records: Sequence[Record]) -> None:
        """Take in what came of the items' states."""
        changed = self._shared.apply(records).get(ITEM, ())
        self._shared.end_step(self._clock())  # what is in no catalogue is not recommended
        known = [item_id for item_id in changed if item_id in self.catalogue.row_of_id]
        if not known:
            return
        state_I = self.view.state_I.copy()
        rows = [self.catalogue.row_of_id[item_id] for item_id in known]
        state_I[rows] = self._shared.items.states(self._shared.items.find(known))
        self.view = View(self.view.model, state_I, self._trending(state_I))

    def _trending(self, state_I: State) -> Ints:
        """Catalogue rows by the clicks of the recent past, best first."""
        now_ms_I = np.full(len(state_I), self._clock())
        clicks_I = ITEM_LAYOUT.value("item_clicks_lately_log", state_I, now_ms_I)
        rate_I = ITEM_LAYOUT.value("item_click_rate_lately", state_I, now_ms_I)
        popularity_I = clicks_I * rate_I
        popularity_I[0] = -1.0
        return np.argsort(-popularity_I, kind="stable")[:-1]


def _weights(weights: Mapping[str, float], model: RankerConfig) -> NDArray[np.float32]:
    """[J]: the weight of each scalar head; raises `ConfigError` for a head that is not there."""
    names = [head.name for head in model.scalar_heads]
    for name in weights:
        if name not in names:
            raise ConfigError(
                f"slates are to be ranked by {name!r}, the model's heads are {', '.join(names)}: "
                f"change {config.variable('rank_by')}"
            )
    return np.array([weights.get(name, 0.0) for name in names], dtype=np.float32)


def _range(versions: Collection[int]) -> str:
    return f"{min(versions)} to {max(versions)}" if versions else "none yet"
