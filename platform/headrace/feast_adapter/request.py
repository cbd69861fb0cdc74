"""Feast's requests, as rows to read and commands that write.

The join keys of a row are those of its entity key, not of the view's definition: Feast also stores
rows of views that it makes up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from feast import FeatureView, RepoConfig, utils
from feast.infra.online_stores.helpers import compute_versioned_name
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from headrace.errors import FeatureError
from headrace.feast_adapter.value import encode_values
from headrace.features.store.keys import Id, PackedView
from headrace.features.store.round_trip import Command, Read, WritePolicy, write_commands
from headrace.features.store.schema import Column, Schema

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)

WriteRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


def view_of(config: RepoConfig, table: FeatureView) -> PackedView:
    """The packed view of this Feast view: the keys and the schema of its rows."""
    return view_with(config, table, tuple(sorted(table.join_keys)))


def view_with(config: RepoConfig, table: FeatureView, join_keys: tuple[str, ...]) -> PackedView:
    """The same for the join keys of the rows in question."""
    name = compute_versioned_name(table, config.registry.enable_online_feature_view_versioning)
    columns = tuple((field.name, field.dtype.to_value_type().name) for field in table.features)
    ttl = getattr(table, "ttl", None)
    return _cached_view(config.project, name, join_keys, columns, ttl // MICROSECOND if ttl else 0)


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


def commands_of(
    client: Any, config: RepoConfig, table: FeatureView, data: Sequence[WriteRow]
) -> list[Command]:
    """The commands that write these rows; raises `FeatureError` for one that does not fit."""
    if not data:
        return []
    read = read_by_entity_keys(config, table, [row[0] for row in data])
    event_times = [_microseconds(row[2]) for row in data]
    payloads = encode_values(read.view.schema, [row[1] for row in data], event_times)
    options = config.online_store
    policy = WritePolicy(not options.skip_dedup, options.key_ttl_seconds or 0)
    return write_commands(client, read.view, read.keys, payloads, policy)


def _microseconds(time: datetime) -> int:
    microseconds: int = (utils.make_tzaware(time) - EPOCH) // MICROSECOND
    return microseconds


def read_by_entity_keys(
    config: RepoConfig, table: FeatureView, entity_keys: Sequence[EntityKey]
) -> Read:
    """The rows of these entities, which all have the same join keys."""
    join_keys = tuple(entity_keys[0].join_keys) if entity_keys else ()
    by_join_key = {
        name: [key.entity_values[place] for key in entity_keys]
        for place, name in enumerate(join_keys)
    }
    if by_join_key:
        return _read(config, table, by_join_key)
    view = view_with(config, table, ())  # without entities: one row
    return Read(view, [view.prefix] * len(entity_keys))


def reads_of(
    config: RepoConfig,
    grouped_refs: Iterable[tuple[FeatureView, list[str]]],
    join_key_values: Mapping[str, list[Value]],
    join_key_of_entity: Mapping[str, str],
) -> list[Read]:
    """The rows of each view of a request, N each and in its order."""
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
    view = view_with(config, table, join_keys)
    return Read(view, view.row_keys([_ids(name, by_join_key[name]) for name in join_keys]))


def _ids(join_key: str, values: Sequence[Value]) -> list[Id]:
    fields: list[Any] = [value.WhichOneof("val") for value in values]
    if None in fields:
        raise FeatureError(f"entity row {fields.index(None)} has no value for {join_key!r}")
    return [getattr(value, field) for value, field in zip(values, fields, strict=True)]
