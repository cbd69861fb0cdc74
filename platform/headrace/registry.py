"""The model registry: published versions, their weights, and the topic that announces them.

A version is a file of weights under the registry's URI and a `Manifest` on the `models` topic. The
file is complete before its manifest is sent, so whoever reads a manifest can load it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import msgspec
import torch
from pyarrow import fs
from redis import Redis

from headrace.broker import LogReader, LogWriter, Topics
from headrace.config import Settings
from headrace.errors import ConfigError, ServiceError
from headrace.features.table import SCHEMA
from headrace.model.ranker_config import RankerConfig

KEEP_VERSIONS = 20


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a published version."""

    version: int
    uri: str
    sha256: str
    created_ms: int
    schema: int  # of the features that it reads
    model: RankerConfig
    num_samples: int  # impressions it has trained on
    newest_event_ms: int  # event time of the newest of them
    token_tables: tuple[str, ...] = ()  # of the content that it reads, by encoder and version
    arrivals_ms: tuple[int, ...] = ()  # when some of those new in this version reached the broker


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
        version = int(self._redis.incr(f"{self._settings.namespace}:model_version"))
        path = f"{self._folder}/{self._settings.namespace}-{version:08d}.pt"
        with self._files.open_output_stream(f"{path}.part") as file:
            file.write(buffer.getvalue())
        self._files.move(f"{path}.part", path)
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


class Subscriber:
    """Follows the `models` topic."""

    def __init__(self, settings: Settings) -> None:
        self._reader = LogReader(settings, Topics(settings.namespace).models, {0: 0})

    def announced(self) -> list[Manifest]:
        """The versions announced since the last call, in order."""
        return [
            msgspec.json.decode(record.value, type=Manifest)
            for records in self._reader.read_to_end()
            for record in records
        ]

    def newest(self) -> Manifest | None:
        """The newest version announced since the last call, None if there was none."""
        return next(reversed(self.announced()), None)

    def close(self) -> None:
        self._reader.close()


def check_tokens(manifest: Manifest, token_tables: Sequence[str]) -> None:
    """Raises `ConfigError` unless the model reads exactly these token tables, in this order."""
    if manifest.token_tables != tuple(token_tables):
        raise ConfigError(
            f"model {manifest.version} was trained with the token tables "
            f"{', '.join(manifest.token_tables) or 'none'}, the settings name "
            f"{', '.join(token_tables) or 'none'}: set HEADRACE_TOKEN_TABLES or --tokens to the "
            "former, or train in another namespace"
        )


def load_weights(manifest: Manifest) -> dict[str, Any]:
    """The weights of a version; raises `ServiceError` if they are damaged or do not fit."""
    if manifest.schema != SCHEMA:
        raise ServiceError(
            f"model {manifest.version} reads feature schema {manifest.schema:08x}, this build has "
            f"{SCHEMA:08x}: serve it with the build that trained it, or train anew"
        )
    files, path = fs.FileSystem.from_uri(manifest.uri)
    with files.open_input_stream(path) as file:
        payload = file.read()
    digest = hashlib.sha256(payload).hexdigest()
    if digest != manifest.sha256:
        raise ServiceError(
            f"{manifest.uri} has sha256 {digest}, its manifest says {manifest.sha256}"
        )
    weights: dict[str, Any] = torch.load(io.BytesIO(payload), weights_only=True)
    return weights
