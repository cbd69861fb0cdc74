"""Publishing: weights and a manifest become a version, and old versions end."""

from __future__ import annotations

import hashlib
import io
import logging
from contextlib import closing
from typing import Any

import msgspec
import torch
from redis import Redis
from redis.exceptions import ResponseError

from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.registry.manifest import Manifest
from headrace.registry.subscriber import Subscriber
from headrace.registry.versions import KEEP_VERSIONS, VersionFiles, VersionIndex, has_weights

log = logging.getLogger(__name__)


class Publisher:
    """Publishes versions; numbers grow over all trainers of the namespace, also where Redis has
    lost the last one."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._settings, self._redis = settings, redis
        self._writer = LogWriter(settings)
        self._files = VersionFiles(settings)
        self._files.create_folder()
        self._index = self._take_over()

    def publish(self, weights: dict[str, Any], manifest: Manifest) -> Manifest:
        """Store the weights and announce them; returns the manifest with version, URI and hash.

        1. The weights, as a file. 2. The index with the new version. 3. The manifest, on the topic.
        4. The end of the weights that the index has no more. Whoever takes over after a crash
        deletes what the index does not know: `_take_over`.
        """
        buffer = io.BytesIO()
        torch.save(weights, buffer)
        content = buffer.getvalue()
        version = self._next_version()
        complete = msgspec.structs.replace(
            manifest,
            version=version,
            uri=self._files.write_weights(version, content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        before = self._read_index()
        self._index = before.with_version(complete)
        self._files.write_index(self._index)
        place = b"%d" % (version % KEEP_VERSIONS)  # the topic is compacted to the newest of these
        topic = Topics(self._settings.namespace).models
        self._writer.send(topic, msgspec.json.encode(complete), place)
        self._writer.flush()
        for gone in before.kept.keys() - self._index.kept.keys():
            self._files.remove_weights(gone)
        return complete

    def close(self) -> None:
        self._writer.close()

    def _take_over(self) -> VersionIndex:
        """The index that others have left, without the files that nobody will read; where there is
        none, it is made of the manifests on the topic."""
        self._index = VersionIndex()
        self._files.remove_parts()
        index = self._read_index()
        if not index.published:
            for manifest in self._announced():
                if has_weights(manifest):
                    index = index.with_version(manifest)
        if index.published:  # else nothing is known of the files that may lie there
            self._files.remove_weights_but(index.kept)
        return index

    def _read_index(self) -> VersionIndex:
        """The index, with the versions of other trainers; this trainer's own where it is gone or
        damaged."""
        try:
            return self._files.read_index() or self._index
        except ServiceError as error:
            log.warning("%s: it is made anew", error)
            return self._index

    def _announced(self) -> list[Manifest]:
        with closing(Subscriber(self._settings)) as models:
            return models.announced()

    def _next_version(self) -> int:
        """The number of the next version; where Redis has none that can be counted on, the one
        after the highest that is known."""
        name = f"{self._settings.namespace}:model_version"
        highest = self._index.newest
        try:
            version = int(self._redis.incr(name))
        except ResponseError as error:
            highest = max([highest, *(one.version for one in self._announced())])
            log.warning("%s in Redis is no number (%s): going on at %d", name, error, highest + 1)
            version = 0
        if version <= highest:
            version = highest + 1
            self._redis.set(name, version)
        return version
