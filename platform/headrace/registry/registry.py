"""The model registry: published versions, their weights, and the topic that announces them.

A version is a file of weights under the registry's URI and a `Manifest` on the `models` topic. The
file is complete before its manifest is sent, so whoever reads a manifest can load it.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Annotated, Any

import msgspec
import torch
from pyarrow import fs
from redis import Redis
from redis.exceptions import ResponseError

from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.config import Settings
from headrace.errors import ConfigError, ServiceError
from headrace.features.schema import INPUT_SCHEMA
from headrace.model.config import RankerConfig
from headrace.skipped import Skipped, place, shortened

KEEP_VERSIONS = 20
Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]

log = logging.getLogger(__name__)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a published version."""

    version: Count  # 0 before it has one
    uri: str
    sha256: str
    created_ms: Count
    schema: Count  # of the inputs that it reads
    model: RankerConfig
    num_samples: Count  # impressions it has trained on
    newest_event_ms: Count  # event time of the newest of them
    token_tables: tuple[str, ...] = ()  # of the content that it reads, by encoder and version
    arrivals_ms: tuple[Count, ...] = ()  # when some of those new in this version reached the broker


class Publisher:
    """Publishes versions; numbers grow over all trainers of the namespace."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._settings, self._redis = settings, redis
        self._writer = LogWriter(settings)
        self._files, self._folder = fs.FileSystem.from_uri(settings.model_registry_uri)
        self._files.create_dir(self._folder, recursive=True)
        self._published: list[str] = []

    def publish(self, weights: dict[str, Any], manifest: Manifest) -> Manifest:
        """Store the weights and announce them; returns the manifest with version, URI and hash."""
        buffer = io.BytesIO()
        torch.save(weights, buffer)
        version = self._next_version()
        path = f"{self._folder}/{self._settings.namespace}-{version:08d}.pt"
        self._store(path, buffer.getvalue())
        complete = msgspec.structs.replace(
            manifest,
            version=version,
            uri=f"{self._settings.model_registry_uri}/{path.rsplit('/', 1)[1]}",
            sha256=hashlib.sha256(buffer.getvalue()).hexdigest(),
        )
        place = b"%d" % (version % KEEP_VERSIONS)  # the topic is compacted to the newest of these
        topic = Topics(self._settings.namespace).models
        self._writer.send(topic, msgspec.json.encode(complete), place)
        self._writer.flush()
        self._published.append(path)
        if len(self._published) > KEEP_VERSIONS:
            self._files.delete_file(self._published.pop(0))
        return complete

    def close(self) -> None:
        self._writer.close()

    def _store(self, path: str, content: bytes) -> None:
        """A file that is there whole or not at all: a full disk keeps no half of it."""
        part = f"{path}.part"
        try:
            with self._files.open_output_stream(part) as file:
                file.write(content)
        except OSError:
            with suppress(OSError):
                self._files.delete_file(part)
            raise
        self._files.move(part, path)

    def _next_version(self) -> int:
        """The number of the next version; where Redis has none that can be counted on, the one
        after the highest that was announced."""
        name = f"{self._settings.namespace}:model_version"
        try:
            return int(self._redis.incr(name))
        except ResponseError as error:
            with closing(Subscriber(self._settings)) as models:
                version = max((one.version for one in models.announced()), default=0) + 1
            log.warning("%s in Redis is no number (%s): going on at %d", name, error, version)
            self._redis.set(name, version)
            return version


class Subscriber:
    """Follows the `models` topic; messages that are no manifests are counted in `skipped`."""

    def __init__(self, settings: Settings, skipped: Skipped | None = None) -> None:
        self._reader = LogReader(settings, Topics(settings.namespace).models, {0: 0})
        self._skipped = skipped or Skipped()
        self.last_error = ""  # what was wrong with the last of those

    def announced(self) -> list[Manifest]:
        """The versions announced since the last call, in order."""
        every = (record for records in self._reader.read_to_end() for record in records)
        return [manifest for record in every if (manifest := self._manifest(record))]

    def newest(self) -> Manifest | None:
        """The newest version announced since the last call, None if there was none."""
        return next(reversed(self.announced()), None)

    def newest_kept(self) -> Manifest | None:
        """The same, of those whose weights are there, if any are."""
        announced = self.announced()[: -KEEP_VERSIONS - 1 : -1]
        return next(filter(has_weights, announced), announced[0] if announced else None)

    def close(self) -> None:
        self._reader.close()

    def _manifest(self, record: Record) -> Manifest | None:
        where = place(record.partition, record.offset)
        try:
            if record.num_lost:
                raise ValueError("a damaged batch")
            return msgspec.json.decode(record.value, type=Manifest)
        except Exception as error:  # also what a ranker's configuration has against it
            self._skipped.add("models", "no manifest", f"{where}: {error}", record.num_lost or 1)
            self.last_error = f"models {where} is no manifest: {shortened(error)}"
            return None


def check_tokens(manifest: Manifest, token_tables: Sequence[str]) -> None:
    """Raises `ConfigError` unless the model reads exactly these token tables, in this order."""
    if manifest.token_tables != tuple(token_tables):
        raise ConfigError(
            f"model {manifest.version} was trained with the token tables "
            f"{', '.join(manifest.token_tables) or 'none'}, the settings name "
            f"{', '.join(token_tables) or 'none'}: set HEADRACE_TOKEN_TABLES or --tokens to the "
            "former, or train in another namespace"
        )


def has_weights(manifest: Manifest) -> bool:
    """Whether the file of a version is there."""
    try:
        files, path = fs.FileSystem.from_uri(manifest.uri)
        return bool(files.get_file_info(path).type == fs.FileType.File)
    except (OSError, ValueError):
        return False


def load_weights(manifest: Manifest) -> dict[str, Any]:
    """The weights of a version; raises `ServiceError` if they are damaged or do not fit."""
    if manifest.schema != INPUT_SCHEMA:
        raise ServiceError(
            f"model {manifest.version} reads the input schema {manifest.schema:08x}, this build "
            f"has {INPUT_SCHEMA:08x}: `headrace train` of this build publishes one that fits; the "
            "build that trained this one serves it"
        )
    try:
        files, path = fs.FileSystem.from_uri(manifest.uri)
        with files.open_input_stream(path) as file:
            payload = file.read()
    except (OSError, ValueError) as error:
        raise ServiceError(f"model {manifest.version} cannot be read: {error}") from error
    digest = hashlib.sha256(payload).hexdigest()
    if digest != manifest.sha256:
        raise ServiceError(
            f"{manifest.uri} has sha256 {digest}, its manifest says {manifest.sha256}"
        )
    try:
        weights: dict[str, Any] = torch.load(io.BytesIO(payload), weights_only=True)
    except Exception as error:  # whatever unpickling leads to; the file is as its manifest says
        raise ServiceError(f"{manifest.uri} holds no weights: {shortened(error)}") from error
    return weights
