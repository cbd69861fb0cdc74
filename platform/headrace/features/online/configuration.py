"""feature_store.yaml as the online store needs it: the project, and where its rows lie.

Feast reads the same file, with the same variables put into its text before it is read as YAML.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from headrace import config
from headrace.errors import ConfigError
from headrace.features.store.connection import Connection, RedisType
from headrace.rooms.folder import room_path

FILE: Final = "feature_store.yaml"
PACKED: Final = "headrace.feast_adapter.online_store.PackedRedisOnlineStore"
_VARIABLE: Final = re.compile(r"\$(\w+|\{[^}]*\})", re.ASCII)  # as os.path.expandvars finds them


class _Online(msgspec.Struct, frozen=True):
    type: str
    connection_string: str = "localhost:6379"
    redis_type: RedisType = "redis"
    sentinel_master: str = "mymaster"
    key_ttl_seconds: int | None = None


class _Registry(msgspec.Struct, frozen=True):
    enable_online_feature_view_versioning: bool = False


class _File(msgspec.Struct, frozen=True):
    project: str
    online_store: _Online
    registry: _Registry | str = ""


class Configuration(msgspec.Struct, frozen=True):
    """The project that keys begin with, the connection to its Redis, and the seconds after which
    Redis deletes a row, 0 for never."""

    project: str
    connection: Connection
    key_ttl_s: int


def read_configuration(settings: config.Settings) -> Configuration:
    """The configuration in the repository's feature_store.yaml, with these settings.

    Raises `ConfigError` where it is none, or its rows are not packed, under the views' names.
    """
    path = room_path("feature_repo") / FILE
    variables = {**config.inherited(), **config.environment(settings)}

    def value(name: re.Match[str]) -> str:
        return variables.get(name[1].strip("{}"), name[0])

    try:
        text = _VARIABLE.sub(value, path.read_text())
        file = msgspec.yaml.decode(text, type=_File)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    online = file.online_store
    if online.type != PACKED:
        raise ConfigError(f"{path} has online_store.type {online.type!r}: expected {PACKED}")
    if isinstance(file.registry, _Registry) and file.registry.enable_online_feature_view_versioning:
        raise ConfigError(
            f"{path} has registry.enable_online_feature_view_versioning: expected false, because "
            "the rows of a changed table are read under the same names; remove it"
        )
    connection = Connection(online.connection_string, online.redis_type, online.sentinel_master)
    return Configuration(file.project, connection, online.key_ttl_seconds or 0)
