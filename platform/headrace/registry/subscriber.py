"""Following: the versions of a namespace, those that the topic has lost included."""

from __future__ import annotations

import msgspec

from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.config import Settings
from headrace.errors import ConfigError, ServiceError
from headrace.registry.manifest import Manifest
from headrace.registry.versions import (
    KEEP_VERSIONS,
    Ranges,
    VersionFiles,
    VersionIndex,
    has_weights,
    ranges_text,
    with_number,
)
from headrace.skipped import Skipped, place, shortened


class Subscriber:
    """Follows the `models` topic, after the manifests in the index of versions; entries that are no
    manifest are counted in `skipped`."""

    def __init__(self, settings: Settings, skipped: Skipped | None = None) -> None:
        self._settings = settings
        self._reader = LogReader(settings, Topics(settings.namespace).models, {0: 0})
        self._skipped = skipped or Skipped()
        self._index: VersionIndex | None = None  # None before it was read
        self._published: Ranges = ()
        self.last_error = ""  # what was wrong with the last of those

    def announced(self) -> list[Manifest]:
        """The versions that were not told yet, in order."""
        every = [record for records in self._reader.read_to_end() for record in records]
        told = [self._of_record(record) for record in every]
        known = {one.version: one for one in (*self._of_index(), *told) if one}
        for version in sorted(known):
            self._published = with_number(self._published, version)
        return [known[version] for version in sorted(known)]

    def newest(self) -> Manifest | None:
        """The newest version of `announced`, None if there is none."""
        return next(reversed(self.announced()), None)

    def newest_kept(self) -> Manifest | None:
        """The same, of those whose weights are there, if any are."""
        announced = self.announced()[: -KEEP_VERSIONS - 1 : -1]
        return next(filter(has_weights, announced), announced[0] if announced else None)

    def find(self, version: int) -> Manifest:
        """The version of `announced` that has this number; raises `ConfigError` for one that was
        never published, or whose weights are gone."""
        announced = {manifest.version: manifest for manifest in self.announced()}
        found = announced.get(version)
        if found and has_weights(found):
            return found
        namespace, published = self._settings.namespace, ranges_text(self._published)
        if not any(first <= version <= last for first, last in self._published):
            told = f"no model version {version} in namespace {namespace!r}; published: {published}"
            raise ConfigError(told)
        kept: Ranges = ()
        for one in list(announced.values())[-KEEP_VERSIONS:]:
            kept = with_number(kept, one.version) if has_weights(one) else kept
        raise ConfigError(
            f"the weights of model version {version} in namespace {namespace!r} are gone; of the "
            f"versions published ({published}) the newest {KEEP_VERSIONS} are kept: "
            f"{ranges_text(kept) if kept else 'none is there'}"
        )

    def close(self) -> None:
        self._reader.close()

    def _of_index(self) -> list[Manifest | None]:
        """The manifests of the index, read once; those announced from then on are on the topic."""
        if self._index is not None:
            return []
        self._index = VersionIndex()
        try:
            self._index = VersionFiles(self._settings).read_index() or self._index
        except (ServiceError, OSError, ValueError) as error:
            self._skip("no index", error)
        self._published = self._index.published
        return [self._decoded(raw, f"version {n}") for n, raw in self._index.kept.items()]

    def _of_record(self, record: Record) -> Manifest | None:
        where = place(record.partition, record.offset)
        if record.num_lost:
            self._skip("no manifest", f"{where}: a damaged batch", record.num_lost)
            return None
        return self._decoded(record.value, where)

    def _decoded(self, encoded: bytes | msgspec.Raw, where: str) -> Manifest | None:
        try:
            return msgspec.json.decode(encoded, type=Manifest)
        except Exception as error:  # also what a ranker's configuration has against it
            self._skip("no manifest", f"{where}: {error}")
            return None

    def _skip(self, reason: str, where: object, num: int = 1) -> None:
        self._skipped.add("models", reason, str(where), num)
        self.last_error = f"models, {reason}: {shortened(where)}"
