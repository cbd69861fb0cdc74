"""Feast's online store of packed rows: `online_store.type` in `feature_store.yaml`.

    online_store:
      type: headrace.features.packed_store.PackedRedisOnlineStore
      connection_string: 127.0.0.1:6379,db=0

The options are those of Feast's own Redis store, and so are connections and what the public API
promises; how rows are laid out is described in `headrace.features.packed`. Beyond the stock store,
a view's `ttl` is kept (older rows are OUTSIDE_MAX_AGE, without a value), and a batch is written by
one atomic compare-and-set. A row replaces the whole earlier row, not the features that it names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal
from weakref import WeakKeyDictionary

import prometheus_client as _before_feast  # noqa: F401  or feast.metrics redirects it
from feast import Entity, FeatureView, RepoConfig, utils
from feast.infra.online_stores.helpers import compute_versioned_name
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from headrace.clock import now_ms
from headrace.errors import FeatureError
from headrace.features.packed.response import add_features
from headrace.features.packed.round_trip import (
    Command,
    Read,
    WritePolicy,
    delete_view,
    fetch,
    fetch_async,
    store,
    store_async,
    write_commands,
)
from headrace.features.packed.rows import Rows
from headrace.features.packed.schema import Column, Schema
from headrace.features.packed.value import decode_values, encode_values
from headrace.features.packed.view import Id, PackedView

WriteRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
ReadRow = tuple[datetime | None, dict[str, Value] | None]
Progress = Callable[[int], Any] | None


class PackedRedisOnlineStoreConfig(RedisOnlineStoreConfig):  # type: ignore[misc]
    """The options of Feast's Redis store, but for the client, which is redis-py."""

    type: Literal["headrace.features.packed_store.PackedRedisOnlineStore"] = (
        "headrace.features.packed_store.PackedRedisOnlineStore"
    )
    client: Literal["redis"] = "redis"


class PackedRedisOnlineStore(RedisOnlineStore):  # type: ignore[misc]
    """Feast's Redis store with one packed value per entity and view, read in one round trip."""

    clock: Callable[[], int] = staticmethod(now_ms)  # decides what a ttl has ended

    def __init__(self) -> None:
        self._schemas: dict[int, Schema] = {}
        self._async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, Any]
        self._async_clients = WeakKeyDictionary()

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[WriteRow], progress: Progress
    ) -> None:
        """Write rows, each whole or not at all; `skip_dedup` lets older ones replace newer ones."""
        client = self._get_client(config.online_store)
        store(client, _commands(client, config, table, data))
        if progress:
            progress(len(data))

    async def online_write_batch_async(
        self, config: RepoConfig, table: FeatureView, data: list[WriteRow], progress: Progress
    ) -> None:
        """What `online_write_batch` does, without blocking the event loop."""
        client = await self._get_client_async(config.online_store)
        await store_async(client, _commands(client, config, table, data))
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
        read = _read_by_entity_keys(config, table, entity_keys)
        (rows,) = fetch(self._get_client(config.online_store), [read], self._schemas, self._now())
        return _read_rows(rows, requested_features)

    async def online_read_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[ReadRow]:
        """What `online_read` does, without blocking the event loop."""
        read = _read_by_entity_keys(config, table, entity_keys)
        client = await self._get_client_async(config.online_store)
        (rows,) = await fetch_async(client, [read], self._schemas, self._now())
        return _read_rows(rows, requested_features)

    def delete_table(self, config: RepoConfig, table: FeatureView) -> None:
        """Delete the rows of one view; `update` calls it for each view that was removed."""
        delete_view(self._get_client(config.online_store), _view(config, table, ("",)))

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
        reads = _reads(config, grouped_refs, join_key_values, rest[0])
        client = self._get_client(config.online_store)
        _respond(grouped_refs, fetch(client, reads, self._schemas, self._now()), *rest[1:])

    async def _read_features_per_fv_async(
        self,
        config: RepoConfig,
        grouped_refs: Sequence[tuple[FeatureView, list[str]]],
        join_key_values: Mapping[str, list[Value]],
        *rest: Any,
    ) -> None:
        reads = _reads(config, grouped_refs, join_key_values, rest[0])
        client = await self._get_client_async(config.online_store)
        rows = await fetch_async(client, reads, self._schemas, self._now())
        _respond(grouped_refs, rows, *rest[1:])

    async def _get_client_async(self, online_store_config: PackedRedisOnlineStoreConfig) -> Any:
        """A client of the running event loop: connections do not outlive theirs."""
        loop = asyncio.get_running_loop()
        self._client_async = self._async_clients.get(loop)
        client = await super()._get_client_async(online_store_config)
        self._async_clients[loop] = client
        return client

    async def close(self) -> None:
        """Close what this event loop opened."""
        client = self._async_clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _now(self) -> int:
        return self.clock() * 1_000


def view_of(config: RepoConfig, table: FeatureView) -> PackedView:
    """Where the rows of this view lie, and what they hold."""
    return _view(config, table, tuple(sorted(table.join_keys)))


def _view(config: RepoConfig, table: FeatureView, join_keys: tuple[str, ...]) -> PackedView:
    name = compute_versioned_name(table, config.registry.enable_online_feature_view_versioning)
    columns = tuple((field.name, field.dtype.to_value_type().name) for field in table.features)
    ttl = getattr(table, "ttl", None)
    return _cached_view(config.project, name, join_keys, columns, ttl // _MICROSECOND if ttl else 0)


@cache
def _cached_view(
    project: str,
    name: str,
    join_keys: tuple[str, ...],
    columns: tuple[tuple[str, str], ...],
    ttl_us: int,
) -> PackedView:
    schema = Schema(tuple(Column(name, value_type) for name, value_type in columns))
    return PackedView(project, name, join_keys, schema, ttl_us)


def _commands(
    client: Any, config: RepoConfig, table: FeatureView, data: Sequence[WriteRow]
) -> list[Command]:
    if not data:
        return []
    read = _read_by_entity_keys(config, table, [row[0] for row in data])
    event_times = [_microseconds(row[2]) for row in data]
    payloads = encode_values(read.view.schema, [row[1] for row in data], event_times)
    options = config.online_store
    policy = WritePolicy(not options.skip_dedup, options.key_ttl_seconds or 0)
    return write_commands(client, read.view, read.keys, payloads, policy)


def _microseconds(time: datetime) -> int:
    microseconds: int = (utils.make_tzaware(time) - _EPOCH) // _MICROSECOND
    return microseconds


_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def _read_by_entity_keys(
    config: RepoConfig, table: FeatureView, entity_keys: Sequence[EntityKey]
) -> Read:
    """The rows of these entities, which all have the same join keys."""
    join_keys = tuple(entity_keys[0].join_keys) if entity_keys else ("",)
    by_join_key = {
        name: [key.entity_values[place] for key in entity_keys]
        for place, name in enumerate(join_keys)
    }
    return _read(config, table, by_join_key)


def _reads(
    config: RepoConfig,
    grouped_refs: Iterable[tuple[FeatureView, list[str]]],
    join_key_values: Mapping[str, list[Value]],
    join_key_of_entity: Mapping[str, str],
) -> list[Read]:
    reads = []
    for table, _ in grouped_refs:
        values = utils._get_table_entity_values(table, join_key_of_entity, join_key_values)
        if not values:
            raise KeyError(  # as Feast raises it
                f"Missing join key values for view {table.name!r}: it has {table.join_keys}, "
                f"provided were {list(join_key_values)}"
            )
        reads.append(_read(config, table, values))
    return reads


def _read(
    config: RepoConfig, table: FeatureView, by_join_key: Mapping[str, Sequence[Value]]
) -> Read:
    join_keys = tuple(sorted(by_join_key))
    view = _view(config, table, join_keys)
    return Read(view, view.row_keys([_ids(name, by_join_key[name]) for name in join_keys]))


def _ids(join_key: str, values: Sequence[Value]) -> list[Id]:
    fields: list[Any] = [value.WhichOneof("val") for value in values]
    if None in fields:
        raise FeatureError(f"entity row {fields.index(None)} has no value for {join_key!r}")
    return [getattr(value, field) for value, field in zip(values, fields, strict=True)]


def _read_rows(rows: Rows, names: Sequence[str] | None) -> list[ReadRow]:
    names = list(rows.view.schema.index) if names is None else names
    columns = [(name, decode_values(rows, name), rows.known_N(name).tolist()) for name in names]
    return [
        (
            datetime.fromtimestamp(0, tz=UTC) + event_time_us * _MICROSECOND,
            {name: values[place] for name, values, known in columns if known[place]},
        )
        if found
        else (None, None)
        for place, (event_time_us, found) in enumerate(
            zip(rows.event_time_us_N.tolist(), rows.found_N.tolist(), strict=True)
        )
    ]


def _respond(
    grouped_refs: Iterable[tuple[FeatureView, list[str]]],
    rows_of_views: Iterable[Rows],
    response: Any,
    full_feature_names: bool,
    with_versions: bool,
) -> None:
    for (table, names), rows in zip(grouped_refs, rows_of_views, strict=True):
        if with_versions:
            utils._populate_response_from_feature_data(
                [], [], [], response, full_feature_names, table, 0, with_versions
            )
        label = f"{table.projection.name_to_use()}__" if full_feature_names else ""
        add_features(response, names, rows, label)
