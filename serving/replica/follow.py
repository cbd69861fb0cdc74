"""Following: the thread that keeps a replica's models and item states fresh.

Requests read one reference, `Live.snapshot`, and keep what they read until they end: a request
never sees half of a new version.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from redis import RedisError

from headrace import config
from headrace.access.own_key import write_key
from headrace.access.redis import prompt_redis
from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.catalogue.item import Item
from headrace.catalogue.table.shared import open_catalogue
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.documents.followed import CatchUp, begun
from headrace.documents.follower import ItemFollower
from headrace.encoders.arrivals.messages import VectorFollower
from headrace.features.companions import COMPANIONS
from headrace.features.rows.messages.merged_rows import MergedRows
from headrace.features.rows.messages.row_messages import MERGED, RowDecoder
from headrace.features.rows.schemas import RowSchemas
from headrace.features.surface_trends import SURFACE_TRENDS
from headrace.features.table import CATEGORY, HAS_GROUPS, ITEM
from headrace.keys import key
from headrace.metrics.latency import Latencies
from headrace.paths import indexes_path
from headrace.registry.manifest import Manifest
from headrace.registry.subscriber import Subscriber
from headrace.registry.versions import KEEP_VERSIONS
from headrace.skipped import Skipped, shortened
from serving.replica.content import FollowedContent
from serving.replica.item_states import ItemStates
from serving.replica.models import LiveModel, load_model
from serving.replica.readers import Readers, opened
from serving.replica.snapshot import Snapshot
from serving.replica.towers import FollowedTowers

REFRESH_S = 0.2
FIRST_LOOK_S = 5.0
MAX_POLLS = 10  # of the items' topic, one after the other
WARM_ROWS = 4_096  # items that are computed of a version before it answers


@dataclass(slots=True)
class Followed:
    """The background thread's measurements and errors, for the status."""

    model_freshness: Latencies = field(default_factory=Latencies)
    num_looks: int = 0  # at the items' topic that found nothing more in it
    version_error: str = ""  # why a newer version is not served, until one is
    reading_error: str = ""  # what was wrong when the topics were read last

    @property
    def last_error(self) -> str:
        """The current error, empty when there is none."""
        return self.reading_error or self.version_error


class Live:
    """Follows published versions, the items and their states; `snapshot` is always whole."""

    def __init__(self, settings: config.Settings, clock: Callable[[], int]) -> None:
        self._settings, self._clock = settings, clock
        self.catalogue, self._place = open_catalogue(
            config.catalogue_path(settings), settings.namespace
        )
        self.followed = Followed()
        vectors = ContentVectors.of(settings)
        self.content = ContentTable(self.catalogue, vectors)
        self._redis = prompt_redis(settings.redis_url, settings.serving.store_timeout_s)
        schemas = RowSchemas(self._redis, settings.namespace)
        self.skipped = Skipped(clock)
        decoder = RowDecoder(MERGED, schemas.description, self.skipped)
        kinds = (ITEM, COMPANIONS, SURFACE_TRENDS, *([CATEGORY] if HAS_GROUPS else []))
        merged_rows = MergedRows(settings.stream.num_partitions, decoder, kinds)
        self._states = ItemStates(self.catalogue, merged_rows, clock)
        indexed = self.catalogue, self.content, indexes_path(settings)
        self.content_vectors, self._towers = FollowedContent(*indexed), FollowedTowers(*indexed)
        self._documents = ItemFollower(self.catalogue.get, self.skipped)
        self._vectors = VectorFollower(vectors, self.skipped)
        self._stopping, self._has_looked = threading.Event(), threading.Event()
        self.snapshot = Snapshot((), self._states.states, self._states.trending_rows)
        self._show()
        self._thread = threading.Thread(target=self._follow, name="live", daemon=True)

    def start(self) -> None:
        """Begin to follow, with the newest version where there is one and it can be read in
        `FIRST_LOOK_S`: a replica that takes another's place begins with that one's version."""
        self.content_vectors.start()
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

    def catch_up(self, version: int | None = None) -> Snapshot:
        """The current snapshot with this model version, read once and without the thread.

        Without a version it is the newest, if there is one. Raises `ConfigError` for a version that
        was not published, is gone or does not fit the settings, `ServiceError` for damaged weights.
        """
        with self._readers() as readers:
            models = readers.models
            chosen = models.newest() if version is None else models.find(version)
            self._catch_up_documents(readers.items)
            for records in readers.vectors.read_to_end():
                self._take_vectors(records)
            loaded = (self._load(chosen),) if chosen else ()
            self.snapshot = replace(self.snapshot, models=loaded)
            for records in readers.states.read_to_end():
                self._states.take(records)
        self._show()
        return self.snapshot

    def follow_items(self, put: Sequence[Item], removed: Sequence[str]) -> None:
        """Take in items that came or changed, and the ids of those that went. For the thread that
        follows, or before it runs."""
        now_ms = self._clock()
        removed_rows = self.catalogue.remove(removed, now_ms)
        put_rows = self.catalogue.put(put, now_ms)
        put_keys = self.catalogue.keys(put_rows)
        removed_keys = np.array([key(item_id) for item_id in removed], np.int64)
        for model in self.snapshot.models:
            model.follow_items(put_keys, removed_keys)
        self.content_vectors.follow(put_keys, removed_keys)
        self._towers.follow(put_keys, removed_keys)
        self._states.follow_items(put_rows, removed_rows)
        self._show()

    def _follow(self) -> None:
        """Follow the topics from their beginning, anew where no broker answers at first."""
        while not self._stopping.wait(REFRESH_S):
            try:
                with self._readers() as readers:
                    if self._catch_up_documents(readers.items):
                        self._follow_with(readers)
            except Exception as error:
                self._say(error)

    def _follow_with(self, readers: Readers) -> None:
        while not self._stopping.wait(REFRESH_S):
            try:
                self._follow_documents(readers.items)
                self._take_vectors(readers.vectors.poll(timeout_ms=0))
                self._load_newest(readers.models)
                has_changed = self._states.take(readers.states.poll(timeout_ms=0))
                if has_changed or self._is_made_anew():
                    self._show()
                self.followed.reading_error = ""
                self._has_looked.set()
            except Exception as error:  # the replica goes on with what it has, and says so
                self._say(error)

    def _catch_up_documents(self, items: LogReader) -> bool:
        """Take in all that the topic tells of items, so that who left stays away at a start;
        returns whether it came to its end."""
        begin = CatchUp(self._place, self._clock())
        for records in items.read_to_end():
            begin.note(records)
            self._take_documents(records)
            if self._stopping.is_set():
                return False
        self.follow_items([], begin.left(self.catalogue.ids()))
        return True

    def _follow_documents(self, items: LogReader) -> None:
        """Take in the documents of items, some of it a round where it is much: versions and states
        are not to wait for long."""
        for _ in range(MAX_POLLS):
            records = items.poll(timeout_ms=0)
            self._take_documents(records)
            if not records:
                self.followed.num_looks += items.is_at_end()
                return

    def _take_documents(self, records: Sequence[Record]) -> None:
        if changes := self._documents.take(records):
            self.follow_items(changes.put, changes.removed)

    def _take_vectors(self, records: Sequence[Record]) -> None:
        """Compute the items anew whose vectors came, changed or went."""
        if len(keys := self._vectors.take(records)):
            for model in self.snapshot.models:
                model.items.forget(keys)
            self.content_vectors.follow(keys[self.catalogue.rows_of_keys(keys) != 0], keys[:0])

    def _load_newest(self, models: Subscriber) -> None:
        """Load the newest versions of those that were announced and can be served, and serve the
        first of them: the error of a later one is reported until one comes that can be served."""
        announced, wrong = models.announced(), models.last_error
        models.last_error = ""
        loaded: tuple[LiveModel, ...] = ()
        before, most = self.snapshot, self._settings.serving.loaded_versions
        for manifest in announced[: -KEEP_VERSIONS - 1 : -1]:
            try:
                loaded += (self._load(manifest) if loaded else self._serve(manifest),)
            except Exception as error:
                wrong = wrong if loaded else wrong or f"{type(error).__name__}: {error}"
                self.skipped.add("models", "a version that cannot be served", str(error))
                continue
            self.snapshot = before.with_models(loaded, most)
            if len(loaded) == most:
                break
        self.followed.version_error = wrong or ("" if loaded else self.followed.version_error)

    def _show(self) -> None:
        self.snapshot = replace(
            self.snapshot,
            states=self._states.states,
            trending_rows=self._states.trending_rows,
            companions=self._states.companions,
            groups=self._states.groups,
            content=self.content_vectors.index,
            towers=self._towers.made,
            fresh_rows=self._states.fresh_rows,
            surface_trends=self._states.surface_trends,
        )

    def _is_made_anew(self) -> bool:
        """Whether there are other vectors than requests see."""
        seen = self.snapshot.content, self.snapshot.towers
        return seen[0] is not self.content_vectors.index or seen[1] is not self._towers.made

    def _say(self, error: Exception) -> None:
        self.followed.reading_error = shortened(f"{type(error).__name__}: {error}")

    def _readers(self) -> AbstractContextManager[Readers]:
        settings, topic = self._settings, Topics(self._settings.namespace).items
        place = begun(settings, topic, self._place, self._clock())
        return opened(settings, place, self.skipped)

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
        """The version, with the items computed that requests will read: those that the version
        before has read, and those that trend."""
        of_catalogue = self.catalogue, self.content, self._towers
        model = load_model(manifest, self._settings, *of_catalogue)
        before, trending = self.snapshot.model, self.snapshot.trending_rows[:WARM_ROWS]
        if before is not None:
            model.items.warm(before.items.warm_keys()[-WARM_ROWS:])
        model.items.warm(self.catalogue.keys(trending))
        return model
