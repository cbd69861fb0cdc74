"""Feast's online store of packed rows: `online_store.type` in `feature_store.yaml`.

    online_store:
      type: headrace.feast_adapter.online_store.PackedRedisOnlineStore
      connection_string: rediss://user:password@cache:6380/0?ssl_ca_certs=ca.pem

The options are those of Feast's own Redis store, but that `connection_string` may be a URL as well,
and so are connections and what the public API promises; how rows are laid out is described in
`headrace.features.store`. Beyond the stock store, a view's `ttl` is kept (older rows are
OUTSIDE_MAX_AGE, without a value), and a batch is written by one atomic compare-and-set. A row
replaces the whole earlier row, not the features that it names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from weakref import WeakKeyDictionary

from feast import Entity, FeatureView, RepoConfig
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from headrace.clock import now_ms
from headrace.errors import FeatureError
from headrace.feast_adapter.request import (
    WriteRow,
    commands_of,
    read_by_entity_keys,
    reads_of,
    view_of,
)
from headrace.feast_adapter.response import PackedResponse, ReadRow, read_rows, respond
from headrace.features.store.connection import Connection, parse_connection_string
from headrace.features.store.round_trip import delete_view, fetch, fetch_async, store, store_async
from headrace.features.store.schema import Schema

Progress = Callable[[int], Any] | None


class PackedRedisOnlineStoreConfig(RedisOnlineStoreConfig):  # type: ignore[misc]
    """The options of Feast's Redis store, but for the client, which is redis-py."""

    type: Literal["headrace.feast_adapter.online_store.PackedRedisOnlineStore"] = (
        "headrace.feast_adapter.online_store.PackedRedisOnlineStore"
    )
    client: Literal["redis"] = "redis"


class _UrlRedisStore(RedisOnlineStore):  # type: ignore[misc]
    """Feast's connections, also from a URL as redis-py reads it."""

    _client: Any

    @staticmethod
    def _parse_connection_string(connection_string: str) -> tuple[Any, ...]:
        return parse_connection_string(connection_string)

    def _get_client(self, online_store_config: PackedRedisOnlineStoreConfig) -> Any:
        """The client that every part of headrace would have."""
        if not self._client:
            options = online_store_config
            kind, master = options.redis_type.value, options.sentinel_master
            self._client = Connection(options.connection_string, kind, master).client()
        return self._client


class PackedRedisOnlineStore(_UrlRedisStore):
    """Feast's Redis store with one packed value per entity and view, read in one round trip."""

    clock: Callable[[], int] = staticmethod(now_ms)  # decides what a ttl has ended

    def __init__(self) -> None:
        self._schemas: dict[int, Schema] = {}
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _UrlRedisStore]
        self._of_loop = WeakKeyDictionary()  # Feast's store keeps the connections of one event loop

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[WriteRow], progress: Progress
    ) -> None:
        """Write rows, each whole or not at all; `skip_dedup` lets older ones replace newer ones."""
        client = self._get_client(config.online_store)
        store(client, commands_of(client, config, table, data))
        if progress:
            progress(len(data))

    async def online_write_batch_async(
        self, config: RepoConfig, table: FeatureView, data: list[WriteRow], progress: Progress
    ) -> None:
        """The same as `online_write_batch`, without blocking the event loop."""
        client = await self._get_client_async(config.online_store)
        await store_async(client, commands_of(client, config, table, data))
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[ReadRow]:
        """Event time and values of each entity; None twice where there is no row or it expired."""
        read = read_by_entity_keys(config, table, entity_keys)
        (rows,) = fetch(self._get_client(config.online_store), [read], self._schemas, self._now())
        return read_rows(rows, requested_features)

    async def online_read_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[ReadRow]:
        """The same as `online_read`, without blocking the event loop."""
        read = read_by_entity_keys(config, table, entity_keys)
        client = await self._get_client_async(config.online_store)
        (rows,) = await fetch_async(client, [read], self._schemas, self._now())
        return read_rows(rows, requested_features)

    def get_online_features(self, *args: Any, **options: Any) -> PackedResponse:
        """The same as Feast's, with an answer that becomes Python's values faster."""
        answer = super().get_online_features(*args, **options)
        return PackedResponse(answer.proto, answer._feature_types)

    async def get_online_features_async(self, *args: Any, **options: Any) -> PackedResponse:
        """The same as `get_online_features`, without blocking the event loop."""
        answer = await super().get_online_features_async(*args, **options)
        return PackedResponse(answer.proto, answer._feature_types)

    def read_precomputed_vectors(
        self, config: RepoConfig, feature_service_name: str, *_: Any
    ) -> list[bytes | None]:
        """Raises `FeatureError`: rows already have the form that a service would precompute."""
        raise FeatureError(
            f"feature service {feature_service_name!r} has precompute_online, which packed rows do "
            "not need: apply it without"
        )

    def delete_table(self, config: RepoConfig, table: FeatureView) -> None:
        """Delete the rows of one view; `update` calls it for each view that was removed."""
        delete_view(self._get_client(config.online_store), view_of(config, table))

    def teardown(
        self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]
    ) -> None:
        """Delete the rows of these views, and nothing else."""
        for table in tables:
            self.delete_table(config, table)

    def _read_features_per_fv(
        self,
        config: RepoConfig,
        grouped_refs: Sequence[tuple[FeatureView, list[str]]],
        join_key_values: Mapping[str, list[Value]],
        *rest: Any,
    ) -> None:
        """Feast's hook for reading all views of a request at once."""
        reads = reads_of(config, grouped_refs, join_key_values, rest[0])
        client = self._get_client(config.online_store)
        respond(grouped_refs, fetch(client, reads, self._schemas, self._now()), *rest[1:])

    async def _read_features_per_fv_async(
        self,
        config: RepoConfig,
        grouped_refs: Sequence[tuple[FeatureView, list[str]]],
        join_key_values: Mapping[str, list[Value]],
        *rest: Any,
    ) -> None:
        reads = reads_of(config, grouped_refs, join_key_values, rest[0])
        client = await self._get_client_async(config.online_store)
        rows = await fetch_async(client, reads, self._schemas, self._now())
        respond(grouped_refs, rows, *rest[1:])

    async def _get_client_async(self, online_store_config: PackedRedisOnlineStoreConfig) -> Any:
        """A client of the running event loop: connections do not outlive theirs."""
        of_loop = self._of_loop.setdefault(asyncio.get_running_loop(), _UrlRedisStore())
        return await of_loop._get_client_async(online_store_config)

    async def close(self) -> None:
        """Close the connections that this event loop opened."""
        of_loop = self._of_loop.pop(asyncio.get_running_loop(), None)
        if of_loop is not None and of_loop._client_async is not None:
            await of_loop._client_async.aclose()

    def _now(self) -> int:
        return self.clock() * 1_000
